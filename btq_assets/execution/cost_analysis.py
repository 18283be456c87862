"""Transaction-cost analysis of the backtests: from fills and bars to `execution.transaction_costs`.

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
}

#: Parts that sum to the shortfall, and what people call them.
PARTS = ("waiting_cost", "spread_cost", "impact_cost", "commission", "opportunity_cost")


def transaction_costs(trades: pl.DataFrame, runs: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Rows of `execution.transaction_costs`.

    Parameters
    ----------
    trades, runs
        `backtest.trades`, `backtest.runs`. A settlement of an ended series is no order and is left
        out.
    bars
        `core.bars_1d`.

    Raises
    ------
    ShortfallError
        A trade belongs to no run.
    """
    known = runs.select("run_id", "universe")
    stray = trades.join(known, on="run_id", how="anti")
    if stray.height:
        raise ShortfallError(
            f"{stray.height} trade(s) of unknown run {stray['run_id'][0]}: make backtest.runs again"
        )
    orders = trades.filter(pl.col("reason") == "rebalance").join(known, on="run_id")
    prices = bars.select(
        "universe",
        "symbol",
        "ts",
        "adj_close",
        arrival_price="adj_open",
        vwap_price=(pl.col("adj_high") + pl.col("adj_low") + pl.col("adj_close")) / 3,
    )
    key = ["universe", "symbol"]
    rows = orders.join(
        prices.select(*key, decided_at="ts", decision_price="adj_close"),
        on=[*key, "decided_at"],
        how="left",
    ).join(
        prices.select(*key, "arrival_price", "vwap_price", filled_at="ts"),
        on=[*key, "filled_at"],
        how="left",
    )
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
        )
    }
    shares, price = column["shares"], column["price"]
    parts = split(
        shares,
        price,
        column["decision_price"],
        arrival_price=column["arrival_price"],
        spread=column["spread_cost"],
        impact=column["impact_cost"],
        commission=column["commission"],
    )
    adverse = column["spread_cost"] + np.nan_to_num(column["impact_cost"], nan=0.0)
    paper = np.abs(shares) * column["decision_price"]
    done = rows.with_columns(
        pl.Series("value", np.abs(shares) * price),
        pl.Series("waiting_cost", parts.waiting),
        pl.Series("delay_cost", parts.delay),
        pl.Series("timing_cost", parts.timing),
        pl.Series("opportunity_cost", parts.opportunity),
        pl.Series("shortfall_cost", parts.total),
        pl.Series("shortfall_bps", 1e4 * parts.total / paper),
        pl.Series("arrival_cost", parts.timing + adverse + column["commission"]),
        pl.Series("vwap_cost", shares * (price - column["vwap_price"]) + adverse),
        fill_price="price",
        unknown=_unknown(),
    )
    contract = contracts.TRANSACTION_COSTS
    floats = [name for name in contract.column_names if done[name].dtype == pl.Float64]
    return (
        done.select(contract.column_names)
        .with_columns(pl.col(floats).fill_nan(None))
        .cast(contract.schema)
        .sort(contract.key)
    )


def _unknown() -> pl.Expr:
    """Reasons of what is null in a row, joined."""
    missing = {
        "decision": pl.col("decision_price").is_null(),
        "arrival": pl.col("arrival_price").is_null(),
        "vwap": pl.col("vwap_price").is_null(),
        "impact": pl.col("impact_cost").is_null(),
        "opportunity": pl.lit(True),
    }
    return pl.concat_str(
        [pl.when(gone).then(pl.lit(REASONS[name])) for name, gone in missing.items()],
        separator="; ",
        ignore_nulls=True,
    )


def by_strategy(costs: pl.DataFrame) -> pl.DataFrame:
    """One row per strategy: value traded, and parts as basis points of it; largest shortfall first.

    A part that is null in every row stays null.
    """

    def in_bps(name: str) -> pl.Expr:
        total = pl.when(pl.col(name).count() > 0).then(pl.col(name).sum())
        traded = pl.when(pl.col(name).is_not_null()).then(pl.col("value")).sum()
        return (1e4 * total / traded).alias(name.removesuffix("_cost") + "_bps")

    names = ("shortfall_cost", *PARTS, "delay_cost", "timing_cost", "arrival_cost", "vwap_cost")
    return (
        costs.group_by("strategy")
        .agg(pl.len().alias("n_fills"), pl.col("value").sum(), *(in_bps(name) for name in names))
        .sort("shortfall_bps", "strategy", descending=[True, False], nulls_last=True)
    )
