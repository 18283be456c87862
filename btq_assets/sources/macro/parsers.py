"""Packaged macro files: bytes in, dated values and refused rows out.

Belongs here: their layouts and date formats. Does not belong here: release lags (`series.py`).
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from datetime import datetime

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.macro.series import SeriesSpec, with_known_at, with_vintage
from btq_assets.sources.rows import Parsed, as_it_came, no_rejects, split, to_numbers

_GZIP_MAGIC = b"\x1f\x8b"

US_DATE = "%m/%d/%Y"
#: A two-digit year from 69 to 99 means 1969 to 1999 (POSIX), which fits files that start in 1985.
US_SHORT_YEAR_DATE = "%m/%d/%y"
YEAR_MONTH = "%Y%m"

_FIRST_OF = {"day": "1d", "month": "1mo", "quarter": "1q"}


def parse_lagged(
    content: bytes, *, dataset: str, series: Sequence[SeriesSpec], date_format: str
) -> Parsed:
    """Read a ``Date`` column and one column per series, release dates assumed.

    Empty cells are days or months without a value, and make no row.
    """
    parts = [
        (parsed, with_known_at(parsed.rows, spec, dataset=dataset))
        for spec in series
        for parsed in [_values(_read(content), spec, date_format)]
    ]
    return _stack(parts)


def parse_vintage(
    content: bytes, *, dataset: str, series: Sequence[SeriesSpec], vintage: datetime
) -> Parsed:
    """Read one dated vintage of the nowcast panel.

    The file writes a quarter on its last month; ``period`` is the quarter's first day, as for all
    quarterly series.
    """
    parts = [
        (parsed, with_vintage(parsed.rows, spec, vintage, dataset=dataset))
        for spec in series
        for parsed in [_values(_read(content), spec, US_SHORT_YEAR_DATE)]
    ]
    return _stack(parts)


def differing_vintages(vintages: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Keep of each later vintage what it changed or added.

    Parameters
    ----------
    vintages
        Complete vintages, oldest first.

    Returns
    -------
    polars.DataFrame
        The first vintage whole; of each later one the rows that are new or whose value differs
        from the newest before it.
    """
    key = ["series_id", "period"]
    known = vintages[0]
    for later in vintages[1:]:
        newest = known.sort("known_at").unique(key, keep="last").select(*key, last="value")
        changed = (
            later.join(newest, on=key, how="left", maintain_order="left")
            .filter(pl.col("value").ne_missing(pl.col("last")))
            .drop("last")
        )
        known = pl.concat([known, changed])
    return known


def _read(content: bytes) -> pl.DataFrame:
    text = gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    return pl.read_csv(io.BytesIO(text), infer_schema=False)


def _values(table: pl.DataFrame, spec: SeriesSpec, date_format: str) -> Parsed:
    cells = table.select("Date", cell=pl.col(spec.column), series_id=pl.lit(spec.series_id)).filter(
        pl.col("cell").is_not_null()
    )
    text, written = pl.col("Date"), date_format
    if date_format == YEAR_MONTH:
        text, written = pl.col("Date") + "01", "%Y%m%d"
    dated = split(
        as_it_came(cells).with_columns(
            period=text.str.to_date(written, strict=False).dt.truncate(_FIRST_OF[spec.cadence])
        ),
        pl.when(text.str.to_date(written, strict=False).is_null()).then(
            pl.format(f"date '{{}}' is not {date_format}", pl.col("Date").fill_null(""))
        ),
    )
    read = to_numbers(dated.rows, ["cell"])
    values = read.rows.filter(pl.col("cell").is_not_null()).select("period", value="cell")
    return Parsed(values, pl.concat([dated.rejected, read.rejected]))


def _stack(parts: Sequence[tuple[Parsed, pl.DataFrame]]) -> Parsed:
    return Parsed(
        pl.concat([raw.MACRO_SAMPLE.empty(), *(rows for _, rows in parts)]),
        pl.concat([no_rejects(), *(parsed.rejected for parsed, _ in parts)]),
    )
