"""Raw bars, corporate actions, funding rates and universe membership."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    KNOWN_AT_BASIS,
    SYMBOL,
    TS,
    UNIVERSE,
    count,
    day,
    flag,
    number,
    stamp,
    text,
)

FREQUENCIES = ("1m", "5m", "15m", "1h", "1d")

BAR_RULES = (
    RowRule("high < low", pl.col("high") < pl.col("low")),
    RowRule(
        "high does not enclose open and close",
        pl.max_horizontal("open", "close") > pl.col("high") * (1 + 1e-9),
    ),
    RowRule(
        "low does not enclose open and close",
        pl.min_horizontal("open", "close") < pl.col("low") * (1 - 1e-9),
    ),
    RowRule("no price at all", pl.col("close").is_null() & pl.col("adj_close").is_null()),
    RowRule("known before the bar ended", pl.col("known_at") < pl.col("ts")),
)


def bars_contract(
    source: str,
    description: str,
    *,
    slice_by: str | None = None,
    max_rejected_fraction: float = 0.05,
) -> TableContract:
    """Contract of ``raw.bars_<source>``: one row per dataset, symbol, frequency, bar and vintage."""
    return TableContract(
        layer="raw",
        name=f"bars_{source}",
        description=description,
        columns=(
            text("dataset", "File or provider series the row came from."),
            SYMBOL,
            text("freq", "Bar length.", allowed=FREQUENCIES),
            TS,
            KNOWN_AT,
            KNOWN_AT_BASIS,
            number(
                "open",
                "First price of the bar; null where the source has none.",
                minimum=0,
                exclusive_minimum=True,
            ),
            number(
                "high",
                "Highest price of the bar; null where the source has none.",
                minimum=0,
                exclusive_minimum=True,
            ),
            number(
                "low",
                "Lowest price of the bar; null where the source has none.",
                minimum=0,
                exclusive_minimum=True,
            ),
            number(
                "close",
                "Last price of the bar as traded or split-adjusted by the source; null for adjusted-only series.",
                minimum=0,
                exclusive_minimum=True,
            ),
            number(
                "adj_close",
                "Last price adjusted for splits and dividends; null where the source has none.",
                minimum=0,
                exclusive_minimum=True,
            ),
            number("volume", "Units traded in the bar; null where the source has none.", minimum=0),
            text("currency", "Currency of the prices."),
        ),
        key=("dataset", "symbol", "freq", "ts", "known_at"),
        append_only=True,
        slice_by=slice_by,
        rules=BAR_RULES,
        max_rejected_fraction=max_rejected_fraction,
        owner="team:data",
    )


BARS_SAMPLE = bars_contract(
    "sample", "Daily bars that ship inside Python packages, each file pinned by sha256."
)
# People drop anything: one bad file must not hold back the good ones, so refused rows do not refuse
# the commit. They are in quarantine, and `inbox_readable` shows them.
BARS_FOLDER = bars_contract(
    "folder",
    "Bars read from CSV, JSON lines and Parquet files dropped in the inbox folder.",
    max_rejected_fraction=1.0,
)
BARS_YAHOO = bars_contract(
    "yahoo", "Daily bars fetched from Yahoo Finance, one month per partition."
)
BARS_BINANCE = bars_contract(
    "binance", "Spot bars from Binance's public klines, one month per partition."
)
BARS_CCXT = bars_contract(
    "ccxt", "Spot and perpetual bars of a crypto exchange through ccxt, one month per partition."
)
BARS_ALPHA_VANTAGE = bars_contract(
    "alpha_vantage",
    "Bars as traded, from Alpha Vantage; adjusted closes beside them on a paid plan only.",
)
BARS_NASDAQ_DATA_LINK = bars_contract(
    "nasdaq_data_link", "Bars of time-series datasets of Nasdaq Data Link, such as WIKI."
)
BARS_ECB = bars_contract(
    "ecb", "Euro reference rates of the European Central Bank, fetched from its website."
)

FOLDER_FILES = TableContract(
    layer="raw",
    name="folder_files",
    description="Every file of the inbox folder that was read to its end, and what was in it.",
    columns=(
        text("file", "Name of the file."),
        text("mark", "Hash of its size, time, edges and of the settings it was read with."),
        SYMBOL,
        text("currency", "Currency of the bars; empty where none could be read."),
        count("n_bars", "Bars read, those the contract refuses included."),
        count("n_refused", "Lines of the whole file that could not be read."),
        stamp("first_ts", "End of the first bar; null where none could be read.", nullable=True),
        stamp("last_ts", "End of the last bar; null where none could be read.", nullable=True),
        flag("has_adjusted", "Whether some bar has an adjusted close."),
        flag("has_open", "Whether some bar has an open."),
        stamp("read_at", "When it was read, UTC."),
    ),
    key=("file", "mark", "symbol", "currency"),
    writer="ledger",
    owner="team:data",
)

UNIVERSE_MEMBERSHIP = TableContract(
    layer="raw",
    name="universe_membership",
    description="Which instrument belongs to which universe, from when, and where its bars come from.",
    columns=(
        UNIVERSE,
        SYMBOL,
        day("valid_from", "First session of membership."),
        day("valid_to", "Last session of membership; null while still a member.", nullable=True),
        text("source", "Name of the raw bars table without its prefix."),
        text("dataset", "Dataset within the raw bars table."),
        text("calendar", "Exchange calendar code."),
        text("currency", "Currency of the prices."),
        text(
            "price_basis",
            "What the source offers: adjusted close only, OHLCV with or without adjusted close, a reference rate, or an index level.",
            allowed=(
                "adjusted_close_only",
                "ohlcv_with_adjusted_close",
                "unadjusted",
                "reference_rate",
                "price_index",
            ),
        ),
        text("sector", "Sector, where known.", nullable=True),
        text("caveat", "What a reader must know before trusting a result on this instrument."),
    ),
    key=("universe", "symbol", "valid_from"),
    owner="team:data",
)


def corporate_actions_contract(source: str) -> TableContract:
    """Contract of ``raw.corporate_actions_<source>``: splits and dividends as announced."""
    return TableContract(
        layer="raw",
        name=f"corporate_actions_{source}",
        description=f"Splits and cash dividends as {source} reports them; every vintage is a row.",
        columns=(
            text("dataset", "Provider series the row came from, as in the bars it belongs to."),
            SYMBOL,
            day("ex_date", "First session without the right: the price adjusts at its open."),
            text("kind", "What happened.", allowed=("split", "dividend")),
            KNOWN_AT,
            KNOWN_AT_BASIS,
            number(
                "value",
                "Shares after for one before (split), or cash per share on ex_date, in the shares that basis names (dividend).",
                minimum=0,
                exclusive_minimum=True,
                nullable=False,
            ),
            text("currency", "Currency of a dividend."),
            text(
                "basis",
                "as_traded: prices and dividends of the dataset are those of the day, so a split has to be adjusted for; split_adjusted: the source has restated both for every later split, so adjusting for a split again would count it twice.",
                allowed=("as_traded", "split_adjusted"),
            ),
        ),
        key=("dataset", "symbol", "ex_date", "kind", "known_at"),
        append_only=True,
        max_rejected_fraction=0.05,
        owner="team:data",
    )


def funding_contract(source: str) -> TableContract:
    """Contract of ``raw.funding_rates_<source>``: what longs paid shorts of a perpetual."""
    return TableContract(
        layer="raw",
        name=f"funding_rates_{source}",
        description=f"Funding rates of perpetual swaps from {source}.",
        columns=(
            text("dataset", "Exchange the row came from."),
            SYMBOL,
            TS,
            KNOWN_AT,
            KNOWN_AT_BASIS,
            number(
                "funding_rate",
                "Paid by longs to shorts at ts, fraction of the position's value per interval.",
                nullable=False,
            ),
            number(
                "interval_hours",
                "Hours between fundings as stated, else since the one before; null for the first and after a hole.",
                minimum=0,
            ),
        ),
        key=("dataset", "symbol", "ts", "known_at"),
        append_only=True,
        max_rejected_fraction=0.05,
        owner="team:data",
    )


CORPORATE_ACTIONS_ALPHA_VANTAGE = corporate_actions_contract("alpha_vantage")
CORPORATE_ACTIONS_YAHOO = corporate_actions_contract("yahoo")
CORPORATE_ACTIONS_NASDAQ_DATA_LINK = corporate_actions_contract("nasdaq_data_link")
FUNDING_RATES_CCXT = funding_contract("ccxt")
