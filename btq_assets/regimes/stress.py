"""Stress index of a universe and its crisis flag.

Belongs here: the components, how they are standardised and weighted. Does not belong here: what is
done in a crisis (`parameters`, the portfolio room).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.config.regimes import RegimesSection, StressSection
from btq_assets.contracts.regimes import STRESS_COMPONENTS, STRESS_INDEX
from btq_assets.regimes.panel import (
    Panel,
    Windows,
    average_correlation,
    hysteresis,
    panel_of,
    realised_volatility,
    standardised_on_the_past,
)

#: Condition number above which a correlation matrix is not inverted.
_SINGULAR = 1e10


def stress_index(
    bars: pl.DataFrame,
    macro: pl.DataFrame,
    universe: str,
    settings: RegimesSection | None = None,
) -> pl.DataFrame:
    """Weighted mean of components, each in deviations from its own past.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    macro
        Rows of `features.macro` (may be empty): the credit spread known at each session.
    universe
        Universe wanted.

    Returns
    -------
    polars.DataFrame
        Rows of ``regimes.stress_index``, one for each session with a return; what is undefined is
        null.
    """
    settings = settings or RegimesSection()
    section = settings.stress
    panel = panel_of(bars, universe)
    if not (settings.enable and section.enable) or panel.ts.is_empty():
        return STRESS_INDEX.empty()
    raw = components(panel, credit_spread(panel.ts, macro, universe), section)
    scores = {
        name: standardised_on_the_past(values, section.min_history_sessions)
        for name, values in raw.items()
    }
    index, n_components = weighted(scores, section)
    crisis = hysteresis(
        index, section.crisis_enter, section.crisis_exit, section.crisis_min_sessions
    )
    return (
        pl.DataFrame(
            {"ts": panel.ts}
            | raw
            | {f"{name}_score": values for name, values in scores.items()}
            | {"stress_index": index, "n_components": n_components, "is_crisis": crisis}
        )
        .with_columns(pl.col(pl.Float64).fill_nan(None), scope=pl.lit(universe))
        .select(STRESS_INDEX.column_names)
    )


def components(panel: Panel, spread: np.ndarray, section: StressSection) -> dict[str, np.ndarray]:
    """Each component at each session, ``(T,)``, NaN where undefined; higher is more stress."""
    raw_turbulence = turbulence(
        panel.log_returns,
        section.turbulence_window_sessions,
        section.turbulence_refit_sessions,
    )
    return {
        "volatility": realised_volatility(panel.market, section.volatility_window_sessions),
        "spread": spread,
        "correlation": average_correlation(panel.log_returns, section.correlation_window_sessions),
        "drawdown": drawdown(panel.market, section.drawdown_window_sessions),
        "turbulence": trailing_mean(raw_turbulence, section.turbulence_mean_sessions),
        "absorption": absorption_ratio(
            panel.log_returns,
            section.absorption_window_sessions,
            section.absorption_half_life_sessions,
        ),
    }


def credit_spread(ts: pl.Series, macro: pl.DataFrame, universe: str) -> np.ndarray:
    """Baa minus Aaa yield known at each session, percentage points; NaN where there is none."""
    known = macro.filter(pl.col("universe") == universe).select("ts", "credit_spread_baa_aaa")
    joined = ts.rename("ts").to_frame().join(known, on="ts", how="left", maintain_order="left")
    return joined["credit_spread_baa_aaa"].cast(pl.Float64).fill_null(np.nan).to_numpy().copy()


def drawdown(market: np.ndarray, window: int) -> np.ndarray:
    """Loss from the highest level of the last `window` sessions, as a positive fraction."""
    level = np.concatenate([[0.0], np.cumsum(market)])
    peaks = np.array(
        [level[max(0, t + 1 - window) : t + 1].max() for t in range(1, level.size)], float
    )
    return -np.expm1(level[1:] - peaks)


def turbulence(log_returns: np.ndarray, window: int, refit_every: int = 1) -> np.ndarray:
    """Kritzman and Li (2010), eq. 1, divided by the number of symbols.

    ``(y - mean)' covariance^-1 (y - mean) / N``, mean and covariance of `window` sessions before
    (none of those judged by them), over the symbols that have all of these. NaN where one of them
    has no return, with fewer than 2 symbols, or where the covariance cannot be inverted.

    Parameters
    ----------
    log_returns
        ``(T, N)``, NaN where missing.
    window
        Sessions behind each estimate; more than there are symbols.
    refit_every
        Sessions judged by one estimate, counted from the first that has a window.
    """
    out = np.full(len(log_returns), np.nan)
    windows = Windows(log_returns)
    for start in range(window, len(log_returns), refit_every):
        chosen = windows.complete(start - window, start)
        if not 2 <= len(chosen) < window:
            continue
        past = log_returns[start - window : start, chosen]
        mean = past.mean(axis=0)
        centred = past - mean
        covariance = centred.T @ centred / (window - 1)
        # In units of each symbol's deviation, so that the condition says something.
        scale = np.sqrt(np.diagonal(covariance))
        correlation = covariance / np.outer(scale, scale)
        values = np.linalg.eigvalsh(correlation)
        if values[-1] > _SINGULAR * values[0]:
            continue
        judged = (log_returns[start : start + refit_every, chosen] - mean) / scale
        distance = (judged * np.linalg.solve(correlation, judged.T).T).sum(axis=1)
        out[start : start + refit_every] = distance / len(chosen)
    return out


def absorption_ratio(log_returns: np.ndarray, window: int, half_life: float) -> np.ndarray:
    """Kritzman, Li, Page and Rigobon (2011), eq. 1, with their windows.

    Share of the total variance that the first fifth of the eigenvectors (rounded, at least one) of
    the exponentially weighted covariance explains. NaN with fewer than 2 symbols that have the
    whole window.
    """
    out = np.full(len(log_returns), np.nan)
    windows = Windows(log_returns)
    weights = 0.5 ** (np.arange(window - 1, -1, -1) / half_life)
    weights /= weights.sum()
    roots = np.sqrt(weights)[:, None]
    for t in range(window - 1, len(log_returns)):
        chosen = windows.complete(t + 1 - window, t + 1)
        if len(chosen) < 2:
            continue
        past = log_returns[t + 1 - window : t + 1]
        if len(chosen) < past.shape[1]:
            past = past[:, chosen]
        centred = past - weights @ past
        centred *= roots
        values = np.linalg.eigvalsh(centred.T @ centred)
        n_vectors = max(1, round(len(chosen) / 5))
        out[t] = values[-n_vectors:].sum() / values.sum()
    return np.clip(out, 0.0, 1.0)


def trailing_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` values; NaN where one is missing."""
    out = np.full(values.size, np.nan)
    if values.size >= window:
        out[window - 1 :] = np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)
    return out


def weighted(
    scores: dict[str, np.ndarray], section: StressSection
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of the scores there are, and their number.

    Weights of missing components are shared out among the others; with fewer than
    ``min_components`` the index is missing.
    """
    matrix = np.column_stack([scores[name] for name in STRESS_COMPONENTS])
    weights = np.array([getattr(section.weights, name) for name in STRESS_COMPONENTS])
    present = np.isfinite(matrix) & (weights > 0)
    n_components = present.sum(axis=1)
    total = (present * weights).sum(axis=1)
    summed = (np.where(present, matrix, 0.0) * weights).sum(axis=1)
    enough = n_components >= section.min_components
    index = np.divide(summed, total, out=np.full(len(matrix), np.nan), where=enough & (total > 0))
    return index, n_components
