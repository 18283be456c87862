"""Position and gross limits, as construction steps.

Belongs here: making weights obey a limit. Does not belong here: judging a table of weights
(`gates`), and limits that need realised profit and loss.
"""

from __future__ import annotations

import numpy as np


def cap_weights(weights: np.ndarray, max_position: float) -> np.ndarray:
    """Cap long-only weights and give the excess to the others in proportion to their weight.

    Parameters
    ----------
    weights
        ``float64[N]``, all >= 0. An asset of weight zero receives nothing.
    max_position
        Largest weight of one asset, > 0.

    Returns
    -------
    numpy.ndarray
        ``float64[N]``, each <= `max_position`, summing to
        ``min(weights.sum(), max_position * number of positive weights)``: what no asset can take
        is left in cash.

    Raises
    ------
    ValueError
        A weight is negative or NaN.
    """
    if not (weights >= 0).all():
        raise ValueError(f"cap_weights takes long-only weights, found {weights.min():.6g}")
    capped = weights.astype(np.float64, copy=True)
    total = capped.sum()
    full = np.zeros(capped.shape, dtype=bool)
    # Each pass fills at least one more asset, so N passes are enough.
    for _ in range(capped.size):
        over = ~full & (capped > max_position)
        if not over.any():
            break
        full |= over
        free = ~full & (capped > 0)
        left = total - max_position * full.sum()
        if free.any():
            capped[free] = capped[free] / capped[free].sum() * left
        capped[full] = max_position
    return np.minimum(capped, max_position)


def limit_weights(weights: np.ndarray, max_position: float, max_gross: float) -> np.ndarray:
    """Clip each weight to ``±max_position``, then shrink all to ``sum(|w|) <= max_gross``.

    Nothing is redistributed: sizes that mean something (Kelly, a volatility target) are only
    ever made smaller.
    """
    clipped = np.clip(weights, -max_position, max_position)
    gross = np.abs(clipped).sum()
    return clipped * (max_gross / gross) if gross > max_gross else clipped
