"""Cross-asset family against numpy on one window, and planted structures."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from btq_assets.features import cross_asset
from btq_assets.features.definitions import prepare

W = 126


@pytest.fixture(scope="module")
def panel(make_bars):
    bars = make_bars(5, 500, seed=11)
    prices = np.column_stack(
        [bars.filter(symbol=f"S{n:02d}")["adj_close"].to_numpy() for n in range(5)]
    )
    return bars, cross_asset.compute(bars), prices[1:] / prices[:-1] - 1


def _last(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(ts=frame["ts"].max()).sort("symbol")


def test_beta_and_idiosyncratic_volatility_are_those_of_a_regression(panel):
    _, frame, returns = panel
    window, market = returns[-W:], returns[-W:].mean(axis=1)
    slope = np.array([np.polyfit(market, window[:, n], 1)[0] for n in range(5)])
    residual = window - window.mean(0) - slope * (market - market.mean())[:, None]
    last = _last(frame)
    np.testing.assert_allclose(last["universe_beta"], slope, rtol=1e-9)
    np.testing.assert_allclose(
        last["idiosyncratic_volatility_annual"],
        np.sqrt(252 * (residual**2).sum(0) / (W - 1)),
        rtol=1e-9,
    )
    assert last["universe_beta"].mean() == pytest.approx(1)  # the mean of parts is the whole


def test_correlation_graph_columns_match_an_eigendecomposition(panel):
    _, frame, returns = panel
    matrix = np.corrcoef(returns[-W:].T)
    last = _last(frame)
    np.testing.assert_allclose(last["mean_correlation"], (matrix.sum(1) - 1) / 4, rtol=1e-9)
    # Power iteration: a way to the leading eigenvector that is not the one under test.
    u = np.ones(5)
    for _ in range(5_000):
        u = np.abs(matrix) @ u
        u /= u.sum()
    np.testing.assert_allclose(last["eigenvector_centrality"], 5 * u, rtol=1e-7)
    loading = last["pc1_loading"].to_numpy() / math.sqrt(5)
    values = np.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(matrix @ loading, values[-1] * loading, atol=1e-9)
    assert loading.sum() > 0


def test_residual_momentum_uses_the_beta_of_the_session_before(panel):
    _, frame, returns = panel
    market = returns.mean(axis=1)
    last = len(returns) - 1
    residuals = []
    for t in range(last - 251, last - 20):
        before, m = returns[t - W : t, 2], market[t - W : t]
        residuals.append(returns[t, 2] - np.polyfit(m, before, 1)[0] * market[t])
    residuals = np.array(residuals)
    assert len(residuals) == 231
    expected = residuals.sum() / (residuals.std(ddof=1) * math.sqrt(231))
    assert _last(frame)["residual_momentum_12_1"][2] == pytest.approx(expected, rel=1e-8)


def test_ranks_run_from_minus_one_to_one(panel):
    _, frame, returns = panel
    momentum = np.prod(1 + returns[-252:-21], axis=0)
    expected = 2 * momentum.argsort().argsort() / 4 - 1
    np.testing.assert_allclose(_last(frame)["momentum_rank"], expected)
    by_session = frame.group_by("ts").agg(pl.col("return_21d_rank").sum())
    assert by_session["return_21d_rank"].abs().max() < 1e-12


def _currencies(n_sessions: int, moves: dict[str, np.ndarray]) -> pl.DataFrame:
    start = dt.datetime(2010, 1, 4, 15, tzinfo=dt.UTC)
    stamps = [start + dt.timedelta(days=n) for n in range(n_sessions)]
    return pl.concat(
        pl.DataFrame(
            {
                "universe": "fx",
                "symbol": symbol,
                "ts": stamps,
                "known_at": stamps,
                "adj_close": np.exp(np.cumsum(move)),
            }
        )
        for symbol, move in moves.items()
    )


def test_the_dollar_moves_against_every_other_currency():
    # Dollars per euro fall by 1 %: the dollar gains 1 % on the euro and on a yen that holds
    # against the euro; on a pound that falls by 3 % against the euro it gains 4 %.
    moves = {
        "EURUSD": np.array([0, -0.01]), "EURJPY": np.array([0, 0.0]), "EURGBP": np.array([0, 0.03]),
    }  # fmt: skip
    bars = prepare(_currencies(2, moves))
    sessions = bars.select("universe", "ts").unique().sort("ts")
    found = cross_asset.dollar_moves(bars, sessions, "fx")["_usd"].to_list()
    assert found == [None, pytest.approx((0.01 + 0.01 + 0.04) / 3)]


def test_dollar_columns_find_a_planted_beta(make_bars):
    # The share closes six hours after the rates are fixed, so the move of the day is known.
    random = np.random.default_rng(12)
    usd = random.normal(0, 0.005, 300)
    fx = _currencies(300, {"EURUSD": -usd, "EURJPY": np.zeros(300)})
    stamps = fx.filter(symbol="EURUSD")["ts"].dt.offset_by("6h")
    share = pl.DataFrame(
        {
            "universe": "us20",
            "symbol": "A",
            "ts": stamps,
            "known_at": stamps,
            "adj_close": np.cumprod(1 - 2 * usd),
        }
    )
    last = cross_asset.compute(pl.concat([share, fx])).filter(symbol="A").row(-1, named=True)
    assert last["usd_beta"] == pytest.approx(-2, rel=1e-9)
    assert last["usd_correlation"] == pytest.approx(-1, rel=1e-9)
    assert last["universe_beta"] is None  # alone in its universe


def test_a_stale_dollar_is_missing(make_bars):
    shares = make_bars(2, 300)
    fx = _currencies(100, {"EURUSD": np.full(100, 1e-3), "EURJPY": np.full(100, 2e-3)})
    sessions = shares.select("universe", "ts").unique().sort("ts")
    found = cross_asset.dollar_moves(prepare(fx), sessions, "fx")
    last_rate = fx["ts"].max()
    fresh = found.filter(pl.col("_usd").is_not_null())
    assert fresh["ts"].max() <= last_rate + cross_asset.DOLLAR_STALE
    assert found.filter(pl.col("ts") > last_rate + dt.timedelta(days=8))["_usd"].is_null().all()


def test_a_gap_silences_only_the_windows_it_touches(make_bars):
    bars = make_bars(3, 400)
    sessions = bars["ts"].unique().sort()
    holed = bars.filter(~((pl.col("symbol") == "S01") & (pl.col("ts") == sessions[200])))
    frame = cross_asset.compute(holed).filter(symbol="S01")
    silent = frame.filter(pl.col("universe_beta").is_null())["ts"]
    # The returns into and out of the missing session are both unknown.
    assert silent.filter(silent > sessions[150]).to_list() == sessions[201 : 201 + W].to_list()
