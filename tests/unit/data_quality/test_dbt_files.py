"""The dbt project follows from the contracts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from btq_assets.contracts import all_contracts, core, mart, portfolio, quarantine, raw
from btq_assets.contracts.base import (
    Column,
    ContractError,
    RowRule,
    TableContract,
    cast_to_contract,
    violations,
)
from data_quality import dbt_files

PROJECT = dbt_files.DBT_FOLDER


def test_generated_files_are_up_to_date() -> None:
    assert not dbt_files.stale_files(), "run `python -m data_quality.dbt_files`"


def test_a_changed_contract_makes_the_files_stale(tmp_path: Path) -> None:
    dbt_files.write_files(tmp_path)
    assert dbt_files.stale_files(tmp_path) == []
    sources = tmp_path / "models/sources.yml"
    sources.write_text(sources.read_text().replace("bars_sample", "bars_simple"))
    assert dbt_files.stale_files(tmp_path) == ["models/sources.yml"]


def test_every_table_is_a_source_or_a_model_of_the_same_columns() -> None:
    sources = yaml.safe_load((PROJECT / "models/sources.yml").read_text())["sources"]
    entries = {f"{s['name']}.{t['name']}": t for s in sources for t in s["tables"]}
    for layer in ("core", "features", "mart"):
        models = yaml.safe_load((PROJECT / f"models/{layer}/schema.yml").read_text())["models"]
        entries |= {f"{layer}.{model['name']}": model for model in models}
    expected = {
        contract.table: contract
        for contract in all_contracts()
        if contract.layer not in dbt_files.LAYERS_OUT_OF_SIGHT
    }
    # Columns of one's own features follow the configuration: the source is there without any.
    assert "columns" not in entries.pop("features.custom")
    assert set(entries) == set(expected)
    for table, contract in expected.items():
        columns = [(c["name"], c["data_type"]) for c in entries[table]["columns"]]
        assert columns == [(c.name, c.duckdb_type.lower()) for c in contract.columns], table
        key = entries[table]["config"]["meta"]["dagster"]["asset_key"]
        assert key == list(contract.asset_key)


def test_every_model_has_a_contract_and_every_raw_bars_table_a_staging_view() -> None:
    models = PROJECT / "models"
    written = {f"{p.relative_to(models).parts[0]}.{p.stem}" for p in models.rglob("*.sql")}
    staging = {name for name in written if name.startswith("staging.")}
    assert written - staging == {c.table for c in dbt_files.model_contracts()}
    bars = [c.name for c in dbt_files.source_contracts() if c.table.startswith("raw.bars_")]
    assert {f"staging.stg_{name}" for name in bars} <= staging


def test_every_singular_test_is_attached_to_a_model_and_says_what_it_demands() -> None:
    models = {contract.name for contract in dbt_files.model_contracts()}
    for file in PROJECT.glob("tests/*/*.sql"):
        if file.parent.name == "generic":
            continue
        config = file.read_text().split("}}", 1)[0]
        attached = config.split("'ref': {'name': '")[1].split("'")[0]
        assert attached in models, file.name
        assert "'description': " in config, file.name


def test_row_rules_are_those_of_the_contract() -> None:
    """The SQL of a rule and the polars rule refuse the same rows of every kind."""
    import duckdb

    contract = TableContract(
        "core",
        "tested",
        "",
        (
            Column("k", pl.String, "", allowed=("it's", "b")),
            Column("x", pl.Float64, "", nullable=True, minimum=0, exclusive_minimum=True),
            Column("y", pl.Float64, "", nullable=True, minimum=0, maximum=1),
        ),
        ("k",),
    )
    frame = pl.DataFrame(
        {
            "k": ["it's", "b", None, "c", "b", "b", "b", "b"],
            "x": [1.0, None, 1.0, 1.0, 0.0, float("nan"), 1.0, 1.0],
            "y": [0.0, None, 0.5, 0.5, 0.5, 0.5, 1.5, -0.5],
        }
    )
    rules = dbt_files.row_rules(contract)
    with duckdb.connect() as connection:
        connection.register("frame", frame.to_arrow())
        refused = {
            rule["reason"]: connection.execute(
                f"select count(*) from frame where coalesce({rule['violated']}, false)"
            ).fetchone()[0]
            for rule in rules
        }
    reasons = ";".join(violations(cast_to_contract(frame, contract), contract)["reason"].to_list())
    for column, n_rows in (("k is null", 1), ("k is not one of it's, b", 1), ("x <= 0", 1)):
        assert refused[column] == n_rows
    assert refused["x is not finite"] == 1
    assert refused["y < 0"] == 1
    # NaN is greater than every number in DuckDB; it is refused for what it is, not for its size.
    assert refused["y > 1"] == 1
    assert "k not in" in reasons
    assert "x <= 0" in reasons


def test_a_rule_over_several_columns_cannot_become_sql() -> None:
    contract = TableContract(
        "core",
        "tested",
        "",
        (Column("a", pl.Float64, ""),),
        ("a",),
        rules=(RowRule("a > a", pl.col("a") > pl.col("a")),),
    )
    with pytest.raises(ContractError, match="singular dbt test"):
        dbt_files.row_rules(contract)


def test_lists_of_tables_follow_the_contracts() -> None:
    text = (PROJECT / "macros/generated_tables.sql").read_text()
    for contract in (raw.BARS_YAHOO, portfolio.TARGETS_PPO, quarantine.ROWS, core.BARS_1W):
        assert f'"{contract.name}"' in text
    # Marts and reports are downstream of the tables that are watched.
    assert f'"{mart.LEADERBOARD.name}"' not in text
    assert '"risk_report"' not in text


def test_importing_data_quality_imports_no_great_expectations() -> None:
    code = (
        "import sys, data_quality, data_quality.suites, data_quality.feature_suites;"
        "from btq_assets.contracts import raw;"
        "data_quality.raw_bars_suite(raw.BARS_SAMPLE);"
        "bad = {'great_expectations', 'pandas', 'dagster', 'duckdb'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
