"""VaR and CVaR at each date from the weights held and the returns known then.

Belongs here: windows, the tables `risk.measures` and `risk.exceedances`. Does not belong here: the
measures themselves (`measures`).

At each session's close the weights held then are put on the asset returns of the trailing window,
that session's included: the return series those weights would have had, of which the measures are
taken. The VaR of a session is compared with the next session's return of the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.contracts import risk
from btq_assets.risk import measures
from btq_assets.risk.exceedances import kupiec_test
from btq_assets.risk.held import Holdings

if TYPE_CHECKING:
    from btq_assets.config import RiskSection

MEASURES = ("var", "cvar")
#: From this level on the longer window is used.
LONG_WINDOW_LEVEL = 0.99


@dataclass(frozen=True)
class RollingRisk:
    """Measures of one universe: D dates, S strategies, L levels.

    Attributes
    ----------
    holdings
        What was held.
    dates
        Positions of the dates in ``holdings.ts``, ``(D,)``.
    levels
        Confidence levels.
    values
        Losses, ``(D, S, measure, method, L)``, in the order of `MEASURES` and
        ``contracts.risk.METHODS``; NaN where not valid.
    valid
        Same shape; False below the minimum window or outside the Cornish–Fisher domain.
    n_window
        Returns in the window, ``(D, S, L)``.
    """

    holdings: Holdings
    dates: NDArray[np.int64]
    levels: tuple[float, ...]
    values: NDArray[np.float64]
    valid: NDArray[np.bool_]
    n_window: NDArray[np.int64]


def window_of(level: float, settings: RiskSection) -> int:
    """Sessions in the window of a level."""
    return settings.window_sessions_99 if level >= LONG_WINDOW_LEVEL else settings.window_sessions


def rolling_risk(
    held: Holdings, settings: RiskSection, *, last_dates: int | None = None
) -> RollingRisk:
    """Measures at each date on which some strategy has a value.

    Parameters
    ----------
    held
        Weights and returns.
    settings
        Levels and windows.
    last_dates
        Only so many of the last dates.
    """
    known = held.known
    dates = np.flatnonzero(known.any(axis=1))
    dates = dates if last_dates is None else dates[-last_dates:]
    levels = tuple(settings.levels)
    shape = (len(dates), len(held.strategies), len(MEASURES), len(risk.METHODS), len(levels))
    values = np.full(shape, np.nan)
    valid = np.zeros(shape, dtype=bool)
    n_window = np.zeros((len(dates), len(held.strategies), len(levels)), dtype=np.int64)
    gaps = np.isnan(held.returns)
    gaps[0] = False  # The first session has no return at all; no window reaches it.
    filled = np.nan_to_num(held.returns)
    by_window: dict[int, list[int]] = {}
    for i, level in enumerate(levels):
        by_window.setdefault(window_of(level, settings), []).append(i)
    for d, t in enumerate(dates.tolist()):
        weights = np.nan_to_num(held.weights[t])
        for length, chosen in by_window.items():
            # Row t is the return known at t; row 0 holds none.
            start = max(t + 1 - length, 1)
            series = weights @ filled[start : t + 1].T
            n_window[d][:, chosen] = series.shape[1]
            whole = known[t] & (series.shape[1] == length)
            if gaps[start : t + 1].any():
                missing = (weights != 0).astype(float) @ gaps[start : t + 1].T.astype(float) > 0
                n_window[d][:, chosen] -= missing.sum(axis=1)[:, None]
                whole &= ~missing.any(axis=1)
            if whole.any():
                _measure(
                    series[whole], [levels[i] for i in chosen], chosen, whole, values[d], valid[d]
                )
    values[~valid] = np.nan
    return RollingRisk(held, dates, levels, values, valid, n_window)


def _measure(
    series: NDArray[np.float64],
    levels: Sequence[float],
    columns: Sequence[int],
    rows: NDArray[np.bool_],
    values: NDArray[np.float64],
    valid: NDArray[np.bool_],
) -> None:
    """Fill the measures of one date and window; `rows` marks the strategies `series` is of."""
    sample = measures.moments(series)
    for level, column in zip(levels, columns, strict=True):
        *expansion, domain = measures.cornish_fisher(sample, level)
        pairs = (measures.historical(series, level), measures.parametric(sample, level), expansion)
        for method, pair in enumerate(pairs):
            for measure, value in enumerate(pair):
                values[rows, measure, method, column] = value
                valid[rows, measure, method, column] = domain if method == 2 else True


def measures_table(found: Sequence[RollingRisk]) -> pl.DataFrame:
    """Rows of ``risk.measures``."""
    parts = [_measures_rows(one) for one in found]
    return pl.concat([risk.MEASURES.empty(), *parts]).sort(risk.MEASURES.key)


def _measures_rows(one: RollingRisk) -> pl.DataFrame:
    shape = one.values.shape
    d, s, measure, method, level = (axis.ravel() for axis in np.indices(shape, dtype=np.int32))
    known = one.holdings.known[one.dates]
    frame = pl.DataFrame(
        {
            "strategy": _pick(one.holdings.strategies, s),
            "ts": one.holdings.ts.gather(one.dates).gather(d),
            "measure": _pick(MEASURES, measure),
            "method": _pick(risk.METHODS, method),
            "level": np.asarray(one.levels)[level],
            "value": pl.Series(one.values.ravel()).fill_nan(None),
            "valid": one.valid.ravel(),
            "n_window": np.broadcast_to(one.n_window[:, :, None, None, :], shape).ravel(),
        }
    )
    if not known.all():
        frame = frame.filter(np.broadcast_to(known[:, :, None, None, None], shape).ravel())
    return frame.cast(risk.MEASURES.schema)


def _pick(names: Sequence[str], index: NDArray[np.int32]) -> pl.Series:
    return pl.Series(list(names)).gather(index)


def next_returns(one: RollingRisk) -> NDArray[np.float64]:
    """Return, over the session after each date, of the weights held at the date; ``(D, S)``.

    NaN after the last session, where something held has no return, and where nothing is held: a
    VaR of nothing is not a forecast.
    """
    held = one.holdings
    result = np.full((len(one.dates), len(held.strategies)), np.nan)
    for d, t in enumerate(one.dates):
        if t + 1 >= len(held.returns):
            continue
        weights = held.weights[t]
        returns = held.returns[t + 1]
        missing = ((weights != 0) & np.isnan(returns)).any(axis=1)
        tested = ~missing & (weights != 0).any(axis=1) & ~np.isnan(weights).any(axis=1)
        result[d, tested] = weights[tested] @ np.nan_to_num(returns)
    return result


def exceedances_table(found: Sequence[RollingRisk]) -> pl.DataFrame:
    """Rows of ``risk.exceedances``: VaR against the next session's return of the same weights."""
    rows = []
    for one in found:
        losses = -next_returns(one)
        for s, strategy in enumerate(one.holdings.strategies):
            for m, method in enumerate(risk.METHODS):
                for i, level in enumerate(one.levels):
                    forecast = one.values[:, s, 0, m, i]
                    tested = one.valid[:, s, 0, m, i] & ~np.isnan(losses[:, s])
                    n_left_out = int((~one.valid[:, s, 0, m, i] & ~np.isnan(losses[:, s])).sum())
                    rows.append(
                        _exceedance_row(
                            strategy, method, level, forecast[tested], losses[tested, s], n_left_out
                        )
                    )
    return pl.DataFrame(rows, schema=risk.EXCEEDANCES.schema).sort(risk.EXCEEDANCES.key)


def _exceedance_row(
    strategy: str,
    method: str,
    level: float,
    forecast: NDArray[np.float64],
    losses: NDArray[np.float64],
    n_left_out: int,
) -> dict[str, object]:
    n, observed = len(losses), int((losses > forecast).sum())
    notes = [measures.QUANTILE_RULE] if method == "historical" else []
    if n == 0:
        notes.append("nothing held, or no valid VaR, on any session")
    if n_left_out:
        notes.append(f"{n_left_out} sessions without a valid VaR left out")
    return {
        "strategy": strategy,
        "method": method,
        "level": level,
        "n": n,
        "expected": n * (1 - level),
        "observed": observed,
        "kupiec_p": kupiec_test(n, observed, level)[1] if n else None,
        "note": "; ".join(notes),
    }
