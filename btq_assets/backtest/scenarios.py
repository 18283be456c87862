"""Which kind of market each day belonged to, by what was known the day before.

Belongs here: simple trailing definitions for slicing a finished backtest. Does not belong here:
the fitted regimes that strategies may read (the regimes room).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.engine import metrics

#: A slice shorter than this gives no figures.
MIN_DAYS = 60

#: Label of days of which no state was known.
UNKNOWN = "unknown"

TREND_SESSIONS = 126
TREND_THRESHOLD = 0.05
VOLATILITY_SESSIONS = 21
HIGH_VOLATILITY = 1.25
LOW_VOLATILITY = 0.80

DEFINITIONS = {
    "bull": f"trailing {TREND_SESSIONS}-session return of the equal-weight market above "
    f"{TREND_THRESHOLD:.0%}",
    "bear": f"trailing {TREND_SESSIONS}-session return of the equal-weight market below "
    f"-{TREND_THRESHOLD:.0%}",
    "sideways": f"trailing {TREND_SESSIONS}-session return of the equal-weight market in between",
    "high_volatility": f"trailing {VOLATILITY_SESSIONS}-session volatility above "
    f"{HIGH_VOLATILITY:g} times its median so far",
    "normal_volatility": f"trailing {VOLATILITY_SESSIONS}-session volatility in between",
    "low_volatility": f"trailing {VOLATILITY_SESSIONS}-session volatility below "
    f"{LOW_VOLATILITY:g} times its median so far",
}

#: Kinds of market above by dimension, and the state each stands for.
TRAILING = {
    "market": {"bull": "bull", "bear": "bear", "sideways": "sideways"},
    "volatility": {f"{level}_volatility": level for level in ("low", "normal", "high")},
}


@dataclass(frozen=True)
class ScenarioResult:
    """Figures of the days of one scenario.

    Attributes
    ----------
    scenario, definition
        Name and meaning.
    n_days, n_episodes
        Days in the slice, and unbroken stretches of them.
    metrics
        Figures of the daily net returns; empty when there are too few days. ``max_drawdown`` is
        the worst one inside an unbroken stretch: days apart in time are not spliced into a path.
    note
        ``"too few days"`` or empty.
    kind
        ``regime`` (days of the one path), ``crisis`` (a window of it), ``stress`` (another run) or
        ``bootstrap`` (a quantile over paths).
    """

    scenario: str
    definition: str
    n_days: int
    n_episodes: int
    metrics: dict[str, float]
    note: str
    kind: str = "regime"


def market_returns(mark_prices: np.ndarray) -> np.ndarray:
    """Equal-weight mean of the daily returns there are, ``float64[T]``; NaN at the first bar."""
    change = np.full(mark_prices.shape, np.nan)
    change[1:] = mark_prices[1:] / mark_prices[:-1] - 1
    known = np.isfinite(change)
    n = known.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(n > 0, np.where(known, change, 0.0).sum(axis=1) / n, np.nan)


def scenario_days(returns: np.ndarray) -> dict[str, np.ndarray]:
    """Days of each scenario, labelled by returns up to the day before.

    Parameters
    ----------
    returns
        Daily market returns, ``float64[T]``; NaN counts as no move.

    Returns
    -------
    dict of bool[T]
        By scenario; days without enough history belong to none.
    """
    path = np.cumsum(np.log1p(np.nan_to_num(returns, nan=0.0)))
    n = path.size
    trend = np.full(n, np.nan)
    trend[TREND_SESSIONS:] = np.expm1(path[TREND_SESSIONS:] - path[:-TREND_SESSIONS])
    volatility = np.full(n, np.nan)
    if n > VOLATILITY_SESSIONS:
        windows = np.lib.stride_tricks.sliding_window_view(
            np.nan_to_num(returns, nan=0.0)[1:], VOLATILITY_SESSIONS
        )
        volatility[VOLATILITY_SESSIONS:] = windows.std(axis=1, ddof=1)
    relative = volatility / _median_so_far(volatility)
    relative[: TREND_SESSIONS + 1] = np.nan  # a median of few values is no yardstick
    known = {
        "bull": trend > TREND_THRESHOLD,
        "bear": trend < -TREND_THRESHOLD,
        "sideways": np.abs(trend) <= TREND_THRESHOLD,
        "high_volatility": relative > HIGH_VOLATILITY,
        "normal_volatility": (relative >= LOW_VOLATILITY) & (relative <= HIGH_VOLATILITY),
        "low_volatility": relative < LOW_VOLATILITY,
    }
    return {name: np.concatenate([[False], days[:-1]]) for name, days in known.items()}


def trailing_labels(returns: np.ndarray) -> dict[str, pl.Series]:
    """State of each bar by dimension, from `scenario_days`: ``"unknown"`` without enough history.

    Parameters
    ----------
    returns
        Daily market returns, ``float64[T]``.
    """
    days = scenario_days(returns)
    labels = {}
    for dimension, states in TRAILING.items():
        found = np.full(returns.size, UNKNOWN, dtype=object)
        for name, state in states.items():
            found[days[name]] = state
        labels[dimension] = pl.Series("state", found.tolist(), dtype=pl.String)
    return labels


def _median_so_far(values: np.ndarray) -> np.ndarray:
    """Median of all values up to each position, NaN left out."""
    from bisect import insort

    seen: list[float] = []
    result = np.full(values.size, np.nan)
    for position, value in enumerate(values):
        if np.isfinite(value):
            insort(seen, float(value))
        if seen:
            middle = len(seen) // 2
            result[position] = (
                seen[middle] if len(seen) % 2 else (seen[middle - 1] + seen[middle]) / 2
            )
    return result


def slice_result(
    scenario: str, net_returns: np.ndarray, days: np.ndarray, definition: str | None = None
) -> ScenarioResult:
    """Figures of the days of one scenario.

    Parameters
    ----------
    scenario
        Name.
    net_returns
        Daily net returns of the strategy over the whole path; NaN at the first bar.
    days
        ``bool[T]``.
    definition
        Meaning of the scenario; default that of `DEFINITIONS`.
    """
    chosen = days & np.isfinite(net_returns)
    returns = net_returns[chosen]
    episodes = _episodes(chosen)
    figures: dict[str, float] = {}
    if returns.size >= MIN_DAYS:
        falls = [
            metrics.max_drawdown(np.concatenate([[1.0], np.cumprod(1 + net_returns[a:b])]))
            for a, b in episodes
        ]
        figures = {
            "annual_return": metrics.annual_return(returns),
            "annual_volatility": metrics.annual_volatility(returns),
            "sharpe": metrics.calculate_sharpe(returns),
            "sortino": metrics.calculate_sortino(returns),
            "max_drawdown": max(falls),
            "win_rate": metrics.win_rate(returns),
            "profit_factor": metrics.calculate_profit_factor(returns),
            "expectancy": metrics.calculate_expectancy(returns),
        }
    return ScenarioResult(
        scenario=scenario,
        definition=DEFINITIONS[scenario] if definition is None else definition,
        n_days=int(returns.size),
        n_episodes=len(episodes),
        metrics=figures,
        note="" if figures else f"too few days: {returns.size}, at least {MIN_DAYS} are needed",
    )


def _episodes(days: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], days.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
