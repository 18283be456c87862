"""dbt files written from the contracts: source entries, model schemas, lists of tables.

Belongs here: the translation of a `TableContract` into dbt's YAML, and into the structural tests
of the tables dbt itself writes. Does not belong here: any statement about how tables relate, which
is a singular test written by hand in ``dbt_project/tests``.

Run ``python -m data_quality.dbt_files`` after a contract changes; ``--check`` only compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from btq_assets.contracts import all_contracts, features, models
from btq_assets.contracts.base import UTC_TIMESTAMP, Column, ContractError, TableContract

DBT_FOLDER = Path(__file__).resolve().parent.parent / "dbt_project"

#: Layers no dbt model may read: reports read marts, and the house keeps its own books.
LAYERS_OUT_OF_SIGHT = ("report", "house")

_HEADER = "Written from btq_assets/contracts by `python -m data_quality.dbt_files`; do not edit."


def source_contracts() -> list[TableContract]:
    """Tables that dbt reads and others write."""
    return [
        contract
        for contract in all_contracts()
        if contract.writer != "dbt" and contract.layer not in LAYERS_OUT_OF_SIGHT
    ]


def model_contracts() -> list[TableContract]:
    """Tables that dbt writes."""
    return [contract for contract in all_contracts() if contract.writer == "dbt"]


def rendered_files() -> dict[Path, str]:
    """Content of every generated file, by path relative to the dbt project."""
    files = {Path("models/sources.yml"): _yaml(_sources())}
    for layer in sorted({contract.layer for contract in model_contracts()}):
        chosen = [contract for contract in model_contracts() if contract.layer == layer]
        files[Path(f"models/{layer}/schema.yml")] = _yaml(
            {"version": 2, "models": [_model(contract) for contract in chosen]}
        )
    files[Path("macros/generated_tables.sql")] = _table_macros()
    return files


def stale_files(folder: Path = DBT_FOLDER) -> list[str]:
    """Generated files that differ from what the contracts say."""
    return [
        str(path)
        for path, content in rendered_files().items()
        if not (folder / path).is_file() or (folder / path).read_text() != content
    ]


def write_files(folder: Path = DBT_FOLDER) -> None:
    """Write every generated file."""
    for path, content in rendered_files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)


def row_rules(contract: TableContract) -> list[dict[str, str]]:
    """Structural rules of single rows, as SQL that is true where a row is impossible.

    The same rules `contracts.base.violations` applies to frames, for tables that never are one.

    Raises
    ------
    ContractError
        The contract has rules over several columns, which are polars expressions.
    """
    if contract.rules:
        raise ContractError(
            f"{contract.table}: rules over several columns cannot be written as SQL; "
            "write them as a singular dbt test"
        )
    return [rule for column in contract.columns for rule in _column_rules(column, contract)]


def _column_rules(column: Column, contract: TableContract) -> Iterable[dict[str, str]]:
    name = f'"{column.name}"'
    if not column.nullable or column.name in contract.key:
        yield {"reason": f"{column.name} is null", "violated": f"{name} is null"}
    if column.is_float and column.finite:
        yield {"reason": f"{column.name} is not finite", "violated": f"not isfinite({name})"}
    if column.minimum is not None:
        sign = "<=" if column.exclusive_minimum else "<"
        yield _bound(column.name, sign, column.minimum)
    if column.maximum is not None:
        yield _bound(column.name, ">", column.maximum)
    if column.allowed is not None:
        values = ", ".join("'" + value.replace("'", "''") + "'" for value in column.allowed)
        yield {
            "reason": f"{column.name} is not one of {', '.join(column.allowed)}",
            "violated": f"{name} not in ({values})",
        }


def _bound(name: str, sign: str, bound: float) -> dict[str, str]:
    return {"reason": f"{name} {sign} {bound:g}", "violated": f'"{name}" {sign} {bound!r}'}


def _sources() -> dict[str, Any]:
    by_layer: dict[str, list[TableContract]] = {}
    for contract in source_contracts():
        by_layer.setdefault(contract.layer, []).append(contract)
    tables = {
        layer: [
            _source(contract.asset_key, contract.description, contract.columns)
            for contract in contracts
        ]
        for layer, contracts in by_layer.items()
    }
    own = "Features of one's own; columns are those of the modules in features.custom_modules."
    tables["features"].append(_source(("features", features.CUSTOM), own))
    return {
        "version": 2,
        "sources": [
            {"name": layer, "schema": layer, "tables": entries} for layer, entries in tables.items()
        ],
    }


def _source(
    asset_key: tuple[str, ...], description: str, columns: Iterable[Column] = ()
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": asset_key[-1],
        "description": description,
        "config": {"meta": {"dagster": {"asset_key": list(asset_key)}}},
    }
    if found := [_column(column) for column in columns]:
        entry["columns"] = found
    return entry


def _model(contract: TableContract) -> dict[str, Any]:
    return {
        "name": contract.name,
        "description": contract.description,
        "config": {
            "meta": {
                "dagster": {
                    "asset_key": list(contract.asset_key),
                    "group": contract.layer,
                    "owners": [contract.owner],
                }
            }
        },
        "columns": [_column(column) for column in contract.columns],
        "data_tests": [
            _test(
                "unique_key",
                contract,
                {"columns": list(contract.key)},
                f"No two rows share ({', '.join(contract.key)}).",
            ),
            _test(
                "row_rules",
                contract,
                {"rules": row_rules(contract)},
                "No row is impossible under its contract: nulls, bounds, enumerations.",
            ),
        ],
    }


def _test(
    test: str, contract: TableContract, arguments: Mapping[str, Any], description: str
) -> dict[str, Any]:
    return {
        test: {
            "name": f"{contract.name}_{test}",
            "description": description,
            "arguments": dict(arguments),
            "config": {"meta": {"description": description}},
        }
    }


def _column(column: Column) -> dict[str, str]:
    return {
        "name": column.name,
        "data_type": column.duckdb_type.lower(),
        "description": column.description,
    }


def _table_macros() -> str:
    names = {
        (layer, prefix): [
            contract.name
            for contract in source_contracts()
            if contract.layer == layer and contract.name.startswith(prefix)
        ]
        for layer, prefix in (
            ("raw", "bars_"),
            ("raw", "corporate_actions_"),
            ("raw", "macro_"),
            ("raw", "documents_"),
            ("raw", "option_quotes_"),
            ("raw", "option_trades_"),
            ("raw", "dark_pool_"),
            ("raw", "short_volume_"),
            ("raw", "onchain_"),
            ("raw", "trades_"),
            ("raw", "quotes_"),
            ("raw", "book_"),
            ("models", "forecasts_"),
            ("portfolio", "targets_"),
        )
    }
    macros = [
        _macro(f"{layer}_{prefix}tables", tables) for (layer, prefix), tables in names.items()
    ]
    outside = (*features.NAMED_SETS, *features.NOT_DAILY)
    panel = [c for n, c in features.FAMILY_CONTRACTS.items() if n not in outside]
    macros.append(_macro("feature_families", [_joined(contract) for contract in panel]))
    shorter = [features.FAMILY_CONTRACTS[name] for name in features.NOT_DAILY]
    macros.append(_macro("families_within_a_day", [_joined(contract) for contract in shorter]))
    watched = [
        contract
        for contract in all_contracts()
        if contract.layer not in _NOT_WATCHED and contract is not features.PANEL
    ]
    macros.append(_macro("watched_tables", [_watched(contract) for contract in watched]))
    return f"{{#- {_HEADER} -#}}\n" + "\n".join(macros)


def _joined(contract: TableContract) -> dict[str, Any]:
    names = [c.name for c in contract.columns if c.is_float and c.name not in contract.key]
    return {"name": contract.name, "columns": names, "market_wide": "symbol" not in contract.key}


_NOT_WATCHED = (*LAYERS_OUT_OF_SIGHT, "mart")


def _watched(contract: TableContract) -> dict[str, Any]:
    # The columns of the training set are a choice of the configuration: looked up when counted.
    return {
        "layer": contract.layer,
        "name": contract.name,
        "is_model": contract.writer == "dbt",
        "time_column": _time_column(contract),
        "columns": None if contract is models.TRAINING_SET else list(contract.column_names),
        "vintages": _vintages(contract),
        "rhythm": _rhythm(contract),
    }


def _vintages(contract: TableContract) -> list[str] | None:
    """What a row of a raw table is about, where every vintage is a row of its own."""
    versioned = "known_at" in contract.key and "known_at_basis" in contract.column_names
    if contract.layer != "raw" or not versioned or _time_column(contract) is None:
        return None
    return [name for name in contract.key if name != "known_at"]


def _rhythm(contract: TableContract) -> str | None:
    """Column of the series within which delays are alike."""
    return next((n for n in ("series_id", "dataset") if n in contract.column_names), None)


def _time_column(contract: TableContract) -> str | None:
    """Column whose span says what the table covers: its ts or period, else its first time."""
    times = [column.name for column in contract.columns if column.dtype in (UTC_TIMESTAMP, pl.Date)]
    preferred = [name for name in ("ts", "period") if name in times]
    return next(iter([*preferred, *times]), None)


def _macro(name: str, values: list[Any]) -> str:
    # JSON is a Jinja literal but for null.
    lines = [
        json.dumps(value, ensure_ascii=False).replace('": null', '": none') for value in values
    ]
    body = ",\n    ".join(lines)
    return f"{{% macro {name}() %}}\n{{{{ return([\n    {body}\n]) }}}}\n{{% endmacro %}}\n"


def _yaml(content: Mapping[str, Any]) -> str:
    import yaml

    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=100)
    return f"# {_HEADER}\n{text}"


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` name the stale ones; returns the exit status."""
    if "--check" not in arguments:
        write_files()
        return 0
    stale = stale_files()
    if stale:
        sys.stderr.write(f"stale, run `python -m data_quality.dbt_files`: {', '.join(stale)}\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
