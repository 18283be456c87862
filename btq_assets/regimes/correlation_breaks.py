"""Breaks of the correlations between the last window and the one before it, with a test.

Belongs here: Jennrich's and Larntz and Perlman's tests, and when a break begins and ends. Does not
belong here: correlations as features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from btq_assets.config.regimes import CorrelationBreaksSection, RegimesSection
from btq_assets.contracts.regimes import CORRELATION_BREAKS
from btq_assets.regimes.panel import Panel, Windows, panel_of

#: Smallest eigenvalue of a correlation matrix that is inverted.
_SINGULAR = 1e-8


@dataclass(frozen=True)
class Jennrich:
    """Statistic, degrees of freedom and p-value."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True)
class LarntzPerlman:
    """Largest standardised change of a pair, its p-value, and the pair's positions."""

    statistic: float
    p_value: float
    pair: tuple[int, int]


def jennrich(
    before: np.ndarray, after: np.ndarray, n_before: int, n_after: int, kurtosis: float = 0.0
) -> Jennrich | None:
    """Equality of two correlation matrices, Jennrich (1970), eq. 3.6.

    Parameters
    ----------
    before, after
        ``(N, N)`` sample correlations of independent samples.
    n_before, n_after
        Observations behind each.
    kurtosis
        Of `common_kurtosis`: correlations of an elliptical sample vary 1 plus that as much as
        those of a normal one (Muirhead and Waternaux 1980), so the statistic is divided by it.

    Returns
    -------
    Jennrich or None
        Chi-square with N (N - 1) / 2 degrees of freedom under equality; ``None`` where the pooled
        matrix cannot be inverted.
    """
    from scipy.special import chdtrc

    n_symbols = len(before)
    pooled = (n_before * before + n_after * after) / (n_before + n_after)
    if np.linalg.eigvalsh(pooled)[0] < _SINGULAR:
        return None
    inverse = np.linalg.inv(pooled)
    weight = math.sqrt(n_before * n_after / (n_before + n_after))
    change = weight * inverse @ (before - after)
    diagonal = np.diagonal(change)
    system = np.eye(n_symbols) + pooled * inverse
    statistic = 0.5 * float(np.trace(change @ change)) - float(
        diagonal @ np.linalg.solve(system, diagonal)
    )
    statistic = max(statistic, 0.0) / (1 + kurtosis)
    freedom = n_symbols * (n_symbols - 1) // 2
    return Jennrich(statistic, freedom, float(chdtrc(freedom, statistic)))


def larntz_perlman(
    before: np.ndarray, after: np.ndarray, n_before: int, n_after: int, kurtosis: float = 0.0
) -> LarntzPerlman:
    """Largest change of Fisher's z over all pairs, Larntz and Perlman (1985).

    The p-value ``1 - (2 Phi(T) - 1)^(N (N - 1) / 2)`` is an upper bound under equality and needs no
    inverse, so that it serves where symbols outnumber sessions.
    """
    from scipy.special import ndtr

    rows, columns = _pairs(len(before))
    bound = 1 - 1e-12
    change = np.arctanh(np.clip(after[rows, columns], -bound, bound)) - np.arctanh(
        np.clip(before[rows, columns], -bound, bound)
    )
    change /= math.sqrt((1 + kurtosis) * (1 / (n_before - 3) + 1 / (n_after - 3)))
    largest = int(np.abs(change).argmax())
    statistic = float(abs(change[largest]))
    tail = 2 * float(ndtr(-statistic))
    p_value = 1.0 if tail >= 1 else -math.expm1(len(rows) * math.log1p(-tail))
    return LarntzPerlman(statistic, p_value, (int(rows[largest]), int(columns[largest])))


@lru_cache(maxsize=8)
def _pairs(n_symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pairs of a symmetric matrix."""
    return np.triu_indices(n_symbols, 1)


@lru_cache(maxsize=8)
def _quantiles(n: int) -> np.ndarray:
    """Normal quantiles of twice the ranks, of `n` observations; ties have half ranks."""
    from scipy.special import ndtri

    return ndtri(np.arange(2 * n + 1) / (2 * (n + 1)))


def normal_scores(window: np.ndarray) -> np.ndarray:
    """Each column's ranks as normal quantiles (van der Waerden 1952), so that fat tails do not count.

    Both tests assume normal observations; a few wild sessions would otherwise break anything.
    Ties share the mean of their ranks.
    """
    n = len(window)
    order = np.argsort(window, axis=0)
    ordered = np.take_along_axis(window, order, axis=0)
    differs = ordered[1:] != ordered[:-1]
    place = np.broadcast_to(np.arange(n)[:, None], window.shape)
    first, last = place.copy(), place.copy()
    if not differs.all():
        first[1:] = np.where(differs, first[1:], 0)
        np.maximum.accumulate(first, axis=0, out=first)
        last[:-1] = np.where(differs, last[:-1], n)
        last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
    scores = np.empty(window.shape)
    np.put_along_axis(scores, order, _quantiles(n)[first + last + 2], axis=0)
    return scores


def correlations(observations: np.ndarray) -> np.ndarray:
    """``(N, N)`` correlations of ``(T, N)`` columns, none of them constant."""
    centred = observations - observations.mean(axis=0)
    products = centred.T @ centred
    scale = np.sqrt(np.diagonal(products))
    return np.clip(products / scale / scale[:, None], -1.0, 1.0)


def common_kurtosis(scores: np.ndarray) -> float:
    """Kurtosis that all symbols share, of Mardia (1970): mean squared distance over the normal one.

    ``mean((x' R^-1 x)^2) / (N (N + 2)) - 1``, at least 0. Ranks tame each symbol, but on a wild
    session all are wild together, and correlations vary more than those of normal samples.

    Parameters
    ----------
    scores
        ``(T, N)``, each column of mean 0.

    Returns
    -------
    float
        0 where the correlations cannot be inverted.
    """
    n_times, n_symbols = scores.shape
    scaled = scores / np.sqrt((scores**2).mean(axis=0))
    correlation = scaled.T @ scaled / n_times
    if n_times <= n_symbols or np.linalg.eigvalsh(correlation)[0] < _SINGULAR:
        return 0.0
    distances = (scaled * np.linalg.solve(correlation, scaled.T).T).sum(axis=1)
    return max(float((distances**2).mean()) / (n_symbols * (n_symbols + 2)) - 1, 0.0)


def correlation_breaks(
    bars: pl.DataFrame, universe: str, settings: RegimesSection | None = None
) -> pl.DataFrame:
    """Test the last window against the one before it, every few sessions.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    universe
        Universe wanted.

    Returns
    -------
    polars.DataFrame
        Rows of ``regimes.correlation_breaks``; none at sessions with fewer than two symbols that
        have both windows in full.
    """
    settings = settings or RegimesSection()
    section = settings.correlation_breaks
    panel = panel_of(bars, universe)
    if not (settings.enable and section.enable) or panel.ts.is_empty():
        return CORRELATION_BREAKS.empty()
    first = 2 * section.window_sessions - 1
    windows = Windows(panel.log_returns)
    tested = [
        row
        for t in range(first, len(panel.market), section.every_sessions)
        if (row := _test(panel, windows, t, section)) is not None
    ]
    if not tested:
        return CORRELATION_BREAKS.empty()
    return (
        pl.DataFrame(tested, schema_overrides=_TYPES)
        .with_columns(scope=pl.lit(universe))
        .with_columns(is_break=_breaks([row["rejected"] for row in tested], section))
        .select(CORRELATION_BREAKS.column_names)
    )


def _breaks(rejected: list[bool], section: CorrelationBreaksSection) -> pl.Series:
    """First rejection in a window's length: those that follow overlap with it and date it anew."""
    out, quiet_until = [], -1
    tests_in_window = -(-section.window_sessions // section.every_sessions)
    for number, value in enumerate(rejected):
        out.append(value and number >= quiet_until)
        if out[-1]:
            quiet_until = number + tests_in_window
    return pl.Series(out, dtype=pl.Boolean)


_TYPES = {
    "jennrich_statistic": pl.Float64,
    "jennrich_p_value": pl.Float64,
    "p_value": pl.Float64,
}


def _test(panel: Panel, windows: Windows, t: int, section: CorrelationBreaksSection) -> dict | None:
    n = section.window_sessions
    middle = t + 1 - n
    chosen = np.intersect1d(
        windows.complete(middle - n, middle),
        windows.complete(middle, t + 1),
    )[: section.max_symbols]
    if len(chosen) < 2:
        return None
    scores = [
        normal_scores(panel.log_returns[start : start + n, chosen])
        for start in (middle - n, middle)
    ]
    before, after = (correlations(half) for half in scores)
    pairs = _pairs(len(chosen))
    kurtosis = common_kurtosis(np.concatenate(scores))
    full = jennrich(before, after, n, n, kurtosis)
    largest = larntz_perlman(before, after, n, n, kurtosis)
    if section.test == "jennrich":
        p_value = None if full is None else full.p_value
    else:
        p_value = largest.p_value
    symbol_a, symbol_b = (panel.symbols[chosen[k]] for k in largest.pair)
    return {
        "ts": panel.ts[t],
        "boundary": panel.ts[middle - 1],
        "n_symbols": len(chosen),
        "degrees_of_freedom": len(pairs[0]),
        "common_kurtosis": kurtosis,
        "jennrich_statistic": None if full is None else full.statistic,
        "jennrich_p_value": None if full is None else full.p_value,
        "largest_change": largest.statistic,
        "largest_change_p_value": largest.p_value,
        "symbol_a": symbol_a,
        "symbol_b": symbol_b,
        "correlation_before": float(before[pairs].mean()),
        "correlation_after": float(after[pairs].mean()),
        "p_value": p_value,
        "rejected": p_value is not None and p_value < section.significance,
    }
