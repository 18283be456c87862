"""Packaged price files: bytes in, bars and refused rows out.

Belongs here: the three layouts of the sample (wide closes, OHLCV rows, ECB rates). Does not
belong here: opening files, files of unknown layout (`table_file.py`), and rules on values that
parsed.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Mapping

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.market.sessions import at_ecb_publication, at_session_close
from btq_assets.sources.rows import Parsed, as_it_came, no_rejects, split, to_numbers
from btq_assets.sources.vintages import ASSUMED_LAG

#: Currencies the ECB has quoted on every day since 1999-01-04; the others begin late or end early.
ECB_CURRENCIES = (
    "AUD", "CAD", "CHF", "CZK", "DKK", "GBP", "HKD", "HUF", "JPY", "KRW", "NOK", "NZD", "PLN",
    "SEK", "SGD", "USD", "ZAR",
)  # fmt: skip

#: Currency → symbol of its rate against the euro.
ECB_PAIRS = {currency: f"EUR{currency}" for currency in ECB_CURRENCIES}

PRICE_COLUMNS = ("open", "high", "low", "close", "adj_close", "volume")

_GZIP_MAGIC = b"\x1f\x8b"


def read_text_table(content: bytes) -> pl.DataFrame:
    """Rows of a comma-separated file, gzipped or not, every cell as text."""
    text = gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    return pl.read_csv(io.BytesIO(text), infer_schema=False)


def to_bars(
    rows: pl.DataFrame, *, dataset: str, currency: str | None, freq: str = "1d"
) -> pl.DataFrame:
    """Bars of the contract out of ``symbol``, ``ts`` and whichever price columns there are.

    A bar counts as known when it ends: the fill comes one session later, which leaves a real
    trader the time the data need to travel.
    """
    absent = [name for name in PRICE_COLUMNS if name not in rows.columns]
    return rows.with_columns(
        *(pl.lit(None, dtype=pl.Float64).alias(name) for name in absent),
        dataset=pl.lit(dataset),
        freq=pl.lit(freq),
        known_at=pl.col("ts"),
        known_at_basis=pl.lit(ASSUMED_LAG),
        currency=pl.col("currency") if currency is None else pl.lit(currency),
    ).select(raw.BARS_SAMPLE.column_names)


def parse_wide_closes(
    content: bytes,
    *,
    dataset: str,
    calendar: str = "XNYS",
    currency: str = "USD",
    rename: Mapping[str, str] | None = None,
    target: tuple[str, ...] = ("adj_close",),
) -> Parsed:
    """One date column and one column of closes per symbol.

    Parameters
    ----------
    content
        CSV, gzipped or not; dates as ``YYYY-MM-DD``.
    rename
        File column → symbol, where they differ.
    target
        Price columns the value goes to.
    """
    wide = read_text_table(content).rename(dict(rename or {}))
    long = wide.unpivot(index="Date", variable_name="symbol", value_name="cell")
    dated = _dated(as_it_came(long))
    priced = to_numbers(dated.rows, ["cell"])
    timed = at_session_close(priced.rows.filter(pl.col("cell").is_not_null()), calendar)
    bars = to_bars(
        timed.rows.with_columns(pl.col("cell").alias(name) for name in target),
        dataset=dataset,
        currency=currency,
    )
    return Parsed(bars.sort("symbol", "ts"), _stack(dated, priced, timed))


def parse_ohlcv(
    content: bytes,
    *,
    dataset: str,
    symbol: str | None = None,
    calendar: str = "XNYS",
    currency: str = "USD",
) -> Parsed:
    """One row per bar: Date, Open, High, Low, Close, Adj Close, Volume, in any column order.

    Parameters
    ----------
    content
        CSV, gzipped or not; dates as ``YYYY-MM-DD``.
    symbol
        The only symbol of the file; by default read from the column ``Ticker``.
    """
    names = {
        "Open": "open", "High": "high", "Low": "low", "Close": "close", "Adj Close": "adj_close",
        "Volume": "volume", "Ticker": "symbol",
    }  # fmt: skip
    came = read_text_table(content)
    table = as_it_came(came).rename(
        {name: new for name, new in names.items() if name in came.columns}
    )
    if symbol is not None:
        table = table.with_columns(symbol=pl.lit(symbol))
    dated = _dated(table)
    priced = to_numbers(dated.rows, PRICE_COLUMNS)
    timed = at_session_close(priced.rows, calendar)
    bars = to_bars(timed.rows, dataset=dataset, currency=currency)
    return Parsed(bars.sort("symbol", "ts"), _stack(dated, priced, timed))


def parse_ecb_rates(
    content: bytes, *, dataset: str, currencies: Mapping[str, str] = ECB_PAIRS
) -> Parsed:
    """ECB euro reference rates, a zipped CSV: a date and one column per currency, newest first.

    ``EURUSD`` is the price of one euro in dollars; the currency of the bar is the quoted one. A
    reference rate pays no dividend, so ``close`` and ``adj_close`` are the same number. Days on
    which a currency was not quoted (``N/A``) have no row.

    Parameters
    ----------
    content
        Zip archive of one CSV; its lines may end with a comma.
    currencies
        Currency → symbol of its bars.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        table = read_text_table(archive.read(archive.namelist()[0]))
    long = table.select("Date", *currencies).unpivot(
        index="Date", variable_name="currency", value_name="close"
    )
    dated = _dated(as_it_came(long))
    priced = to_numbers(dated.rows, ["close"])
    timed = at_ecb_publication(priced.rows.filter(pl.col("close").is_not_null()))
    bars = to_bars(
        timed.rows.with_columns(
            symbol=pl.col("currency").replace_strict(dict(currencies), return_dtype=pl.String),
            adj_close=pl.col("close"),
        ),
        dataset=dataset,
        currency=None,
    )
    return Parsed(bars.sort("symbol", "ts"), _stack(dated, priced, timed))


def _dated(table: pl.DataFrame) -> Parsed:
    """Read ``Date`` (YYYY-MM-DD) into ``session``."""
    read = table.with_columns(session=pl.col("Date").str.to_date("%Y-%m-%d", strict=False))
    reason = pl.when(pl.col("session").is_null()).then(
        pl.format("date '{}' is not YYYY-MM-DD", pl.col("Date").fill_null(""))
    )
    return split(read, reason)


def _stack(*parts: Parsed) -> pl.DataFrame:
    return pl.concat([no_rejects(), *(part.rejected for part in parts)])
