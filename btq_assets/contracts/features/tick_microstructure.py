"""Trading cost, order flow and the order book, measured from ticks by bar.

Belongs here: names of the columns. Does not belong here: formulas
(`features.tick_microstructure`).
"""

from __future__ import annotations

from btq_assets.contracts.columns import count, number, text
from btq_assets.contracts.features.family import family

_ROUNDING = 1e-9


def _share(name: str, description: str):
    return number(name, description, minimum=-1 - _ROUNDING, maximum=1 + _ROUNDING)


TICK_MICROSTRUCTURE = family(
    "tick_microstructure",
    "Spreads, trade signs, order flow, depth, impact and toxicity from trades, quotes and books; one row per symbol and bar with any event.",
    (
        number("quoted_spread_bps", "Quoted spread over the mid price, time-weighted.", minimum=0),
        number(
            "effective_spread_bps",
            "Twice the distance of trades from the mid price before them, by quantity.",
            minimum=0,
        ),
        number(
            "realised_spread_bps",
            "What of the effective spread the resting side kept after the horizon, by quantity.",
        ),
        number(
            "price_impact_bps",
            "What of the effective spread the mid price moved within the horizon, by quantity.",
        ),
        _share("lee_ready_imbalance", "Units bought less sold over all, signed by Lee and Ready."),
        _share("tick_rule_imbalance", "Units bought less sold over all, signed by the tick rule."),
        _share("aggressor_imbalance", "Units bought less sold over all, as the exchange says."),
        number("ofi_top_units", "Order-flow imbalance of the best quotes, units."),
        number("ofi_top_depths", "The same over the mean quantity at the best quotes."),
        number("ofi_deep_depths", "Mean order-flow imbalance of 5 levels over their mean depth."),
        _share("depth_imbalance_top", "Bid less ask quantity over both, best quotes at the end."),
        _share("depth_imbalance_5", "Bid less ask quantity over both, 5 levels at the end."),
        _share("depth_imbalance_10", "Bid less ask quantity over both, 10 levels at the end."),
        number("book_slope", "Mean elasticity of cumulative depth to the price over 5 levels."),
        number("microprice_distance_bps", "Weighted mid price less the mid price, over it."),
        number(
            "stoikov_microprice_distance_bps",
            "Micro-price estimated on the days before less the mid price, over it.",
        ),
        number("trades_per_second", "Trades over the bar's length.", minimum=0),
        number("quotes_per_second", "Changes of the best quotes over the bar's length.", minimum=0),
        number("mid_return_sd_bps", "Deviation of the mid price's returns per bar.", minimum=0),
        number(
            "kyle_lambda_bps_per_million",
            "Slope of the mid price's return on the value bought less sold in the bar.",
        ),
        number("kyle_lambda_t", "That slope over its standard error."),
        number("amihud_bps_per_million", "Mean absolute return over the value traded.", minimum=0),
        number(
            "vpin",
            "Volume-synchronised probability of informed trading.",
            minimum=0,
            maximum=1 + _ROUNDING,
        ),
    ),
    extra=(
        text("dataset", "Exchange and market the row is of."),
        count("n_trades", "Trades in the bar."),
        count("n_aggressor_known", "Trades of which the exchange says who crossed the spread."),
        count("n_lee_ready_right", "Of these, signed as the exchange says by Lee and Ready."),
        count("n_tick_rule_right", "Of these, signed as the exchange says by the tick rule."),
    ),
)
