"""A small planted task for tests of training: what an asset does next is in its own window."""

from __future__ import annotations

import numpy as np

from btq_assets.models.training.recipe import Recipe
from btq_assets.models.windows.batches import ArrayWindows
from btq_assets.models.windows.samples import DateSamples, loops

N_ASSETS, N_DATES, N_FEATURES, LOOKBACK = 5, 40, 3, 6


def planted_features(n_dates: int = N_DATES, seed: int = 0) -> np.ndarray:
    """``(n_dates, N_ASSETS, N_FEATURES)`` standard normal numbers."""
    random = np.random.default_rng(seed)
    return random.normal(size=(n_dates, N_ASSETS, N_FEATURES)).astype(np.float32)


def planted_samples(features: np.ndarray, noise: float = 0.1) -> list[DateSamples]:
    """The target is the last first feature less the second of the session before."""
    random = np.random.default_rng(1)
    assets = np.arange(N_ASSETS)
    graph = loops(assets, 2)
    return [
        DateSamples(
            day,
            graph,
            assets,
            (features[day, :, :1] - features[day - 1, :, 1:2])
            + noise * random.normal(size=(N_ASSETS, 1)),
        )
        for day in range(1, len(features))
    ]


def planted_source(features: np.ndarray) -> ArrayWindows:
    """Windows of `LOOKBACK` sessions; every asset has every session."""
    return ArrayWindows(features, np.ones(features.shape[:2], dtype=bool), LOOKBACK)


def planted_recipe(**others: object) -> Recipe:
    """A short training; `others` replaces any field."""
    found = {
        "epochs": 4,
        "patience": 4,
        "batch_dates": 8,
        "learning_rate": 1e-2,
        "weight_decay": 1e-3,
        "relative": False,
        "seed": 5,
    }
    return Recipe(**{**found, **others})  # type: ignore[arg-type]
