"""Files that people drop in the inbox folder.

Belongs here: listing and opening them, and going on when one cannot be read. Does not belong
here: what is in them (`table_file.py`).
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

import polars as pl

from btq_assets.config import FolderSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import FolderError, SourceError
from btq_assets.sources.market.table_file import parse_price_file
from btq_assets.sources.rows import REJECTED_SCHEMA, Parsed, combine

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".zip", ".parquet", ".pq")


def price_files(folder: Path) -> list[Path]:
    """Files of the inbox that may hold prices, by name; hidden and temporary ones left out.

    Raises
    ------
    SourceError
        The folder does not exist.
    """
    if not folder.is_dir():
        raise SourceError(
            f"sources.folder.path = {str(folder)!r} is not a folder; create it or set "
            "sources.folder.enabled: false"
        )
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file()
        and not file.name.startswith((".", "~"))
        and file.name.lower().endswith(SUFFIXES)
    )


def read_folder(settings: FolderSourceSection, now: datetime) -> Parsed:
    """Bars of every readable file; one refused row for each file that is not.

    The same bar in two files is one bar when all values agree. Where they differ, nobody can tell
    which is right: both are left to the contract, which refuses duplicate keys.

    Raises
    ------
    SourceError
        The folder, the zone or the calendar does not exist.
    """
    parts = []
    for file in price_files(Path(settings.path)):
        try:
            parts.append(parse_price_file(file.name, _bytes(file), settings, now))
        except FolderError as error:
            parts.append(_refused_file(error))
    stacked = combine(parts, raw.BARS_FOLDER.empty())
    return Parsed(_once_across_files(parts, stacked.rows), stacked.rejected)


def folder_version(settings: FolderSourceSection) -> str:
    """Hash over names and contents of the inbox; an absent folder counts as empty."""
    state = hashlib.sha256()
    folder = Path(settings.path)
    for file in price_files(folder) if folder.is_dir() else []:
        state.update(file.name.encode())
        state.update(hashlib.sha256(file.read_bytes()).digest())
    return state.hexdigest()[:16]


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FolderError(file.name, f"cannot be opened ({error.strerror})") from None


def _refused_file(error: FolderError) -> Parsed:
    row = {"reason": f"{error}", "row_json": json.dumps({"_file": error.file})}
    return Parsed(raw.BARS_FOLDER.empty(), pl.DataFrame([row], schema=REJECTED_SCHEMA))


def _once_across_files(parts: list[Parsed], stacked: pl.DataFrame) -> pl.DataFrame:
    """Drop a row that an earlier file has too; repeats inside one file stay, and are refused."""
    if len(parts) < 2:
        return stacked
    numbered = pl.concat(
        [part.rows.with_columns(_part=pl.lit(number)) for number, part in enumerate(parts)]
    )
    earliest = pl.col("_part").min().over(raw.BARS_FOLDER.column_names)
    return numbered.filter(pl.col("_part") == earliest).drop("_part")
