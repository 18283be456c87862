"""Bars, documents and macro vintages for the features room."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import alternative_frames
import instrument_frames
import intraday_frames
import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, raw
from btq_assets.features.families import FAMILIES, Family
from btq_assets.sources.sentiment import scored

FX_SYMBOLS = ("EURUSD", "EURJPY", "EURGBP")


@pytest.fixture(scope="session")
def make_bars(pytestconfig: pytest.Config) -> Callable[..., pl.DataFrame]:
    """The generator of the shared conftest."""
    shared = str(pytestconfig.rootpath / "tests" / "conftest.py")
    plugins = pytestconfig.pluginmanager.get_plugins()
    return next(p for p in plugins if getattr(p, "__file__", None) == shared).make_bars


@pytest.fixture(scope="session")
def small_config() -> TradingConfig:
    """Windows short enough for every feature to have values within 420 sessions."""
    return TradingConfig(
        features={
            "correlation_window_sessions": 40,
            "garch": {"min_fit_sessions": 120, "refit_every_sessions": 100},
            "har_window_sessions": 20,
            "quantum_features": {"window_sessions": 20},
            "tick_window_bars": 6,
            "tick_horizon_seconds": 60,
            "fractional": {"weight_cutoff": 1e-3},
        }
    )


@pytest.fixture(scope="session")
def world(make_bars) -> dict[str, pl.DataFrame]:
    """Two universes with a late and a gappy symbol, currencies, documents and macro vintages."""
    n_sessions = 380
    main = make_bars(4, n_sessions, seed=1, universe="us20")
    sessions = main["ts"].unique().sort()
    late = (pl.col("symbol") == "S02") & (pl.col("ts") < sessions[30])
    gap = (pl.col("symbol") == "S03") & pl.col("ts").is_in(sessions[100:103].to_list())
    silent = (pl.col("symbol") == "S01") & (pl.col("ts") == sessions[200])
    main = main.filter(~late & ~gap).with_columns(
        volume=pl.when(silent).then(0.0).otherwise("volume")
    )
    fx = make_bars(
        3, n_sessions, seed=2, universe="fx", ohlcv=False,
        start=dt.datetime(2010, 1, 4, 15, tzinfo=dt.UTC),
    ).with_columns(
        symbol=pl.col("symbol").replace(dict(zip(("S00", "S01", "S02"), FX_SYMBOLS, strict=True)))
    )  # fmt: skip
    bars = pl.concat([main, fx])
    quarter = bars.filter(pl.col("ts").is_between(sessions[250], sessions[300]))
    return {
        "bars": bars,
        **intraday_frames.timeframes(quarter),
        "bars_1w": intraday_frames.weekly(bars),
        **intraday_frames.ticks(),
        "documents": _documents(sessions),
        "vintages": _vintages(sessions),
        "instruments": instrument_frames.instruments(bars),
        **alternative_frames.alternative(bars),
    }


def _documents(sessions: pl.Series) -> pl.DataFrame:
    random = np.random.default_rng(3)
    texts = ("profit beats forecasts", "shares plunge on fraud probe", "annual meeting on Monday")
    rows = []
    for number in range(80):
        known_at = sessions[int(random.integers(5, len(sessions)))] - dt.timedelta(
            hours=int(random.integers(1, 40))
        )
        rows.append(
            {
                "doc_id": f"d{number:03d}",
                "symbol": f"S{random.integers(0, 3):02d}",
                "published_at": known_at - dt.timedelta(hours=1),
                "known_at": known_at,
                "headline": texts[random.integers(0, 3)],
                "label": "SYNTHETIC" if number % 3 else "REAL",
                "source": "sample" if number % 2 else "wire",
            }
        )
    return pl.DataFrame(rows, schema=core.DOCUMENTS.schema)


def _vintages(sessions: pl.Series) -> pl.DataFrame:
    random = np.random.default_rng(4)
    rows = []

    def add(series_id: str, period: dt.date, known_at: dt.datetime, value: float) -> None:
        rows.append((series_id, period, known_at, None, value, "unit", "VINTAGE"))

    for series_id in (raw.VIX_CLOSE, raw.WTI_SPOT):
        for stamp in sessions:
            value = float(random.uniform(10, 30))
            add(series_id, stamp.date(), stamp + dt.timedelta(hours=17), value)
    monthly = (raw.MOODYS_AAA, raw.MOODYS_BAA, raw.CORE_CPI, *(f"{raw.NOWCAST_PREFIX}{name}" for name in ("INDPRO", "PAYEMS", "UNRATE")))  # fmt: skip
    for series_id in monthly:
        for month in range(30):
            period = dt.date(2009 + month // 12, month % 12 + 1, 1)
            first = dt.datetime(period.year, period.month, 12, 14, tzinfo=dt.UTC) + dt.timedelta(31)
            value = float(random.uniform(90, 110))
            add(series_id, period, first, value)
            add(series_id, period, first + dt.timedelta(days=25), value + 0.5)  # a revision
    return pl.DataFrame(rows, schema=core.MACRO_VINTAGES.schema, orient="row")


@pytest.fixture(scope="session")
def families() -> dict[str, Callable[[dict[str, pl.DataFrame], TradingConfig], pl.DataFrame]]:
    """Each family as a function of the inputs and the configuration."""

    def compute(family: Family) -> Callable[[dict[str, pl.DataFrame], TradingConfig], pl.DataFrame]:
        def run(given: dict[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
            if "scores" in family.inputs and "scores" not in given:
                given = {**given, "scores": scored.score(given["documents"])}
            return family.compute(given, config)

        return run

    return {family.name: compute(family) for family in FAMILIES}
