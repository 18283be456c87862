"""Reports and scores as assets over a real DuckDB file: stored, refused, read again, scored."""

from __future__ import annotations

import datetime as dt
import os

import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, quarantine, raw
from btq_assets.contracts import features as contracts
from btq_assets.features.assets import document_scores
from btq_assets.sources.sentiment.assets import documents_reports
from btq_assets.sources.sentiment.scoring.base import ScorerError
from btq_assets.warehouse.writing import commit_frames

CHANGED = dt.datetime(2024, 5, 2, 9, tzinfo=dt.UTC)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "reports"
    made.mkdir()
    return made


@pytest.fixture
def config(folder):
    return TradingConfig(sources={"reports": {"enabled": True, "path": str(folder)}})


def put(folder, name: str, text: str) -> None:
    file = folder / name
    file.write_text(text)
    os.utime(file, (CHANGED.timestamp(), CHANGED.timestamp()))


def test_reports_are_appended_once_and_again_when_they_change(run, folder, config):
    put(folder, "AAPL_2024-05-01.txt", "Apple beats expectations")
    put(folder, "scan.pdf", "nothing a reader could open")
    assert run(documents_reports, config=config).success
    (first,) = run.warehouse.read(raw.DOCUMENTS_REPORTS).iter_rows(named=True)
    assert (first["symbol"], first["known_at"]) == ("AAPL", dt.datetime(2024, 5, 2, tzinfo=dt.UTC))
    refused = run.warehouse.read(quarantine.ROWS)
    assert refused["reason"].str.contains("scan.pdf: the PDF cannot be read").to_list() == [True]

    assert run(documents_reports, config=config).success
    assert run.warehouse.read(raw.DOCUMENTS_REPORTS).height == 1

    before = dt.datetime.now(dt.UTC)
    (folder / "AAPL_2024-05-01.txt").write_text("Apple misses expectations")
    assert run(documents_reports, config=config).success
    rows = run.warehouse.read(raw.DOCUMENTS_REPORTS).sort("known_at")
    assert rows["headline"].to_list() == ["Apple beats expectations", "Apple misses expectations"]
    # What the file said before stays, and the new words are not dated back.
    assert rows.row(0, named=True) == first
    assert rows["known_at"][1] >= before
    assert rows["known_at_basis"].to_list() == ["assumed_lag", "recorded"]


def _documents(run) -> None:
    known = [CHANGED + dt.timedelta(hours=n) for n in range(3)]
    frame = pl.DataFrame(
        {
            "doc_id": ["a", "b", "c"],
            "symbol": "",
            "published_at": known,
            "known_at": known,
            "headline": ["Apple profit surges on record growth"] * 2 + ["$MSFT under fraud probe"],
            "label": "REAL",
            "source": ["rss", "gdelt", "x"],
        },
        schema_overrides={"published_at": pl.Datetime("us", "UTC")},
    )
    missing = [name for name in core.DOCUMENTS.column_names if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, core.DOCUMENTS.schema[n]).alias(n) for n in missing)
    with run.warehouse.transaction() as connection:
        commit_frames(connection, {core.DOCUMENTS: frame.select(core.DOCUMENTS.column_names)})


def test_scores_are_stored_and_a_missing_labels_file_leaves_them(run, config, tmp_path):
    _documents(run)
    assert run(document_scores, config=config).success
    stored = run.warehouse.read(contracts.DOCUMENT_SCORES).sort("doc_id")
    assert stored["symbol"].to_list() == ["AAPL", "AAPL", "MSFT"]
    assert stored["is_repeat"].to_list() == [False, True, False]
    assert (stored["score"] > 0.05).to_list() == [True, True, False]
    broken = TradingConfig(
        sources={"documents": {"scorer": "minilm", "labelled_texts": str(tmp_path / "none.csv")}}
    )
    with pytest.raises(ScorerError, match="does not exist"):
        run(document_scores, config=broken)
    assert run.warehouse.read(contracts.DOCUMENT_SCORES).sort("doc_id").equals(stored)
