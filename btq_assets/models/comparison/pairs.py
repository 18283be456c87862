"""Two architectures on the same decisions: the difference, its interval, its probability by luck.

Belongs here: paired resampling and the adjustment for many pairs. Does not belong here: what is
compared (`measures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from btq_assets.models.comparison.measures import CONFIDENCE, Resampling
from btq_assets.models.forecaster import ModelError

#: Largest adjusted p-value of a difference that is called shown.
LEVEL = 0.05


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of two series on the same rows.

    Parameters
    ----------
    n
        Rows.
    difference
        Mean of the first less the second.
    low, high
        95 % percentile interval.
    p_value
        Two-sided: share of resampled means that lie as far from the observed one as that lies from
        zero, the observed one counted among them.
    """

    n: int
    difference: float
    low: float
    high: float
    p_value: float


def paired_difference(
    first: np.ndarray, second: np.ndarray, resampling: Resampling
) -> PairedDifference:
    """Stationary block bootstrap (Politis and Romano 1994) of the difference of two paired series.

    The p-value is that of the centred resamples (Hall and Wilson 1991): resampled means scatter around
    the observed one as it would around zero, were there no difference.

    Raises
    ------
    ModelError
        The series differ in length, are shorter than two, or hold a missing value.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ModelError(
            f"series of {first.shape} and {second.shape} rows cannot be paired; both need the same "
            "decisions, at least two"
        )
    values = first - second
    if not np.isfinite(values).all():
        raise ModelError(f"{int((~np.isfinite(values)).sum())} difference(s) are missing")
    observed = float(values.mean())
    means = resampling.means(values)[:, 0]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    # Equal series: rounding must not make a difference out of nothing.
    far = np.abs(means - observed) >= abs(observed) * (1 - 1e-12)
    p_value = (1 + int(far.sum())) / (1 + len(means))
    return PairedDifference(len(values), observed, float(low), float(high), p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, step down (Holm 1979).

    The k-th smallest of ``m`` is multiplied by ``m - k + 1``; none falls below a smaller one.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, place in enumerate(order):
        running = max(running, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = running
    return adjusted


def verdict(difference: float, p_adjusted: float) -> str:
    """``better`` or ``worse`` where the adjusted p-value is at most 5 %, else ``not shown``."""
    if p_adjusted > LEVEL:
        return "not shown"
    return "better" if difference > 0 else "worse"
