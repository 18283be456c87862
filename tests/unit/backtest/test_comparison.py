"""Architectures judged on a planted market: the one that knows is found, noise is not, decay is known."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.comparison import checks
from btq_assets.backtest.comparison.judgement import decay_table, judged
from btq_assets.backtest.comparison.portfolios import rank_portfolios, returns_table, trials_of
from btq_assets.backtest.market import BacktestError
from btq_assets.backtest.run import run_strategies
from btq_assets.config import TradingConfig
from btq_assets.contracts import comparison as tables
from btq_assets.contracts import core
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.engine import metrics
from btq_assets.models.comparison.conclusion import verdict_sentence
from btq_assets.models.training_set import relative_labels
from btq_assets.portfolio.ranks import rank_targets

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
N_ASSETS, WEEKS, WARM_UP = 16, 120, 70
EDGE, NOISE = 0.004, 0.01
CONFIG = TradingConfig(
    universe={"main": "test"},
    regimes={"enable": False},
    portfolio={"covariance_window_sessions": 60},
    models={
        "comparison": {
            "families": ("ridge", "lightgbm", "gat", "mlp"),
            "seeds": (7, 11),
            "horizons_sessions": (5, 10, 20),
            "resamples": 300,
        }
    },
)


@pytest.fixture(scope="module")
def market() -> tuple[pl.DataFrame, np.ndarray, pl.Series]:
    """Bars whose returns over the five sessions after a fill follow a signal of the decision before.

    Decisions are five sessions apart, so that no two signals move the same session.
    """
    random = np.random.default_rng(8)
    n = WARM_UP + 5 * WEEKS + 30
    stamps = pl.datetime_range(
        dt.datetime(2012, 1, 2, 21), dt.datetime(2030, 1, 1, 21), "1d", time_zone="UTC", eager=True
    )
    stamps = stamps.filter(stamps.dt.weekday() <= 5).head(n).dt.cast_time_unit("us")
    signal = random.normal(size=(WEEKS, N_ASSETS))
    returns = NOISE * random.normal(size=(n, N_ASSETS))
    rows = WARM_UP + 5 * np.arange(WEEKS)
    for row, known in zip(rows, signal, strict=True):
        returns[row + 2 : row + 7] += EDGE * known
    close = 100 * np.cumprod(1 + returns, axis=0)
    frame = pl.DataFrame(
        {
            "universe": "test",
            "symbol": np.repeat([f"S{k:02d}" for k in range(N_ASSETS)], n),
            "ts": pl.concat([stamps] * N_ASSETS),
            "adj_close": close.T.ravel(),
            "close": close.T.ravel(),
        }
    ).with_columns(session=pl.col("ts").dt.date(), known_at="ts")
    missing = [name for name in core.BARS_1D.column_names if name not in frame.columns]
    bars = cast_to_contract(
        frame.with_columns(pl.lit(None).alias(name) for name in missing), core.BARS_1D
    )
    return bars, signal, stamps.gather(rows)


def forecasts(
    signal: np.ndarray, ts: pl.Series, seeds: tuple[int, ...], share: float
) -> pl.DataFrame:
    """Forecasts that know a share of the signal, the rest of them noise; a draw for each seed."""
    parts = []
    for seed in seeds:
        noise = np.random.default_rng([seed, int(1_000 * share)]).normal(size=signal.shape)
        parts.append(
            pl.DataFrame(
                {
                    "universe": "test",
                    "symbol": [f"S{k:02d}" for k in range(N_ASSETS)] * len(ts),
                    "ts": pl.Series(np.repeat(np.arange(len(ts)), N_ASSETS)).replace_strict(
                        dict(enumerate(ts)), return_dtype=ts.dtype
                    ),
                    "horizon_sessions": 5,
                    "variant": "base",
                    "seed": seed,
                    "fold": 0,
                    "forecast": (0.01 * (share * signal + noise)).ravel(),
                    "model_id": "m",
                }
            )
        )
    names = ("variance", *(f"quantile_{p}" for p in ("05", "25", "50", "75", "95")))
    nothing = [pl.lit(None, pl.Float64).alias(name) for name in names]
    return pl.concat(parts).with_columns(*nothing)


@pytest.fixture(scope="module")
def world(market):
    """One architecture that knows half, two references and another of pure noise; judged."""
    bars, signal, ts = market
    known = {
        "ridge": forecasts(signal, ts, (0,), 0.0),
        "lightgbm": forecasts(signal, ts, (7, 11), 0.001),
        "gat": forecasts(signal, ts, (7, 11), 0.5),
        "mlp": forecasts(signal, ts, (7, 11), 0.002),
    }
    portfolios = rank_portfolios(known, bars, None, CONFIG)
    trials, _ = trials_of(portfolios, CONFIG, code_version="c", run_id="r", recorded_at=NOW)
    returns = returns_table(portfolios, "test")
    labels = relative_labels(bars, 5).select("universe", "symbol", "ts", "label")
    fits = pl.DataFrame(
        [
            {"universe": "test", "model": "gat", "without": "nothing", "seed": seed, "fold": fold,
             "seconds": 2.0 + seed, "processor_seconds": 1.0, "n_parameters": 100 + fold, "n_columns": 4,
             "validation_rank_ic": 0.1, "fitted_until": NOW, "device": "cpu", "code_version": "c",
             "recorded_at": NOW}
            for seed in (7, 11)
            for fold in (0, 1)
        ],
        schema=tables.FITS.schema,
    )  # fmt: skip
    made = judged(known, labels, bars, returns, trials, fits, CONFIG)
    return known, portfolios, trials, returns, made


def test_every_table_keeps_its_contract_and_every_trial_is_counted(world):
    known, _, trials, returns, made = world
    frames = made.by_table() | {tables.RETURNS.table: returns}
    for contract in (tables.COMPARISON, tables.SEEDS, tables.DECAY, tables.PAIRS, tables.RETURNS):
        cast = cast_to_contract(frames[contract.table], contract)
        assert violations(cast, contract).is_empty(), contract.table
    assert trials["trial_id"].n_unique() == trials.height == 7
    assert trials["question"].n_unique() == 1
    assert trials["purpose"].unique().to_list() == ["candidate"]
    assert made.comparison["n_trials"].unique().to_list() == [7]
    # fewer than ten trials: no variance of Sharpe ratios to deflate by, and none is made up
    assert made.comparison["deflated_sharpe"].null_count() == 4
    context = CheckContext(
        frames=made.by_table(), inputs={f"compared_{n}": f for n, f in known.items()}, config=CONFIG
    )
    for group in (checks.SAME_DECISIONS, checks.TRIALS_COUNTED):
        (answer,) = group.answer(context)
        assert answer.passed, answer
    (answer,) = checks.PORTFOLIOS_DIFFER.answer(
        CheckContext(frames={tables.RETURNS.table: returns}, inputs={}, config=CONFIG)
    )
    assert answer.passed, answer


def test_the_architecture_that_knows_is_shown_and_noise_is_not(world):
    made = world[4]
    ranked = made.comparison.sort("rank_ic", descending=True)
    assert ranked["model"][0] == "gat"
    found = {
        (row["model"], row["against"]): row["verdict"]
        for row in made.pairs.filter(pl.col("measure") == "rank_ic").iter_rows(named=True)
    }
    assert found == {
        ("lightgbm", "ridge"): "not shown",
        ("gat", "ridge"): "better",
        ("gat", "lightgbm"): "better",
        ("mlp", "ridge"): "not shown",
        ("mlp", "lightgbm"): "not shown",
    }
    earned = made.pairs.filter((pl.col("model") == "gat") & (pl.col("measure") != "rank_ic"))
    assert (earned["ci_low"] > 0).all()
    said = verdict_sentence(made.comparison, made.pairs)
    assert said.startswith("The highest mean rank IC has gat")
    assert "gat better than ridge; gat better than lightgbm" in said
    row = ranked.row(0, named=True)
    # times of a seed are sums over folds, the size is that of the last fold
    assert (row["seconds"], row["n_parameters"]) == (2 * (2 + (7 + 11) / 2), 101)
    assert ranked.filter(pl.col("model") == "ridge")["seconds"].item() is None
    assert ranked.filter(pl.col("model") == "ridge")["rank_ic_spread"].item() is None


def test_a_planted_signal_decays_as_its_formula_says(market):
    """Over ``m`` weeks the return holds the signal's five sessions once, and ``m`` times the noise.

    With ``r`` the correlation over the first week, that over ``m`` weeks is ``r / sqrt(m)``; a rank
    correlation of normal variables is ``(6 / pi) asin(r / 2)``.
    """
    bars, signal, ts = market
    perfect = forecasts(signal, ts, (0,), 1e6)
    found = decay_table({"ridge": perfect}, bars, CONFIG).sort("horizon_sessions")
    first = 5 * EDGE / math.sqrt(25 * EDGE**2 + 5 * NOISE**2)
    for row, weeks in zip(found.iter_rows(named=True), (1, 2, 4), strict=True):
        expected = 6 / math.pi * math.asin(first / math.sqrt(weeks) / 2)
        assert row["rank_ic"] == pytest.approx(expected, abs=0.04), row
        assert row["rank_ic_low"] < row["rank_ic"] < row["rank_ic_high"]
    assert found["n_decisions"].to_list() == [WEEKS] * 3


def test_portfolios_are_those_of_the_house(market, world):
    """Weights, fills and costs of `portfolio.ranks` and of every backtest: the same returns."""
    bars, _, _ = market
    known, portfolios, *_ = world
    gat = {"gat": known["gat"].filter(pl.col("seed") == 7)}
    targets = rank_targets(gat, bars, None, CONFIG).filter(pl.col("strategy") == "gat")
    done = run_strategies(bars, targets, CONFIG, baselines=())
    equity = done.equity.filter(pl.col("strategy") == "gat").sort("ts").drop_nulls("net_return")
    own = next(one for one in portfolios if (one.model, one.seed) == ("gat", 7))
    np.testing.assert_allclose(own.returns["net_return"], equity["net_return"], rtol=1e-12)
    row = world[4].seeds.row(
        by_predicate=(pl.col("model") == "gat") & (pl.col("seed") == 7), named=True
    )
    by_name = dict(done.metrics.select("metric", "value").iter_rows())
    assert row["sharpe"] == pytest.approx(by_name["sharpe"])
    assert row["turnover_annual"] == pytest.approx(by_name["turnover_annual"])
    assert row["cost_annual"] == pytest.approx(by_name["cost_annual"])
    assert row["sharpe"] == pytest.approx(metrics.calculate_sharpe(equity["net_return"].to_numpy()))


def test_unlike_decisions_and_uncounted_trials_are_refused(world):
    known, _, _, returns, made = world
    inputs = {f"compared_{name}": frame for name, frame in known.items()}
    for change, said in (
        (known["gat"].slice(1), "gat, seed 7 has 1919 forecasts"),
        (known["gat"].clear(), "compared_gat holds no forecast"),
        (known["gat"].with_columns(fold=pl.lit(1)), "other assets, times or folds"),
    ):
        context = CheckContext(made.by_table(), {**inputs, "compared_gat": change}, CONFIG)
        (answer,) = checks.SAME_DECISIONS.answer(context)
        assert not answer.passed
        assert said in answer.message
    few = made.comparison.with_columns(n_trials=pl.lit(6))
    repeated = made.seeds.with_columns(trial_id=pl.lit("one"))
    for change in ({tables.COMPARISON.table: few}, {tables.SEEDS.table: repeated}):
        context = CheckContext({**made.by_table(), **change}, inputs, CONFIG)
        (answer,) = checks.TRIALS_COUNTED.answer(context)
        assert not answer.passed
    for wrong, said in (
        (returns.slice(1), "lacks sessions"),
        (returns.with_columns(net_return=pl.lit(0.0)), "1 different portfolios of 7"),
    ):
        (answer,) = checks.PORTFOLIOS_DIFFER.answer(
            CheckContext({tables.RETURNS.table: wrong}, {}, CONFIG)
        )
        assert not answer.passed
        assert said in answer.message


def test_a_portfolio_without_a_trial_is_an_error(market, world):
    known, _, trials, returns, _ = world
    labels = relative_labels(market[0], 5)
    with pytest.raises(BacktestError, match="compared_gat_11 has no returns and trial"):
        judged(
            {"gat": known["gat"]},
            labels,
            market[0],
            returns,
            trials.filter(pl.col("strategy") != "compared_gat_11"),
            tables.FITS.empty(),
            CONFIG,
        )
