"""A warehouse in a temporary folder with a small seeded training set and models fitted on it by the assets."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import models
from btq_assets.models import folds
from btq_assets.models.chosen import training_set_table
from btq_assets.timeline import forward_returns
from btq_assets.warehouse import TableAsset, Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource
from btq_assets.warehouse.writing import commit_frames

FEATURES = ("return_1d", "return_5d", "volatility_21_annual", "universe_beta", "momentum_12_1")

CONFIG = TradingConfig(
    universe={"main": "test"},
    features={"correlation_window_sessions": 40, "truncation_dates": 1},
    models={
        "seeds": (7,),
        "walk_forward": {
            "first_test": "2011-03-01",
            "test_months": 3,
            "max_folds": 1,
            "train_years": 1,
            "validation_months": 4,
        },
        "lightgbm": {"min_child_samples": 10, "n_estimators": 10},
        "transformer": {
            "model_dim": 8,
            "num_heads": 2,
            "lookback_sessions": 4,
            "epochs": 2,
            "graph_neighbours": 2,
        },
        "explanation": {"importance_decisions": 6, "gradient_decisions": 2, "repeats": 2},
    },
)


def training_set(n_assets: int = 6, n_sessions: int = 360, seed: int = 4) -> pl.DataFrame:
    """Rows of ``models.training_set``: a few random features of which one leads returns."""
    random = np.random.default_rng(seed)
    day, days = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC), []
    while len(days) < n_sessions:
        if day.weekday() < 5:
            days.append(day)
        day += dt.timedelta(days=1)
    values = {name: random.normal(size=(n_sessions, n_assets)) for name in FEATURES}
    returns = 0.01 * random.normal(size=(n_sessions, n_assets))
    for lag in range(2, 7):  # from the fill after the decision to the fill that ends its label
        returns[lag:] += 0.004 * values["return_5d"][:-lag]
    close = np.cumprod(1 + returns, axis=0)
    panel = pl.concat(
        [
            pl.DataFrame(
                {
                    "universe": "test",
                    "symbol": f"S{asset:02d}",
                    "ts": days,
                    "adj_close": close[:, asset],
                    "session_return": returns[:, asset],
                    **{name: one[:, asset] for name, one in values.items()},
                }
            )
            for asset in range(n_assets)
        ]
    )
    labels = forward_returns(panel, CONFIG.models.horizon_sessions)
    table = training_set_table(CONFIG)
    whole = panel.join(labels, on=["universe", "symbol", "ts"], how="left").with_columns(
        is_decision=pl.col("ts").dt.weekday() == 1
    )
    absent = [c for c in table.column_names if c not in whole.columns]
    filled = whole.with_columns(pl.lit(None, table.schema[c]).alias(c) for c in absent)
    return filled.select(table.column_names).cast(dict(table.schema)).sort(table.key)


@dataclass(frozen=True)
class House:
    """Where it lies, and how its assets are run."""

    root: Path
    config: TradingConfig

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(DataPaths(self.root), 20)

    @property
    def resources(self) -> dict[str, Any]:
        return {
            "trading": ConfigResource.of(self.config),
            "warehouse": WarehouseResource(path=str(self.root), lock_timeout_s=20),
            "device": DeviceResource(device="cpu"),
        }

    def put(self, frame: pl.DataFrame) -> None:
        """Store a training set and its folds."""
        table = training_set_table(self.config)
        with self.warehouse.transaction() as connection:
            commit_frames(
                connection, {table: frame, models.SPLITS: folds.splits(frame, self.config)}
            )

    def run(self, *assets: TableAsset, **options: Any) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [asset.definition(self.config) for asset in assets],
            resources=self.resources,
            **options,
        )


def empty_house(root: Path, config: TradingConfig = CONFIG) -> House:
    """A warehouse with the training set and nothing fitted."""
    house = House(root, config)
    house.put(training_set())
    return house
