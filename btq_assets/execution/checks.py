"""Blocking checks of `execution.transaction_costs`, made on the rows about to be written.

Belongs here: what must hold between fills, bars and the analysis. Does not belong here: structure
(the contract).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.execution.cost_analysis import PARTS, transaction_costs

#: Largest gap between the whole and its parts, as a share of the value traded.
IDENTITY_TOLERANCE = 1e-9

#: By how much the not-hollow check raises one price.
PRICE_CHANGE = 0.01


def _parts_sum(context: CheckContext) -> CheckOutcome:
    """The whole from fills and bars alone: what was paid less the paper portfolio."""
    costs = context.frame
    closes = context.inputs["bars"].select(
        "universe", "symbol", decided_at="ts", _decision="adj_close"
    )
    paid = pl.col("shares") * pl.col("price") + pl.sum_horizontal(
        "commission", "spread_cost", pl.col("impact_cost").fill_null(0.0)
    )
    whole = (
        context.inputs["trades"]
        .filter(pl.col("reason") == "rebalance")
        .join(context.inputs["runs"].select("run_id", "universe"), on="run_id")
        .join(closes, on=["universe", "symbol", "decided_at"], how="left")
        .select(
            "run_id", "symbol", "filled_at", _whole=paid - pl.col("shares") * pl.col("_decision")
        )
    )
    parts = pl.sum_horizontal(pl.col(name).fill_null(0.0) for name in PARTS)
    gaps = costs.join(
        whole, on=["run_id", "symbol", "filled_at"], how="full", coalesce=True
    ).select(
        "strategy",
        "symbol",
        "filled_at",
        lost=pl.col("value").is_null(),
        unpriced=pl.col("_whole").is_null() != pl.col("shortfall_cost").is_null(),
        parts=(parts - pl.col("_whole")).abs() / pl.col("value"),
        stated=(pl.col("shortfall_cost") - pl.col("_whole")).abs() / pl.col("value"),
        halves=(pl.col("delay_cost") + pl.col("timing_cost") - pl.col("waiting_cost")).abs()
        / pl.col("value"),
    )
    worst = gaps.select(pl.max_horizontal(pl.col("parts", "stated", "halves").max())).item() or 0.0
    bad = gaps.filter(
        pl.col("lost")
        | pl.col("unpriced")
        | pl.any_horizontal(pl.col("parts", "stated", "halves") > IDENTITY_TOLERANCE)
    )
    message = f"{gaps.height} fills, parts sum to the whole to {worst:.1e} of value"
    if bad.height:
        row = bad.row(0, named=True)
        message = (
            f"{bad.height} fill(s) whose parts are not the whole, first {row['symbol']} of "
            f"{row['strategy']} at {row['filled_at']}: make execution.transaction_costs again from "
            "the same backtest.trades"
        )
    return CheckOutcome(
        "parts_sum_to_shortfall", bad.is_empty(), message, {"worst_gap": worst, "n": gaps.height}
    )


def _not_hollow(context: CheckContext) -> CheckOutcome:
    """Raise the close one decision read by 1 %: that fill's waiting cost must fall by 1 % of it."""
    name, trades = "not_hollow", context.inputs["trades"]
    costs = context.frame.filter(pl.col("decision_price").is_not_null())
    if costs.is_empty():
        empty = context.frame.is_empty()
        return CheckOutcome(name, empty, "no fills" if empty else "no fill has a decision price")
    row = costs.sort("value", descending=True).row(0, named=True)
    this = (pl.col("run_id") == row["run_id"]) & (pl.col("symbol") == row["symbol"])
    here = (pl.col("symbol") == row["symbol"]) & (pl.col("ts") == row["decided_at"])
    raised = context.inputs["bars"].with_columns(
        adj_close=pl.when(here)
        .then(pl.col("adj_close") * (1 + PRICE_CHANGE))
        .otherwise(pl.col("adj_close"))
    )
    one = trades.filter(this & (pl.col("filled_at") == row["filled_at"]))
    again = transaction_costs(one, context.inputs["runs"], raised)
    found = again["waiting_cost"][0] - row["waiting_cost"]
    expected = -PRICE_CHANGE * row["shares"] * row["decision_price"]
    passed = abs(found - expected) <= 1e-9 * row["value"]
    return CheckOutcome(
        name,
        passed,
        f"{row['symbol']} decided at {row['decided_at']:%Y-%m-%d}: a close 1 % higher moves the "
        f"waiting cost by {found:.2f}, expected {expected:.2f}",
    )


PARTS_SUM = frame_check(
    "parts_sum_to_shortfall",
    "Every fill is analysed, and its waiting, spread, impact, commission and opportunity sum to "
    "what was paid less the paper portfolio, to 1e-9 of value; so do delay and timing.",
    _parts_sum,
)
NOT_HOLLOW = frame_check(
    "not_hollow",
    "Raising the close that the largest decision read by 1 % lowers its waiting cost by that much.",
    _not_hollow,
)

ALL = (PARTS_SUM, NOT_HOLLOW)
