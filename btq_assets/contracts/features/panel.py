"""The feature store as one wide view: every family at every daily bar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE, text


def panel_contract(families: Iterable[TableContract]) -> TableContract:
    """Contract of ``features.panel``: the columns of all `families`, by bar."""
    columns = [
        replace(column, nullable=True)
        for contract in families
        for column in contract.columns
        if column.is_float and column.name not in contract.key
    ]
    return TableContract(
        layer="features",
        name="panel",
        description="Every feature known at the end of each daily bar, one row per universe, symbol and bar; null where a family has nothing to say. A view: it is as new as the families.",
        columns=(UNIVERSE, SYMBOL, TS, text("freq", "Bar length.", allowed=("1d",)), *columns),
        key=("universe", "symbol", "ts"),
        writer="dbt",
        owner="team:research",
        kinds=("duckdb", "dbt"),
    )
