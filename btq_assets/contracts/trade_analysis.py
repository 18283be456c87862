"""Tables of where the results of a run come from: round trips, slices, factors.

Belongs here: ``backtest.round_trips``, ``backtest.slices``, ``backtest.attribution``. Does not belong
here: the runs themselves (`backtest`), how they fare on other terms (`robustness`).
"""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import RUN_ID, STRATEGY, SYMBOL, count, flag, number, stamp, text
from btq_assets.contracts.robustness import DAY_STATES

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
