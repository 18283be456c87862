"""Which instrument belongs to which universe.

Belongs here: membership rows out of catalogue, configuration and bars. Does not belong here:
reading files.

A membership starts with the first bar there is and has no end: that a file ends says nothing
about the company.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.config.sources.market import BarsProviderSection
from btq_assets.config.sources.synthetic import SyntheticSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import SourceError
from btq_assets.sources.market.catalogue import ECB_RATES, MARKET_FILES, SECTORS, MarketFile
from btq_assets.sources.market.listing import instruments_of, is_perpetual
from btq_assets.sources.market.sessions import closes_between
from btq_assets.timeline import add_months

YAHOO_CAVEAT = (
    "Prices are split-adjusted as of the fetch and the adjusted close moves with every dividend; "
    "symbols chosen today (survivors); Yahoo's terms allow personal use."
)
FOLDER_CAVEAT = (
    "Dropped in the inbox by a user; origin, licence and adjustment are the user's to know."
)

CRYPTO_CAVEAT = (
    "One venue's trades, around the clock: other venues differ, wash trading is possible, and "
    "delisted coins are missing (survivors). A coin has no splits or dividends: adj_close repeats close."
)
PERPETUAL_CAVEAT = (
    "A perpetual swap: the return of holding it is the price change less the funding paid, which "
    "raw.funding_rates_ccxt holds and no price here contains."
)
ALPHA_VANTAGE_CAVEAT = (
    "Prices as traded, without adjusted close: a dividend or a split looks like a loss; symbols chosen "
    "today (survivors)."
)
DATA_LINK_CAVEAT = "Prices as traded, under the dataset's own licence; WIKI ended on 2018-03-27."
SYNTHETIC_CAVEAT = (
    "SYNTHETIC: generated from a seed, with known truth and planted faults; evidence of nothing."
)
#: Databases of Nasdaq Data Link that have an adjusted close.
_ADJUSTED_DATABASES = ("EOD", "WIKI")

#: Dataset of every bar that came through the folder.
FOLDER_DATASET = "inbox"

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


def folder_membership(files: pl.DataFrame, calendar: str) -> pl.DataFrame:
    """Membership of universe ``folder``: every symbol of the inbox.

    Parameters
    ----------
    files
        Rows of ``raw.folder_files`` for the files that lie in the inbox.
    calendar
        Configured exchange calendar.
    """
    members = (
        files.filter(pl.col("n_bars") > 0)
        .group_by("symbol", "currency")
        .agg(
            valid_from=pl.col("first_ts").min().dt.date(),
            has_adjusted=pl.col("has_adjusted").any(),
            has_open=pl.col("has_open").any(),
        )
    ).with_columns(
        dataset=pl.lit(FOLDER_DATASET),
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


def remote_membership(source: str, section: BarsProviderSection) -> pl.DataFrame:
    """Membership of a remote provider's universe: the configured instruments.

    Parameters
    ----------
    source
        Provider, as in ``raw.bars_<source>``.
    section
        Its settings: symbols, universe, first month or day that is fetched. Membership starts with
        the first session from then on.

    Raises
    ------
    SourceError
        A symbol cannot be one of the provider's, or its exchange is not known.
    """
    start = getattr(section, "start_month", None)
    first = date.fromisoformat(f"{start}-01" if start else section.start_day)  # type: ignore[attr-defined]
    facts = _REMOTE_FACTS[source]
    rows = []
    for one in instruments_of(source, section):
        sessions = closes_between(one.listing.calendar, first, add_months(first, 1))
        basis, caveat = facts.basis(one.asked_as)
        rows.append(
            {
                "universe": section.universe,
                "symbol": one.symbol,
                "valid_from": sessions.filter(pl.col("session") >= first)["session"][0],
                "dataset": facts.dataset(section, one.asked_as),
                "calendar": one.listing.calendar,
                "currency": one.listing.currency,
                "price_basis": basis,
                "caveat": caveat,
            }
        )
    return _rows(pl.DataFrame(rows), source=source, sector=pl.lit(None, dtype=pl.String))


def synthetic_membership(section: SyntheticSourceSection) -> pl.DataFrame:
    """Membership of universe ``synthetic``: every generated instrument.

    Parameters
    ----------
    section
        Settings of the generated market.
    """
    members = pl.DataFrame({"symbol": raw.synthetic_symbols(section.n_symbols)}).with_columns(
        universe=pl.lit(raw.SYNTHETIC_UNIVERSE),
        valid_from=pl.lit(date.fromisoformat(section.first_day)),
        dataset=pl.lit(raw.SYNTHETIC_DATASET),
        calendar=pl.lit(raw.SYNTHETIC_CALENDAR),
        currency=pl.lit(raw.SYNTHETIC_CURRENCY),
        price_basis=pl.lit("ohlcv_with_adjusted_close"),
        caveat=pl.lit(SYNTHETIC_CAVEAT),
    )
    return _rows(members, source=raw.SYNTHETIC_SOURCE, sector=pl.lit(None, dtype=pl.String))


def all_members(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Memberships of all sources in one table.

    Raises
    ------
    SourceError
        Two sources have a member of one name in one universe: their bars would be mixed.
    """
    members = pl.concat([raw.UNIVERSE_MEMBERSHIP.empty(), *parts])
    shared = (
        members.group_by("universe", "symbol")
        .agg(pl.col("source").unique().sort())
        .filter(pl.col("source").list.len() > 1)
        .sort("universe", "symbol")
    )
    if shared.height:
        universe, symbol, sources = shared.row(0)
        raise SourceError(
            f"{symbol!r} is in universe {universe!r} twice, from {' and '.join(sources)}: set another "
            f"sources.{sources[-1]}.universe, or give it another name in sources.{sources[-1]}.symbols"
        )
    return members


@dataclass(frozen=True)
class _RemoteFacts:
    """Dataset of an instrument's rows; what its prices are, and what to know first."""

    dataset: Callable[[Any, str], str]
    basis: Callable[[str], tuple[str, str]]


def _data_link_basis(code: str) -> tuple[str, str]:
    if code.partition("/")[0] in _ADJUSTED_DATABASES:
        return "ohlcv_with_adjusted_close", DATA_LINK_CAVEAT
    return "unadjusted", f"{DATA_LINK_CAVEAT} {UNADJUSTED_CAVEAT}"


def _ccxt_basis(symbol: str) -> tuple[str, str]:
    if is_perpetual(symbol):
        return "unadjusted", PERPETUAL_CAVEAT
    return "ohlcv_with_adjusted_close", CRYPTO_CAVEAT


_REMOTE_FACTS = {
    "yahoo": _RemoteFacts(
        lambda section, symbol: "yahoo_chart",
        lambda symbol: ("ohlcv_with_adjusted_close", YAHOO_CAVEAT),
    ),
    "binance": _RemoteFacts(
        lambda section, symbol: "binance_spot",
        lambda symbol: ("ohlcv_with_adjusted_close", CRYPTO_CAVEAT),
    ),
    "ccxt": _RemoteFacts(lambda section, symbol: f"ccxt_{section.exchange}", _ccxt_basis),
    "alpha_vantage": _RemoteFacts(
        lambda section, symbol: "alpha_vantage",
        lambda symbol: ("unadjusted", ALPHA_VANTAGE_CAVEAT),
    ),
    "nasdaq_data_link": _RemoteFacts(
        lambda section, code: code.partition("/")[0], _data_link_basis
    ),
    "ecb": _RemoteFacts(
        lambda section, currency: "ecb_reference_rates_web",
        lambda currency: ("reference_rate", ECB_RATES.caveat),
    ),
}

#: Remote providers whose instruments have a universe.
REMOTE_SOURCES = tuple(_REMOTE_FACTS)


def configured_universes(config: TradingConfig) -> dict[str, str]:
    """Setting → universe (or, for the benchmark, symbol) that must have members."""
    return {
        "universe.main": config.universe.main,
        "universe.ohlcv": config.universe.ohlcv,
        "universe.cross_asset": config.universe.cross_asset,
        "universe.benchmark": config.universe.benchmark,
    }


def intruders(members: pl.DataFrame) -> pl.DataFrame:
    """Generated instruments outside universe ``synthetic``, and others inside it."""
    generated = pl.col("source") == raw.SYNTHETIC_SOURCE
    return members.filter(generated != (pl.col("universe") == raw.SYNTHETIC_UNIVERSE))


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
