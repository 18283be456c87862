"""Documents as an edge of the forecasts: from a folder of reports to the network that reads them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, features, models, raw, regimes
from btq_assets.contracts.base import cast_to_contract
from btq_assets.contracts.checks import CheckContext
from btq_assets.definitions import build_definitions, configured_assets
from btq_assets.features import technical
from btq_assets.features.assets import document_scores
from btq_assets.models import folds, training_set
from btq_assets.sources.sentiment import scored
from btq_assets.sources.sentiment.assets import documents_reports
from btq_assets.warehouse import Step, TableAsset, TableOutput, Warehouse, table_asset
from btq_assets.warehouse.artifacts import ArtifactStore
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

COMPANIES = {f"S{number:02d}": (f"Firm{number} Corp",) for number in range(6)}
GOOD, BAD = "record profit and strong growth", "heavy loss after fraud probe"


def configuration(*modalities: str, **others: Any) -> TradingConfig:
    return TradingConfig(
        universe={"main": "test"},
        sources={"documents": {"companies": COMPANIES}, **others},
        features={"correlation_window_sessions": 40, "truncation_dates": 1},
        models={
            "seeds": (7,),
            "feature_families": ("technical",),
            "walk_forward": {
                "first_test": "2011-06-01",
                "test_months": 3,
                "max_folds": 1,
                "train_years": 1,
                "validation_months": 3,
            },
            "transformer": {
                "model_dim": 8,
                "num_heads": 2,
                "lookback_sessions": 3,
                "epochs": 10,
                "patience": 10,
                "learning_rate": 0.02,
                "graph_neighbours": 2,
                "dropout": 0.0,
                "modalities": modalities,
            },
            "text": {"dim": 8, "heads": 2, "max_tokens": 12, "documents": 1, "window_days": 5},
        },
    )


@pytest.fixture(scope="module")
def world(make_bars_function) -> tuple[pl.DataFrame, dict[str, str]]:
    """Bars, and reports by file name: on each Sunday half of the firms tell what their week will be."""
    bars = make_bars_function(n_symbols=6, n_sessions=440)
    random = np.random.default_rng(4)
    ts = bars["ts"].unique().sort()
    mondays = [n for n, stamp in enumerate(ts) if stamp.weekday() == 0]
    drift = np.zeros((len(ts), 6))
    files = {}
    for monday in mondays:
        for asset in np.flatnonzero(random.random(6) < 0.5):
            mood = random.choice([-1.0, 1.0])
            # Decided on Monday, filled on Tuesday, held for five sessions.
            drift[monday + 2 : monday + 7, asset] += 0.02 * mood
            sunday = (ts[monday] - dt.timedelta(days=1)).date()
            said = GOOD if mood > 0 else BAD
            files[f"S{asset:02d}_{sunday}.txt"] = f"Firm{asset} Corp with {said}"
    grown = pl.DataFrame(
        {
            "ts": np.repeat(ts.to_numpy(), 6),
            "symbol": [f"S{number:02d}" for number in range(6)] * len(ts),
            "_factor": np.exp(drift.cumsum(axis=0)).ravel(),
        }
    ).with_columns(pl.col("ts").cast(bars.schema["ts"]).dt.replace_time_zone("UTC"))
    prices = [name for name in bars.columns if name.endswith(("open", "high", "low", "close"))]
    moved = bars.join(grown, on=["ts", "symbol"]).with_columns(
        pl.col(name) * pl.col("_factor") for name in prices
    )
    return moved.select(bars.columns).sort("universe", "symbol", "ts"), files


def asset_of(config: TradingConfig) -> TableAsset:
    table = models.FORECASTS_TRANSFORMER_GNN.table
    return next(a for a in configured_assets(config) if a.outputs[0].table == table)


def core_documents(rows: pl.DataFrame, label: str = "REAL") -> pl.DataFrame:
    """Rows of ``core.documents`` from those of a source."""
    frame = rows.with_columns(source=pl.lit("reports"), label=pl.lit(label))
    missing = [name for name in core.DOCUMENTS.column_names if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, core.DOCUMENTS.schema[n]).alias(n) for n in missing)
    frame = frame.select(core.DOCUMENTS.column_names)
    return cast_to_contract(frame, core.DOCUMENTS).sort(core.DOCUMENTS.key)


@pytest.fixture(scope="module")
def tables(world) -> dict[str, pl.DataFrame]:
    """Training set, folds, documents and their scores."""
    bars, files = world
    config = configuration("text")
    found = {"technical": technical.compute(bars, config.features)}
    built = training_set.build(bars, found, regimes.STATES.empty(), config)
    known = [
        dt.datetime.fromisoformat(name[4:14]).replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
        for name in files
    ]
    documents = core_documents(
        pl.DataFrame(
            {
                "doc_id": list(files),
                "symbol": [name[:3] for name in files],
                "published_at": [at - dt.timedelta(days=1) for at in known],
                "known_at": known,
                "headline": list(files.values()),
                "text": None,
            },
            schema_overrides={"text": pl.String},
        )
    )
    return {
        "training_set": built,
        "splits": folds.splits(built, config),
        "documents": documents,
        "document_scores": scored.score(documents, config.sources.documents),
    }


@pytest.fixture(scope="module")
def computed(tables, tmp_path_factory):
    """Forecasts and everything else of the step, of some tables and a configuration."""

    def compute(config: TradingConfig, **changed: pl.DataFrame) -> tuple[pl.DataFrame, TableOutput]:
        asset = asset_of(config)
        inputs = {name: {**tables, **changed}[name] for name in asset.inputs}
        step = Step(
            config=config,
            run_id="test",
            now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
            log=lambda message: None,
            code_version="v1",
            data_versions={n: str(frame.hash_rows().sum()) for n, frame in inputs.items()},
            read_ledger=lambda contract: contract.empty(),
            artifacts=ArtifactStore(DataPaths(tmp_path_factory.mktemp("data"))),
        )
        output = asset.compute(step, **inputs)
        frame = cast_to_contract(output.frames, models.FORECASTS_TRANSFORMER_GNN)
        context = CheckContext(
            {asset.outputs[0].table: frame}, inputs, config, {o.name: o for o in output.answers}
        )
        answers = {o.name: o for group in asset.checks for o in group.answer(context)}
        assert {n: o.message for n, o in answers.items() if not o.passed} == {}
        assert ("documents_known" in answers) == ("documents" in inputs)
        return frame.sort("symbol", "ts"), output

    return compute


@pytest.fixture(scope="module")
def reading(computed) -> tuple[pl.DataFrame, TableOutput]:
    """What the step gives with all documents."""
    return computed(configuration("text"))


def test_documents_are_an_edge_only_where_they_are_read() -> None:
    key = dg.AssetKey(["models", "forecasts_transformer_gnn"])
    read = {dg.AssetKey(["core", "documents"]), dg.AssetKey(["features", "document_scores"])}
    for modalities, expected in (((), set()), (("sentiment", "text"), read)):
        config = configuration(*modalities)
        graph = build_definitions(config).resolve_asset_graph()
        assert graph.get(key).parent_keys & read == expected
        checks = {c.name for c in graph.get_check_keys_for_assets({key})}
        assert {"documents_known", "no_synthetic_text"} <= checks or not expected
    # Another folder of weights, or another one's content, is another fit.
    asset = asset_of(configuration("text"))
    assert "models.text" in asset.config
    assert asset.source_version is not None


def test_the_step_learns_from_documents_and_every_edge_moves_it(computed, reading, tables) -> None:
    config = configuration("text")
    before, output = reading
    assert output.metadata["mean_rank_ic"] > 0.3
    assert "6 assets" in output.metadata["text"]
    by_fit = output.metadata["text_by_fit"]
    assert by_fit["training_texts"][0] == 12  # six firms, two things to say
    assert by_fit["text_parameters"][0] == by_fit["text_parameters_trained"][0] > 0
    deaf, plain = computed(configuration())
    assert abs(plain.metadata["mean_rank_ic"]) < 0.3
    assert "text" not in plain.metadata

    def moved(**changed: pl.DataFrame) -> bool:
        after, _ = computed(config, **changed)
        return not np.allclose(after["forecast"], before["forecast"])

    other = tables["documents"].with_columns(pl.col("headline").str.replace("profit", "turnover"))
    assert moved(documents=other)
    told_before = tables["document_scores"].with_columns(is_repeat=pl.col("doc_id").hash() % 2 == 0)
    assert moved(document_scores=told_before)

    # All of it generated: the modality is absent, that is said, and it is as if nobody could read.
    made = {
        name: tables[name].with_columns(label=pl.lit("SYNTHETIC"))
        for name in ("documents", "document_scores")
    }
    silent, output = computed(config, **made)
    n_made = tables["documents"].height
    assert output.metadata["text"] == (
        f"absent: no REAL document is known of any decision; {n_made:,} SYNTHETIC documents are left "
        "out, as they are from every model"
    )
    np.testing.assert_array_equal(silent["forecast"], deaf["forecast"])


def _given(contract: Any, frame: pl.DataFrame) -> TableAsset:
    @table_asset(outputs=(contract,), source_version=lambda _: "1")
    def given(step) -> TableOutput:
        """Rows as they are given."""
        return TableOutput(frame)

    return given


@table_asset(outputs=(core.DOCUMENTS,), inputs={"reports": raw.DOCUMENTS_REPORTS})
def unite_documents(step: Step, reports: pl.DataFrame) -> TableOutput:
    """Documents of the only source, as dbt unites them."""
    return TableOutput(core_documents(reports))


@pytest.mark.slow
def test_a_folder_of_reports_reaches_the_forecasts_through_dagster(world, tables, tmp_path) -> None:
    """Files, their asset, their scores and the forecasts in a real instance over a real warehouse."""
    _, files = world
    reports = tmp_path / "reports"
    reports.mkdir()
    for name, text in files.items():
        (reports / name).write_text(text)
    config = configuration("text", reports={"enabled": True, "path": str(reports)})
    assets = [
        _given(models.SPLITS, tables["splits"]),
        _given(asset_of(config).inputs["training_set"], tables["training_set"]),
        documents_reports,
        unite_documents,
        document_scores,
        asset_of(config),
    ]
    root = tmp_path / "data"
    resources = {
        "trading": ConfigResource.of(config),
        "warehouse": WarehouseResource(path=str(root), lock_timeout_s=5),
        "device": DeviceResource(device="cpu"),
    }
    definitions = [asset.definition(config) for asset in assets]
    with dg.DagsterInstance.ephemeral() as instance:

        def run() -> dg.ExecuteInProcessResult:
            result = dg.materialize(definitions, resources=resources, instance=instance)
            assert result.success
            return result

        result = run()
        key = dg.AssetKey(["models", "forecasts_transformer_gnn"])
        (event,) = [
            e.materialization
            for e in result.get_asset_materialization_events()
            if e.asset_key == key
        ]
        told = event.metadata["text"].value
        assert told.endswith("of the decisions")
        assert "6 assets" in told
        outcomes = {
            e.check_name: e.passed
            for e in result.get_asset_check_evaluations()
            if e.asset_key == key
        }
        assert outcomes["documents_known"]
        assert outcomes["no_synthetic_text"]
        warehouse = Warehouse(DataPaths(root), 5)
        before = warehouse.read(models.FORECASTS_TRANSFORMER_GNN)
        registry = warehouse.read(models.REGISTRY)
        assert warehouse.read(features.DOCUMENT_SCORES)["linked_by"].unique().to_list() == [
            "source"
        ]

        # Nothing changed: nothing is fitted again. One more report of the past: a new document now,
        # known only now, so that no decision of then reads it; the fits are new and say the same.
        run()
        assert warehouse.read(models.REGISTRY).height == registry.height
        late = reports / "S00_2010-06-06.txt"
        late.write_text(f"Firm0 Corp with {BAD}")
        run()
        after = warehouse.read(models.FORECASTS_TRANSFORMER_GNN)
        assert set(after["model_id"]) != set(before["model_id"])


@pytest.mark.slow
def test_another_document_in_the_future_changes_no_forecast(computed, reading, tables) -> None:
    """Words known after the last decision: the table is read, the forecasts are the same to the bit."""
    config = configuration("text")
    last = tables["training_set"]["ts"].max() + dt.timedelta(days=400)
    future = tables["documents"].with_columns(
        doc_id=pl.col("doc_id") + "_later",
        headline=pl.lit("everything falls"),
        known_at=pl.lit(last),
        published_at=pl.lit(last),
    )
    documents = cast_to_contract(pl.concat([tables["documents"], future]), core.DOCUMENTS)
    before, _ = reading
    after, _ = computed(
        config,
        documents=documents,
        document_scores=scored.score(documents, config.sources.documents),
    )
    assert after["forecast"].equals(before["forecast"])


def test_weights_of_another_folder_are_another_version(tmp_path: Path) -> None:
    config = configuration("text")
    text = config.models.text.model_copy(update={"weights": str(tmp_path)})
    models_section = config.models.model_copy(update={"text": text})
    other = config.model_copy(update={"models": models_section})
    version = asset_of(config).source_version
    assert version(config) == ""
    empty = version(other)
    (tmp_path / "config.json").write_text("{}")
    assert len({"", empty, version(other)}) == 3
    assert replace(asset_of(config), source_version=None) != asset_of(config)
