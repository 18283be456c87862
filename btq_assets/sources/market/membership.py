"""Which instrument belongs to which universe.

Belongs here: membership rows out of catalogue, configuration and bars. Does not belong here:
reading files.

A membership starts with the first bar there is and has no end: that a file ends says nothing
about the company.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.sources.market.catalogue import MARKET_FILES, SECTORS, MarketFile
from btq_assets.sources.market.listing import listing_of
from btq_assets.timeline import add_months, session_closes

YAHOO_CAVEAT = (
    "Prices are split-adjusted as of the fetch and the adjusted close moves with every dividend; "
    "symbols chosen today (survivors); Yahoo's terms allow personal use."
)
FOLDER_CAVEAT = (
    "Dropped in the inbox by a user; origin, licence and adjustment are the user's to know."
)

UNADJUSTED_CAVEAT = "It has no adjusted close: a dividend or a split looks like a loss."


def sample_membership(
    bars: pl.DataFrame, files: Sequence[MarketFile] = MARKET_FILES
) -> pl.DataFrame:
    """Membership of the packaged universes.

    Parameters
    ----------
    bars
        Rows of ``raw.bars_sample``.
    """
    facts = pl.DataFrame(
        [
            {
                "dataset": file.dataset,
                "universe": file.universe,
                "calendar": file.calendar,
                "price_basis": file.price_basis,
                "caveat": file.caveat,
            }
            for file in files
        ]
    )
    members = _first_bars(bars).join(facts, on="dataset", how="inner")
    stock = pl.col("universe").is_in(["us20", "us_ohlcv"])
    return _rows(
        members,
        source="sample",
        sector=pl.when(stock).then(pl.col("symbol").replace_strict(SECTORS, default=None)),
    )


def folder_membership(bars: pl.DataFrame, calendar: str) -> pl.DataFrame:
    """Membership of universe ``folder``: every symbol of the inbox.

    Parameters
    ----------
    bars
        Rows of ``raw.bars_folder``.
    calendar
        Configured exchange calendar.
    """
    members = _first_bars(bars).with_columns(
        universe=pl.lit("folder"),
        calendar=pl.lit(calendar),
        price_basis=pl.when(~pl.col("has_adjusted"))
        .then(pl.lit("unadjusted"))
        .when(pl.col("has_open"))
        .then(pl.lit("ohlcv_with_adjusted_close"))
        .otherwise(pl.lit("adjusted_close_only")),
        caveat=pl.when(pl.col("has_adjusted"))
        .then(pl.lit(FOLDER_CAVEAT))
        .otherwise(pl.lit(f"{FOLDER_CAVEAT} {UNADJUSTED_CAVEAT}")),
    )
    return _rows(members, source="folder", sector=pl.lit(None, dtype=pl.String))


def yahoo_membership(symbols: Sequence[str], start_month: str, dataset: str) -> pl.DataFrame:
    """Membership of universe ``yahoo``: the configured symbols.

    Parameters
    ----------
    symbols
        Yahoo's spelling.
    start_month
        First month that is fetched, ``YYYY-MM``; membership starts with its first session.
    dataset
        Dataset of the fetched bars.

    Raises
    ------
    SourceError
        A symbol's exchange is not known.
    """
    first = date.fromisoformat(f"{start_month}-01")
    rows = []
    for symbol in dict.fromkeys(symbols):
        listing = listing_of(symbol)
        sessions = session_closes(listing.calendar, first, add_months(first, 1))
        rows.append(
            {
                "universe": "yahoo",
                "symbol": symbol,
                "valid_from": sessions["session"][0],
                "dataset": dataset,
                "calendar": listing.calendar,
                "currency": listing.currency,
                "price_basis": "ohlcv_with_adjusted_close",
                "caveat": YAHOO_CAVEAT,
            }
        )
    return _rows(pl.DataFrame(rows), source="yahoo", sector=pl.lit(None, dtype=pl.String))


def configured_universes(config: TradingConfig) -> dict[str, str]:
    """Setting → universe (or, for the benchmark, symbol) that must have members."""
    return {
        "universe.main": config.universe.main,
        "universe.ohlcv": config.universe.ohlcv,
        "universe.cross_asset": config.universe.cross_asset,
        "universe.benchmark": config.universe.benchmark,
    }


def _first_bars(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.group_by("dataset", "symbol", "currency").agg(
        valid_from=pl.col("ts").min().dt.date(),
        has_adjusted=pl.col("adj_close").is_not_null().any(),
        has_open=pl.col("open").is_not_null().any(),
    )


def _rows(members: pl.DataFrame, *, source: str, sector: pl.Expr) -> pl.DataFrame:
    if members.is_empty():
        return raw.UNIVERSE_MEMBERSHIP.empty()
    return (
        members.with_columns(
            valid_to=pl.lit(None, dtype=pl.Date), source=pl.lit(source), sector=sector
        )
        .select(raw.UNIVERSE_MEMBERSHIP.column_names)
        .sort("universe", "symbol")
    )
