"""The whole graph on a small seeded universe, through the very functions the assets run.

No Dagster and no file: frames in a dictionary by table name, so that a test can change one table
and see what moves.
"""

from __future__ import annotations

import datetime as dt
import importlib
from pathlib import Path

import alternative_frames
import instrument_frames
import intraday_frames
import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, models, quarantine, raw
from btq_assets.contracts.base import TableContract, cast_to_contract
from btq_assets.warehouse import Step, TableAsset, table_assets_of
from btq_assets.warehouse.artifacts import ArtifactStore
from btq_assets.warehouse.paths import DataPaths

#: Computing rooms in the order data flow.
ROOMS = (
    "features", "regimes", "models", "models.deep", "models.explanation", "portfolio", "agents",
    "backtest", "risk",
)  # fmt: skip

#: Networks of a job of their own: no table here reads them.
APART = ("networks",)

CONFIG = TradingConfig(
    features={"correlation_window_sessions": 60, "truncation_dates": 1},
    regimes={"min_fit_sessions": 252, "fit_window_sessions": 504, "refit_every_sessions": 504},
    models={
        "seeds": (7,),
        "walk_forward": {
            "first_test": "2012-01-01",
            "test_months": 6,
            "max_folds": 1,
            "train_years": 2,
            "validation_months": 6,
        },
        "lightgbm": {"n_estimators": 30, "min_child_samples": 20},
        "transformer": {"model_dim": 16, "num_heads": 2, "lookback_sessions": 10, "epochs": 1},
        "rl": {"total_timesteps": 256, "n_steps": 128},
    },
    portfolio={"covariance_window_sessions": 120},
    backtest={"bootstrap_samples": 100},
    risk={"monte_carlo_paths": 200, "monte_carlo_horizon_sessions": 20},
)

#: Tables of other rooms that `sources` makes.
GIVEN = frozenset(
    (
        "core.bars_1d", "core.bars_1w", "core.bars_1m", "core.bars_5m", "core.bars_15m", "core.bars_1h",
        "core.trade_bars_1m", "core.instruments", "core.yield_curve", "core.macro_vintages",
        "core.documents", "raw.universe_membership",
    )
)  # fmt: skip

Tables = dict[str, pl.DataFrame]


def computing_assets() -> list[TableAsset]:
    """Assets of the computing rooms the configuration has, each after everything it reads."""
    waiting = [
        asset
        for room in ROOMS
        for asset in table_assets_of(importlib.import_module(f"btq_assets.{room}.assets"))
        if asset.group not in APART and (asset.optional is None or asset.optional(CONFIG))
    ]
    produced = {contract.table for asset in waiting for contract in asset.outputs}
    ordered: list[TableAsset] = []
    done: set[str] = set()
    while waiting:
        ready = [
            asset
            for asset in waiting
            if all(c.table in done or c.table not in produced for c in asset.inputs.values())
        ]
        for asset in ready:
            ordered.append(asset)
            done |= {contract.table for contract in asset.outputs}
            waiting.remove(asset)
    return ordered


def fed(asset: TableAsset) -> list[TableContract]:
    """Tables the asset reads that hold rows here; the others are of sources that are off."""
    produced = {contract.table for other in computing_assets() for contract in other.outputs}
    return [
        contract
        for contract in asset.inputs.values()
        if contract.table in produced | GIVEN or not asset.absent_as_empty
    ]


def step(root: Path) -> Step:
    return Step(
        config=CONFIG,
        run_id="small",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=lambda message: None,
        code_version="test",
        data_versions={"input": "test"},
        read_ledger=lambda contract: contract.empty(),
        artifacts=ArtifactStore(DataPaths(root)),
    )


def compute(asset: TableAsset, tables: Tables, root: Path) -> Tables:
    """Output tables of one asset."""
    here = step(root)
    inputs = {
        name: tables[contract.table]
        if contract.table in tables or not asset.absent_as_empty
        else contract.empty()
        for name, contract in asset.inputs.items()
    }
    versions = {name: str(inputs[name].hash_rows().sum()) for name in inputs}
    registry = models.REGISTRY
    known = {registry.table: tables.get(registry.table, registry.empty())}
    read = {"read_ledger": lambda contract: known.get(contract.table, contract.empty())}
    here = Step(**{**vars(here), "data_versions": versions, **read})
    output = asset.compute(here, **inputs)
    frames = output.frames
    if registry in output.ledgers:
        # Explanations look up where the weights of a fit lie.
        rows = cast_to_contract(output.ledgers[registry], registry)
        tables[registry.table] = pl.concat([known[registry.table], rows]).unique("model_id")
    if isinstance(frames, pl.DataFrame):
        frames = {asset.outputs[0].table: frames}
    return {
        contract.table: cast_to_contract(frames[contract.table], contract).sort(contract.key)
        for contract in asset.outputs
    }


def sources(make_bars) -> Tables:
    """Bars of three universes, macro vintages and documents marked REAL."""
    weekdays = {"n_sessions": 1_010, "start": dt.datetime(2009, 1, 5, 21, tzinfo=dt.UTC)}
    bars = pl.concat(
        [
            make_bars(5, seed=1, universe="us20", **weekdays),
            make_bars(3, seed=2, universe="fx", ohlcv=False, **weekdays),
            make_bars(1, seed=3, universe="benchmark", ohlcv=False, **weekdays).with_columns(
                symbol=pl.lit("^SP500")
            ),
        ]
    )
    days = bars.filter(pl.col("universe") == "us20")["ts"].unique().sort()
    random = np.random.default_rng(5)
    macro = pl.concat(
        [
            pl.DataFrame(
                {
                    "series_id": series,
                    "period": days.dt.date(),
                    "known_at": days,
                    "superseded_at": None,
                    "value": 100 + random.normal(0, 1, len(days)).cumsum(),
                    "unit": "index",
                    "revision": "FINAL",
                },
                schema=core.MACRO_VINTAGES.schema,
            )
            for series in ("VIX", "VIXCLS", "vix", "DCOILWTICO", "WTI", "AAA", "BAA", "CPILFESL")
        ]
    )
    words = (
        "record profit beats estimates",
        "lawsuit and heavy loss",
        "strong growth",
        "fraud probe",
    )
    documents = pl.DataFrame(
        {
            "doc_id": [f"d{i}" for i in range(600)],
            "symbol": [f"S{i % 5:02d}" for i in range(600)],
            "published_at": [days[int(i)] for i in random.integers(0, len(days), 600)],
            "headline": [words[int(i)] for i in random.integers(0, 4, 600)],
            "label": "REAL",
            "source": "sample",
            "language": "en",
            "relevance": 1.0,
        }
    ).with_columns(
        known_at=pl.col("published_at"),
        **{name: pl.lit(None, pl.String) for name in ("text", "url", "author")},
    )
    traded = bars.filter(pl.col("universe") == "us20")
    curve = alternative_frames.yield_curve(days.to_list(), random)
    return {
        **{f"core.{name}": frame for name, frame in intraday_frames.timeframes(traded).items()},
        "core.trade_bars_1m": intraday_frames.trade_bars(traded),
        core.INSTRUMENTS.table: instrument_frames.instruments(bars),
        raw.UNIVERSE_MEMBERSHIP.table: instrument_frames.membership(bars),
        "core.yield_curve": curve,
        core.BARS_1D.table: cast_to_contract(bars, core.BARS_1D).sort(core.BARS_1D.key),
        core.MACRO_VINTAGES.table: macro,
        core.DOCUMENTS.table: cast_to_contract(documents, core.DOCUMENTS),
        models.REGISTRY.table: models.REGISTRY.empty(),
        quarantine.ROWS.table: quarantine.ROWS.empty(),
    }


def build(make_bars, root: Path) -> Tables:
    """Every table of the computing rooms."""
    tables = sources(make_bars)
    for asset in computing_assets():
        tables |= compute(asset, tables, root)
    return tables


def changed(contract: TableContract, frame: pl.DataFrame) -> pl.DataFrame:
    """Other values under the same keys: numbers wobble by row, states flip, folds move."""
    if contract.table == models.SPLITS.table:
        return frame.with_columns(
            train_start=pl.col("train_start") + pl.duration(days=200),
            test_start=pl.col("test_start") + pl.duration(days=28),
        )
    random = np.random.default_rng(11)
    keep = {*contract.key, "label_start_ts", "label_end_ts", "known_at", "session"}
    wobble = []
    for column in contract.columns:
        if column.name in keep:
            continue
        if column.is_float and column.name.startswith("p_"):
            wobble.append((1 - pl.col(column.name)).alias(column.name))
        elif column.is_float:
            noise = pl.Series(random.lognormal(0, 0.3, frame.height))
            wobble.append((pl.col(column.name) * noise).alias(column.name))
        elif column.name == "state":
            flipped = {"calm": "turbulent", "turbulent": "calm", "bull": "bear", "bear": "bull"}
            wobble.append(pl.col("state").replace(flipped))
        elif column.name == "is_crisis":
            wobble.append(~pl.col("is_crisis"))
        elif column.name == "calendar":
            wobble.append(pl.col("calendar").replace({"XNYS": "24/5"}))
        elif column.name == "sector":
            odd = pl.col("symbol").is_in(["S00", "S01"])
            wobble.append(pl.when(odd).then(pl.lit("Health")).otherwise("sector").alias("sector"))
        elif column.name == "headline":
            wobble.append(pl.col("headline").reverse())
    moved = frame.with_columns(wobble)
    if contract.table == core.BARS_1D.table:
        # Sentiment reads only which sessions there are: take one early session away.
        return moved.filter(pl.col("ts") != moved["ts"].sort()[40])
    return moved
