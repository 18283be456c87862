"""Tables of the controls and of parameter sweeps."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import UNIVERSE, count, flag, number, text

_COLUMNS = (
    text(
        "control",
        "null_dates (returns of other dates), null_assets (of other assets), null_phases (same spectra), null_bootstrap (resampled), planted (an edge), leak (tomorrow among the features).",
        allowed=("null_dates", "null_assets", "null_phases", "null_bootstrap", "planted", "leak"),
    ),
    text("model", "Model that forecast."),
    count("seed", "Seed of the market."),
    UNIVERSE,
    number("planted_sharpe", "Annual Sharpe ratio over 1/N, before costs, of ranking by the planted signal itself; 0 without one.", nullable=False, minimum=0),
    flag("champion", "Whether any candidate passed every demand of the verdict."),
    text("best", "Survivor, else the candidate with the highest lower end of its difference to 1/N."),
    number("deflated_sharpe", "Its deflated Sharpe ratio, all candidates of the market counted.", minimum=0, maximum=1),
    number("mean_difference_annual", "Its mean daily difference to 1/N times 252.", nullable=False),
    number("ci_low_annual", "Lower end of the 95 % interval of that.", nullable=False),
    number("ci_high_annual", "Upper end.", nullable=False),
    number("rank_ic", "Mean rank correlation of forecasts and labels out of sample; null where undefined.", minimum=-1, maximum=1),
    count("n_candidates", "Portfolios made of the forecasts: trials of this market."),
    count("n_returns", "Daily returns of each."),
)  # fmt: skip

CONTROLS = TableContract(
    layer="evidence",
    name="controls",
    description="The whole path on markets made from the real one: without anything to find, with a planted edge, and with a leak; one row per market and model.",
    columns=_COLUMNS,
    key=("control", "model", "seed"),
)

CONTROLS_DEEP = TableContract(
    layer="evidence",
    name="controls_deep",
    description="The same markets and the same path with a small deep model.",
    columns=_COLUMNS,
    key=("control", "model", "seed"),
)

SENSITIVITY = TableContract(
    layer="backtest",
    name="sensitivity",
    description="A strategy family over a grid of parameters: how far a result depends on the exact set.",
    columns=(
        text("family", "Strategy family."),
        count("number", "Number of the set."),
        UNIVERSE,
        text("score", "Score the assets were ranked by."),
        count("lookback_sessions", "Sessions the score looks back.", minimum=1),
        count("top_k", "Assets held.", minimum=1),
        count("every_sessions", "Sessions between decisions.", minimum=1),
        number("threshold", "One-way turnover below which a decision is not taken, fraction of equity.", nullable=False, minimum=0),
        number("sharpe", "Annual Sharpe ratio after costs; null for constant returns."),
        number("annual_return", "Compound growth a year.", nullable=False),
        number("max_drawdown", "Largest fall from an earlier peak, fraction.", nullable=False, minimum=0),
        number("turnover_annual", "Purchases and sales over equity, a year.", minimum=0),
        number("excess_annual", "Mean daily return above that of 1/N over the same bars, times 252.", nullable=False),
        count("n_neighbours", "Sets one step away along one parameter."),
        number("same_sign_share", "Share of them whose excess has the same sign; null without neighbours.", minimum=0, maximum=1),
        number("neighbour_excess_annual", "Mean excess of the neighbours; a peak stands far above it."),
    ),
    key=("family", "number"),
)  # fmt: skip
