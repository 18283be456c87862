"""Core views of ticks, built by dbt: trades, best quotes, and the order book.

They are views: ticks are many and never revised, so nothing is copied, and a view shows what the
recorder committed a moment ago.
"""

from __future__ import annotations

from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    SYMBOL,
    TS,
    count,
    number,
    stamp,
    text,
)
from btq_assets.contracts.raw.stream import TRADE_WAYS

#: Levels of each side that `core.book_depth` shows.
DEPTH_LEVELS = 10

_UNIVERSE = text(
    "universe", "Universe of the instrument; the dataset's name where it is a member of none."
)
_WHERE_FROM = (
    _UNIVERSE,
    SYMBOL,
    TS,
    KNOWN_AT,
    text("source", "Raw table without its prefix: stream, synthetic."),
    text("dataset", "Exchange and market; SYNTHETIC where generated."),
)
_SERIES = ("universe", "source", "dataset", "symbol")
_SIDE = text("side", "Side of the level.", allowed=("bid", "ask"))
_LEVEL_PRICE = number(
    "price", "Price of the level.", nullable=False, minimum=0, exclusive_minimum=True
)


def _view(name: str, description: str, columns: tuple[Column, ...], *key: str) -> TableContract:
    return TableContract(
        layer="core",
        name=name,
        description=description,
        columns=(*_WHERE_FROM, *columns),
        key=(*_SERIES, *key),
        writer="dbt",
        owner="team:data",
        kinds=("duckdb", "dbt"),
    )


TRADES = _view(
    "trades",
    "Trades of every source of ticks, each once, with the side that crossed the spread.",
    (
        count("trade_id", "Number of the trade at the exchange."),
        number("price", "Price of the trade.", nullable=False, minimum=0, exclusive_minimum=True),
        number("quantity", "Units traded.", nullable=False, minimum=0, exclusive_minimum=True),
        text(
            "aggressor",
            "Who crossed the spread: the seller where the buyer's order rested; null where not said.",
            nullable=True,
            allowed=("buyer", "seller"),
        ),
        text("via", "How the row came.", allowed=TRADE_WAYS),
    ),
    "trade_id",
)

QUOTES = _view(
    "quotes",
    "Best bid and ask of every source of ticks at each change; crossed ones are left out.",
    (
        count("update_id", "Number of the book's state at the exchange."),
        number("bid_price", "Best bid.", nullable=False, minimum=0, exclusive_minimum=True),
        number("bid_quantity", "Units bid at it.", nullable=False, minimum=0),
        number("ask_price", "Best ask.", nullable=False, minimum=0, exclusive_minimum=True),
        number("ask_quantity", "Units offered at it.", nullable=False, minimum=0),
        number("mid_price", "Mean of both.", nullable=False, minimum=0, exclusive_minimum=True),
        number("spread_bps", "Spread over the mid price, in 1/10,000.", nullable=False, minimum=0),
    ),
    "update_id",
)

BOOK_CHANGES = _view(
    "book_changes",
    "Order books of every source of ticks: snapshots, and the levels that changed after them. core.book_as_of(time, levels) puts them together.",
    (
        count("update_id", "Last update the row's message contains."),
        count("first_update_id", "First update the row's message contains."),
        text("kind", "A whole book, or changes to it.", allowed=("snapshot", "change")),
        _SIDE,
        _LEVEL_PRICE,
        number(
            "quantity", "Units at the level from now on; zero: gone.", nullable=False, minimum=0
        ),
        stamp("received_at", "Reading of the recorder's clock when the message came."),
    ),
    "update_id",
    "kind",
    "side",
    "price",
)

BOOK_DEPTH = _view(
    "book_depth",
    f"The best {DEPTH_LEVELS} levels of each side of every snapshot of a book. Between snapshots ask core.book_as_of(time, levels).",
    (
        count("update_id", "Last update the snapshot contains."),
        _SIDE,
        count("level", "Position on its side, best first.", minimum=1),
        _LEVEL_PRICE,
        number("quantity", "Units at the level.", nullable=False, minimum=0),
        number(
            "cumulative_quantity",
            "Units at this level and the better ones.",
            nullable=False,
            minimum=0,
        ),
    ),
    "update_id",
    "side",
    "level",
)

TRADE_BARS_1M = TableContract(
    layer="core",
    name="trade_bars_1m",
    description="One-minute bars made of trades, whole minutes only: over, begun after the recording, and without a trade that is lost.",
    columns=(
        *_WHERE_FROM,
        *(
            number(name, meaning, nullable=False, minimum=0, exclusive_minimum=True)
            for name, meaning in (
                ("open", "First price."),
                ("high", "Highest price."),
                ("low", "Lowest price."),
                ("close", "Last price."),
                ("volume", "Units traded."),
                ("vwap", "Mean price weighted by quantity."),
            )
        ),
        number(
            "bought_volume",
            "Units for which the buyer crossed the spread; null where some trade does not say.",
            minimum=0,
        ),
        count("n_trades", "Trades in the minute.", minimum=1),
    ),
    key=(*_SERIES, "ts"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

#: Views of ticks; absent where no source of ticks is enabled.
TICKS = (TRADES, QUOTES, BOOK_CHANGES, BOOK_DEPTH, TRADE_BARS_1M)
