"""The gallery as an asset: rows for the whole catalogue, one page, and the sheets of the docs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import report_frames

from btq_assets import feature_sheets
from btq_assets.config import TradingConfig
from btq_assets.contracts import core, features, report
from btq_assets.contracts.base import TableContract, cast_to_contract, violations
from btq_assets.features.catalogue import catalogue
from btq_assets.reports.gallery import assets
from btq_assets.reports.gallery.sheets import sheets_of
from btq_assets.warehouse.artifacts import ArtifactStore
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.step import Step, TableOutput


@dataclass(frozen=True)
class Stored:
    """A table as the step gets it: not in memory before it is asked for."""

    frame: pl.DataFrame

    def whole(self) -> pl.DataFrame:
        return self.frame


def made_up_bars(n: int = 330) -> pl.DataFrame:
    """SYNTHETIC daily bars of three symbols of the universe that has ranges and volume."""
    random = np.random.default_rng(11)
    stamps = report_frames.sessions(n)
    rows = []
    for symbol in ("AAA", "BBB", "CCC"):
        close = 50 * np.exp(np.cumsum(random.normal(0, 0.01, n)))
        for i, ts in enumerate(stamps):
            price = float(close[i])
            rows.append(
                {"universe": "us_ohlcv", "symbol": symbol, "ts": ts, "session": ts.date(),
                 "known_at": ts, "source": "sample", "volume": float(random.integers(1e5, 1e6))}
                | dict.fromkeys(("open", "adj_open", "close", "adj_close"), price)
                | dict.fromkeys(("high", "adj_high"), price * 1.01)
                | dict.fromkeys(("low", "adj_low"), price * 0.99)
            )  # fmt: skip
    return report_frames.fill(core.BARS_1D, rows)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> tuple[TableOutput, Path]:
    folder = tmp_path_factory.mktemp("gallery")
    config = TradingConfig()
    bars = made_up_bars()
    tables = {name: contract.empty() for name, contract in assets.feature_plots.inputs.items()}
    tables["bars"] = bars
    tables["catalogue"] = catalogue(config).sort("name")
    from btq_assets.features.families import FAMILY

    for name in ("technical", "volatility"):
        tables[name] = cast_to_contract(
            FAMILY[name].compute({"bars": bars}, config), features.FAMILY_CONTRACTS[name]
        )

    def no_ledger(contract: TableContract) -> pl.DataFrame:
        raise AssertionError(f"the gallery reads {contract.table}")

    step = Step(
        config=config,
        run_id="test",
        now=report_frames.NOW,
        log=lambda message: None,
        code_version="c",
        data_versions={},
        read_ledger=no_ledger,
        artifacts=ArtifactStore(DataPaths(folder)),
    )
    stored = {name: Stored(frame) for name, frame in tables.items()}
    return assets.feature_plots.compute(step, **stored), folder  # type: ignore[return-value]


def test_every_feature_of_the_catalogue_has_its_row(output: tuple[TableOutput, Path]) -> None:
    rows = cast_to_contract(output[0].frames, report.FEATURE_PLOTS)  # type: ignore[arg-type]
    assert violations(rows, report.FEATURE_PLOTS).is_empty()
    assert set(rows["feature"]) == set(catalogue()["name"])
    assert rows["family"].unique(maintain_order=True).to_list() == list(features.FAMILIES)
    drawn = rows.filter(pl.col("n_values") > 0)
    assert set(drawn.filter("in_a_table")["family"]) == {"technical", "volatility"}
    # Named sets have no table here and are computed from the bars for their plots.
    assert set(drawn.filter(~pl.col("in_a_table"))["family"]) == set(features.NAMED_SETS)
    assert drawn["universe"].unique().to_list() == ["us_ohlcv"]


def test_the_page_is_written_and_its_checks_pass(output: tuple[TableOutput, Path]) -> None:
    told, folder = output
    page = folder / told.metadata["page_path"]
    assert page.name == "features.html"
    assert all(answer.passed for answer in told.answers), told.answers
    assert {answer.name for answer in told.answers} == {
        spec.name for group in assets.feature_plots.checks for spec in group.specs
    }
    assert assets.feature_plots.reuse(DataPaths(folder))  # type: ignore[operator]
    assert not assets.feature_plots.reuse(DataPaths(folder / "elsewhere"))  # type: ignore[operator]


def test_sheets_are_written_and_those_of_gone_families_removed(
    output: tuple[TableOutput, Path], tmp_path: Path
) -> None:
    sheets = sheets_of(output[0].frames)  # type: ignore[arg-type]
    (tmp_path / "gone.svg").write_text("old")
    assert feature_sheets.write(sheets, tmp_path) == len(features.FAMILIES)
    assert {file.stem for file in tmp_path.iterdir()} == set(features.FAMILIES)


def test_the_docs_have_a_sheet_of_each_family(pytestconfig: pytest.Config) -> None:
    images = pytestconfig.rootpath / "docs" / "images"
    page = (pytestconfig.rootpath / "docs" / "features.md").read_text()
    sheets = {file.stem for file in (images / "features").glob("*.svg")}
    assert sheets == set(features.FAMILIES)
    assert all(f"(images/features/{family}.svg)" in page for family in sheets)
    size = sum(file.stat().st_size for file in images.rglob("*") if file.is_file())
    assert size < feature_sheets.MOST_BYTES
