"""The feature store as one wide view: every family at every bar of every length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import KNOWN_AT, SYMBOL, TS, UNIVERSE, text

#: Bar lengths, shortest first.
FREQUENCIES = ("1m", "5m", "15m", "1h", "1d")


def panel_contract(
    daily: Iterable[TableContract], within_a_day: Iterable[TableContract]
) -> TableContract:
    """Contract of ``features.panel``: the columns of all families, by bar.

    Parameters
    ----------
    daily
        Families with a row per daily bar, or per session.
    within_a_day
        Families with a row per shorter bar.
    """
    columns = [
        replace(column, nullable=True)
        for contract in (*daily, *within_a_day)
        for column in contract.columns
        if column.is_float and column.name not in contract.key
    ]
    return TableContract(
        layer="features",
        name="panel",
        description="Every feature known at the end of each bar, one row per universe, symbol, bar length and bar: the daily families at daily bars, those of shorter bars and of ticks at theirs; null where a family has nothing to say. Features of one's own (features.custom_modules) are further columns. A view: it is as new as the families.",
        columns=(
            UNIVERSE,
            SYMBOL,
            text("freq", "Bar length.", allowed=FREQUENCIES),
            TS,
            _KNOWN_AT,
            *columns,
        ),
        key=("universe", "symbol", "freq", "ts"),
        writer="dbt",
        owner="team:research",
        kinds=("duckdb", "dbt"),
    )


_KNOWN_AT = Column(
    KNOWN_AT.name,
    KNOWN_AT.dtype,
    "When the bar, and those behind its features, were known, UTC; not before ts.",
)
