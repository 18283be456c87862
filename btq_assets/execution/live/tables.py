"""Journals as the tables of `execution`.

Belongs here: from records to `execution.orders`, `execution.fills`, `execution.account`. Does not
belong here: storing them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from btq_assets.contracts import execution_live as contracts
from btq_assets.execution.live.journal import read_journal
from btq_assets.execution.live.recovery import moment, remember
from btq_assets.execution.live.settings import LiveError
from btq_assets.execution.orders import Order


def journal_tables(path: Path, universe: str, mode: str = "paper") -> dict[str, pl.DataFrame]:
    """Orders, fills and account of one journal, by ``schema.table``; empty without a file.

    Parameters
    ----------
    path
        ``engine.journal``; another process may be writing it.
    universe
        Fills no column: it only names the account's universe.
    mode
        ``paper`` or ``replay``.
    """
    records = read_journal(path)
    memory = remember(records)
    account = str(memory.started.get("account", ""))
    strategy = str(memory.started.get("strategy", ""))
    head = {"mode": mode, "account": account, "strategy": strategy, "universe": universe}
    orders = [_order(order, head) for order in memory.orders.values()]
    fills = [row for order in memory.orders.values() for row in _fills(order, head)]
    states = [_account(record, head) for record in records if record["kind"] == "bar"]
    return {
        contracts.ORDERS.table: _frame(orders, contracts.ORDERS.schema),
        contracts.FILLS.table: _frame(fills, contracts.FILLS.schema),
        contracts.ACCOUNT.table: _frame(states, contracts.ACCOUNT.schema),
    }


def journals(folder: Path) -> dict[str, Path]:
    """Journal of every paper account below a folder, by the account's folder."""
    return {file.parent.name: file for file in sorted(Path(folder).glob("*/engine.journal"))}


def all_accounts(folder: Path, universe: str) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """The tables of all accounts below a folder, and their names.

    Raises
    ------
    LiveError
        Two folders hold the same account.
    """
    found = {name: journal_tables(path, universe) for name, path in journals(folder).items()}
    names = [
        account
        for tables in found.values()
        for account in tables[contracts.ACCOUNT.table]["account"].unique().to_list()
    ]
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise LiveError(
            f"account(s) {again} are in two folders below {folder}; give each loop an account of "
            "its own (LiveSettings.account)"
        )
    frames = {
        contract.table: pl.concat(
            [pl.DataFrame(schema=contract.schema), *(t[contract.table] for t in found.values())]
        )
        for contract in (contracts.ORDERS, contracts.FILLS, contracts.ACCOUNT)
    }
    return frames, list(found)


def _frame(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def _order(order: Order, head: dict[str, str]) -> dict[str, Any]:
    terms = order.terms
    return {
        **head,
        "client_id": order.client_id,
        "parent_id": terms.parent_id,
        "venue": terms.venue,
        "symbol": terms.symbol,
        "decided_at": moment(terms.decided_at),
        "kind": terms.kind.name.lower(),
        "quantity": terms.quantity,
        "reference_price": terms.reference_price,
        "state": order.state.value,
        "filled": order.filled,
        "average_price": order.average_price,
        "cost": order.cost,
        "reason": order.reason,
        "updated_at": moment(order.updated_at),
    }


def _fills(order: Order, head: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            **head,
            "client_id": order.client_id,
            "fill_id": fill.fill_id,
            "venue": fill.venue,
            "symbol": order.terms.symbol,
            "filled_at": moment(fill.at),
            "quantity": fill.quantity,
            "price": fill.price,
            "commission": fill.commission,
            "spread_cost": fill.spread,
            "slippage_cost": fill.slippage,
            "impact_cost": fill.impact,
            "liquidity": fill.liquidity,
        }
        for fill in order.fills
    ]


def _account(record: dict[str, Any], head: dict[str, str]) -> dict[str, Any]:
    return {
        **head,
        "ts": moment(record["time"]),
        "equity": record["equity"],
        "cash": record["cash"],
        "net": record["net"],
        "gross": record["gross"],
        "stopped": record["why"],
    }
