"""Performance figures of a return series, an equity path or a list of trades.

Belongs here: one function a figure, its formula and where it comes from. Does not belong here:
intervals and tests (the evidence room), tables (the backtest room).

Conventions: returns are simple returns per period; missing periods (NaN, null) are left out;
standard deviations divide by ``n - 1``; a figure that is undefined is NaN, never 0. The formulas
in one table, with sources and the faults of peers: docs/metrics.md.
"""

from btq_assets.engine.metrics.drawdowns import (
    Drawdowns,
    calculate_calmar,
    drawdown_path,
    drawdowns,
    fall_path,
    falls_of,
    longest_underwater,
    martin_ratio,
    max_drawdown,
    mean_drawdown_periods,
    pain_index,
    pain_ratio,
    recovery_periods,
    ulcer_index,
)
from btq_assets.engine.metrics.frictions import (
    break_even_cost,
    capacity_multiple,
    turnover_annual,
)
from btq_assets.engine.metrics.ratios import (
    annual_return,
    annual_volatility,
    calculate_sharpe,
    calculate_sortino,
    downside_deviation,
    gain_to_pain,
    omega_ratio,
    stability,
)
from btq_assets.engine.metrics.relative import (
    alpha_annual,
    beta,
    calculate_information_ratio,
    capture_ratio,
    down_capture,
    tracking_error,
    treynor_ratio,
    up_capture,
)
from btq_assets.engine.metrics.series import PERIODS_PER_YEAR
from btq_assets.engine.metrics.shape import (
    central_moments,
    conditional_value_at_risk,
    kurtosis,
    skewness,
    tail_losses,
    tail_ratio,
    tail_size,
    value_at_risk,
)
from btq_assets.engine.metrics.trades import (
    adverse_excursions,
    calculate_expectancy,
    calculate_mae,
    calculate_mfe,
    calculate_profit_factor,
    kelly_fraction,
    payoff_ratio,
    win_rate,
)

__all__ = [
    "PERIODS_PER_YEAR",
    "Drawdowns",
    "adverse_excursions",
    "alpha_annual",
    "annual_return",
    "annual_volatility",
    "beta",
    "break_even_cost",
    "calculate_calmar",
    "calculate_expectancy",
    "calculate_information_ratio",
    "calculate_mae",
    "calculate_mfe",
    "calculate_profit_factor",
    "calculate_sharpe",
    "calculate_sortino",
    "capacity_multiple",
    "capture_ratio",
    "central_moments",
    "conditional_value_at_risk",
    "down_capture",
    "downside_deviation",
    "drawdown_path",
    "drawdowns",
    "fall_path",
    "falls_of",
    "gain_to_pain",
    "kelly_fraction",
    "kurtosis",
    "longest_underwater",
    "martin_ratio",
    "max_drawdown",
    "mean_drawdown_periods",
    "omega_ratio",
    "pain_index",
    "pain_ratio",
    "payoff_ratio",
    "recovery_periods",
    "skewness",
    "stability",
    "tail_losses",
    "tail_ratio",
    "tail_size",
    "tracking_error",
    "treynor_ratio",
    "turnover_annual",
    "ulcer_index",
    "up_capture",
    "value_at_risk",
    "win_rate",
]
