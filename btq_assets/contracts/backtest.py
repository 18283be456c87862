"""Tables of the backtest room."""

from __future__ import annotations

from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import (
    RUN_ID,
    STRATEGY,
    SYMBOL,
    TS,
    UNIVERSE,
    count,
    day,
    flag,
    number,
    stamp,
    text,
)

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


def _state_figures() -> tuple[Column, ...]:
    return (
        number("annual_return", "Compound return of the days, a year."),
        number("annual_volatility", "Standard deviation of the daily net returns, a year.", minimum=0),
        number("sharpe", "Annualised Sharpe ratio of the days, no risk-free rate."),
        number("max_drawdown", "Deepest fall; in a slice, inside an unbroken stretch of days.", minimum=0),
    )  # fmt: skip


_MARKET, _VOLATILITY = ("bull", "bear", "sideways", "volatile"), ("low", "normal", "high")

#: States that slice a run, by dimension; `backtest.slices` and `backtest.scenarios` share them.
DAY_STATES = {
    "market": _MARKET,
    "volatility": _VOLATILITY,
    "market_volatility": tuple(f"{m}_{v}_volatility" for m in _MARKET for v in _VOLATILITY),
}

SCENARIOS = TableContract(
    layer="backtest",
    name="scenarios",
    description="The one path of each run, its days sliced by the market state, the volatility state, and both, known at the bar before. Days apart in time are never spliced into a path.",
    columns=(
        RUN_ID,
        STRATEGY,
        text(
            "dimension",
            "What the days are sliced by; market_volatility is both at once.",
            allowed=tuple(DAY_STATES),
        ),
        text(
            "scenario",
            "State in `regimes.market_states` or `regimes.volatility_states`, or both (bull_high_volatility); unknown where none was in force.",
            allowed=(*(state for states in DAY_STATES.values() for state in states), "unknown"),
        ),
        count("n_days", "Returns in the slice; the slices of a dimension partition the run."),
        count("n_episodes", "Unbroken stretches of such days."),
        number("log_growth", "Sum of the log returns of the days; adds up to that of the run."),
        *_state_figures(),
        number("sortino", "Annualised Sortino ratio of the days."),
        number("win_rate", "Gains among the days that were not flat.", minimum=0, maximum=1),
        number("profit_factor", "Gains over losses.", minimum=0),
        number("expectancy", "Mean daily net return."),
        text("note", "Why there are no figures, or empty."),
    ),
    key=("run_id", "dimension", "scenario"),
)

CRISES = TableContract(
    layer="backtest",
    name="crises",
    description="Each run through each dated crisis window; windows its days do not cover are listed as such.",
    columns=(
        RUN_ID,
        STRATEGY,
        text("crisis", "Name of the window."),
        text("description", "What happened."),
        day("first_day", "Close from which the window runs."),
        day("last_day", "Close at which it ends."),
        flag("covered", "Whether the run covers the whole window."),
        count("n_days", "Returns in the window; 0 where not covered."),
        number("window_return", "Net return over the window."),
        number("max_drawdown", "Deepest fall inside it.", minimum=0),
        number("worst_day", "Worst daily net return in it."),
        number("return_above_one_over_n", "Net return above that of 1/N in the same window."),
        text("note", "Why figures are null, or empty."),
    ),
    key=("run_id", "crisis"),
)

STRESSES = TableContract(
    layer="backtest",
    name="stresses",
    description="Candidates and 1/N again under other costs, delays, liquidity and universes, and quantiles over bootstrapped paths. Trials of purpose stress: they never count as candidates.",
    columns=(
        RUN_ID,
        STRATEGY,
        text(
            "kind",
            "none (as it was run), cost (all-in per traded value), delay (further bars to the fill), liquidity, universe (symbols left out), bootstrap (quantile of each figure over paths).",
            allowed=("none", "cost", "delay", "liquidity", "universe", "bootstrap"),
        ),
        text("case", "Which one of its kind."),
        number(
            "parameter", "Basis points, bars, factor on volume, number of the draw, or quantile."
        ),
        count("n_returns", "Daily returns."),
        *_state_figures(),
        number(
            "turnover_annual", "Traded value over equity, a year; null for bootstrap.", minimum=0
        ),
        number("sharpe_change", "Sharpe ratio less that of the same strategy as it was run."),
        number(
            "mean_above_one_over_n_annual",
            "Mean daily return above that of 1/N under the same stress, times 252; null for 1/N.",
        ),
        text(
            "trial_id",
            "Trial in the ledger; null for bootstrap and for the run itself.",
            nullable=True,
        ),
        text("note", "What was changed, or left out."),
    ),
    key=("run_id", "kind", "case"),
)

ROUND_TRIPS = TableContract(
    layer="backtest",
    name="round_trips",
    description="Shares sold against the shares bought first, and what each match earned; holdings at the last bar are rows too, valued there. The profits of a run sum to its change of equity.",
    columns=(
        RUN_ID,
        STRATEGY,
        SYMBOL,
        count("number", "Number of the trip within run and symbol, in order of closing."),
        text("side", "long (bought, then sold) or short (the reverse).", allowed=("long", "short")),
        flag("is_open", "Whether it is still held at the last bar and only valued there."),
        stamp("opened_at", "Bar of the first fill."),
        stamp("closed_at", "Bar of the last fill, or the last bar."),
        count("sessions", "Bars from the one to the other."),
        number(
            "shares",
            "Number of (adjusted) shares.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        number(
            "entry_price",
            "Price of the first fill before costs.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        number(
            "exit_price",
            "Price of the last fill before costs, or the last mark.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        number("cost", "Costs of both fills, shared out by shares.", nullable=False, minimum=0),
        number("profit", "Profit after costs, in currency.", nullable=False),
        number("trip_return", "Profit over the value at entry.", nullable=False),
        number(
            "mae",
            "Maximum adverse excursion: worst open loss at daily marks as a fraction of the entry price.",
            nullable=False,
            minimum=0,
        ),
        number(
            "mfe",
            "Maximum favourable excursion: best open profit, likewise.",
            nullable=False,
            minimum=0,
        ),
    ),
    key=("run_id", "symbol", "number"),
)

SLICES = TableContract(
    layer="backtest",
    name="slices",
    description="Figures of each run by year, month, month of the year, states known the day before (the same days as in `backtest.scenarios`), symbol and side. Days that are apart are never spliced into a path.",
    columns=(
        RUN_ID,
        STRATEGY,
        text(
            "dimension",
            "What the run is cut by.",
            allowed=(
                "year",
                "month",
                "calendar_month",
                *DAY_STATES,
                "symbol",
                "side",
            ),
        ),
        text(
            "slice",
            "2008, 2008-10, 10, bear, high, bear_high_volatility, a symbol, long; unknown without a label.",
        ),
        text("metric", "Name of the figure, as in docs/metrics.md."),
        number("value", "Value; null where it is undefined or the slice is too small."),
        count("n", "Days, or round trips for symbols and sides, in the slice."),
        text("note", "Why the value is null, or empty."),
    ),
    key=("run_id", "dimension", "slice", "metric"),
)

ATTRIBUTION = TableContract(
    layer="backtest",
    name="attribution",
    description="Regression of each run's returns on the returns of factors, with standard errors that allow for serial correlation and changing variance (Newey and West, 1987).",
    columns=(
        RUN_ID,
        STRATEGY,
        text(
            "model",
            "Set of factors: fama_french_3 (monthly), universe (daily, made of the traded universe), or file.",
            allowed=("fama_french_3", "universe", "file"),
        ),
        text("factor", "Factor, or alpha for the intercept."),
        number("coefficient", "Slope; for alpha the mean return left over, a year."),
        number(
            "standard_error",
            "Newey-West standard error, in the unit of the coefficient.",
            minimum=0,
        ),
        number("t_value", "Coefficient over its standard error."),
        number("p_value", "Two-sided, Student's distribution.", minimum=0, maximum=1),
        number(
            "contribution_annual", "Slope times the factor's mean return a year; for alpha itself."
        ),
        number("r_squared", "Share of the variance that the factors explain.", maximum=1.000001),
        count("n", "Periods in the regression."),
        count("lags", "Lags of the Newey-West estimate."),
        text("frequency", "Period of the returns.", allowed=("day", "month")),
        stamp("first_ts", "End of the first period, or the first bar.", nullable=True),
        stamp("last_ts", "End of the last period, or the last bar.", nullable=True),
        text("note", "What the factors are, or why there are no figures."),
    ),
    key=("run_id", "model", "factor"),
)
