"""Rows of crypto exchanges, ``[open time in ms, open, high, low, close, volume, …]``, to bars.

Belongs here: reading such rows, whatever types their cells have. Does not belong here: asking
for them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.market.cells import LATEST_MS, as_text
from btq_assets.sources.market.parsers import to_bars
from btq_assets.sources.market.windows import BAR_LENGTHS, opens_of
from btq_assets.sources.provider import Window
from btq_assets.sources.rows import ROW_JSON, Parsed, no_rejects, split, to_numbers

_CELLS = ("open_ms", "open", "high", "low", "close", "volume")
_PRICES = ("open", "high", "low", "close")

#: A bar is stored this long after it ended: trades arrive a little late.
SETTLING_TIME = timedelta(minutes=1)


def parse_ohlcv_rows(
    rows: Sequence[Any],
    *,
    dataset: str,
    symbol: str,
    freq: str,
    currency: str,
    window: Window,
    now: datetime,
    adjusted: bool = True,
) -> Parsed:
    """Bars that end in `window` and have settled by `now`; refused rows with their reasons.

    Parameters
    ----------
    rows
        As the exchange gave them, in any order, pages overlapping.
    adjusted
        Whether the close is the adjusted close too: a coin has no splits or dividends. A perpetual
        pays funding, so its close is no total return.
    """
    table = pl.DataFrame(
        [_texts(row) for row in rows],
        schema={**dict.fromkeys(_CELLS, pl.String), ROW_JSON: pl.String},
        orient="row",
    ).unique(maintain_order=True)
    step = round(BAR_LENGTHS[freq].total_seconds() * 1_000)
    stamped = table.with_columns(_open=pl.col("open_ms").cast(pl.Int64, strict=False))
    usable = pl.col("_open").is_between(0, LATEST_MS)
    timed = split(
        stamped,
        pl.when(pl.col("open_ms").is_null())
        .then(pl.lit("not a row of time, open, high, low, close, volume"))
        .when(~usable.fill_null(False))
        .then(pl.format("'{}' is not a time in milliseconds", pl.col("open_ms")))
        .when(pl.col("_open") % step != 0)
        .then(pl.format(f"a bar of {freq} does not begin at {{}} ms", pl.col("open_ms"))),
    )
    first, after = opens_of(window, freq)
    inside = timed.rows.filter(
        pl.col("_open").is_between(first, after, closed="left")
    ).with_columns(
        ts=pl.from_epoch(pl.col("_open") + step, time_unit="ms")
        .dt.replace_time_zone("UTC")
        .dt.cast_time_unit("us")
    )
    settled = inside.filter(pl.col("ts") + SETTLING_TIME <= now)
    priced = to_numbers(settled, [*_PRICES, "volume"])
    whole = split(
        priced.rows,
        pl.when(pl.all_horizontal(pl.col(*_PRICES).is_null())).then(pl.lit("no price")),
    )
    bars = to_bars(
        whole.rows.with_columns(
            symbol=pl.lit(symbol),
            adj_close=pl.col("close") if adjusted else pl.lit(None, dtype=pl.Float64),
        ),
        dataset=dataset,
        currency=currency,
        freq=freq,
    )
    refused = [no_rejects(), timed.rejected, priced.rejected, whole.rejected]
    return Parsed(bars.select(raw.BARS_SAMPLE.column_names).sort("ts"), pl.concat(refused))


def _texts(row: Any) -> tuple[str | None, ...]:
    """The first six cells as text, and the row as it came; nulls for what is no such row."""
    came = json.dumps(row, default=str)
    if not isinstance(row, (list, tuple)) or len(row) < len(_CELLS) or row[0] is None:
        return (*(None for _ in _CELLS), came)
    return (*(as_text(cell) for cell in row[: len(_CELLS)]), came)
