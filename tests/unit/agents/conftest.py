"""A market in which there is something to learn, and bars with two folds over them."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from btq_assets.agents.market import TradingMarket
from btq_assets.config import TradingConfig
from btq_assets.contracts import core, models
from btq_assets.timeline import decision_times


def make_market(
    n_assets: int = 5,
    n_decisions: int = 400,
    *,
    edge_per_session: float = 0.003,
    volatility: float = 0.01,
    cost: float = 0.0,
    seed: int = 0,
) -> SimpleNamespace:
    """A market in which one feature predicts returns from fill to fill, and two do not.

    Drifts are demeaned over assets, so 1/N earns nothing but noise. `signal` is the feature that
    tells.
    """
    random = np.random.default_rng(seed)
    n_sessions = n_decisions * 5 + 10
    rows = np.arange(n_decisions) * 5 + 2
    signal = random.normal(size=(n_decisions, n_assets))
    returns = volatility * random.normal(size=(n_sessions, n_assets))
    for decision, row in enumerate(rows):
        # Decided at `row`, filled at row + 1, held until the next fill at row + 6.
        edge = edge_per_session * (signal[decision] - signal[decision].mean())
        returns[row + 2 : row + 7] += edge
    noise = random.normal(size=(n_decisions, n_assets, 2))
    market = TradingMarket(
        symbols=tuple(f"S{number}" for number in range(n_assets)),
        prices=100 * np.exp(np.cumsum(returns, axis=0)),
        decision_rows=rows,
        features=np.concatenate([signal[:, :, None], noise], axis=2),
        half_spread=np.full(n_sessions, cost),
        commission=cost,
        feature_names=("signal", "noise_1", "noise_2"),
    )
    return SimpleNamespace(market=market, signal=signal)


@pytest.fixture(scope="session")
def planted() -> SimpleNamespace:
    return make_market()


@pytest.fixture(scope="session")
def free_hand() -> TradingConfig:
    """Limits wide open, quick defaults elsewhere."""
    return TradingConfig(max_position_size=1.0)


@pytest.fixture(scope="session")
def two_folds() -> SimpleNamespace:
    """Bars of four symbols over 800 weekdays, two folds, and a configuration that trains fast."""
    random = np.random.default_rng(4)
    start = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
    days = [start + dt.timedelta(days=7 * (k // 5) + k % 5) for k in range(800)]
    frames = [
        pl.DataFrame(
            {
                "universe": "test",
                "symbol": symbol,
                "ts": days,
                "session": [day.date() for day in days],
                "known_at": days,
                "adj_close": 50 * np.exp(np.cumsum(random.normal(2e-4, 0.015, len(days)))),
            }
        )
        for symbol in ("AA", "BB", "CC", "DD")
    ]
    absent = [name for name in core.BARS_1D.column_names if name not in frames[0].columns]
    bars = pl.concat(frames).with_columns(pl.lit(None, pl.Float64).alias(n) for n in absent)
    decisions = decision_times(pl.Series(days).cast(pl.Datetime("us", "UTC")), "week")
    # Weeks 55-95 train and 100-119 test; 75-115 train and 120 on test.
    folds = [(0, 55, 95, 100, 119), (1, 75, 115, 120, len(decisions) - 1)]
    splits = pl.DataFrame(
        [
            ("test", k, decisions[a], decisions[b], decisions[b + 2], decisions[b + 3],
             decisions[c], decisions[d], 0)
            for k, a, b, c, d in folds
        ],
        schema=models.SPLITS.schema,
        orient="row",
    )  # fmt: skip
    config = TradingConfig(
        universe={"main": "test"},
        trading={"max_position_size": 0.5},
        models={"rl": {"n_steps": 64, "total_timesteps": 256}},
    )
    return SimpleNamespace(
        bars=bars.select(core.BARS_1D.column_names), splits=splits, config=config,
        decisions=decisions,
    )  # fmt: skip
