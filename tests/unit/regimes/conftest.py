"""A small market with planted regimes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.config import RegimesSection

N_SESSIONS = 620


def bars_of(log_returns: np.ndarray, universe: str = "us20") -> pl.DataFrame:
    """Bars of which the log returns are given, ``(T, N)``; NaN leaves that bar out."""
    n, n_symbols = log_returns.shape
    start = dt.datetime(2015, 1, 1, 21, tzinfo=dt.UTC)
    stamps = [start + dt.timedelta(days=k) for k in range(n + 1)]
    frames = []
    for k in range(n_symbols):
        column = np.r_[0.0, log_returns[:, k]]
        present = np.isfinite(column)
        price = 10 * np.exp(np.cumsum(np.where(present, column, 0.0)))
        frames.append(
            pl.DataFrame(
                {
                    "universe": universe,
                    "symbol": f"S{k}",
                    "ts": stamps,
                    "known_at": stamps,
                    "adj_close": price,
                }
            ).filter(pl.Series(present))
        )
    return pl.concat(frames)


@pytest.fixture(scope="session")
def small() -> RegimesSection:
    """Windows short enough for everything to have values within 620 sessions."""
    return RegimesSection(
        min_fit_sessions=252,
        refit_every_sessions=90,
        fit_window_sessions=300,
        market_states={"window_sessions": 300},
        hidden_states={
            "n_states": 2,
            "window_sessions": 300,
            "volatility_window_sessions": 10,
            "correlation_window_sessions": 20,
        },
        volatility_states={"window_sessions": 300, "min_history_sessions": 30},
        change_points={"warm_up_sessions": 60, "expected_run_sessions": 200},
        stress={
            "min_history_sessions": 40,
            "volatility_window_sessions": 10,
            "correlation_window_sessions": 20,
            "drawdown_window_sessions": 60,
            "turbulence_window_sessions": 60,
            "turbulence_mean_sessions": 5,
            "absorption_window_sessions": 60,
            "absorption_half_life_sessions": 30,
            "crisis_enter": 0.8,
            "crisis_exit": 0.4,
        },
        correlation_breaks={"window_sessions": 30, "every_sessions": 5, "significance": 0.01},
        parameters={"min_dwell_sessions": 5},
    )


@pytest.fixture(scope="session")
def planted() -> np.ndarray:
    """State of each return: quiet rise 0, wild fall 1, in spells of 80."""
    return (np.arange(N_SESSIONS - 1) // 80) % 2


@pytest.fixture(scope="session")
def market_bars(planted) -> pl.DataFrame:
    """Four symbols of one market; in a fall they move together."""
    random = np.random.default_rng(8)
    n = planted.size
    common = random.normal(np.where(planted, -0.003, 0.001), np.where(planted, 0.02, 0.004))
    own = random.normal(0, 0.004, (n, 4))
    moves = common[:, None] + own
    moves[40:45, 2] = np.nan  # a gap
    moves[:100, 3] = np.nan  # a late one
    return bars_of(moves)


@pytest.fixture(scope="session")
def macro(market_bars) -> pl.DataFrame:
    """Credit spread as `features.macro` gives it, missing at first."""
    stamps = market_bars["ts"].unique().sort()
    random = np.random.default_rng(1)
    spread = pl.Series(1 + np.abs(np.cumsum(random.normal(0, 0.02, stamps.len()))))
    return pl.DataFrame(
        {"universe": "us20", "ts": stamps, "credit_spread_baa_aaa": spread}
    ).with_columns(
        credit_spread_baa_aaa=pl.when(pl.int_range(pl.len()) >= 50).then("credit_spread_baa_aaa")
    )


@pytest.fixture(scope="session")
def market():
    """``market(returns)``: bars of one or, ``(T, N)``, several symbols with these log returns."""
    return lambda returns: bars_of(returns[:, None] if returns.ndim == 1 else returns)
