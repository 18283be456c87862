"""The docs say what the code says: promises, generated pages, links, the public names."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import dagster as dg
import pytest

import btq_assets
from btq_assets.api import PUBLIC_NAMES
from btq_assets.config import TradingConfig
from btq_assets.definitions import build_definitions
from btq_assets.documentation import generated_pages
from btq_assets.warehouse.paths import project_root

ROOT = project_root()
PROMISES = ROOT / "docs" / "promises.md"
KEEPS = re.compile(r"`([^`]+)`")


def promise_rows() -> list[tuple[str, str]]:
    rows = []
    for line in PROMISES.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if (
            line.startswith("|")
            and len(cells) == 2
            and set(cells[1]) - {"-"}
            and cells[1] != "kept by"
        ):
            rows.append((cells[0], cells[1]))
    return rows


@cache
def functions_in(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.fixture(scope="module")
def asset_keys() -> set[str]:
    config = TradingConfig(sources={"folder": {"enabled": True}, "yahoo": {"enabled": True}})
    keys = build_definitions(config).resolve_asset_graph().get_all_asset_keys()
    return {key.to_user_string() for key in keys}


def unknown_reference(reference: str, asset_keys: set[str]) -> str | None:
    """Why a reference does not exist, or None."""
    if reference.startswith("tests/"):
        file, _, test = reference.partition("::")
        if not (ROOT / file).exists():
            return f"no file {file}"
        if test and test not in functions_in(ROOT / file):
            return f"no test {test} in {file}"
        return None
    if reference.startswith("make "):
        known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        return None if reference.split()[1] in known else f"no make target {reference}"
    if reference.startswith("btq_assets."):
        name = reference.removeprefix("btq_assets.")
        return None if name in PUBLIC_NAMES else f"no public name {name}"
    return None if reference in asset_keys else f"no asset {reference}"


def test_every_promise_is_kept_by_something_that_exists_or_is_not_built(asset_keys):
    rows = promise_rows()
    assert len(rows) > 60, "the table of promises was not read"
    wrong = []
    for promise, kept_by in rows:
        if kept_by.startswith("not built"):
            continue
        references = KEEPS.findall(kept_by)
        if not references:
            wrong.append(f"{promise}: names nothing")
        wrong += [
            f"{promise}: {reason}"
            for reference in references
            if (reason := unknown_reference(reference, asset_keys))
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "reference",
    ["tests/absent.py::test_x", f"{Path('tests/integration/automation/test_documentation.py')}::test_absent",
     "raw/absent", "make absent", "btq_assets.Absent"],
)  # fmt: skip
def test_a_promise_kept_by_nothing_is_caught(reference, asset_keys):
    assert unknown_reference(reference, asset_keys) is not None


@pytest.mark.parametrize("name", sorted(PUBLIC_NAMES))
def test_public_names_are_importable_and_documented(name):
    if name == "QuantumTransformerStrategy":
        pytest.importorskip("backtrader", reason="its extra is not installed")
    assert getattr(btq_assets, name).__doc__
    assert f"`{name}" in PROMISES.read_text() or f"btq_assets.{name}`" in PROMISES.read_text()


def test_an_unknown_public_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="RiskAnalyzer"):
        _ = btq_assets.RiskAnalyser


@pytest.mark.parametrize("name", ["asset_graph.md", "configuration.md"])
def test_generated_pages_are_up_to_date(name):
    assert (ROOT / "docs" / name).read_text() == generated_pages()[name], "run `make docs`"


def test_links_in_the_docs_lead_somewhere():
    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} → {target}")
    assert not broken


def test_reading_order_names_only_what_exists():
    text = (ROOT / "docs" / "architecture.md").read_text()
    order = text.split("## Reading order")[1].split("##")[0]
    paths = re.findall(r"`((?:btq_assets|dbt_project|data_quality)/[^`]*)`", order)
    assert len(paths) > 12
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_sample_has_no_partitioned_asset_in_research():
    research = build_definitions(TradingConfig()).resolve_job_def("research")
    assert isinstance(research, dg.JobDefinition)
    assert research.partitions_def is None
