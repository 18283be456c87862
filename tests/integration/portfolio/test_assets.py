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

NAMES = ("targets_rank", "targets_kelly", "targets_hrp", "targets_baselines", "targets_regime")
BASES = ("rank", "kelly", "hrp", "baselines")


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
        "parameters": case.parameters,
    }
    if "rank" in asset.inputs:
        every |= bases_of(case)
    return {name: every[name] for name in asset.inputs}


#: Made once: every case holds the same numbers.
_MADE: dict[str, pl.DataFrame] = {}


def bases_of(case):
    """Tables of the strategies that `targets_regime` reads."""
    for name in BASES:
        if name not in _MADE:
            _MADE[name] = frame_of(case, getattr(assets, f"targets_{name}"))
    return dict(_MADE)


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
        *(["regime_limits"] if name == "targets_regime" else []),
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
        elif edge == "parameters":
            changed = frame.with_columns(max_position=0.04)
        elif edge in BASES:
            changed = frame.with_columns(pl.col("weight") * 0.7)
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


def outcomes_of(case, frame, config=None, **changes):
    inputs = {**inputs_of(case, assets.targets_regime), **changes}
    context = CheckContext({"portfolio.targets_regime": frame}, inputs, config or case.config)
    return {o.name: o for group in assets.targets_regime.checks for o in group.answer(context)}


def test_a_table_that_ignores_its_regime_is_refused(case):
    # The strategies themselves under another name: too much is held in every spell but bull.
    bases = pl.concat(bases_of(case).values())
    ignoring = bases.filter(
        pl.col("strategy").is_in(list(case.config.portfolio.regime_strategies))
    ).with_columns(pl.col("strategy") + "_regime")
    found = outcomes_of(case, ignoring)
    assert not found["regime_limits"].passed
    assert "in regime" in found["regime_limits"].message
    assert not found["truncation"].passed


def test_parameters_or_a_strategy_behind_without_effect_are_refused(case, monkeypatch):
    from btq_assets.portfolio import regime_aware

    frame = frame_of(case, assets.targets_regime)
    real = regime_aware.regime_targets
    kept = case.parameters

    def deaf_to_parameters(targets, parameters, bars, config):
        return real(targets, kept.head(parameters.height), bars, config)

    monkeypatch.setattr(regime_aware, "regime_targets", deaf_to_parameters)
    found = outcomes_of(case, frame)["not_hollow"]
    assert not found.passed
    assert "exposure of" in found.message

    monkeypatch.setattr(regime_aware, "regime_targets", lambda *given: frame)
    found = outcomes_of(case, frame)["not_hollow"]
    assert "base weight of" in found.message


def test_switched_off_it_is_an_empty_table_that_passes(case):
    off = case.config.model_copy(
        update={"portfolio": case.config.portfolio.model_copy(update={"regime_strategies": ()})}
    )
    asset = assets.targets_regime
    frame = asset.compute(make_step(off), **inputs_of(case, asset)).frames
    assert frame.is_empty()
    assert all(outcome.passed for outcome in outcomes_of(case, frame, off).values())
