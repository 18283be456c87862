"""Hashes that say whether two things are the same: content, code, configuration."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
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

#: Rows hashed together: their words fit in a processor's cache.
ROWS_AT_A_TIME = 1 << 16

_ODD = np.uint64(0x9E3779B97F4A7C15)
_LOW, _HIGH = np.uint64(0), np.uint64(0xD1B54A32D192ED03)
_MISSING = np.uint64(0x6E756C6C6E756C6C)

_SOURCE_SUFFIXES = {".py", ".sql", ".yml", ".yaml", ".j2", ".html", ".csv"}


def digest(*parts: str) -> str:
    """Short hash over several strings."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def frame_version(frame: pl.DataFrame, contract: TableContract) -> str:
    """Hash of the content of a table, whatever the order its rows arrive in.

    The version is a sum over rows, so what an append adds to it is known from the new rows alone:
    see `added_version`.

    Parameters
    ----------
    frame
        Rows cast to the contract.
    contract
        Gives the columns and their types.
    """
    return added_version(_beginning(contract), frame, contract)


def added_version(version: str, new_rows: pl.DataFrame, contract: TableContract) -> str:
    """Version of a table after `new_rows` were added to the rows that `version` stands for.

    ``added_version(frame_version(a), b) == frame_version(a + b)``: each row is hashed to 64 bits,
    and the version is two sums of differently mixed row hashes, modulo 2**64 (an incremental
    multiset hash: Clarke et al., 2003, section 5). It tells accidents apart, not forgeries.

    Raises
    ------
    ValueError
        `version` is not one of this kind (see `is_additive`).
    """
    if not is_additive(version):
        raise ValueError(f"{version!r} is no version that rows can be added to")
    low, high = int(version[:16], 16), int(version[16:], 16)
    for start in range(0, new_rows.height, ROWS_AT_A_TIME):
        words = row_words(new_rows.slice(start, ROWS_AT_A_TIME), contract)
        low += int(words[0].sum(dtype=np.uint64))
        high += int(words[1].sum(dtype=np.uint64))
    return f"{low % 2**64:016x}{high % 2**64:016x}"


def is_additive(version: str) -> bool:
    """Whether rows can be added to a stored version; books of old hold another kind."""
    return len(version) == 32


def row_words(frame: pl.DataFrame, contract: TableContract) -> tuple[np.ndarray, np.ndarray]:
    """What each row adds to the two sums of a version, uint64 of shape ``(rows,)``."""
    hashes = row_hashes(frame, contract)
    return _mixed(hashes ^ _LOW), _mixed(hashes ^ _HIGH)


def row_hashes(frame: pl.DataFrame, contract: TableContract) -> np.ndarray:
    """64-bit hash of each row, the same in every process and with every library version.

    Parameters
    ----------
    frame
        Rows cast to the contract.
    contract
        Gives the columns and their types.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows,)``, uint64.
    """
    hashes = np.zeros(frame.height, dtype=np.uint64)
    for column in contract.columns:
        seed = np.uint64(_text_hash(f"{column.name} {column.dtype}"))
        # Multiply and fold, column after column: the last mix is `_mixed`, by who sums them.
        hashes ^= _codes(frame.get_column(column.name))
        hashes += seed
        hashes *= _ODD
        hashes ^= hashes >> np.uint64(32)
    return hashes


def _codes(column: pl.Series) -> np.ndarray:
    """A 64-bit number for each value: its bits, or for text a hash of it."""
    missing = column.is_null()
    if column.dtype == pl.String:
        different = column.unique()
        if len(different) == 1:
            text = different[0]
            code = _MISSING if text is None else np.uint64(_text_hash(text))
            return np.full(len(column), code, dtype=np.uint64)
        # Keyed on the text itself: a category number would depend on what else is in the frame.
        known = pl.DataFrame(
            {
                "text": different,
                "code": pl.Series([_text_hash(text or "") for text in different], dtype=pl.UInt64),
            }
        )
        codes = (
            column.to_frame("text")
            .join(known, on="text", how="left", maintain_order="left", nulls_equal=True)
            .get_column("code")
            .to_numpy()
        )
    elif column.dtype in (pl.Float64, pl.Float32):
        codes = column.cast(pl.Float64).fill_null(0.0).to_numpy().view(np.uint64)
    else:
        whole = column.cast(pl.Int64) if column.dtype == pl.Boolean else column.to_physical()
        codes = whole.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64)
    if missing.any():
        codes = np.where(missing.to_numpy(), _MISSING, codes)
    return codes


def _mixed(words: np.ndarray) -> np.ndarray:
    """Finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit moves every other."""
    words = words ^ (words >> np.uint64(30))
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _beginning(contract: TableContract) -> str:
    """Version of the empty table."""
    return hashlib.sha256(f"{contract.schema}".encode()).hexdigest()[:32]


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
    """Source files below a folder.

    What dbt writes is not entered: its folders come and go while others look.
    """
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in {"target", "logs"}]
        found += [Path(parent, name) for name in files if Path(name).suffix in _SOURCE_SUFFIXES]
    return found


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
