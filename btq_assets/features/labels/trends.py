"""Trend-scanning labels, Lopez de Prado (2019, 2020 section 5.4).

Belongs here: the t statistic of a line through the log prices that follow a fill. Does not belong
here: trends as features, which look back.
"""

from __future__ import annotations

import numpy as np

from btq_assets.features.definitions import FeatureError
from btq_assets.features.labels.paths import UNFINISHED, Floats, Outcome, Paths, fills, later
from btq_assets.timeline import FILL_LAG_SESSIONS

#: Residual sum of squares, as a share of the total, below which a line fits perfectly.
_PERFECT_BELOW = 1e-12


def trend_scanning(paths: Paths, *, shortest: int, longest: int) -> Outcome:
    """Sign of the most significant trend among spans from the fill on.

    For each span of ``L`` sessions the log prices of the fill and the L sessions after it are
    regressed on time; the span with the largest absolute t statistic of the slope is chosen, the
    shortest among equals. The label needs all prices of the longest span: which span is chosen is
    known only then.

    Parameters
    ----------
    paths
        Prices of one universe.
    shortest, longest
        Spans tried, sessions; the shortest has at least 2, that is three prices.

    Returns
    -------
    Outcome
        1, -1, or 0 where no span has a slope. A perfect line has no t statistic.

    Raises
    ------
    FeatureError
        The spans are not ``2 <= shortest <= longest``.
    """
    if not 2 <= shortest <= longest:
        raise FeatureError(f"spans from {shortest} to {longest}: need 2 <= shortest <= longest")
    entry = fills(paths)
    shape = entry.shape
    total, squares, product = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    strength, sign = np.full(shape, -1.0), np.zeros(shape)
    chosen = np.full(shape, UNFINISHED, dtype=np.int64)
    gained = np.full(shape, np.nan)
    whole = np.isfinite(entry)
    for step in range(1, longest + 1):
        growth = later(paths.close, FILL_LAG_SESSIONS + step) / entry
        whole &= np.isfinite(growth)
        y = np.log(np.where(whole, growth, 1.0))
        total, squares, product = total + y, squares + y * y, product + step * y
        if step < shortest:
            continue
        t = _slope_t(total, squares, product, step + 1)
        better = np.abs(t) > strength
        strength = np.where(better, np.abs(t), strength)
        sign = np.where(better, np.sign(t), sign)
        chosen = np.where(better, step, chosen)
        gained = np.where(better, growth - 1, gained)
    value = np.where(whole, sign, np.nan)
    t_value = np.where(whole & np.isfinite(strength), sign * strength, np.nan)
    place = np.arange(shape[0])[:, None]
    end = np.where(whole, place + FILL_LAG_SESSIONS + longest, UNFINISHED)
    span = np.where(whole, chosen, UNFINISHED)
    return Outcome(value, end, span, np.where(whole, gained, np.nan), t_value)


def _slope_t(total: Floats, squares: Floats, product: Floats, n: int) -> Floats:
    """Statistic t of the slope of ``y[0..n-1]`` on ``0..n-1`` from their sums.

    0 for a constant, infinite for a perfect line.
    """
    mean_x = (n - 1) / 2
    spread_x = n * (n * n - 1) / 12
    spread_y = np.maximum(squares - total * total / n, 0.0)
    slope = (product - mean_x * total) / spread_x
    residual = np.maximum(spread_y - slope * slope * spread_x, 0.0)
    moves = spread_y > 1e-20
    perfect = residual <= _PERFECT_BELOW * spread_y
    with np.errstate(divide="ignore", invalid="ignore"):
        t = slope / np.sqrt(residual / (n - 2) / spread_x)
    return np.where(moves, np.where(perfect, np.copysign(np.inf, slope), t), 0.0)
