"""Tables of the risk room."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import STRATEGY, TS, count, flag, number, stamp, text

METHODS = ("historical", "parametric", "cornish_fisher")

MEASURES = TableContract(
    layer="risk",
    name="measures",
    description="VaR and CVaR of the weights held at each date, from the returns known then. Losses are positive fractions of equity, one session ahead.",
    columns=(
        STRATEGY,
        TS,
        text("measure", "var or cvar.", allowed=("var", "cvar")),
        text("method", "How it is computed.", allowed=METHODS),
        number("level", "Confidence level.", nullable=False, minimum=0.5, maximum=1),
        number("value", "Loss, positive; null where the method is invalid or the window is short."),
        flag(
            "valid",
            "False outside the monotone domain of the Cornish–Fisher expansion or below the minimum window.",
        ),
        count("n_window", "Returns in the window."),
    ),
    key=("strategy", "ts", "measure", "method", "level"),
)

EXCEEDANCES = TableContract(
    layer="risk",
    name="exceedances",
    description="VaR tested against the next session's return of the same weights.",
    columns=(
        STRATEGY,
        text("method", "How VaR is computed.", allowed=METHODS),
        number("level", "Confidence level.", nullable=False, minimum=0.5, maximum=1),
        count("n", "Sessions tested."),
        number("expected", "Expected exceedances.", nullable=False, minimum=0),
        count("observed", "Observed exceedances."),
        number(
            "kupiec_p",
            "p-value of Kupiec's (1995) proportion-of-failures test.",
            minimum=0,
            maximum=1,
        ),
        text("note", "Quantile rule, or why a figure is null."),
    ),
    key=("strategy", "method", "level"),
)

DRAWDOWNS = TableContract(
    layer="risk",
    name="drawdowns",
    description="The deepest drawdowns of each run.",
    columns=(
        STRATEGY,
        count("rank", "1 is the deepest.", minimum=1),
        stamp("peak_ts", "Last high before the fall."),
        stamp("trough_ts", "Lowest point."),
        stamp("recovered_ts", "First return to the high; null while under water.", nullable=True),
        number(
            "depth",
            "Fall from peak to trough, a positive fraction.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        count("n_sessions", "Sessions from peak to recovery, or to the last bar."),
    ),
    key=("strategy", "rank"),
)

STRESS = TableContract(
    layer="risk",
    name="stress",
    description="Crisis windows replayed on the weights held last.",
    columns=(
        STRATEGY,
        text("scenario", "Name of the window."),
        stamp("window_start", "First session of the window."),
        stamp("window_end", "Last session of the window."),
        flag("covered", "Whether the data cover the whole window."),
        number(
            "window_return", "Return of the current weights, held without trading, over the window."
        ),
        number("max_drawdown", "Deepest fall inside the window, a positive fraction.", minimum=0),
        number("worst_day", "Worst single-session return."),
        text("note", "What is missing, or empty."),
    ),
    key=("strategy", "scenario"),
)

SIMULATIONS = TableContract(
    layer="risk",
    name="simulations",
    description="Monte Carlo of the weights held last: quantiles of wealth over the horizon.",
    columns=(
        STRATEGY,
        text("method", "How paths are drawn.", allowed=("block_bootstrap", "gaussian")),
        count("n_paths", "Number of paths."),
        count("horizon_sessions", "Sessions simulated."),
        text("statistic", "Statistic over the paths."),
        number("value", "Value; returns and drawdowns are fractions.", nullable=False),
        count("seed", "Seed."),
    ),
    key=("strategy", "method", "statistic"),
)
