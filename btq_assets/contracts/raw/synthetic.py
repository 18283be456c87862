"""Raw tables of the generated market: they say SYNTHETIC wherever they are described.

Belongs here: the tables, and the names by which a generated row is known everywhere. Does not
belong here: how rows are generated.

Generated rows are not observed: other settings replace them, so that a table is a function of the
configuration and not of earlier runs.
"""

from __future__ import annotations

import dataclasses

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import SYMBOL, number, stamp, text
from btq_assets.contracts.raw.alternative import onchain_contract, option_quotes_contract
from btq_assets.contracts.raw.market import bars_contract
from btq_assets.contracts.raw.sentiment import documents_contract
from btq_assets.contracts.raw.stream import book_contract, quotes_contract, trades_contract

#: Name of the source, as in ``raw.bars_<source>``.
SYNTHETIC_SOURCE = "synthetic"
#: Dataset of every generated row; nothing generated goes without the word.
SYNTHETIC_DATASET = "SYNTHETIC_market"
#: The only universe that generated instruments belong to, and that no other one may enter.
SYNTHETIC_UNIVERSE = "synthetic"
#: Weekdays without holidays, as the generated exchange keeps them.
SYNTHETIC_CALENDAR = "24/5"
SYNTHETIC_CURRENCY = "USD"

PLANTS = (
    "edge",
    "regime_volatility",
    "regime_correlation",
    "outage",
    "hundredfold",
    "zero",
    "duplicate",
    "out_of_order",
    "clock_skew",
    "missed_split",
    "news_tone",
    "news_drift",
    "option_surface",
)


def synthetic_symbols(n_symbols: int) -> tuple[str, ...]:
    """Names of the generated instruments."""
    return tuple(f"SYN{place:03d}" for place in range(1, n_symbols + 1))


def _generated(contract: TableContract) -> TableContract:
    """The same columns, replaced as a whole, without tolerance for impossible rows."""
    return dataclasses.replace(contract, append_only=False, max_rejected_fraction=0.0)


# Bars alone hold planted faults, which the contract refuses row by row.
BARS_SYNTHETIC = dataclasses.replace(
    bars_contract(
        SYNTHETIC_SOURCE,
        "SYNTHETIC bars of a generated market with known truth, of one minute and of a session; "
        "faults may be planted.",
    ),
    append_only=False,
)
TRADES_SYNTHETIC = _generated(
    trades_contract(
        SYNTHETIC_SOURCE,
        "SYNTHETIC trades of a generated market: they add up to its one-minute bars exactly.",
    )
)
QUOTES_SYNTHETIC = _generated(
    quotes_contract(
        SYNTHETIC_SOURCE,
        "SYNTHETIC best bids and offers of a generated market; every trade prints at one of them.",
    )
)
BOOK_SYNTHETIC = _generated(
    book_contract(
        SYNTHETIC_SOURCE,
        "SYNTHETIC order book of a generated market, a snapshot and the changes after it.",
    )
)
OPTION_QUOTES_SYNTHETIC = _generated(
    option_quotes_contract(
        SYNTHETIC_SOURCE,
        "SYNTHETIC option quotes from a known volatility surface free of static arbitrage.",
    )
)
ONCHAIN_SYNTHETIC = _generated(
    onchain_contract(
        SYNTHETIC_SOURCE,
        "SYNTHETIC daily activity metrics of a generated market; they follow the volume of their "
        "own day and tell of no later return.",
    )
)
DOCUMENTS_SYNTHETIC = documents_contract(
    SYNTHETIC_SOURCE,
    "SYNTHETIC headlines about generated instruments; they move prices only where that is planted.",
    generated=True,
)

SYNTHETIC_TRUTH = TableContract(
    layer="raw",
    name="synthetic_truth",
    description="SYNTHETIC: what was planted in the generated market, where, when and how large. "
    "For tests and reports alone; nothing computed may read it.",
    columns=(
        text("dataset", "Dataset of the generated rows."),
        text("plant", "What was planted.", allowed=PLANTS),
        text("table_name", "Table in which it can be found."),
        SYMBOL,
        stamp("from_ts", "Time of the first row concerned, UTC."),
        stamp("to_ts", "Time of the last row concerned, UTC."),
        text("item", "Column, document or parameter concerned."),
        number("size", "How large it is, in `unit`.", nullable=False),
        text("unit", "Unit of the size."),
        number("true_value", "What would have come; null where no single value was changed."),
        number("planted_value", "What came instead; null where nothing came."),
    ),
    key=("plant", "table_name", "symbol", "from_ts", "item"),
    rules=(RowRule("ends before it starts", pl.col("to_ts") < pl.col("from_ts")),),
    owner="team:data",
)

#: What ``sources.synthetic`` can be asked for, by the name of its switch.
SYNTHETIC_KINDS = {
    "bars": (BARS_SYNTHETIC,),
    "ticks": (TRADES_SYNTHETIC, QUOTES_SYNTHETIC, BOOK_SYNTHETIC),
    "options": (OPTION_QUOTES_SYNTHETIC,),
    "onchain": (ONCHAIN_SYNTHETIC,),
    "news": (DOCUMENTS_SYNTHETIC,),
}
