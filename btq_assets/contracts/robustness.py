"""Tables of how runs fare by state of the market, in crises, and on worse terms.

Belongs here: ``backtest.scenarios``, ``backtest.crises``, ``backtest.stresses``, and the states days are
sliced by. Does not belong here: the runs themselves (`backtest`).
"""

from __future__ import annotations

from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import RUN_ID, STRATEGY, count, day, flag, number, text


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
