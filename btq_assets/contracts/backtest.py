"""Tables of the backtest room: runs, what they traded and held, figures and comparisons.

Belongs here: tables of a run as it was; names of the other tables of the layer. Does not belong here:
columns of those (`robustness`, `trade_analysis`).
"""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import (
    RUN_ID,
    STRATEGY,
    SYMBOL,
    TS,
    UNIVERSE,
    count,
    flag,
    number,
    stamp,
    text,
)
from btq_assets.contracts.robustness import CRISES, DAY_STATES, SCENARIOS, STRESSES
from btq_assets.contracts.trade_analysis import ATTRIBUTION, ROUND_TRIPS, SLICES

__all__ = [
    "ATTRIBUTION",
    "COMPARISONS",
    "CRISES",
    "DAY_STATES",
    "EQUITY",
    "METRICS",
    "POSITIONS",
    "ROUND_TRIPS",
    "RUNS",
    "SCENARIOS",
    "SLICES",
    "STRESSES",
    "TRADES",
    "UNFILLED_ORDERS",
]

RUNS = TableContract(
    layer="backtest",
    name="runs",
    description="One row per strategy taken through the engine.",
    columns=(
        RUN_ID,
        STRATEGY,
        UNIVERSE,
        text(
            "role",
            "candidate (selection could choose it), baseline, or benchmark (an index shown beside them, not comparable).",
            allowed=("candidate", "baseline", "benchmark"),
        ),
        stamp("first_ts", "First bar of the run."),
        stamp("last_ts", "Last bar of the run."),
        number(
            "initial_cash", "Cash at the start.", nullable=False, minimum=0, exclusive_minimum=True
        ),
        text("costs_json", "Cost settings of the run."),
        number(
            "identity_error",
            "Largest relative gap between equity and cash + positions at any bar.",
            nullable=False,
            minimum=0,
        ),
        count("n_rejected_orders", "Orders refused for want of cash or price."),
        text(
            "notes",
            "What could not be modelled (per-share fees and impact without raw price and volume).",
        ),
    ),
    key=("run_id",),
)

EQUITY = TableContract(
    layer="backtest",
    name="equity",
    description="Value of each run at each bar.",
    columns=(
        RUN_ID,
        STRATEGY,
        TS,
        number("equity", "Cash plus positions at the bar's close.", nullable=False),
        number("cash", "Cash.", nullable=False),
        number(
            "gross_exposure",
            "Sum of absolute position values over equity.",
            nullable=False,
            minimum=0,
        ),
        number("net_exposure", "Sum of position values over equity.", nullable=False),
        number(
            "turnover",
            "Traded value over equity before the trades, at this bar.",
            nullable=False,
            minimum=0,
        ),
        number("cost", "All costs paid at this bar, in currency.", nullable=False, minimum=0),
        number("net_return", "Simple return of equity over the bar; null at the first bar."),
    ),
    key=("run_id", "ts"),
)

TRADES = TableContract(
    layer="backtest",
    name="trades",
    description="One row per fill.",
    columns=(
        RUN_ID,
        STRATEGY,
        SYMBOL,
        stamp("decided_at", "Bar whose data the decision read."),
        stamp("filled_at", "Bar at which it was filled; always later than decided_at."),
        number("shares", "Signed number of (adjusted) shares.", nullable=False),
        number("price", "Price before costs.", nullable=False, minimum=0, exclusive_minimum=True),
        number("commission", "Commission paid.", nullable=False, minimum=0),
        number("spread_cost", "Half-spread paid.", nullable=False, minimum=0),
        number("impact_cost", "Square-root impact paid; null where volume is unknown."),
        text(
            "reason",
            "rebalance (a decision), or delisted (settled at the last price, without costs).",
            allowed=("rebalance", "delisted"),
        ),
    ),
    key=("run_id", "symbol", "filled_at"),
)

UNFILLED_ORDERS = TableContract(
    layer="backtest",
    name="unfilled_orders",
    description="Orders of each run that were not, or not wholly, filled. What the bar after the decision leaves of an order is dropped; an order decided on the last bar is none.",
    columns=(
        RUN_ID,
        STRATEGY,
        SYMBOL,
        stamp("decided_at", "Bar whose data the decision read."),
        stamp("ended_at", "Bar at which it was filled in part, or could have been."),
        stamp(
            "horizon_at",
            "Next decision of the run, or its last bar: until its close the shares are missed.",
        ),
        number(
            "wanted_shares",
            "Signed number of (adjusted) shares ordered; null where a missing price left the order without a size.",
        ),
        number("filled_shares", "Signed number filled; 0 where nothing was.", nullable=False),
        number("unfilled_shares", "Wanted less filled; null where wanted is."),
        text(
            "reason",
            "no_price, cash (buys scaled or refused for want of cash), or cost (a sale that would have cost more than it brought).",
            allowed=("no_price", "cash", "cost"),
        ),
    ),
    key=("run_id", "symbol", "decided_at"),
)

POSITIONS = TableContract(
    layer="backtest",
    name="positions",
    description="Holdings of each run after the fills of each bar on which something was filled, and at the last bar; a position closed at that bar has a row of zeros.",
    columns=(
        RUN_ID,
        STRATEGY,
        SYMBOL,
        TS,
        number("shares", "Signed number of (adjusted) shares.", nullable=False),
        number("value", "Value at the bar's close.", nullable=False),
        number("weight", "Value over equity.", nullable=False),
    ),
    key=("run_id", "symbol", "ts"),
)

METRICS = TableContract(
    layer="backtest",
    name="metrics",
    description="Performance figures of each run.",
    columns=(
        RUN_ID,
        STRATEGY,
        text("metric", "Name of the figure, as in docs/metrics.md."),
        number("value", "Value; null where it is undefined."),
        number("ci_low", "Lower end of the 95 % block-bootstrap interval, where computed."),
        number("ci_high", "Upper end of the interval."),
        text(
            "unit", "Unit: annualised, per period, fraction, ratio, currency, count, sessions, bps."
        ),
        text("note", "Convention used, or why it is null."),
    ),
    key=("run_id", "metric"),
)

COMPARISONS = TableContract(
    layer="backtest",
    name="comparisons",
    description="Paired difference of each run's daily returns to a baseline of the same universe, dates and costs.",
    columns=(
        STRATEGY,
        text("against", "Baseline."),
        text(
            "against_role",
            "Why this baseline: 1/N, or the best one by realised Sharpe ratio, chosen with hindsight.",
            allowed=("one_over_n", "best_baseline", "one_over_n and best_baseline"),
        ),
        count("n", "Paired days."),
        number("mean_difference_annual", "Mean daily difference times 252.", nullable=False),
        number(
            "ci_low_annual",
            "Lower end of the 95 % stationary block-bootstrap interval.",
            nullable=False,
        ),
        number("ci_high_annual", "Upper end of the interval.", nullable=False),
        number(
            "sharpe_difference",
            "Difference of annualised Sharpe ratios; null where a return series is constant.",
        ),
        number("sharpe_difference_ci_low", "Lower end of its 95 % interval."),
        number("sharpe_difference_ci_high", "Upper end of its 95 % interval."),
        flag("significant", "Whether the interval of the mean difference lies above zero."),
    ),
    key=("strategy", "against"),
)
