"""The assets' own computations and checks, run as the warehouse runs them."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import polars as pl
import pytest

from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.portfolio import assets
from btq_assets.warehouse import Step

NAMES = ("targets_rank", "targets_kelly", "targets_hrp", "targets_baselines")


def make_step(config) -> Step:
    return Step(
        config=config,
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=lambda message: None,
        code_version="t",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,  # type: ignore[arg-type]
    )


def inputs_of(case, asset):
    every = {
        **{f"forecasts_{name}": frame for name, frame in case.forecasts.items()},
        "bars": case.bars,
        "states": case.states,
        "splits": case.splits,
    }
    return {name: every[name] for name in asset.inputs}


def frame_of(case, asset, **changes):
    return asset.compute(make_step(case.config), **{**inputs_of(case, asset), **changes}).frames


@pytest.mark.parametrize("name", NAMES)
def test_asset_computes_a_table_that_passes_all_its_checks(case, name):
    asset = getattr(assets, name)
    output = asset.compute(make_step(case.config), **inputs_of(case, asset))
    (contract,) = asset.outputs
    frame = cast_to_contract(output.frames, contract)
    assert violations(frame, contract).is_empty()
    context = CheckContext({contract.table: frame}, inputs_of(case, asset), case.config)
    outcomes = [outcome for group in asset.checks for outcome in group.answer(context)]
    assert {o.name for o in outcomes} == {
        "limits", "complete_cross_section", "not_hollow", "truncation",
    }  # fmt: skip
    assert all(outcome.passed for outcome in outcomes), outcomes
    assert all(spec.blocking for _, spec in asset.check_specs)
    assert len(output.plots) == 2
    assert all(png.startswith(b"\x89PNG") for png in output.plots.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_table_with_tomorrow_in_it_is_refused(case, name):
    asset = getattr(assets, name)
    frame = frame_of(case, asset)
    # Every decision gets the weights of the next one: as if it had been known already.
    leaked = frame.with_columns(
        pl.col("weight").shift(-1).over("strategy", "symbol", order_by="ts").fill_null(0.0)
    )
    if name == "targets_hrp":
        leaked = frame.with_columns(pl.col("weight").shift(-5).over("symbol").fill_null(0.0))
    context = CheckContext({asset.outputs[0].table: leaked}, inputs_of(case, asset), case.config)
    truncation = {o.name: o for group in asset.checks[-1:] for o in group.answer(context)}
    assert not truncation["truncation"].passed


@pytest.mark.parametrize("name", NAMES)
def test_every_edge_moves_the_table(case, name):
    asset = getattr(assets, name)
    before = frame_of(case, asset)
    for edge, frame in inputs_of(case, asset).items():
        if edge == "splits":
            changed = frame.with_columns(test_start=pl.lit(case.decisions[4]))
        elif edge == "bars":
            own = pl.col("symbol") == "S01"
            changed = frame.with_columns(
                adj_close=pl.when(own).then(pl.col("adj_close").pow(3)).otherwise("adj_close")
            )
        elif edge == "states":
            changed = frame.with_columns(state=pl.lit("turbulent"))
        else:
            # Forecasts that have been right so far, so that Kelly believes them too.
            changed = frame.join(_labels(case), on=["symbol", "ts"], how="left").with_columns(
                forecast=pl.col("label").fill_null(0.0)
            ).drop("label")  # fmt: skip
        after = frame_of(case, asset, **{edge: changed})
        assert not after.equals(before), f"{edge} has no effect on {name}"


def _labels(case):
    from btq_assets.timeline import forward_returns

    return forward_returns(case.bars, 5).select("symbol", "ts", "label")


def test_importing_the_assets_loads_nothing_heavy():
    code = (
        "import sys, btq_assets.portfolio.assets, btq_assets.agents.assets;"
        "print([m for m in ('torch','sklearn','skfolio','scipy','numba','matplotlib','gymnasium',"
        "'stable_baselines3') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
