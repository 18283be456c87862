"""Triple-barrier labels and meta labels, Lopez de Prado (2018), chapter 3.

Belongs here: barriers in multiples of a volatility known at the decision, and the first of them
that the path from the fill touches. Does not belong here: where decisions and sides come from.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from btq_assets.features.definitions import HISTORY, KEY, FeatureError, prepare
from btq_assets.features.labels.paths import UNFINISHED, Floats, Outcome, Paths, fills, later
from btq_assets.features.windows import panels
from btq_assets.timeline import FILL_LAG_SESSIONS

#: Returns before a volatility counts.
MIN_RETURNS = 20

Touch = Literal["close", "range"]


def daily_volatility(bars: pl.DataFrame, span_sessions: int) -> Floats:
    """Exponentially weighted deviation of the symbol's returns so far, snippet 3.1.

    Parameters
    ----------
    bars
        Bars of one universe.
    span_sessions
        Span of the weights: the share of the newest return is ``2 / (span + 1)``.

    Returns
    -------
    numpy.ndarray
        ``(T, N)``, per session; NaN before 20 returns, and where the price does not move.
    """
    returns = pl.col("_p").pct_change().over(HISTORY)
    prepared = prepare(bars).with_columns(_return=returns)
    deviation = pl.col("_return").ewm_std(span=span_sessions, min_samples=MIN_RETURNS)
    (panel,) = panels(prepared.select(*KEY, _deviation=deviation.over(HISTORY)), "_deviation")
    return np.where(panel.values > 0, panel.values, np.nan)


def triple_barrier(
    paths: Paths,
    volatility: Floats,
    *,
    sessions: int,
    profit: float,
    stop: float,
    touch: Touch = "close",
    side: Floats | None = None,
) -> Outcome:
    """Which barrier the path from the fill touches first.

    The upper barrier stands `profit` volatilities above the fill, the lower one `stop` below, the
    vertical one `sessions` after the fill. With a side of -1 the path is that of a short position.
    Sessions at which a symbol has no bar touch nothing.

    Parameters
    ----------
    paths
        Prices of one universe.
    volatility
        ``(T, N)`` per-session volatility known at the decision.
    sessions
        Sessions from the fill to the vertical barrier.
    profit, stop
        Multiples, above 0.
    touch
        ``"close"``: closes touch. ``"range"``: highs and lows where known; a bar that spans both
        barriers counts as stopped, and the return is that of the barrier, or of the open where
        that is beyond it.
    side
        ``(T, N)`` of 1 and -1, NaN where there is no position; ``None`` is long everywhere.

    Returns
    -------
    Outcome
        1, -1, or 0 at the vertical barrier. Unfinished while no barrier is touched and the vertical
        one lies beyond the data, or the symbol has no bar there.

    Raises
    ------
    FeatureError
        A multiple or the number of sessions is not positive.
    """
    if sessions < 1 or not (profit > 0 and stop > 0):
        raise FeatureError(
            f"barriers after {sessions} session(s), {profit} above and {stop} below: all are positive"
        )
    way = np.ones(paths.close.shape) if side is None else side
    entry = fills(paths)
    upper, lower = profit * volatility, -stop * volatility
    alive = np.isfinite(entry) & np.isfinite(volatility) & np.isfinite(way)
    value = np.full(entry.shape, np.nan)
    gained = np.full(entry.shape, np.nan)
    span = np.full(entry.shape, UNFINISHED, dtype=np.int64)
    for step in range(1, sessions + 1):
        ahead = FILL_LAG_SESSIONS + step
        closed, opened, best, worst = _position(paths, entry, way, ahead, touch)
        with np.errstate(invalid="ignore"):
            stopped = alive & (worst <= lower)
            took = alive & ~stopped & (best >= upper)
            at_stop = np.fmin(lower, opened) if touch == "range" else closed
            at_profit = np.fmax(upper, opened) if touch == "range" else closed
        last = alive & ~stopped & ~took & np.isfinite(closed) & (step == sessions)
        for where, label, result in (
            (stopped, -1.0, at_stop),
            (took, 1.0, at_profit),
            (last, 0.0, closed),
        ):
            value[where] = label
            gained[where] = result[where]
            span[where] = step
        alive &= ~(stopped | took | last)
    place = np.arange(entry.shape[0])[:, None]
    end = np.where(span >= 0, place + FILL_LAG_SESSIONS + span, UNFINISHED)
    return Outcome(value, end, span, gained * way, np.full(entry.shape, np.nan))  # fmt: skip


def _position(
    paths: Paths, entry: Floats, way: Floats, ahead: int, touch: Touch
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return of the position at close and open, and its best and worst, so many sessions on."""
    with np.errstate(invalid="ignore"):
        closed = way * (later(paths.close, ahead) / entry - 1)
        if touch == "close":
            return closed, closed, closed, closed
        opened = way * (later(paths.open, ahead) / entry - 1)
        high = way * (later(paths.high, ahead) / entry - 1)
        low = way * (later(paths.low, ahead) / entry - 1)
    known = np.isfinite(high) & np.isfinite(low)
    best = np.where(known, np.fmax(high, low), closed)
    worst = np.where(known, np.fmin(high, low), closed)
    # A bar without range is judged, and left, at its close.
    return closed, np.where(known, opened, closed), best, worst


def meta_labels(outcome: Outcome, side: Floats) -> Outcome:
    """Whether a side paid: section 3.6 and snippet 3.7.

    Parameters
    ----------
    outcome
        `triple_barrier` of the positions of `side`.
    side
        ``(T, N)`` of 1 and -1.

    Returns
    -------
    Outcome
        1 where side times return is above 0, else 0.
    """
    with np.errstate(invalid="ignore"):
        paid = (side * outcome.path_return > 0).astype(np.float64)
    value = np.where(np.isfinite(outcome.value), paid, np.nan)
    return Outcome(value, outcome.end, outcome.span, outcome.path_return, outcome.t_value)
