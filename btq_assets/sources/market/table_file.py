"""Price files of unknown layout: bytes in, bars and refused rows out.

Belongs here: from the cells of CSV, JSON lines and Parquet to bars, part by part. Does not belong
here: opening files (`providers/folder.py`), unpacking (`unpacking.py`), text (`text_tables.py`),
column names (`columns.py`), times (`times.py`), rules on values that parsed (the contract's).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import IO

import polars as pl
import polars.selectors as cs

from btq_assets.config import FolderSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import FolderError
from btq_assets.sources.market.columns import map_columns, require_distinct
from btq_assets.sources.market.membership import FOLDER_DATASET
from btq_assets.sources.market.parsers import PRICE_COLUMNS, to_bars
from btq_assets.sources.market.text_tables import (
    FILE,
    LINE,
    CsvReader,
    read_json_lines,
    text_parts,
    undecodable_rows,
)
from btq_assets.sources.market.times import DateOrder, bar_ends
from btq_assets.sources.market.unpacking import members
from btq_assets.sources.rows import (
    REJECTED_SCHEMA,
    ROW_JSON,
    Parsed,
    as_it_came,
    combine,
    no_rejects,
    to_numbers,
)

JSON_LINES = (".jsonl", ".ndjson")

#: Rows of a Parquet file that are read together.
PARQUET_ROWS = 50_000
#: A packed Parquet file has to be unpacked whole: it is read from its end.
LARGEST_PACKED_PARQUET_BYTES = 512 * 2**20


@dataclass
class _Style:
    """How a file writes numbers and dates, as far as it has shown."""

    decimal: str | None
    dates: DateOrder


def parse_price_file(
    name: str, content: bytes, settings: FolderSourceSection, now: datetime
) -> Parsed:
    """Bars of one file that is held in memory; see `price_file_parts`."""
    parts = price_file_parts(name, io.BytesIO(content), len(content), settings, now)
    return combine(parts, raw.BARS_FOLDER.empty())


def price_file_parts(
    name: str, stream: IO[bytes], size: int, settings: FolderSourceSection, now: datetime
) -> Iterator[Parsed]:
    """Bars of one CSV, JSON lines or Parquet file, compressed or not, in parts.

    Parameters
    ----------
    name
        File name; gives the format, and the symbol where no column does (the part before the
        first dot, underscore or space, in capitals: ``aapl_2024.csv`` is AAPL).
    stream, size
        The file, seekable, and its size in bytes.
    settings
        Zone, calendar, currency, bar length, column mapping, and how doubtful cells are meant.
    now
        Bars that end later are refused.

    Yields
    ------
    Parsed
        Rows of ``raw.bars_folder``; refused rows carry the file and line in their JSON. A zip goes
        on after a member that cannot be read, which is one refused row.

    Raises
    ------
    FolderError
        The file as a whole cannot be read, or not to its end.
    """
    if size == 0:
        raise FolderError(name, "the file is empty")
    largest_bytes = settings.largest_unpacked_gib * 2**30
    for inner, body in members(name, stream, size, largest_bytes):
        style = _Style(settings.decimal, DateOrder(settings.date_order))
        try:
            for table, short in _table_parts(inner, body):
                yield _to_bars(inner, table, short, settings, now, style)
        except FolderError as error:
            if not name.lower().endswith(".zip") or error.file == name:
                raise
            yield refused_file(error)


def refused_file(error: FolderError) -> Parsed:
    """One refused row that stands for a file."""
    row = {"reason": f"{error}", "row_json": json.dumps({FILE: error.file})}
    return Parsed(raw.BARS_FOLDER.empty(), pl.DataFrame([row], schema=REJECTED_SCHEMA))


def symbol_of(name: str) -> str:
    """Symbol in a file name: what comes before the first dot, underscore or space."""
    stem = PurePath(name).name
    for mark in "._ ":
        stem = stem.split(mark, 1)[0]
    return stem.upper()


def _table_parts(name: str, body: io.BufferedReader) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Cells with a line number, and refused lines; text stays text, numbers of Parquet numbers."""
    start = body.peek(4)[:4]
    if start == b"PAR1" or name.lower().endswith((".parquet", ".pq")):
        for table in _parquet_parts(name, body):
            yield table, no_rejects()
        return
    is_json = name.lower().endswith(JSON_LINES)
    reader = CsvReader(name)
    any_text = any_rows = False
    for part in text_parts(name, body, quotes=not is_json):
        any_text = any_text or bool(part.text.strip())
        table, short = read_json_lines(name, part) if is_json else reader.read(part)
        any_rows = any_rows or table.height > 0 or short.height > 0
        short = pl.concat([short, undecodable_rows(name, part)])
        if table.height:
            yield table, short
        elif short.height:
            yield pl.DataFrame(), short
    if not any_text:
        raise FolderError(name, "the file is empty")
    if not any_rows:
        raise FolderError(name, "has a header but no rows")


def _parquet_parts(name: str, body: io.BufferedReader) -> Iterator[pl.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source: IO[bytes] = body
    if not body.seekable():
        content = body.read(LARGEST_PACKED_PARQUET_BYTES + 1)
        if len(content) > LARGEST_PACKED_PARQUET_BYTES:
            raise FolderError(
                name,
                f"is Parquet of more than {LARGEST_PACKED_PARQUET_BYTES / 2**20:g} MiB in a packed "
                "file; unpack it (Parquet is compressed already)",
            )
        source = io.BytesIO(content)
    n_rows = 0
    try:
        file = pq.ParquetFile(source, buffer_size=1 << 20, pre_buffer=False)
        require_distinct(name, list(file.schema_arrow.names))
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, use_threads=False):
            frame = pl.from_arrow(pa.Table.from_batches([batch]))
            assert isinstance(frame, pl.DataFrame)
            if frame.height:
                yield _plain_cells(frame).with_row_index(LINE, offset=n_rows + 1)
            n_rows += frame.height
    except FolderError:
        raise
    except (pa.ArrowException, pl.exceptions.PolarsError, *_BROKEN_PARQUET) as error:
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise FolderError(name, f"is truncated or not Parquet ({detail}); copy it again") from None
    if not n_rows:
        raise FolderError(name, "has columns but no rows")


#: What pyarrow raises beside its own errors when bytes make no sense; panics of polars are none of
#: `Exception`.
_BROKEN_PARQUET = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    NotImplementedError,
    MemoryError,
    OverflowError,
    pl.exceptions.PanicException,
)


def _plain_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers stay, times and all else become text as one would write it; nested cells go."""
    zoned = cs.datetime(time_zone="*")
    frame = frame.with_columns(
        zoned.dt.to_string("%Y-%m-%dT%H:%M:%S%.6f%:z"),
        (cs.datetime() - zoned).dt.to_string("%Y-%m-%dT%H:%M:%S%.6f"),
        cs.date().dt.to_string("%Y-%m-%d"),
    )
    # The shortest decimal that is the same float32 is what was meant: 429.17, not 429.170013.
    text = (cs.string(), cs.categorical(), cs.enum(), cs.boolean(), cs.time(), cs.decimal())
    narrow = cs.by_dtype(pl.Float32)
    return frame.select(
        [
            pl.col(name).cast(pl.String)
            if name in cs.expand_selector(frame, narrow | _any_of(text))
            else pl.col(name)
            for name in frame.columns
            if name in cs.expand_selector(frame, cs.numeric() | _any_of(text))
            and name.strip() not in ("", LINE, FILE)
        ]
    )


def _any_of(selectors: tuple[cs.Selector, ...]) -> cs.Selector:
    found = selectors[0]
    for selector in selectors[1:]:
        found = found | selector
    return found


def _to_bars(
    name: str,
    table: pl.DataFrame,
    short: pl.DataFrame,
    settings: FolderSourceSection,
    now: datetime,
    style: _Style,
) -> Parsed:
    if table.is_empty():
        return Parsed(raw.BARS_FOLDER.empty(), short)
    meaning = map_columns(name, [c for c in table.columns if c != LINE], settings.columns)
    came = as_it_came(table.select(pl.lit(name).alias(FILE), pl.all()))
    prices = [price for price in PRICE_COLUMNS if price in meaning]
    # Only named meanings go on: a file may call its columns anything, ours included.
    read = came.select(
        ROW_JSON,
        written=_time_text(meaning),
        symbol=_symbol(meaning, name),
        currency=pl.col(meaning["currency"]).cast(pl.String)
        if "currency" in meaning
        else pl.lit(settings.currency),
        **{price: pl.col(meaning[price]) for price in prices},
    )
    typed = [price for price in prices if read.schema[price].is_numeric()]
    written = [price for price in prices if price not in typed]
    doubtful = _settle_decimal(style, read, [price for price in written if price != "volume"])
    numbers = to_numbers(
        read.with_columns(pl.col(typed).cast(pl.Float64)),
        written,
        decimal_comma=style.decimal == "comma",
        ambiguous=doubtful,
    )
    timed = bar_ends(
        numbers.rows,
        column="written",
        freq=settings.freq,
        calendar=settings.calendar,
        zone=settings.timezone,
        now=now,
        dates=style.dates,
    )
    bars = to_bars(timed.rows, dataset=FOLDER_DATASET, currency=None, freq=settings.freq)
    rejected = pl.concat([short, numbers.rejected, timed.rejected])
    return Parsed(bars.sort("symbol", "ts"), rejected)


def _time_text(meaning: dict[str, str]) -> pl.Expr:
    """One column, or a date and a time of day in two."""
    if "ts" in meaning:
        return pl.col(meaning["ts"]).cast(pl.String)
    if "date" in meaning and "time" in meaning:
        return pl.concat_str(meaning["date"], meaning["time"], separator=" ")
    return pl.col(meaning.get("date") or meaning["time"]).cast(pl.String)


def _symbol(meaning: dict[str, str], name: str) -> pl.Expr:
    if "symbol" in meaning:
        return pl.col(meaning["symbol"]).cast(pl.String).str.strip_chars()
    return pl.lit(symbol_of(name))


#: ``1.234,56``, ``12,5``, ``0,1234``: the comma can only be a decimal mark.
_COMMA = r"^\s*[+-]?[\d.]*\d,(\d{1,2}|\d{4,})\s*$|^\s*[+-]?(0|\d{4,}),\d+\s*$|\d\.\d{3},\d"
#: ``12.5``, ``1,234.56``: the point can only be a decimal mark.
_POINT = r"^\s*[+-]?\$?[\d,]*\d\.(\d{1,2}|\d{4,})\s*$|^\s*[+-]?\$?(0|\d{4,})\.\d+\s*$|\d,\d{3}\.\d"
#: ``1,234``: a thousand or one and a bit.
_EITHER = r"^\s*[+-]?\$?\d{1,3},\d{3}\s*$"


def _settle_decimal(style: _Style, table: pl.DataFrame, prices: list[str]) -> pl.Expr | None:
    """Note which decimal mark the prices show; the reason to refuse cells that may mean two things."""
    if not prices:
        return None
    if style.decimal is None:
        cells = pl.concat([table[price] for price in prices])
        if cells.str.contains(_POINT).any():
            style.decimal = "point"
        elif cells.str.contains(_COMMA).any():
            style.decimal = "comma"
    if style.decimal is not None:
        return None
    return pl.coalesce(
        pl.when(pl.col(price).str.contains(_EITHER)).then(
            pl.format(
                f"{price} '{{}}' may be a thousand or a decimal; set sources.folder.decimal",
                pl.col(price),
            )
        )
        for price in prices
    )
