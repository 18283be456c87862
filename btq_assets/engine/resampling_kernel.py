"""Compiled figures of resampled returns: paths and tails.

Belongs here: loops over resamples of figures that are no function of means. Does not belong here:
drawing the resamples (`evidence.bootstrap`), the figures of the sample itself (`metrics`).
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine.compiled import compiled


@compiled()
def resampled_falls(returns: np.ndarray, indices: np.ndarray, found: np.ndarray) -> None:
    """Figures of the path of each resample, into ``found[n_samples, 5]``.

    Columns: largest drawdown, its mean, its mean square, periods of the longest spell below a peak,
    sum of log returns.
    """
    n_samples, n = indices.shape
    for sample in range(n_samples):
        equity, peak, worst, total, square = 1.0, 1.0, 0.0, 0.0, 0.0
        under, longest = 0, 0
        for position in range(n):
            equity *= 1.0 + returns[indices[sample, position]]
            if equity >= peak:
                peak = equity
                longest = max(longest, under + 1 if under else 0)
                under = 0
            else:
                under += 1
                fall = 1.0 - equity / peak
                total += fall
                square += fall * fall
                worst = max(worst, fall)
        longest = max(longest, under)
        found[sample, 0] = worst
        found[sample, 1] = total / n
        found[sample, 2] = square / n
        found[sample, 3] = longest
        found[sample, 4] = np.log(equity)


@compiled()
def resampled_tails(
    ordered: np.ndarray,
    rank: np.ndarray,
    indices: np.ndarray,
    counts: np.ndarray,
    tail_size: float,
    found: np.ndarray,
) -> None:
    """Quantiles and tail means of each resample, into ``found[n_samples, 4]``.

    Columns: 5 % and 95 % quantile (type 7), the order statistic ``floor(tail_size)`` from below, and
    the mean of the lowest `tail_size` values. `ordered` is the sorted sample, `rank` the place of
    each observation in it, `counts` room for ``n`` integers.
    """
    n_samples, n = indices.shape
    place = 0.05 * (n - 1)
    low, whole = int(np.floor(place)), int(np.floor(tail_size))
    share = place - low
    for sample in range(n_samples):
        counts[:] = 0
        for position in range(n):
            counts[rank[indices[sample, position]]] += 1
        seen, total = 0, 0.0
        boundary, first, second = np.nan, np.nan, np.nan
        for k in range(n):
            if counts[k] == 0:
                continue
            value, upto = ordered[k], seen + counts[k]
            if seen < whole:
                total += value * (min(upto, whole) - seen)
            if seen <= whole < upto:
                boundary = value
            if seen <= low < upto:
                first = value
            if seen <= low + 1 < upto:
                second = value
            seen = upto
            if seen > whole and seen > low + 1:
                break
        found[sample, 0] = first + share * (second - first)
        found[sample, 2] = boundary
        found[sample, 3] = (total + (tail_size - whole) * boundary) / tail_size
        seen, first, second = 0, np.nan, np.nan
        for back in range(n):
            k = n - 1 - back
            if counts[k] == 0:
                continue
            upto = seen + counts[k]
            if seen <= low < upto:
                first = ordered[k]
            if seen <= low + 1 < upto:
                second = ordered[k]
            seen = upto
            if seen > low + 1:
                break
        found[sample, 1] = first + share * (second - first)
