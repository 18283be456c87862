"""Tables of text as macro providers send them: CSV in, dated string cells and refused rows out.

Belongs here: what all of them share. Does not belong here: the layout of any one provider.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.http import TryAgainError
from btq_assets.sources.rows import MISSING_CELLS, REJECTED_SCHEMA, no_rejects
from btq_assets.sources.vintages import RECORDED

Row = Mapping[str, str]

VALUES_SCHEMA = pl.Schema({"period": pl.Date, "value": pl.Float64})


@dataclass(frozen=True)
class Table:
    """A CSV as text.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        Cells by column, stripped.
    rejected
        Lines that could not be told apart into cells.
    """

    header: tuple[str, ...]
    rows: list[Row]
    rejected: pl.DataFrame


class TableShapeError(ValueError):
    """A body is not the table it should be; the message says what it is instead."""


def refuse_pages(body: bytes) -> None:
    """Judge of CSV answers: an empty body or an HTML page with HTTP 200 is no answer yet."""
    start = body[:1_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        raise TryAgainError("an empty body")
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<h1")):
        text = " ".join(start.decode(errors="replace").split())
        raise TryAgainError(f"a page instead of a table: {text[:120]}")


def read_table(body: bytes, required: Sequence[str] = ()) -> Table:
    """Rows of a CSV with a header line.

    The last line is refused when nothing ends it: an answer cut off there would otherwise pass a
    shorter number for the whole one.

    Parameters
    ----------
    body
        UTF-8, with or without a byte order mark.
    required
        Columns that must be there, as they are written.

    Raises
    ------
    TableShapeError
        Not text, no header, or a required column is missing.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TableShapeError("bytes that are no UTF-8 text") from None
    ended = text.endswith(("\n", "\r"))
    try:
        lines = [line for line in csv.reader(io.StringIO(text)) if line]
    except csv.Error as error:
        raise TableShapeError(f"text that is no CSV ({error})") from None
    if not lines:
        raise TableShapeError("nothing")
    header = tuple(name.strip() for name in lines[0])
    if not set(required) <= set(header) or len(set(header)) != len(header):
        raise TableShapeError(f"the columns {header[:12]}")
    rows: list[Row] = []
    refused: list[tuple[str, list[str]]] = []
    for number, cells in enumerate(lines[1:], start=1):
        if number == len(lines) - 1 and not ended:
            refused.append(("the last line has no end and may be cut off", cells))
        elif len(cells) != len(header):
            refused.append((f"{len(cells)} cells, the header has {len(header)}", cells))
        else:
            rows.append(dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    return Table(header, rows, rejects((why, dict(enumerate(cells))) for why, cells in refused))


def rejects(found: Iterable[tuple[str, object]]) -> pl.DataFrame:
    """Refused rows with their reasons, the rows as JSON."""
    rows = [(reason, json.dumps(row, ensure_ascii=False)) for reason, row in found]
    return pl.DataFrame(rows, schema=REJECTED_SCHEMA, orient="row") if rows else no_rejects()


def to_values(
    rows: Iterable[Row], date_column: str, value_column: str, date_format: str = "%Y-%m-%d"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Dated numbers of one column (`VALUES_SCHEMA`), and the rows where there is none to read.

    Cells that say "no value" (empty, ``.``, ``N/A``) make no row.
    """
    table = [(row[date_column], row[value_column]) for row in rows]
    cells = pl.DataFrame(table, schema={"date": pl.String, "cell": pl.String}, orient="row")
    cells = cells.filter(~pl.col("cell").str.to_lowercase().is_in(MISSING_CELLS)).with_columns(
        period=pl.col("date").str.to_date(date_format, strict=False),
        value=pl.col("cell").cast(pl.Float64, strict=False),
    )
    unread = pl.col("period").is_null() | pl.col("value").is_null() | ~pl.col("value").is_finite()
    bad = cells.filter(unread.fill_null(True))
    refused = rejects(
        (
            f"date {date!r} is not {date_format}"
            if period is None
            else f"value {cell!r} is not a finite number",
            {date_column: date, value_column: cell},
        )
        for date, cell, period, _ in bad.iter_rows()
    )
    good = cells.filter(~unread.fill_null(True)).select("period", "value")
    return one_value_a_period(good, value_column, refused)


def one_value_a_period(
    values: pl.DataFrame, name: str, refused: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Refuse periods that come with two different values; equal repetitions count once."""
    values = values.unique(maintain_order=True)
    twice = values.filter(pl.col("period").is_duplicated())
    more = rejects(
        (f"{name} has several values for {period}", {"period": str(period), "value": value})
        for period, value in twice.iter_rows()
    )
    kept = values.filter(~pl.col("period").is_duplicated()).sort("period")
    return kept, pl.concat([refused, more])


def vintage_rows(values: pl.DataFrame, *, series_id: str, unit: str, dataset: str) -> pl.DataFrame:
    """Rows of the contract for values whose release is recorded: ``period, value, known_at``."""
    return values.select(
        series_id=pl.lit(series_id),
        period="period",
        known_at=pl.col("known_at").dt.cast_time_unit("us"),
        known_at_basis=pl.lit(RECORDED),
        value="value",
        unit=pl.lit(unit),
        revision=pl.lit("VINTAGE"),
        dataset=pl.lit(dataset),
    ).cast(raw.MACRO_ALFRED.schema)
