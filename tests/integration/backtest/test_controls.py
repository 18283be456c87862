"""The whole path on null, planted and leaking markets: features to verdict, ridge and LightGBM."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.controls.answers import (
    controls_table,
    leak_outcome,
    null_outcome,
    planted_outcome,
)
from btq_assets.backtest.controls.assets import controls_deep
from btq_assets.backtest.controls.markets import ControlBase, bars_of, control_market
from btq_assets.backtest.controls.settings import DEEP_MODELS, MODELS, ControlSettings
from btq_assets.config import TradingConfig
from btq_assets.contracts import controls as contracts
from btq_assets.contracts import evidence
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.warehouse import Step

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def base_market(n_returns: int, n_assets: int, seed: int = 3) -> ControlBase:
    """A seeded market of one factor with fat tails, shocks that cluster, and unequal means."""
    random = np.random.default_rng(seed)
    level = np.exp(0.3 * np.cumsum(random.normal(0, 0.1, n_returns)) / 3)
    level /= level.mean()
    factor = random.standard_t(5, n_returns) * 0.007 * level
    own = random.standard_t(5, (n_returns, n_assets)) * 0.009 * level[:, None]
    returns = np.linspace(-5e-4, 1e-3, n_assets) + factor[:, None] + own
    ts = pl.datetime_range(
        dt.datetime(2012, 1, 2, 21), dt.datetime(2030, 1, 1, 21), "1d", time_zone="UTC", eager=True
    )
    ts = ts.filter(ts.dt.weekday() <= 5).head(n_returns + 1).dt.cast_time_unit("us")
    return ControlBase("made", tuple(f"S{k:02d}" for k in range(n_assets)), ts, returns)


def run(
    settings: ControlSettings, n_assets: int = 20, models: tuple[str, ...] = MODELS
) -> tuple[pl.DataFrame, pl.DataFrame]:
    base = base_market(settings.n_sessions, n_assets)
    return controls_table(base, TradingConfig(), settings, models=models, recorded_at=NOW)


@pytest.fixture(scope="module")
def small() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Few seeds, and an edge so wide that none of them may miss it."""
    settings = replace(
        ControlSettings(),
        null_seeds=4,
        planted_seeds=2,
        leak_seeds=2,
        planted_sharpe=6.0,
        bootstrap_samples=200,
    )
    return run(settings)


def test_the_path_makes_no_champions_of_nothing_finds_the_edge_and_shows_the_leak(small):
    table, _ = small
    assert null_outcome(table).passed, null_outcome(table)
    assert planted_outcome(table).passed, planted_outcome(table)
    assert leak_outcome(table).passed, leak_outcome(table)
    leaking = table.filter(pl.col("control") == "leak")
    assert leaking["champion"].all()
    assert (leaking["rank_ic"] > 0.9).all()
    # a leak taken for an honest null is what the first gate is there to refuse
    disguised = leaking.with_columns(control=pl.lit("null_dates"))
    assert not null_outcome(disguised).passed


def test_rows_fit_their_tables_and_trials_compete_with_nothing(small):
    table, trials = small
    made = cast_to_contract(table, contracts.CONTROLS)
    assert violations(made, contracts.CONTROLS).is_empty()
    assert table.height == 2 * (4 + 2 + 2)
    assert violations(cast_to_contract(trials, evidence.TRIALS), evidence.TRIALS).is_empty()
    assert trials["purpose"].unique().to_list() == ["control"]
    assert trials.height == 10 * table.height
    assert (table["n_candidates"] == 10).all()


def test_the_same_seeds_give_the_same_rows():
    settings = replace(
        ControlSettings(),
        null_seeds=1,
        planted_seeds=0,
        leak_seeds=0,
        n_sessions=1_300,
        train_years=2,
        test_months=14,
        bootstrap_samples=100,
    )
    first, second = run(settings, 8), run(settings, 8)
    assert first[0].equals(second[0])
    assert first[1].equals(second[1])


def test_a_deep_model_takes_the_same_path():
    """An edge no verdict may miss, a leak that shows, and nothing made of one null."""
    settings = replace(
        ControlSettings.of_size(1),
        null_seeds=1,
        n_sessions=1_300,
        train_years=2,
        test_months=24,
        max_folds=1,
        planted_sharpe=12.0,
        bootstrap_samples=100,
    )
    table, trials = run(settings, 12, DEEP_MODELS)
    assert table["model"].unique().to_list() == ["transformer_gnn"]
    found = dict(table.select("control", "champion").iter_rows())
    assert found == {"null_dates": False, "planted": True, "leak": True}
    ic = dict(table.select("control", "rank_ic").iter_rows())
    assert ic["leak"] > 0.8 > ic["planted"] > 0.1 > abs(ic["null_dates"])
    assert trials["purpose"].unique().to_list() == ["control"]


@pytest.mark.slow
def test_the_deep_job_runs_as_many_markets_as_the_configuration_says():
    market = control_market(base_market(2_520, 10), "null_bootstrap", 1, ControlSettings())
    config = TradingConfig(backtest={"deep_control_seeds": 1}, universe={"main": "made"})
    step = Step(
        config=config,
        run_id="test",
        now=NOW,
        log=lambda _: None,
        code_version="t",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,
        device="cpu",
    )
    made = controls_deep.compute(step, bars=bars_of(market, market.traded))
    table = made.frames
    cast = cast_to_contract(table, contracts.CONTROLS_DEEP)
    assert violations(cast, contracts.CONTROLS_DEEP).is_empty()
    counted = table["control"].value_counts().sort("control").rows()
    assert counted == [("leak", 1), ("null_assets", 1), ("null_dates", 1), ("planted", 1)]


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_200_nulls_make_at_most_17_champions_and_80_of_100_edges_are_found():
    table, _ = run(ControlSettings())
    nulls, planted, leak = null_outcome(table), planted_outcome(table), leak_outcome(table)
    assert nulls.passed, nulls
    assert planted.passed, planted
    assert leak.passed, leak
    assert table.filter(pl.col("control").str.starts_with("null")).height == 400
