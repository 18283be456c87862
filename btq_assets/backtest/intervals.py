"""Intervals of the figures of a run by the stationary block bootstrap, all resamples at once.

Belongs here: which figure is which function of resampled means, tails and paths. Does not belong
here: drawing resamples (`evidence.bootstrap`), the figures themselves (`engine.metrics`).

Politis and Romano (1994); percentile intervals (Efron, 1979). All runs share the draws, and a run
and its reference are resampled together. Figures of paths are those of resampled paths: blocks of a
month on average break slumps that last longer, so these intervals lean towards shallow and short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from btq_assets.engine import metrics
from btq_assets.engine.costs import BPS

if TYPE_CHECKING:
    from btq_assets.config import BacktestSection

Interval = tuple[float, float]

_TAIL = (0.025, 0.975)
_LEVEL = 0.95
_LEAST_RETURN = -1 + 1e-12


@dataclass(frozen=True)
class Daily:
    """What the figures of a run read of each day after the first, ``float64[n]`` each.

    Attributes
    ----------
    returns
        Net returns.
    traded, cost, impact
        Traded value, all costs, and impact, over equity at the start of the day.
    reference
        Net returns of the reference; ``None`` for the reference itself and for an index.
    """

    returns: np.ndarray
    traded: np.ndarray
    cost: np.ndarray
    impact: np.ndarray
    reference: np.ndarray | None


def intervals(days: Sequence[Daily], settings: BacktestSection) -> list[dict[str, Interval]]:
    """95 % intervals of each run's figures by name; a figure that has none is absent.

    Parameters
    ----------
    days
        Of each run. Runs may differ in length.
    settings
        Resamples, mean block and seed.
    """
    from btq_assets.evidence.bootstrap import resampled_means, stationary_bootstrap_indices

    found: list[dict[str, Interval]] = [{} for _ in days]
    usable = [
        k
        for k, day in enumerate(days)
        if day.returns.size > 1 and np.isfinite(day.returns).all() and day.returns.std() > 0
    ]
    for n in sorted({days[k].returns.size for k in usable}):
        mine = [k for k in usable if days[k].returns.size == n]
        columns = [_columns(days[k]) for k in mine]
        drawn = {
            "mean_block": settings.bootstrap_mean_block_sessions,
            "n_samples": settings.bootstrap_samples,
            "seed": settings.seed,
        }
        means = resampled_means(
            np.column_stack([np.column_stack(list(c.values())) for c in columns]), **drawn
        )
        indices = stationary_bootstrap_indices(n, **drawn)
        start = 0
        for k, named in zip(mine, columns, strict=True):
            part = dict(zip(named, means[:, start : start + len(named)].T, strict=True))
            start += len(named)
            with np.errstate(divide="ignore", invalid="ignore"):
                resampled = _of_means(days[k], part, n)
                resampled |= _of_tails(days[k].returns, indices)
                resampled |= _of_paths(days[k].returns, indices)
            found[k] = _percentiles(resampled)
    return found


def _percentiles(resampled: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    kept = {name: values for name, values in resampled.items() if np.isfinite(values).all()}
    if not kept:
        return {}
    low, high = np.quantile(np.column_stack(list(kept.values())), _TAIL, axis=0)
    return dict(zip(kept, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _columns(day: Daily) -> dict[str, np.ndarray]:
    """Series whose resampled means are needed; returns are centred so that nothing cancels."""
    r = day.returns
    x = r - r.mean()
    log = np.log1p(np.maximum(r, _LEAST_RETURN))
    found = {
        "x": x,
        "x2": x**2,
        "x3": x**3,
        "x4": x**4,
        "log": log,
        "gain": np.maximum(r, 0.0),
        "loss": np.maximum(-r, 0.0),
        "down2": np.minimum(r, 0.0) ** 2,
        "wins": (r > 0).astype(float),
        "losses": (r < 0).astype(float),
        "traded": day.traded,
        "cost": day.cost,
    }
    if np.isfinite(day.impact).all():
        found["impact"] = day.impact
    if day.reference is not None:
        b = day.reference
        y = b - b.mean()
        log_b = np.log1p(np.maximum(b, _LEAST_RETURN))
        up, down = (b > 0).astype(float), (b < 0).astype(float)
        found |= {
            "y": y,
            "y2": y**2,
            "xy": x * y,
            "up": up,
            "down": down,
            "up_own": up * log,
            "up_theirs": up * log_b,
            "down_own": down * log,
            "down_theirs": down * log_b,
        }
    return found


def _of_means(day: Daily, m: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    year = metrics.PERIODS_PER_YEAR
    mean = m["x"] + day.returns.mean()
    second = np.maximum(m["x2"] - m["x"] ** 2, 0.0)
    third = m["x3"] - 3 * m["x"] * m["x2"] + 2 * m["x"] ** 3
    fourth = m["x4"] - 4 * m["x"] * m["x3"] + 6 * m["x"] ** 2 * m["x2"] - 3 * m["x"] ** 4
    payoff = (m["gain"] / m["wins"]) / (m["loss"] / m["losses"])
    win_rate = m["wins"] / (m["wins"] + m["losses"])
    found = {
        "skewness": third / second**1.5,
        "kurtosis": fourth / second**2,
        "omega": m["gain"] / m["loss"],
        "profit_factor": m["gain"] / m["loss"],
        "gain_to_pain": m["gain"] / m["loss"] - 1,
        "downside_deviation": np.sqrt(m["down2"] * year),
        "payoff_ratio": payoff,
        "kelly": win_rate - (1 - win_rate) / payoff,
        "cost_annual": m["cost"] * year,
        "break_even_cost": (mean + m["cost"]) / m["traded"] / BPS,
    }
    if "impact" in m:
        found["capacity_multiple"] = (np.maximum(mean + m["impact"], 0.0) / m["impact"]) ** 2
    if "y" in m and day.reference is not None:
        variance = np.maximum(m["y2"] - m["y"] ** 2, 0.0)
        covariance = m["xy"] - m["x"] * m["y"]
        beta = covariance / variance
        theirs = m["y"] + day.reference.mean()
        active = np.sqrt(np.maximum(second + variance - 2 * covariance, 0.0) * n / (n - 1))
        up = np.expm1(m["up_own"] / m["up"]) / np.expm1(m["up_theirs"] / m["up"])
        down = np.expm1(m["down_own"] / m["down"]) / np.expm1(m["down_theirs"] / m["down"])
        found |= {
            "beta": beta,
            "alpha_annual": (mean - beta * theirs) * year,
            "tracking_error": active * np.sqrt(year),
            "information_ratio": (mean - theirs) / active * np.sqrt(year),
            "treynor": mean * year / beta,
            "up_capture": up,
            "down_capture": down,
            "capture_ratio": up / down,
        }
    return found


def _of_tails(returns: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
    from btq_assets.engine.resampling_kernel import resampled_tails

    n = returns.size
    tail = round(n * (1 - _LEVEL), 9)
    if tail < 1:
        return {}
    order = np.argsort(returns, kind="stable")
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    found = np.empty((indices.shape[0], 4))
    resampled_tails(returns[order], rank, indices, np.empty(n, dtype=np.int64), tail, found)
    low, high, boundary, mean = found.T
    return {
        "tail_ratio": np.abs(high) / np.abs(low),
        "value_at_risk_95": -boundary,
        "cvar_95": -mean,
    }


def _of_paths(returns: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
    from btq_assets.engine.resampling_kernel import resampled_falls

    found = np.empty((indices.shape[0], 5))
    resampled_falls(np.maximum(returns, _LEAST_RETURN), indices, found)
    worst, pain, square, longest, log = found.T
    growth = np.expm1(log / returns.size * metrics.PERIODS_PER_YEAR)
    return {
        "max_drawdown": worst,
        "pain_index": pain,
        "ulcer_index": np.sqrt(square),
        "longest_underwater": longest,
        "calmar": growth / worst,
        "pain_ratio": growth / pain,
        "martin_ratio": growth / np.sqrt(square),
    }
