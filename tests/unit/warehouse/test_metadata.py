"""What the UI is given: Markdown where a value is a table, plots that outlive a re-use."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from btq_assets.warehouse import metadata as md

TABLE = "| symbol | rows |\n|---|---|\n| A | 1 |"


@pytest.mark.parametrize("item", [TABLE, pl.DataFrame({"symbol": ["A"], "rows": [1]})])
def test_tables_are_rendered_in_materializations_and_checks_alike(item, tmp_path):
    assert md.value(item) == dg.MetadataValue.md(TABLE)
    assert md.convert({"sample": item}, tmp_path)["sample"] == dg.MetadataValue.md(TABLE)


def test_numbers_are_told_in_six_digits_and_what_is_no_number_as_text():
    assert md.value(0.0820982372856407) == 0.0820982
    assert md.value(3.660295649905538e-15) == 3.6603e-15
    assert md.value(float("nan")) == "nan"


def test_the_report_is_a_path_to_copy(tmp_path):
    found = md.convert({"report_path": "reports/risk_report.html"}, tmp_path)
    file = tmp_path / "reports" / "risk_report.html"
    assert found == {"report_path": dg.MetadataValue.path(str(file))}


def test_an_empty_frame_says_so():
    assert md.markdown_table(pl.DataFrame({"reason": [], "row_json": []})) == "no rows"


def test_a_plain_text_stays_a_text():
    assert md.value("a | b") == "a | b"


def test_nothing_is_carried_from_a_materialization_of_other_data():
    key = dg.AssetKey(["raw", "prices"])
    with dg.DagsterInstance.ephemeral() as instance:
        assert md.carried(instance.get_latest_materialization_event(key), "v1") == {}
        instance.report_runless_asset_event(
            dg.AssetMaterialization(key, metadata={"n": 1}, tags={md.DATA_VERSION_TAG: "v1"})
        )
        event = instance.get_latest_materialization_event(key)
    assert md.carried(event, "v1") == {"n": dg.MetadataValue.int(1)}
    assert md.carried(event, "v2") == {}
