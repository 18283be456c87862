"""Small seeded panels for models: features with a planted effect, returns with a planted lead."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from btq_assets.models.folds import TrainingSet

START = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)


def _stamps(n_sessions: int) -> list[dt.datetime]:
    found, day = [], START
    while len(found) < n_sessions:
        if day.weekday() < 5:
            found.append(day)
        day += dt.timedelta(days=1)
    return found


def _panel_of(
    returns: np.ndarray, features: dict[str, np.ndarray], horizon: int = 1
) -> pl.DataFrame:
    """Rows of a training set from ``(T, N)`` returns and features; every session decides."""
    n_sessions, n_assets = returns.shape
    ts = _stamps(n_sessions)
    close = np.cumprod(1 + returns, axis=0)
    label = np.full(returns.shape, np.nan)
    last = n_sessions - 1 - horizon
    label[:last] = close[1 + horizon :] / close[1 : n_sessions - horizon] - 1
    label -= label.mean(axis=1, keepdims=True)
    ends = [ts[i + 1 + horizon] if i < last else None for i in range(n_sessions)]
    frames = [
        pl.DataFrame(
            {
                "universe": "test",
                "symbol": f"S{asset:02d}",
                "ts": ts,
                "is_decision": True,
                "session_return": returns[:, asset],
                "label": label[:, asset],
                "label_end_ts": ends,
                **{name: values[:, asset] for name, values in features.items()},
            }
        )
        for asset in range(n_assets)
    ]
    return (
        pl.concat(frames)
        .with_columns(pl.col("label").fill_nan(None))
        .with_columns(label_raw=pl.col("label"), label_start_ts=pl.col("label_end_ts"))
    )


def _training_set_of(
    panel: pl.DataFrame,
    features: tuple[str, ...],
    n_train: int,
    n_validation: int,
    horizon: int = 1,
    market: tuple[str, ...] = (),
) -> TrainingSet:
    """The first sessions train, the next validate, purged at both ends."""
    ts = panel["ts"].unique().sort()
    ahead = 1 + horizon
    test = n_train + n_validation
    return TrainingSet(
        panel=panel.filter(pl.col("ts") < ts[test]),
        asset_features=features,
        market_features=market,
        train=(ts[0], ts[n_train - ahead]),
        validation=(ts[n_train], ts[test - ahead]),
        cutoff=ts[test],
    )


@pytest.fixture(scope="session")
def planted() -> pl.DataFrame:
    """8 assets, 300 sessions; ``signal`` predicts the label, ``noise`` does not."""
    random = np.random.default_rng(5)
    shape = (300, 8)
    signal, noise = random.normal(size=shape), random.normal(size=shape)
    returns = 0.01 * random.normal(size=shape)
    returns[2:] += 0.006 * signal[:-2]
    return _panel_of(returns, {"signal": signal, "noise": noise})


@pytest.fixture(scope="session")
def planted_set(planted: pl.DataFrame) -> TrainingSet:
    return _training_set_of(planted, ("signal", "noise"), 180, 50)


@pytest.fixture(scope="session")
def planted_test(planted: pl.DataFrame) -> pl.DataFrame:
    """The sessions after validation."""
    return planted.filter(pl.col("ts") >= planted["ts"].unique().sort()[230])


@pytest.fixture(scope="session")
def panel_of() -> Callable[..., pl.DataFrame]:
    return _panel_of


@pytest.fixture(scope="session")
def training_set_of() -> Callable[..., TrainingSet]:
    return _training_set_of


@pytest.fixture(scope="session")
def bars_of(pytestconfig: pytest.Config) -> Callable[..., pl.DataFrame]:
    """The generator of the shared conftest."""
    plugins = pytestconfig.pluginmanager.get_plugins()
    shared = "tests/conftest.py"
    found = (p for p in plugins if str(getattr(p, "__file__", "")).endswith(shared))
    return next(found).make_bars
