"""The catalogue of all features."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import count, flag, text

#: Kinds of data a feature may read, from what every symbol has to what few have.
REQUIREMENTS = (
    "calendar",
    "close",
    "ohlcv",
    "intraday",
    "trades",
    "quotes",
    "book",
    "macro",
    "documents",
    "options",
    "dark_pool",
    "onchain",
)

CATALOGUE = TableContract(
    layer="features",
    name="catalogue",
    description="Every feature: what it is, where it comes from, what it needs.",
    columns=(
        text("name", "Column name; unique over all families."),
        text("family", "Family, the name of the table."),
        text("formula", "Definition one can recompute by hand."),
        text("source", "Author, year and equation, or own definition."),
        text("unit", "Unit of the value."),
        count(
            "lookback_sessions",
            "Sessions of history before the first value; longer memories decay.",
        ),
        text(
            "requires",
            "Richest kind of data it reads; null by contract where a symbol has none of it.",
            allowed=REQUIREMENTS,
        ),
        text("needs", "Input columns, comma separated."),
        flag(
            "recursive",
            "Whether all earlier values carry on, with weights that fade; else the look-back is all.",
        ),
        flag("scale_invariant", "Whether scaling a symbol's adjusted history changes nothing."),
        flag("enabled", "Whether the configuration has it switched on."),
    ),
    key=("name",),
)
