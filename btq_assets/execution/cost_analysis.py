"""Transaction-cost analysis of the backtests: from orders and bars to `execution.transaction_costs`.

Belongs here: prices of decision, arrival and bar beside each fill, and what cannot be known from
them. Does not belong here: the arithmetic (`shortfall`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.contracts import execution as contracts
from btq_assets.execution.shortfall import ShortfallError, split

#: Part: why it is null.
REASONS = {
    "decision": "waiting, shortfall: no price at the decision",
    "arrival": "delay, timing, arrival: only closes, no price when the order arrived",
    "vwap": "vwap: no high and low",
    "impact": "impact: not charged, no volume",
    "opportunity": "opportunity: fills do not say what was not filled",
    "missed": "opportunity: no size or no price of what was missed",
}

#: Parts that sum to the shortfall, and what people call them.
PARTS = ("waiting_cost", "spread_cost", "impact_cost", "commission", "opportunity_cost")


def transaction_costs(
    trades: pl.DataFrame,
    runs: pl.DataFrame,
    bars: pl.DataFrame,
    unfilled: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Rows of `execution.transaction_costs`: one per fill, and per order of which nothing was filled.

    Parameters
    ----------
    trades, runs
        `backtest.trades`, `backtest.runs`. A settlement of an ended series is no order and is left
        out.
    bars
        `core.bars_1d`.
    unfilled
        `backtest.unfilled_orders`; an order that is not in it was filled. Without it nobody knows,
        and opportunity is null.

    Raises
    ------
    ShortfallError
        A trade or an unfilled order belongs to no run.
    """
    known = runs.select("run_id", "universe")
    orders = _orders(trades, unfilled)
    stray = orders.join(known, on="run_id", how="anti")
    if stray.height:
        raise ShortfallError(
            f"{stray.height} trade(s) of unknown run {stray['run_id'][0]}: make backtest.runs again"
        )
    rows = _priced(orders.join(known, on="run_id"), bars)
    column = {
        name: rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for name in (
            "shares",
            "price",
            "decision_price",
            "arrival_price",
            "vwap_price",
            "spread_cost",
            "impact_cost",
            "commission",
            "unfilled_shares",
            "horizon_price",
        )
    }
    shares, missed = column["shares"], column["unfilled_shares"]
    traded = shares != 0.0
    # of nothing filled there is no price, and it waited for nothing
    price = np.where(traded, column["price"], column["decision_price"])
    parts = split(
        shares,
        price,
        column["decision_price"],
        arrival_price=np.where(traded, column["arrival_price"], column["decision_price"]),
        spread=column["spread_cost"],
        impact=column["impact_cost"],
        commission=column["commission"],
        unfilled=missed,
        # all filled: nothing is missed at any price
        last_price=np.where(missed == 0.0, column["decision_price"], column["horizon_price"]),
    )
    adverse = column["spread_cost"] + np.nan_to_num(column["impact_cost"], nan=0.0)
    paper = np.abs(shares + np.nan_to_num(missed, nan=0.0)) * column["decision_price"]
    vwap_cost = np.where(traded, shares * (price - column["vwap_price"]), 0.0) + adverse
    done = rows.with_columns(
        pl.Series("value", np.where(traded, np.abs(shares) * price, 0.0)),
        pl.Series("waiting_cost", parts.waiting),
        pl.Series("delay_cost", parts.delay),
        pl.Series("timing_cost", parts.timing),
        pl.Series("opportunity_cost", np.where(missed == 0.0, 0.0, parts.opportunity)),
        pl.Series("shortfall_cost", parts.total),
        pl.Series("shortfall_bps", 1e4 * parts.total / np.where(paper > 0, paper, np.nan)),
        pl.Series("arrival_cost", parts.timing + adverse + column["commission"]),
        pl.Series("vwap_cost", vwap_cost),
        fill_price="price",
    )
    contract = contracts.TRANSACTION_COSTS
    names = [name for name in contract.column_names if name != "unknown"]
    floats = [name for name in names if done[name].dtype == pl.Float64]
    return (
        done.select(names)
        .with_columns(pl.col(floats).fill_nan(None))
        .with_columns(unknown=_unknown(unfilled is not None))
        .cast(contract.schema)
        .sort(contract.key)
    )


def _orders(trades: pl.DataFrame, unfilled: pl.DataFrame | None) -> pl.DataFrame:
    """Fills with what their orders left unfilled, and orders of which nothing was filled."""
    fills = trades.filter(pl.col("reason") == "rebalance").drop("reason")
    if unfilled is None:
        return fills.with_columns(
            unfilled_shares=pl.lit(None, pl.Float64),
            horizon_at=pl.lit(None, fills["filled_at"].dtype),
        )
    key = ["run_id", "symbol", "decided_at"]
    partly = unfilled.select(*key, "unfilled_shares", "horizon_at")
    nothing = unfilled.join(fills, on=key, how="anti").select(
        "run_id",
        "strategy",
        "symbol",
        "decided_at",
        "unfilled_shares",
        "horizon_at",
        filled_at="ended_at",
        shares=pl.lit(0.0),
        price=pl.lit(None, pl.Float64),
        **dict.fromkeys(("commission", "spread_cost", "impact_cost"), pl.lit(0.0)),
    )
    told = fills.join(partly, on=key, how="left").with_columns(
        unfilled_shares=pl.when(pl.col("horizon_at").is_null())
        .then(0.0)
        .otherwise(pl.col("unfilled_shares"))
    )
    return pl.concat([told, nothing.select(told.columns)])


def _priced(orders: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Prices at the decision, on arrival, of the bar of the fill and at the end of the horizon."""
    prices = bars.select(
        "universe",
        "symbol",
        "ts",
        "adj_close",
        arrival_price="adj_open",
        vwap_price=(pl.col("adj_high") + pl.col("adj_low") + pl.col("adj_close")) / 3,
    )
    key = ["universe", "symbol"]
    of_bar = {
        "decided_at": pl.col("adj_close").alias("decision_price"),
        "filled_at": pl.col("arrival_price", "vwap_price"),
        "horizon_at": pl.col("adj_close").alias("horizon_price"),
    }
    for time, wanted in of_bar.items():
        there = prices.select(*key, wanted, pl.col("ts").alias(time))
        orders = orders.join(there, on=[*key, time], how="left")
    return orders


def _unknown(orders_known: bool) -> pl.Expr:
    """Reasons of what is null in a row, joined."""
    traded = pl.col("shares") != 0
    missing = {
        "decision": pl.col("decision_price").is_null(),
        "arrival": traded & pl.col("arrival_price").is_null(),
        "vwap": traded & pl.col("vwap_price").is_null(),
        "impact": pl.col("impact_cost").is_null(),
        "missed" if orders_known else "opportunity": pl.col("opportunity_cost").is_null(),
    }
    return pl.concat_str(
        [pl.when(gone).then(pl.lit(REASONS[name])) for name, gone in missing.items()],
        separator="; ",
        ignore_nulls=True,
    )


def by_strategy(costs: pl.DataFrame) -> pl.DataFrame:
    """One row per strategy: value traded, and parts as basis points of it; largest shortfall first.

    What was missed counts with the rest, over the value that was traded. A part that is null in every row stays null.
    """

    def in_bps(name: str) -> pl.Expr:
        total = pl.when(pl.col(name).count() > 0).then(pl.col(name).sum())
        traded = pl.when(pl.col(name).is_not_null()).then(pl.col("value")).sum()
        return (
            pl.when(traded > 0)
            .then(1e4 * total / traded)
            .alias(name.removesuffix("_cost") + "_bps")
        )

    names = ("shortfall_cost", *PARTS, "delay_cost", "timing_cost", "arrival_cost", "vwap_cost")
    return (
        costs.group_by("strategy")
        .agg(
            (pl.col("shares") != 0).sum().alias("n_fills"),
            (pl.col("unfilled_shares") != 0).sum().alias("n_unfilled"),
            pl.col("value").sum(),
            *(in_bps(name) for name in names),
        )
        .sort("shortfall_bps", "strategy", descending=[True, False], nulls_last=True)
    )
