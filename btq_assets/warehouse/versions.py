"""Hashes that say whether two things are the same: content, code, configuration."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from btq_assets.contracts.base import TableContract

#: Libraries whose version can change a number.
NUMERIC_LIBRARIES = (
    "arch",
    "duckdb",
    "lightgbm",
    "numba",
    "numpy",
    "polars",
    "polars-talib",
    "scikit-learn",
    "scipy",
    "skfolio",
    "stable-baselines3",
    "statsmodels",
    "torch",
    "torch-geometric",
)

_SOURCE_SUFFIXES = {".py", ".sql", ".yml", ".yaml", ".j2", ".html", ".csv"}


def digest(*parts: str) -> str:
    """Short hash over several strings."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def frame_version(frame: pl.DataFrame, contract: TableContract) -> str:
    """Hash of the content of a table, whatever the order its rows arrive in.

    Parameters
    ----------
    frame
        Rows cast to the contract.
    contract
        Gives column order and the key rows are sorted by.
    """
    ordered = frame.select(contract.column_names).sort(contract.key)
    state = hashlib.sha256(f"{contract.schema}".encode())
    for column in ordered.iter_columns():
        state.update(column.is_null().to_numpy().tobytes())
        if column.dtype == pl.String:
            state.update("\x1e".join(column.fill_null("")).encode())
        elif column.dtype == pl.Boolean:
            state.update(column.fill_null(False).to_numpy().tobytes())
        elif column.dtype.is_temporal():
            state.update(column.to_physical().fill_null(0).to_numpy().tobytes())
        else:
            state.update(column.fill_null(0).to_numpy().tobytes())
    return state.hexdigest()[:16]


@cache
def code_version(modules: tuple[str, ...]) -> str:
    """Hash of the source of modules and packages, read without importing them.

    Parameters
    ----------
    modules
        Dotted names; a package stands for everything below it.
    """
    state = hashlib.sha256()
    for file in sorted({file for module in modules for file in _source_files(module)}):
        state.update(file.name.encode())
        state.update(file.read_bytes())
    return state.hexdigest()[:16]


def _source_files(module: str) -> Iterable[Path]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module {module!r} to take a code version of")
    origin = Path(spec.origin)
    return folder_files(origin.parent) if spec.submodule_search_locations else [origin]


def folder_files(folder: Path) -> list[Path]:
    """Source files below a folder."""
    return [
        file
        for file in folder.rglob("*")
        if file.suffix in _SOURCE_SUFFIXES
        and not {"target", "logs"} & set(file.parts[len(folder.parts) :])
    ]


@cache
def library_versions() -> dict[str, str]:
    """Installed version of each library that can change a number."""
    found = {}
    for name in NUMERIC_LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def fingerprint(
    *,
    inputs: Mapping[str, str],
    code: str,
    config: str,
    source: str,
    contracts: Iterable[TableContract],
) -> str:
    """Hash of everything a step's output depends on."""
    return digest(
        json.dumps(dict(sorted(inputs.items()))),
        code,
        config,
        source,
        json.dumps([[contract.table, str(contract.schema)] for contract in contracts]),
        json.dumps(library_versions(), sort_keys=True),
    )


def to_json(value: Any) -> str:
    """Compact JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
