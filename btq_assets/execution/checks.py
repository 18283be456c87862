"""Blocking checks of `execution.transaction_costs`, made on the rows about to be written.

Belongs here: what must hold between orders, bars and the analysis. Does not belong here: structure
(the contract).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.execution.cost_analysis import PARTS, transaction_costs

#: Largest gap between the whole and its parts, as a share of the value traded.
IDENTITY_TOLERANCE = 1e-9

#: By how much the not-hollow check raises one price.
PRICE_CHANGE = 0.01


def _whole(context: CheckContext) -> pl.DataFrame:
    """Paid less paper of every order, from fills, unfilled orders and bars alone."""
    closes = context.inputs["bars"].select("universe", "symbol", "ts", "adj_close")
    key = ["run_id", "symbol", "decided_at"]
    fills = context.inputs["trades"].filter(pl.col("reason") == "rebalance")
    missed = context.inputs["unfilled"].select(*key, "ended_at", "unfilled_shares", "horizon_at")
    orders = fills.join(missed, on=key, how="full", coalesce=True).join(
        context.inputs["runs"].select("run_id", "universe"), on="run_id"
    )
    for time, price in (("decided_at", "_decision"), ("horizon_at", "_horizon")):
        there = closes.select("universe", "symbol", pl.col("ts").alias(time), _close="adj_close")
        orders = orders.join(
            there.rename({"_close": price}), on=["universe", "symbol", time], how="left"
        )
    shares = pl.col("shares").fill_null(0.0)
    paid = shares * pl.col("price").fill_null(0.0) + pl.sum_horizontal(
        pl.col("commission", "spread_cost", "impact_cost").fill_null(0.0)
    )
    opportunity = pl.col("unfilled_shares") * (pl.col("_horizon") - pl.col("_decision"))
    return orders.select(
        "run_id",
        "symbol",
        filled_at=pl.coalesce("filled_at", "ended_at"),
        _whole=paid - shares * pl.col("_decision") + opportunity.fill_null(0.0),
        _opportunity=pl.when(pl.col("horizon_at").is_null()).then(0.0).otherwise(opportunity),
    )


def _parts_sum(context: CheckContext) -> CheckOutcome:
    """The whole from orders and bars alone: what was paid less the paper portfolio."""
    parts = pl.sum_horizontal(pl.col(name).fill_null(0.0) for name in PARTS)
    missed = (pl.col("unfilled_shares").abs() * pl.col("decision_price")).fill_null(0.0)
    size = pl.col("value") + missed

    def gap(one: pl.Expr, other: pl.Expr) -> pl.Expr:
        off = (one - other).abs()
        return pl.when(off == 0).then(0.0).otherwise(off / size)

    gaps = context.frame.join(
        _whole(context), on=["run_id", "symbol", "filled_at"], how="full", coalesce=True
    ).select(
        "strategy",
        "symbol",
        "filled_at",
        lost=pl.col("value").is_null(),
        unpriced=(pl.col("_whole").is_null() != pl.col("shortfall_cost").is_null())
        | (pl.col("_opportunity").is_null() != pl.col("opportunity_cost").is_null()),
        parts=gap(parts, pl.col("_whole")),
        stated=gap(pl.col("shortfall_cost"), pl.col("_whole")),
        missed=gap(pl.col("opportunity_cost"), pl.col("_opportunity")),
        halves=gap(pl.col("delay_cost") + pl.col("timing_cost"), pl.col("waiting_cost")),
    )
    names = ("parts", "stated", "missed", "halves")
    worst = gaps.select(pl.max_horizontal(pl.col(names).max())).item() or 0.0
    bad = gaps.filter(
        pl.col("lost") | pl.col("unpriced") | pl.any_horizontal(pl.col(names) > IDENTITY_TOLERANCE)
    )
    message = f"{gaps.height} orders, parts sum to the whole to {worst:.1e} of value"
    if bad.height:
        row = bad.row(0, named=True)
        message = (
            f"{bad.height} order(s) whose parts are not the whole, first {row['symbol']} of "
            f"{row['strategy']} at {row['filled_at']}: make execution.transaction_costs again from "
            "the same backtest.trades and backtest.unfilled_orders"
        )
    return CheckOutcome(
        "parts_sum_to_shortfall", bad.is_empty(), message, {"worst_gap": worst, "n": gaps.height}
    )


def _raised(bars: pl.DataFrame, symbol: str, ts: object) -> pl.DataFrame:
    here = (pl.col("symbol") == symbol) & (pl.col("ts") == ts)
    changed = pl.col("adj_close") * (1 + PRICE_CHANGE)
    return bars.with_columns(adj_close=pl.when(here).then(changed).otherwise(pl.col("adj_close")))


def _not_hollow(context: CheckContext) -> CheckOutcome:
    """Raise one close by 1 %: the decision's moves waiting, the horizon's moves opportunity."""
    name, inputs = "not_hollow", context.inputs
    costs = context.frame.filter(pl.col("decision_price").is_not_null())
    filled = costs.filter(pl.col("shares") != 0).sort("value", descending=True)
    if filled.is_empty():
        empty = context.frame.is_empty()
        return CheckOutcome(name, empty, "no fills" if empty else "no fill has a decision price")

    def again(row: dict[str, Any], ts: object) -> dict[str, Any]:
        this = (pl.col("run_id") == row["run_id"]) & (pl.col("symbol") == row["symbol"])
        this &= pl.col("decided_at") == row["decided_at"]
        return transaction_costs(
            inputs["trades"].filter(this),
            inputs["runs"],
            _raised(inputs["bars"], row["symbol"], ts),
            inputs["unfilled"].filter(this),
        ).row(0, named=True)

    row = filled.row(0, named=True)
    found = again(row, row["decided_at"])["waiting_cost"] - row["waiting_cost"]
    expected = -PRICE_CHANGE * row["shares"] * row["decision_price"]
    passed = abs(found - expected) <= 1e-9 * row["value"]
    told = (
        f"{row['symbol']} decided at {row['decided_at']:%Y-%m-%d}: a close 1 % higher moves the "
        f"waiting cost by {found:.2f}, expected {expected:.2f}"
    )
    paper = (pl.col("unfilled_shares") * pl.col("horizon_price")).abs()
    missed = costs.filter(paper > 0).sort(paper, descending=True)
    if missed.height:
        row = missed.row(0, named=True)
        found = again(row, row["horizon_at"])["opportunity_cost"] - row["opportunity_cost"]
        expected = PRICE_CHANGE * row["unfilled_shares"] * row["horizon_price"]
        passed &= abs(found - expected) <= 1e-9 * max(abs(expected), row["value"])
        told += (
            f"; {row['symbol']} missed until {row['horizon_at']:%Y-%m-%d}: the opportunity by "
            f"{found:.2f}, expected {expected:.2f}"
        )
    return CheckOutcome(name, passed, told)


PARTS_SUM = frame_check(
    "parts_sum_to_shortfall",
    "Every order is analysed, and its waiting, spread, impact, commission and opportunity sum to "
    "what was paid less the paper portfolio, to 1e-9 of value; so do delay and timing.",
    _parts_sum,
)
NOT_HOLLOW = frame_check(
    "not_hollow",
    "Raising the close that the largest decision read by 1 % lowers its waiting cost by that much, "
    "and the close until which most was missed its opportunity cost.",
    _not_hollow,
)

ALL = (PARTS_SUM, NOT_HOLLOW)
