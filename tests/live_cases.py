"""A small market, models fitted on it, and loops on paper over it: shared by tests and subprocesses."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.features.families import FAMILY
from btq_assets.models.folds import TrainingSet
from btq_assets.models.training_set import relative_labels, session_returns
from btq_assets.timeline import decision_times

KEY = ["universe", "symbol", "ts"]
UNIVERSE = "test"
FAMILIES = ("technical", "volatility")


def live_config(**trading: Any) -> TradingConfig:
    """Daily decisions are the loop's own setting; sizing windows are short."""
    config = TradingConfig()
    return config.model_copy(
        update={
            "universe": config.universe.model_copy(update={"main": UNIVERSE}),
            "trading": config.trading.model_copy(update=trading),
            "portfolio": config.portfolio.model_copy(update={"covariance_window_sessions": 60}),
        }
    )


def market(n_symbols: int = 6, n_sessions: int = 460, *, ohlcv: bool = True) -> pl.DataFrame:
    """Weekday bars of random walks, seeded, in the shape of `core.bars_1d`."""
    random = np.random.default_rng(5)
    stamps, day = [], dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
    while len(stamps) < n_sessions:
        if day.weekday() < 5:
            stamps.append(day)
        day += dt.timedelta(days=1)
    frames = []
    for number in range(n_symbols):
        close = 50.0 * np.exp(np.cumsum(random.normal(2e-4, 0.012 + 0.002 * number, n_sessions)))
        open_ = close * np.exp(random.normal(0, 0.004, n_sessions))
        prices = {
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.005, n_sessions))),
            "low": np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.005, n_sessions))),
            "close": close,
        }
        shown = prices if ohlcv else dict.fromkeys(prices)
        adjusted = prices if ohlcv else {"close": close}
        frames.append(
            pl.DataFrame(
                {
                    "universe": UNIVERSE,
                    "symbol": f"S{number:02d}",
                    "ts": stamps,
                    "session": [stamp.date() for stamp in stamps],
                    "known_at": stamps,
                    **shown,
                    **{f"adj_{name}": value for name, value in adjusted.items()},
                    "volume": np.round(np.exp(random.normal(13, 0.4, n_sessions)))
                    if ohlcv
                    else None,
                },
            )
        )
    frame = pl.concat(frames, how="diagonal_relaxed")
    absent = [name for name in core.BARS_1D.schema if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
    return frame.select(pl.col(n).cast(dtype) for n, dtype in core.BARS_1D.schema.items())


def features_of(bars: pl.DataFrame, config: TradingConfig) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Batch features beside labels, and their names."""
    names: list[str] = []
    frame = bars.select(KEY)
    for family in FAMILIES:
        own = [feature.name for feature in FAMILY[family].features(config)]
        rows = FAMILY[family].compute({"bars": bars}, config)
        frame = frame.join(rows.select(*KEY, *own), on=KEY, how="left")
        names += own
    return frame, tuple(names)


def fit_model(bars: pl.DataFrame, folder: Path, family: str = "ridge") -> Path:
    """Fit on the first part of the bars, save, and give the folder."""
    config = live_config()
    features, names = features_of(bars, config)
    sessions = bars["ts"].unique().sort()
    n = len(sessions)
    decisions = decision_times(bars["ts"], "week")
    panel = (
        bars.select(KEY)
        .with_columns(is_decision=pl.col("ts").is_in(decisions.implode()))
        .join(session_returns(bars), on=KEY, how="left")
        .join(relative_labels(bars, config.models.horizon_sessions), on=KEY, how="left")
        .join(features, on=KEY, how="left")
        .sort(KEY)
    )
    data = TrainingSet(
        panel=panel.filter(pl.col("ts") <= sessions[n * 7 // 10]),
        asset_features=names,
        market_features=(),
        train=(sessions[20], sessions[n * 4 // 10]),
        validation=(sessions[n * 5 // 10], sessions[n * 6 // 10]),
        cutoff=sessions[n * 7 // 10],
    )
    if family == "ridge":
        from btq_assets.models.ridge import RidgeForecaster

        RidgeForecaster().fit(data).save(folder)
    elif family == "transformer_gnn":
        from btq_assets.models.deep.transformer_gnn import (
            TransformerGNNForecaster,
            TransformerGNNSpec,
        )

        network = TransformerGNNSpec(
            model_dim=8,
            num_heads=2,
            lookback_sessions=5,
            epochs=1,
            graph_neighbours=2,
            graph_window_sessions=20,
            horizon_sessions=config.models.horizon_sessions,
            seed=3,
        )
        TransformerGNNForecaster(network).fit(data).save(folder)
    else:
        from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec

        spec = LightGBMSpec(min_child_samples=20, n_estimators=60)
        LightGBMForecaster(spec).fit(data).save(folder)
    return folder


class PlainTargets:
    """Weights that need no model: alternating, by the number of the session."""

    def __init__(self, symbols: list[str], gross: float = 0.9) -> None:
        self.symbols, self.gross, self.n = symbols, gross, 0

    def warm_up(self, history: pl.DataFrame) -> None:
        self.n = history["ts"].n_unique()

    def observe(self, bars: pl.DataFrame) -> None:
        self.n += 1

    def weights(self, ts: dt.datetime) -> dict[str, float]:
        raw = [1 + (self.n * (k + 1)) % 5 for k in range(len(self.symbols))]
        return {s: self.gross * w / sum(raw) for s, w in zip(self.symbols, raw, strict=True)}
