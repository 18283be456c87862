"""The assets of named states, stress, breaks and parameters: computed, checked, shown, refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.regimes import assets as room
from btq_assets.warehouse import Step, TableAsset, table_assets_of

PNG = b"\x89PNG"
NEW = (
    room.market_states,
    room.hidden_states,
    room.volatility_states,
    room.change_points,
    room.stress_index,
    room.correlation_breaks,
    room.parameters,
)


@pytest.fixture(scope="module")
def config() -> TradingConfig:
    return TradingConfig(
        regimes={
            "min_fit_sessions": 252,
            "refit_every_sessions": 150,
            "stress": {
                "min_history_sessions": 60,
                "turbulence_window_sessions": 100,
                "absorption_window_sessions": 100,
            },
            "volatility_states": {"min_history_sessions": 40},
            "correlation_breaks": {"window_sessions": 40},
        }
    )


@pytest.fixture(scope="module")
def world(pytestconfig, config) -> dict[str, pl.DataFrame]:
    """Bars with a wild half-year, a credit spread, and every table computed from them."""
    shared = str(pytestconfig.rootpath / "tests" / "conftest.py")
    plugins = pytestconfig.pluginmanager.get_plugins()
    make_bars = next(p for p in plugins if getattr(p, "__file__", None) == shared).make_bars
    bars = make_bars(4, 620, universe="us20", seed=21, ohlcv=False)
    moves = np.random.default_rng(5).normal(0, np.where((np.arange(620) // 120) % 2, 0.03, 0.005))
    bars = bars.with_columns(pl.col("adj_close") * np.tile(np.exp(np.cumsum(moves)), 4))
    stamps = bars["ts"].unique().sort()
    spread = {"universe": "us20", "ts": stamps, "credit_spread_baa_aaa": 1.0 + stamps.len() * 0}
    macro = pl.DataFrame(spread).with_columns(
        credit_spread_baa_aaa=1 + (pl.int_range(pl.len()) % 37) / 50
    )
    tables = {"core.bars_1d": bars, "features.macro": macro}
    for asset in NEW:
        tables[asset.outputs[0].table] = _compute(asset, tables, config)[1]
    return tables


def _inputs(asset: TableAsset, tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name: tables[contract.table] for name, contract in asset.inputs.items()}


def _compute(asset: TableAsset, tables, config):
    step = Step(
        config=config,
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=lambda message: None,
        code_version="test",
        data_versions={},
        read_ledger=None,
        artifacts=None,
    )
    output = asset.compute(step, **_inputs(asset, tables))
    return output, cast_to_contract(output.frames, asset.outputs[0])


def _outcomes(asset: TableAsset, frame, tables, config):
    context = CheckContext({asset.outputs[0].table: frame}, _inputs(asset, tables), config)
    return {o.name: o for group in asset.checks for o in group.answer(context)}


def test_every_table_of_the_room_has_an_asset_with_a_truncation_gate():
    assets = table_assets_of(room)
    assert {asset.outputs[0].name for asset in assets} == {
        "states",
        *(asset.outputs[0].name for asset in NEW),
    }
    for asset in assets:
        specs = {spec.name: spec.blocking for group in asset.checks for spec in group.specs}
        assert specs["truncation"]


@pytest.mark.parametrize("asset", NEW, ids=lambda asset: asset.outputs[0].name)
def test_tables_are_computed_checked_and_shown(asset, world, config):
    output, frame = _compute(asset, world, config)
    assert frame.height > 50
    assert violations(frame, asset.outputs[0]).is_empty()
    failed = [o for o in _outcomes(asset, frame, world, config).values() if not o.passed]
    assert failed == []
    assert output.metadata
    assert all(picture.startswith(PNG) for picture in output.plots.values())


@pytest.mark.parametrize("asset", NEW, ids=lambda asset: asset.outputs[0].name)
def test_a_number_that_moved_is_refused_by_truncation(asset, world, config):
    frame = world[asset.outputs[0].table]
    column = next(c.name for c in asset.outputs[0].columns if c.is_float)
    leaking = frame.with_columns((pl.col(column) * 0.9).alias(column))
    if leaking[column].equals(frame[column]):
        leaking = frame.with_columns(pl.col(pl.Float64) * 0.9)
    assert not _outcomes(asset, leaking, world, config)["truncation"].passed


def test_other_checks_refuse_what_they_are_about(world, config):
    states = world["regimes.market_states"].with_columns(p_bull=0.5, p_bear=0.9)
    assert not _outcomes(room.market_states, states, world, config)["probabilities"].passed
    late = world["regimes.market_states"].with_columns(converged=pl.lit(False))
    assert not _outcomes(room.market_states, late, world, config)["convergence"].passed
    crossed = world["regimes.volatility_states"].with_columns(
        low_threshold_annual=pl.col("high_threshold_annual") + 1
    )
    assert not _outcomes(room.volatility_states, crossed, world, config)["thresholds"].passed
    other = world["regimes.parameters"].with_columns(max_position=0.9)
    found = _outcomes(room.parameters, other, world, config)["configured_values"]
    assert not found.passed
    assert "max_position is 0.9" in found.message


def test_switched_off_they_are_empty_tables_that_pass(world, config):
    off = TradingConfig(regimes={"enable": False})
    empty = dict(world)
    for asset in NEW:
        _, frame = _compute(asset, empty, off)
        empty[asset.outputs[0].table] = frame
        assert frame.is_empty()
        assert all(o.passed for o in _outcomes(asset, frame, empty, off).values())


def test_metadata_say_which_fits_failed(world, config, monkeypatch):
    from btq_assets.regimes import switching, volatility_states

    for asset, module, name in (
        (room.market_states, switching, "fit"),
        (room.volatility_states, volatility_states, "fit_garch"),
    ):
        real, calls = getattr(module, name), []

        def second_fails(*given, real=real, calls=calls):
            calls.append(1)
            return None if len(calls) == 2 else real(*given)

        monkeypatch.setattr(module, name, second_fails)
        output, frame = _compute(asset, world, config)
        assert output.metadata["failed_spans"] == 1
        failed = output.metadata["fits"].filter(~pl.col("converged"))
        assert failed["sessions"].to_list() == [frame.filter(~pl.col("converged")).height]
