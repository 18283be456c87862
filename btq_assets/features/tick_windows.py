"""Windows over bars of ticks: impact, illiquidity, toxicity.

Belongs here: statistics of one series of bars, as arrays. Does not belong here: gathering events by
bar (`tick_bars`). Each window is computed from its own values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Buckets of VPIN, and the part of the day before's volume each of them holds.
N_BUCKETS = 50

#: Part of a window's bars that must have both a return and a flow.
_LEAST_SHARE = 2 / 3
#: Below this, in bps or in millions, nothing moved.
_STILL = 1e-12


def _windows(x: Array, n: int) -> Array:
    """The last `n` values at each place, shape ``(x.size, n)``; NaN before the first."""
    return np.lib.stride_tricks.sliding_window_view(np.append(np.full(n - 1, np.nan), x), n)


def impact(returns: Array, flow: Array, n: int) -> tuple[Array, Array]:
    """Slope of returns on signed flow over the last `n` bars, and its t statistic.

    Kyle (1985), equation 2.1: the price moves by lambda for each unit bought net; by ordinary least
    squares with a constant.

    Parameters
    ----------
    returns, flow
        ``float64[bars]``, NaN where there is none.
    n
        Window; two thirds of its bars must have both.

    Returns
    -------
    tuple of ndarray
        Slope and slope over standard error; NaN where the flow does not vary or bars are too few.
    """
    both = np.isfinite(returns) & np.isfinite(flow)
    y, x = (_windows(np.where(both, values, np.nan), n) for values in (returns, flow))
    count = np.isfinite(x).sum(axis=1)
    enough = count >= max(3, np.ceil(_LEAST_SHARE * n))
    with np.errstate(all="ignore"):
        dx = x - (np.nansum(x, axis=1) / count)[:, None]
        dy = y - (np.nansum(y, axis=1) / count)[:, None]
        xx = np.nansum(dx * dx, axis=1)
        slope = np.nansum(dx * dy, axis=1) / xx
        rest = np.nansum((dy - slope[:, None] * dx) ** 2, axis=1)
        error = np.sqrt(rest / (count - 2) / xx)
        defined = enough & (xx > _STILL**2)
        slope = np.where(defined, slope, np.nan)
        return slope, np.where(error > _STILL, slope / error, np.nan)


def mean_of(x: Array, n: int) -> Array:
    """Mean of the last `n` bars that have a value, two thirds of them at least."""
    found = _windows(x, n)
    count = np.isfinite(found).sum(axis=1)
    with np.errstate(all="ignore"):
        return np.where(count >= _LEAST_SHARE * n, np.nansum(found, axis=1) / count, np.nan)


def deviation(x: Array, n: int) -> Array:
    """Sample deviation of the last `n` bars that have a value, two thirds of them at least."""
    found = _windows(x, n)
    count = np.isfinite(found).sum(axis=1)
    with np.errstate(all="ignore"):
        centred = found - (np.nansum(found, axis=1) / count)[:, None]
        square = np.nansum(centred**2, axis=1) / (count - 1)
        return np.where(count >= _LEAST_SHARE * n, np.sqrt(square), np.nan)


def bought_share(moves: Array, sigma: float) -> Array:
    """Part of each bar's volume that was bought: bulk volume classification.

    Easley, López de Prado and O'Hara (2012), equation 7: the normal distribution function of the
    price change over its deviation; a half where prices stand still.
    """
    from scipy.special import ndtr

    if not sigma > 0:
        return np.full(moves.size, 0.5)
    return ndtr(moves / sigma)


def vpin(day: NDArray[np.int64], volume: Array, first: Array, last: Array) -> Array:
    """VPIN after each bar of a series.

    Easley, López de Prado and O'Hara (2012), equation 8: mean ``|bought - sold|`` over 50 buckets
    of equal volume, each a fiftieth of a day's. Here the day is the one before with trades, which
    also gives the deviation of price changes, and the buckets are counted backwards from each bar,
    so that there is a value after every bar and none depends on when recording began.

    Parameters
    ----------
    day
        Number of the UTC day of each bar, ascending.
    volume, first, last
        Units traded, first and last price of each bar.

    Returns
    -------
    ndarray
        0 to 1; NaN in the first day.
    """
    found = np.full(volume.size, np.nan)
    if not volume.size:
        return found
    same_day = np.append(False, np.diff(day) == 0)
    moves = last - np.where(same_day, np.append(np.nan, last[:-1]), first)
    starts = np.append(np.flatnonzero(~same_day), volume.size)
    for number in range(1, starts.size - 1):
        before, begin, end = starts[number - 1 : number + 2]
        bucket = volume[before:begin].sum() / N_BUCKETS
        if begin - before < 2 or not bucket > 0:
            continue
        span = slice(before, end)
        bought = volume[span] * bought_share(
            moves[span], float(np.std(moves[before:begin], ddof=1))
        )
        total = np.append(0.0, np.cumsum(volume[span]))
        total_bought = np.append(0.0, np.cumsum(bought))
        # Yesterday holds fifty buckets, so that they all lie behind every bar of today.
        edges = total[1 + begin - before :, None] - bucket * np.arange(N_BUCKETS, -1, -1)
        in_bucket = np.diff(np.interp(edges, total, total_bought), axis=1)
        found[begin:end] = np.clip(np.abs(2 * in_bucket - bucket).mean(axis=1) / bucket, 0.0, 1.0)
    return found
