"""Price files of unknown layout: bytes in, bars and refused rows out.

Belongs here: recognising CSV (delimiter, encoding, gzip, zip) and Parquet, and turning either
into bars. Does not belong here: opening files (`providers/folder.py`), column names
(`columns.py`), times (`times.py`), rules on values that parsed (the contract's).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePath

import polars as pl
import polars.selectors as cs

from btq_assets.config import FolderSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import FolderError
from btq_assets.sources.market.columns import map_columns, require_distinct
from btq_assets.sources.market.parsers import PRICE_COLUMNS, to_bars
from btq_assets.sources.market.times import bar_ends
from btq_assets.sources.rows import (
    REJECTED_SCHEMA,
    ROW_JSON,
    Parsed,
    as_it_came,
    no_rejects,
    to_numbers,
)

DATASET = "inbox"
DELIMITERS = ",;\t|"

_LINE, _FILE = "_line", "_file"


def parse_price_file(
    name: str, content: bytes, settings: FolderSourceSection, now: datetime
) -> Parsed:
    """Bars of one CSV or Parquet file, compressed or not.

    Parameters
    ----------
    name
        File name; gives the format, and the symbol where no column does (the part before the
        first dot, underscore or space, in capitals: ``aapl_2024.csv`` is AAPL).
    content
        The file.
    settings
        Zone, calendar, currency, bar length and column mapping.
    now
        Bars that end later are refused.

    Returns
    -------
    Parsed
        Rows of ``raw.bars_folder``; refused rows carry the file and line in their JSON.

    Raises
    ------
    FolderError
        The file as a whole cannot be read.
    """
    if not content:
        raise FolderError(name, "the file is empty")
    parts = [
        _to_bars(inner, table, short, settings, now)
        for inner, body in _members(name, content)
        for table, short in [_read_table(inner, body)]
    ]
    return Parsed(
        pl.concat([raw.BARS_FOLDER.empty(), *(part.rows for part in parts)]),
        pl.concat([no_rejects(), *(part.rejected for part in parts)]),
    )


def symbol_of(name: str) -> str:
    """Symbol in a file name: what comes before the first dot, underscore or space."""
    stem = PurePath(name).name
    for mark in "._ ":
        stem = stem.split(mark, 1)[0]
    return stem.upper()


def _members(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The file itself, or what is compressed in it."""
    lower = name.lower()
    try:
        if lower.endswith(".gz"):
            yield name[:-3], gzip.decompress(content)
        elif lower.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                inner = [
                    entry
                    for entry in sorted(archive.namelist())
                    if not entry.endswith("/") and not PurePath(entry).name.startswith((".", "_"))
                ]
                if not inner:
                    raise FolderError(name, "the zip holds no file")
                for entry in inner:
                    yield f"{name}/{entry}", archive.read(entry)
        else:
            yield name, content
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        if isinstance(error, FolderError):
            raise
        raise FolderError(name, f"cannot be decompressed ({error}); copy it again") from None


def _read_table(name: str, content: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All cells as text with a line number, and the lines that do not have the header's fields."""
    if not content.strip():
        raise FolderError(name, "the file is empty")
    if content.startswith(b"PAR1") or name.lower().endswith((".parquet", ".pq")):
        return _read_parquet(name, content), no_rejects()
    return _read_csv(name, content)


def _read_parquet(name: str, content: bytes) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        detail = str(error).splitlines()[0]
        raise FolderError(name, f"is truncated or not Parquet ({detail}); copy it again") from None
    zoned = cs.datetime(time_zone="*")
    frame = frame.with_columns(
        zoned.dt.to_string("%Y-%m-%dT%H:%M:%S%.6f%:z"),
        (cs.datetime() - zoned).dt.to_string("%Y-%m-%dT%H:%M:%S%.6f"),
        cs.date().dt.to_string("%Y-%m-%d"),
    )
    if frame.is_empty():
        raise FolderError(name, "has columns but no rows")
    nested = [column for column in frame.columns if frame.schema[column].is_nested()]
    return frame.drop(nested).select(pl.all().cast(pl.String)).with_row_index(_LINE, offset=1)


def _read_csv(name: str, content: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    text = _decode(name, content)
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = max(DELIMITERS, key=first.count)
    try:
        lines = [
            (reader.line_num, cells)
            for reader in [csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)]
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise FolderError(name, f"is not CSV ({error})") from None
    header = [cell.strip().strip("<>") for cell in lines[0][1]]
    body = lines[1:]
    if not body:
        raise FolderError(name, "has a header but no rows")
    # A trailing delimiter makes a nameless last column; the ECB's own files have one.
    named = [place for place, title in enumerate(header) if title]
    fitting = [(line, cells) for line, cells in body if len(cells) == len(header)]
    require_distinct(name, [header[place] for place in named])
    table = pl.DataFrame(
        {
            _LINE: [line for line, _ in fitting],
            **{header[place]: [cells[place] for _, cells in fitting] for place in named},
        },
        schema={_LINE: pl.UInt32, **dict.fromkeys((header[place] for place in named), pl.String)},
    )
    ragged = pl.DataFrame(
        [
            {
                "reason": f"{len(cells)} fields where the header has {len(header)}",
                "row_json": json.dumps({_FILE: name, _LINE: line, "cells": cells}),
            }
            for line, cells in body
            if len(cells) != len(header)
        ],
        schema=REJECTED_SCHEMA,
    )
    return table, ragged


def _decode(name: str, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise FolderError(name, "is neither text nor Parquet")


def _to_bars(
    name: str,
    table: pl.DataFrame,
    ragged: pl.DataFrame,
    settings: FolderSourceSection,
    now: datetime,
) -> Parsed:
    meaning = map_columns(name, [c for c in table.columns if c != _LINE], settings.columns)
    came = as_it_came(table.select(pl.lit(name).alias(_FILE), pl.all()))
    prices = [price for price in PRICE_COLUMNS if price in meaning]
    # Only named meanings go on: a file may call its columns anything, ours included.
    read = came.select(
        ROW_JSON,
        written=_time_text(meaning),
        symbol=_symbol(meaning, name),
        currency=pl.col(meaning["currency"])
        if "currency" in meaning
        else pl.lit(settings.currency),
        **{price: pl.col(meaning[price]) for price in prices},
    )
    numbers = to_numbers(read, prices, decimal_comma=_has_decimal_comma(read, prices))
    timed = bar_ends(
        numbers.rows,
        column="written",
        freq=settings.freq,
        calendar=settings.calendar,
        zone=settings.timezone,
        now=now,
    )
    bars = to_bars(timed.rows, dataset=DATASET, currency=None, freq=settings.freq)
    rejected = pl.concat([ragged, numbers.rejected, timed.rejected])
    return Parsed(bars.sort("symbol", "ts"), rejected)


def _time_text(meaning: dict[str, str]) -> pl.Expr:
    """One column, or a date and a time of day in two."""
    if "ts" in meaning:
        return pl.col(meaning["ts"])
    if "date" in meaning and "time" in meaning:
        return pl.concat_str(meaning["date"], meaning["time"], separator=" ")
    return pl.col(meaning.get("date") or meaning["time"])


def _symbol(meaning: dict[str, str], name: str) -> pl.Expr:
    if "symbol" in meaning:
        return pl.col(meaning["symbol"]).str.strip_chars()
    return pl.lit(symbol_of(name))


def _has_decimal_comma(table: pl.DataFrame, prices: list[str]) -> bool:
    """Whether prices are written ``1.234,56``: a comma with one or two, or four or more, digits."""
    decimal = r"^\s*[+-]?[\d.]*\d,(\d{1,2}|\d{4,})\s*$"
    cells = pl.concat([table[p] for p in prices if p != "volume"])
    return bool(cells.str.contains(decimal).any())
