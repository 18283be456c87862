"""Rows that could be read and rows that could not, side by side.

Belongs here: the pair every parser returns and the ways to refuse a row with a reason. Does not
belong here: any file format, and rules on values that parsed (those are the contracts').
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

#: Column that carries the row as it came along with what is read out of it.
ROW_JSON = "_row_json"

REJECTED_SCHEMA = pl.Schema({"reason": pl.String, "row_json": pl.String})

#: Cells that mean "no value", compared in lower case.
MISSING_CELLS = ("", "n/a", "na", "null", "none", "-", ".")

_COMMA_NUMBER = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?([eE][+-]?\d+)?$"
_NO_NUMBER = r"^(?i)[+-]?(nan|inf|infinity)$"
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"


def no_rejects() -> pl.DataFrame:
    """An empty frame of refused rows."""
    return pl.DataFrame(schema=REJECTED_SCHEMA)


@dataclass(frozen=True)
class Parsed:
    """What a parser made of a file.

    Parameters
    ----------
    rows
        Rows that could be read.
    rejected
        Rows that could not: ``reason`` and ``row_json`` (the row as it came).
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame = field(default_factory=no_rejects)


def as_it_came(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``ROW_JSON``: the row as the source gave it, before anything is read out of it.

    It stays a struct until `split` refuses the row: spelling out every row would cost more than
    reading it.
    """
    return frame.with_columns(pl.struct(pl.all()).alias(ROW_JSON))


def split(frame: pl.DataFrame, reason: pl.Expr) -> Parsed:
    """Keep the rows where `reason` is null and refuse the others.

    Parameters
    ----------
    frame
        Rows as far as they were read, with the column of `as_it_came`.
    reason
        String expression; null where the row is fine.
    """
    marked = frame.with_columns(_reason=reason.cast(pl.String))
    bad = marked.filter(pl.col("_reason").is_not_null())
    kept = marked.filter(pl.col("_reason").is_null()).drop("_reason")
    text = pl.col(ROW_JSON)
    if isinstance(frame.schema[ROW_JSON], pl.Struct):
        text = text.struct.json_encode()
    return Parsed(kept, bad.select(reason="_reason", row_json=text))


def combine(parts: Iterable[Parsed], empty: pl.DataFrame) -> Parsed:
    """Stack several results; `empty` gives the columns when there are none."""
    found = list(parts)
    return Parsed(
        pl.concat([empty, *(part.rows for part in found)]),
        pl.concat([no_rejects(), *(part.rejected for part in found)]),
    )


def to_numbers(
    frame: pl.DataFrame,
    columns: Sequence[str],
    *,
    decimal_comma: bool = False,
    ambiguous: pl.Expr | None = None,
) -> Parsed:
    """Read the string cells of `columns` as numbers and refuse the rows where one is not.

    ``MISSING_CELLS`` become null. ``NaN`` and infinities parse: to refuse them is the contract's
    business. A leading ``$`` and English thousands separators (``1,234,567``) are accepted.

    Parameters
    ----------
    frame
        All of `columns` are strings; with the column of `as_it_came`.
    columns
        Columns to read.
    decimal_comma
        Whether ``,`` is the decimal mark and ``.`` groups thousands. A cell written the other way
        is then no number.
    ambiguous
        Reason to refuse a row although its cells read as numbers; null where there is none.
    """
    if not columns and ambiguous is None:
        return Parsed(frame)
    if not decimal_comma and ambiguous is None:
        # Most columns hold plain numbers and nothing else; only the others are looked at closely.
        read = frame.select(pl.col(columns).cast(pl.Float64, strict=False))
        easy = [name for name in columns if read[name].null_count() == frame[name].null_count()]
        frame = frame.with_columns(read.select(easy).iter_columns())
        columns = [name for name in columns if name not in easy]
        if not columns:
            return Parsed(frame)
    texts = {name: pl.col(name).str.strip_chars().str.strip_prefix("$") for name in columns}
    numbers: list[pl.Expr] = []
    reasons: list[pl.Expr] = []
    for name, text in texts.items():
        value = pl.when(~text.str.to_lowercase().is_in(MISSING_CELLS)).then(text)
        if decimal_comma:
            plain = (
                pl.when(value.str.contains(_COMMA_NUMBER))
                .then(
                    value.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
                )
                .otherwise(
                    pl.when(value.str.contains(_NO_NUMBER)).then(value).otherwise(pl.lit("?"))
                )
            )
        else:
            plain = (
                pl.when(value.str.contains(_THOUSANDS))
                .then(value.str.replace_all(",", "", literal=True))
                .otherwise(value)
            )
        number = plain.cast(pl.Float64, strict=False)
        numbers.append(number.alias(f"_{name}"))
        unreadable = value.is_not_null() & number.is_null()
        reasons.append(
            pl.when(unreadable).then(pl.format(f"{name} '{{}}' is not a number", pl.col(name)))
        )
    if ambiguous is not None:
        reasons.append(ambiguous)
    joined = pl.concat_str(reasons, separator="; ", ignore_nulls=True)
    result = split(
        frame.with_columns(numbers),
        pl.when(joined.str.len_chars() > 0).then(joined),
    )
    rows = result.rows.drop(columns).rename({f"_{name}": name for name in columns})
    return Parsed(rows, result.rejected)
