"""Shared fixtures: a quick configuration and small, seeded, real-shaped bars."""

from __future__ import annotations

import datetime as dt
import gc
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core

sys.path.insert(0, str(Path(__file__).parent))  # for `local_server`, `order_cases`


def pytest_collection_finish() -> None:
    """What thousands of tests and their imports made stays: the collector looks at it no more."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def config() -> TradingConfig:
    return TradingConfig()


def make_bars(
    n_symbols: int = 4,
    n_sessions: int = 400,
    *,
    seed: int = 0,
    universe: str = "test",
    ohlcv: bool = True,
    start: dt.datetime = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC),
) -> pl.DataFrame:
    """Geometric random walks in the shape of `core.bars_1d`; weekdays only."""
    random = np.random.default_rng(seed)
    stamps, day = [], start
    while len(stamps) < n_sessions:
        if day.weekday() < 5:
            stamps.append(day)
        day += dt.timedelta(days=1)
    frames = []
    for number in range(n_symbols):
        close = 50.0 * np.exp(np.cumsum(random.normal(2e-4, 0.015, n_sessions)))
        open_ = close * np.exp(random.normal(0, 0.004, n_sessions))
        high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.005, n_sessions)))
        low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.005, n_sessions)))
        volume = np.round(np.exp(random.normal(13, 0.4, n_sessions)))
        real = {"open": open_, "high": high, "low": low, "close": close, "volume": volume}
        raw = real if ohlcv else dict.fromkeys(real)
        frames.append(
            pl.DataFrame(
                {
                    "universe": universe,
                    "symbol": f"S{number:02d}",
                    "ts": stamps,
                    "session": [stamp.date() for stamp in stamps],
                    "known_at": stamps,
                    "revised_at": None,
                    **raw,
                    "adj_open": raw["open"],
                    "adj_high": raw["high"],
                    "adj_low": raw["low"],
                    "adj_close": close,
                },
                schema=core.BARS_1D.schema,
            )
        )
    return pl.concat(frames)


@pytest.fixture
def bars() -> pl.DataFrame:
    return make_bars()


@pytest.fixture
def close_only_bars() -> pl.DataFrame:
    return make_bars(ohlcv=False)


@pytest.fixture(scope="session")
def make_bars_function():
    return make_bars


@pytest.fixture
def web():
    """A local server that answers as it is told to."""
    from local_server import serving

    with serving() as server:
        yield server
