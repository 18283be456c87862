"""Execution in the asset graph: what trading cost."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import backtest, core
from btq_assets.contracts import execution as contracts
from btq_assets.execution import checks
from btq_assets.warehouse import Step, TableOutput, table_asset

#: Fills below which a strategy is left out of the drawing of parts.
_MANY_FILLS = 100


@table_asset(
    outputs=(contracts.TRANSACTION_COSTS,),
    inputs={
        "trades": backtest.TRADES,
        "unfilled": backtest.UNFILLED_ORDERS,
        "runs": backtest.RUNS,
        "bars": core.BARS_1D,
    },
    code=(
        "btq_assets.execution.cost_analysis",
        "btq_assets.execution.shortfall",
        "btq_assets.execution.checks",
    ),
    checks=checks.ALL,
    group="execution",
)
def transaction_costs(
    step: Step,
    trades: pl.DataFrame,
    unfilled: pl.DataFrame,
    runs: pl.DataFrame,
    bars: pl.DataFrame,
) -> TableOutput:
    """Implementation shortfall of every order: waiting, spread, impact, commission, opportunity."""
    from btq_assets.execution import cost_analysis

    costs = cost_analysis.transaction_costs(trades, runs, bars, unfilled)
    summary = cost_analysis.by_strategy(costs)
    unknown = costs["unknown"].value_counts(sort=True).head(1)["unknown"].to_list()
    return TableOutput(
        costs,
        metadata={
            "summary": summary,
            "n_fills": int((costs["shares"] != 0).sum()),
            "n_orders_without_fill": int((costs["shares"] == 0).sum()),
            "n_settlements_left_out": int((trades["reason"] != "rebalance").sum()),
            "unknown": unknown[0] if unknown else "",
        },
        plots=_plots(costs, summary),
    )


def _plots(costs: pl.DataFrame, summary: pl.DataFrame) -> dict[str, bytes]:
    from btq_assets import plots

    if costs.is_empty():
        return {}
    names = summary["strategy"].to_list()
    drawn = {
        f"{part} of each strategy": plots.bars(
            names,
            summary[f"{part}_bps"],
            f"{part.capitalize()}, fills of the backtests",
            "bps of value traded",
        )
        for part in ("shortfall", "waiting", "spread", "commission", "impact", "opportunity")
        if summary[f"{part}_bps"].null_count() < summary.height
    }
    # The luck of a few fills would dwarf every other bar.
    many = summary.filter(pl.col("n_fills") >= _MANY_FILLS)
    many = many if many.height else summary
    drawn["shortfall in parts"] = plots.stacked_bars(
        many["strategy"].to_list(),
        {
            part: many[f"{part}_bps"]
            for part in ("waiting", "spread", "impact", "commission", "opportunity")
        },
        "Shortfall in parts, orders of the backtests",
        "bps of value traded",
    )
    known = costs["shortfall_bps"].drop_nulls()
    if known.len():
        drawn["distribution"] = plots.histogram(
            known.clip(-1_000, 1_000), "Shortfall of one fill, cut at ±1,000", "bps"
        )
    by_year = (
        costs.filter(pl.col("shortfall_cost").is_not_null() & (pl.col("shares") != 0))
        .group_by(year=pl.col("filled_at").dt.year())
        .agg(
            explicit=1e4
            * pl.sum_horizontal(
                pl.col("spread_cost").sum(), pl.col("commission").sum(), pl.col("impact_cost").sum()
            )
            / pl.col("value").sum()
        )
        .sort("year")
    )
    drawn["costs charged by year"] = plots.lines(
        by_year["year"],
        {"spread, impact and commission": by_year["explicit"]},
        "Costs charged, all runs",
        "bps of value traded",
    )
    return drawn
