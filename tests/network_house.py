"""A small training set of noise and its folds as assets, so that networks can be fitted in a run."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import models
from btq_assets.contracts.base import cast_to_contract
from btq_assets.models.deep.windowed import DEFAULT_FEATURES
from btq_assets.models.folds import splits
from btq_assets.warehouse import Step, TableAsset, TableOutput, table_asset

N_ASSETS, N_SESSIONS = 5, 420


def small_config(**models_: object) -> TradingConfig:
    """Two folds, two seeds, networks of a few weights; `models_` lies over section ``models``."""
    network = {"model_dim": 8, "lookback_sessions": 4, "epochs": 2, "batch_dates": 8}
    return TradingConfig(
        universe={"main": "test"},
        trading={"device": "cpu"},
        features={"correlation_window_sessions": 40, "truncation_dates": 1},
        models={
            "seeds": (7, 8),
            "walk_forward": {
                "first_test": "2011-02-01",
                "test_months": 3,
                "max_folds": 2,
                "train_years": 1,
                "validation_months": 3,
            },
            "transformer": {**network, "num_heads": 2, "graph_neighbours": 2},
            "lstm": network,
            "mlp": network,
            **models_,
        },
    )


def training_frame(config: TradingConfig, seed: int = 0) -> pl.DataFrame:
    """Rows of ``models.training_set``: returns and features without any relation."""
    random = np.random.default_rng(seed)
    ts, day = [], dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
    while len(ts) < N_SESSIONS:
        if day.weekday() < 5:
            ts.append(day)
        day += dt.timedelta(days=1)
    horizon, last = config.models.horizon_sessions, N_SESSIONS - 1 - config.models.horizon_sessions
    returns = random.normal(0, 0.01, (N_SESSIONS, N_ASSETS))
    close = np.cumprod(1 + returns, axis=0)
    raw = np.full(returns.shape, np.nan)
    raw[:last] = close[1 + horizon :] / close[1 : N_SESSIONS - horizon] - 1
    label = raw - raw.mean(axis=1, keepdims=True)
    starts = [ts[i + 1] if i < last else None for i in range(N_SESSIONS)]
    ends = [ts[i + 1 + horizon] if i < last else None for i in range(N_SESSIONS)]
    frames = [
        pl.DataFrame(
            {
                "universe": "test",
                "symbol": f"S{asset:02d}",
                "ts": ts,
                "is_decision": [i % 5 == 0 for i in range(N_SESSIONS)],
                "session_return": returns[:, asset],
                "label": label[:, asset],
                "label_raw": raw[:, asset],
                "label_start_ts": starts,
                "label_end_ts": ends,
                **{name: _noise(random, name) for name in DEFAULT_FEATURES},
            }
        )
        for asset in range(N_ASSETS)
    ]
    frame = pl.concat(frames).with_columns(pl.col("label", "label_raw").fill_nan(None))
    schema = models.TRAINING_SET.schema
    missing = [
        pl.lit(None, dtype).alias(n) for n, dtype in schema.items() if n not in frame.columns
    ]
    frame = frame.with_columns(missing).select(models.TRAINING_SET.column_names)
    return cast_to_contract(frame, models.TRAINING_SET).sort(models.TRAINING_SET.key)


def _noise(random: np.random.Generator, name: str) -> np.ndarray:
    """Numbers that the contract of a column allows."""
    column = models.TRAINING_SET.column(name)
    noise = random.normal(size=N_SESSIONS)
    if column.minimum is not None and column.maximum is not None:
        return column.minimum + (column.maximum - column.minimum) / (1 + np.exp(noise))
    if column.minimum is not None:
        return column.minimum + np.abs(noise)
    return noise if column.maximum is None else column.maximum - np.abs(noise)


def training_set_asset(config: TradingConfig) -> TableAsset:
    """The training set and its folds as one asset without inputs."""

    @table_asset(
        outputs=(models.TRAINING_SET, models.SPLITS),
        config=("models.walk_forward",),
        group="models",
        source_version=lambda _: "noise",
    )
    def training_set(step: Step) -> TableOutput:
        """Noise."""
        frame = training_frame(step.config)
        folds = splits(frame, step.config)
        return TableOutput({models.TRAINING_SET.table: frame, models.SPLITS.table: folds})

    return training_set
