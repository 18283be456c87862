"""Raw tables of the live stream: trades, best quotes, book changes, gaps, and the files behind them.

A streamed row is an event with a number of its own and is never revised, so the key is that number
and not ``known_at``: what an exchange sends twice is stored once.
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    KNOWN_AT_BASIS,
    SYMBOL,
    TS,
    count,
    flag,
    number,
    stamp,
    text,
)

STREAM_KINDS = ("trades", "quotes", "book")
GAP_REASONS = ("missing_ids", "disconnected", "out_of_sync")
GAP_OUTCOMES = ("backfilled", "resynced", "lost")
#: How a trade came: live, asked for later to fill a gap, or made by the generator.
TRADE_WAYS = ("stream", "backfill", "generated")

_DATASET = text("dataset", "Exchange and market the stream is of; SYNTHETIC where generated.")
_RECEIVED_AT = stamp("received_at", "Reading of the recorder's clock when the message came.")
_KNOWN_BEFORE = RowRule("known before it happened", pl.col("known_at") < pl.col("ts"))


def trades_contract(provider: str, description: str) -> TableContract:
    """Contract of ``raw.trades_<provider>``: one row per trade."""
    return TableContract(
        layer="raw",
        name=f"trades_{provider}",
        description=description,
        columns=(
            _DATASET,
            SYMBOL,
            count("trade_id", "Number of the trade at the exchange, consecutive within a symbol."),
            TS,
            KNOWN_AT,
            KNOWN_AT_BASIS,
            _RECEIVED_AT,
            number(
                "price", "Price of the trade.", nullable=False, minimum=0, exclusive_minimum=True
            ),
            number("quantity", "Units traded.", nullable=False, minimum=0, exclusive_minimum=True),
            flag(
                "buyer_is_maker",
                "Whether the buyer's order rested in the book, so that a seller hit it; null where not said.",
                nullable=True,
            ),
            text("via", "How the row came.", allowed=TRADE_WAYS),
        ),
        key=("dataset", "symbol", "trade_id"),
        append_only=True,
        rules=(_KNOWN_BEFORE,),
        # A row the exchange garbled must not hold back the others; it is in quarantine.
        max_rejected_fraction=1.0,
        owner="team:data",
    )


def quotes_contract(provider: str, description: str) -> TableContract:
    """Contract of ``raw.quotes_<provider>``: best bid and ask at each change."""
    return TableContract(
        layer="raw",
        name=f"quotes_{provider}",
        description=description,
        columns=(
            _DATASET,
            SYMBOL,
            count("update_id", "Number of the book's state at the exchange."),
            TS,
            KNOWN_AT,
            KNOWN_AT_BASIS,
            _RECEIVED_AT,
            number("bid_price", "Best bid.", nullable=False, minimum=0, exclusive_minimum=True),
            number("bid_quantity", "Units bid at it.", nullable=False, minimum=0),
            number("ask_price", "Best ask.", nullable=False, minimum=0, exclusive_minimum=True),
            number("ask_quantity", "Units offered at it.", nullable=False, minimum=0),
        ),
        key=("dataset", "symbol", "update_id"),
        append_only=True,
        # A bid above the ask is stored as it came: `quotes_are_not_crossed` shows it, core leaves it out.
        rules=(_KNOWN_BEFORE,),
        max_rejected_fraction=1.0,
        owner="team:data",
    )


def book_contract(provider: str, description: str) -> TableContract:
    """Contract of ``raw.book_<provider>``: snapshots and changes, one row per level."""
    return TableContract(
        layer="raw",
        name=f"book_{provider}",
        description=description,
        columns=(
            _DATASET,
            SYMBOL,
            count("update_id", "Last update the row's message contains."),
            text("kind", "A whole book, or changes to it.", allowed=("snapshot", "change")),
            text("side", "Side of the level.", allowed=("bid", "ask")),
            number(
                "price", "Price of the level.", nullable=False, minimum=0, exclusive_minimum=True
            ),
            count("first_update_id", "First update the row's message contains."),
            TS,
            KNOWN_AT,
            KNOWN_AT_BASIS,
            _RECEIVED_AT,
            number(
                "quantity", "Units at the level from now on; zero: gone.", nullable=False, minimum=0
            ),
        ),
        key=("dataset", "symbol", "update_id", "kind", "side", "price"),
        append_only=True,
        rules=(_KNOWN_BEFORE,),
        max_rejected_fraction=1.0,
        owner="team:data",
    )


TRADES_STREAM = trades_contract(
    "stream", "Trades as an exchange's public stream gave them, each once."
)
QUOTES_STREAM = quotes_contract(
    "stream", "Best bid and ask at each change, as an exchange's public stream gave them."
)
BOOK_STREAM = book_contract(
    "stream", "Order book as snapshots and the changes after them, one row per level that changed."
)

STREAM_GAPS = TableContract(
    layer="raw",
    name="stream_gaps",
    description="Where a stream has holes, why, and what became of them.",
    columns=(
        _DATASET,
        text("stream", "Stream with the hole.", allowed=STREAM_KINDS),
        SYMBOL,
        stamp("ts", "When the hole was noticed, UTC."),
        text("reason", "What was noticed.", allowed=GAP_REASONS),
        count("part", "Position among the holes of one symbol that were noticed at once."),
        text("outcome", "What became of it.", allowed=GAP_OUTCOMES),
        count(
            "first_missing", "First number missing, where numbers are consecutive.", nullable=True
        ),
        count("last_missing", "Last number missing.", nullable=True),
        stamp("dark_since", "Last message before the hole; null at the start.", nullable=True),
    ),
    key=("dataset", "stream", "symbol", "ts", "reason", "part"),
    append_only=True,
    max_rejected_fraction=1.0,
    owner="team:data",
)

STREAM_FILES = TableContract(
    layer="raw",
    name="stream_files",
    description="Files of the stream's inbox whose rows are stored, or that could not be read.",
    columns=(
        text("file", "Path below the inbox: stream and file name."),
        stamp("ts", "When its rows were committed, UTC."),
        text("status", "What became of it.", allowed=("stored", "broken")),
        text("reason", "Why it could not be read.", nullable=True),
        count("n_rows", "Rows in the file."),
        count("n_bytes", "Size of the file."),
    ),
    key=("ts", "file"),
    append_only=True,
    owner="team:data",
)
