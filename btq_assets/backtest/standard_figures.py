"""The standard set of figures of a run beside the first seventeen of `figures`.

Belongs here: which figure of `engine.metrics` is shown under which name, unit and convention. Does
not belong here: formulas, intervals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from btq_assets.backtest.intervals import Daily
from btq_assets.engine import metrics
from btq_assets.engine.costs import BPS

if TYPE_CHECKING:
    from btq_assets.backtest.run import Run

Figure = tuple[str, float, str, str]


def daily(run: Run, reference: Run | None) -> Daily:
    """Series behind the figures of `run`; `reference` is left out for itself and for an index."""
    simulation = run.simulation
    fills, equity = simulation.fills, simulation.equity

    def per_day(values: np.ndarray) -> np.ndarray:
        return np.bincount(fills["bar"], weights=values, minlength=equity.size)[1:] / equity[:-1]

    theirs = None
    if reference is not None and run.role != "benchmark" and run.run_id != reference.run_id:
        theirs = reference.simulation.returns[1:]
    return Daily(
        returns=simulation.returns[1:],
        traded=per_day(np.abs(fills["shares"] * fills["price"])),
        cost=simulation.cost[1:] / equity[:-1],
        impact=per_day(fills["impact_cost"]),
        reference=theirs,
    )


def standard_figures(run: Run, day: Daily, trips: np.ndarray) -> Iterator[Figure]:
    """Name, value, unit and convention of each figure."""
    yield from _of_returns(day.returns)
    yield from _of_path(day.returns)
    yield from _of_benchmark(day)
    yield from _of_exposure(run)
    yield from _of_trips(trips)
    yield from _of_frictions(run, day)


def _of_returns(r: np.ndarray) -> Iterator[Figure]:
    days = "of daily net returns"
    yield "downside_deviation", metrics.downside_deviation(r), "annualised", "target return 0"
    yield "value_at_risk_95", metrics.value_at_risk(r), "fraction", "historical, of one session"
    yield (
        "cvar_95",
        metrics.conditional_value_at_risk(r),
        "fraction",
        "mean of the worst 5 % of sessions",
    )
    yield "skewness", metrics.skewness(r), "ratio", days
    yield "kurtosis", metrics.kurtosis(r), "ratio", f"{days}; a normal distribution has 3"
    yield "tail_ratio", metrics.tail_ratio(r), "ratio", "95 % quantile over the 5 % one"
    yield "omega", metrics.omega_ratio(r), "ratio", f"{days}, threshold 0"
    yield "gain_to_pain", metrics.gain_to_pain(r), "ratio", days
    yield "payoff_ratio", metrics.payoff_ratio(r), "ratio", days
    yield "kelly", metrics.kelly_fraction(r), "fraction", f"whole Kelly stake {days}"
    yield "stability", metrics.stability(r), "fraction", "R-squared of log equity on time"
    low, high = (float(r.min()), float(r.max())) if r.size else (np.nan, np.nan)
    yield "best_day", high, "per period", ""
    yield "worst_day", low, "per period", ""


def _of_path(r: np.ndarray) -> Iterator[Figure]:
    found = metrics.drawdowns(r)
    yield "ulcer_index", metrics.ulcer_index(r), "fraction", "root mean square drawdown"
    yield "pain_index", metrics.pain_index(r), "fraction", "mean drawdown"
    yield "martin_ratio", metrics.martin_ratio(r), "ratio", "annual return over ulcer index"
    yield "pain_ratio", metrics.pain_ratio(r), "ratio", "annual return over pain index"
    yield "n_drawdowns", float(found.depth.size), "count", "spells below an earlier peak"
    yield (
        "longest_underwater",
        metrics.longest_underwater(r),
        "sessions",
        "longest spell below an earlier peak, one that goes on included",
    )
    yield (
        "mean_drawdown_sessions",
        metrics.mean_drawdown_periods(r),
        "sessions",
        "mean length of the spells below an earlier peak",
    )
    yield (
        "recovery_sessions",
        metrics.recovery_periods(r),
        "sessions",
        "from the bottom of the deepest drawdown to its peak; none while it lasts",
    )
    falls = metrics.drawdown_path(r)
    yield (
        "time_underwater",
        float((falls > 0).mean()) if falls.size else float("nan"),
        "fraction",
        "share of sessions below an earlier peak",
    )


def _of_benchmark(day: Daily) -> Iterator[Figure]:
    against = "against one_over_n"
    b = day.reference if day.reference is not None else np.full(day.returns.size, np.nan)
    r = day.returns
    yield "beta", metrics.beta(r, b), "ratio", against
    yield "alpha_annual", metrics.alpha_annual(r, b), "annualised", f"Jensen's, {against}"
    yield "tracking_error", metrics.tracking_error(r, b), "annualised", against
    yield "treynor", metrics.treynor_ratio(r, b), "annualised", f"{against}, risk-free rate 0"
    yield "up_capture", metrics.up_capture(r, b), "ratio", f"{against}, in sessions it rose"
    yield "down_capture", metrics.down_capture(r, b), "ratio", f"{against}, in sessions it fell"
    yield "capture_ratio", metrics.capture_ratio(r, b), "ratio", against


def _of_exposure(run: Run) -> Iterator[Figure]:
    """What was held over each session: holdings and equity at its start."""
    simulation = run.simulation
    values = simulation.position_values[:-1]
    equity = simulation.equity[:-1]
    gross, net = np.abs(values).sum(axis=1) / equity, values.sum(axis=1) / equity
    yield "time_in_market", _mean(gross > 0), "fraction", "sessions begun with a position"
    yield "gross_exposure_mean", _mean(gross), "fraction", "of equity"
    yield "net_exposure_mean", _mean(net), "fraction", "of equity"


def _of_trips(trips: np.ndarray) -> Iterator[Figure]:
    closed = trips[~trips["is_open"]]
    kind = "of closed round trips, first in, first out, after costs"
    profit = closed["profit"]
    value = closed["shares"] * closed["entry_price"]
    held = (closed["exit_bar"] - closed["entry_bar"]).astype(float)
    yield "n_round_trips", float(closed.size), "count", "closed, first in, first out"
    yield "trip_win_rate", metrics.win_rate(profit), "fraction", kind
    yield "trip_profit_factor", metrics.calculate_profit_factor(profit), "ratio", kind
    yield "trip_expectancy", metrics.calculate_expectancy(profit), "currency", kind
    yield "trip_payoff_ratio", metrics.payoff_ratio(profit), "ratio", kind
    yield "trip_mae", _weighted(closed["mae"], value), "fraction", f"mean {kind}, by entry value"
    yield "trip_mfe", _weighted(closed["mfe"], value), "fraction", f"mean {kind}, by entry value"
    yield "holding_sessions", _weighted(held, value), "sessions", f"mean {kind}, by entry value"


def _of_frictions(run: Run, day: Daily) -> Iterator[Figure]:
    yield (
        "break_even_cost",
        metrics.break_even_cost(day.returns + day.cost, day.traded) / BPS,
        "bps",
        "flat cost of traded value, in place of all costs, at which the mean net return is zero",
    )
    why = "initial cash at which square-root impact makes the mean net return zero"
    fills = run.simulation.fills
    unknown = np.isnan(fills["impact_cost"])
    if not fills.size:
        value, why = np.nan, "nothing was traded"
    elif unknown.any():
        value = np.nan
        why = f"volume or volatility is unknown for {unknown.mean():.1%} of the fills"
    elif not day.impact.any():
        value, why = np.nan, "no impact is charged"
    else:
        value = metrics.capacity_multiple(day.returns + day.impact, day.impact)
        value *= run.simulation.equity[0]
    yield "capacity", float(value), "currency", why


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _weighted(values: np.ndarray, weights: np.ndarray) -> float:
    return float(values @ weights / weights.sum()) if weights.sum() > 0 else float("nan")
