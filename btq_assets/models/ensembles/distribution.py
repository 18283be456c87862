"""Deep ensembles: the mixture of what members say of mean and variance.

Belongs here: moments of a mixture. Does not belong here: intervals with a promised coverage
(`models.conformal`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from btq_assets.models.ensembles.blending import KEY, require_forecasts, shares_of
from btq_assets.models.forecaster import ModelError


def mixture_moments(
    means: np.ndarray, variances: np.ndarray | None = None, weights: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Mean and variance of a mixture (Lakshminarayanan, Pritzel and Blundell 2017, section 2.4).

    :math:`\mu_* = \sum_k w_k \mu_k` and
    :math:`\sigma_*^2 = \sum_k w_k (\sigma_k^2 + \mu_k^2) - \mu_*^2`, computed as
    :math:`\sum_k w_k (\sigma_k^2 + (\mu_k - \mu_*)^2)`, which cannot become negative by rounding.

    Parameters
    ----------
    means, variances
        ``(members, ...)``. Without variances the result is the disagreement of members alone.
    weights
        One per member; default equal.

    Raises
    ------
    ModelError
        Shapes differ, or a variance is negative.
    """
    means = np.asarray(means, dtype=np.float64)
    spread = np.zeros_like(means) if variances is None else np.asarray(variances, dtype=np.float64)
    if spread.shape != means.shape:
        raise ModelError(f"means have shape {means.shape}, variances {spread.shape}")
    if (spread < 0).any():
        raise ModelError("a variance is negative")
    shares = np.array(shares_of(len(means), weights))
    mean = np.tensordot(shares, means, axes=1)
    return mean, np.tensordot(shares, spread + (means - mean) ** 2, axes=1)


def mixture_forecasts(
    forecasts: Sequence[pl.DataFrame], weights: Sequence[float] | None = None
) -> pl.DataFrame:
    """Mean and variance of members that forecast the same label, in label units.

    Parameters
    ----------
    forecasts
        ``universe``, ``symbol``, ``ts``, ``forecast`` and, in all of them or in none, ``variance``.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``ts``, ``forecast``, ``variance``, ``disagreement`` (the part of
        the variance that comes from members differing), for the assets all members forecast.

    Raises
    ------
    ModelError
        Only some members give a variance: their mixture has none.
    """
    require_forecasts(forecasts)
    own = ["variance" in frame.columns for frame in forecasts]
    if any(own) and not all(own):
        lacking = [number for number, has in enumerate(own) if not has]
        raise ModelError(f"member(s) {lacking} give no variance, the others do")
    names = ["forecast", *(["variance"] if all(own) else [])]
    rows = forecasts[0].select(KEY)
    for number, frame in enumerate(forecasts):
        part = frame.filter(pl.all_horizontal(pl.col(name).is_finite() for name in names))
        rows = rows.join(
            part.select(*KEY, *(pl.col(name).alias(f"{name}_{number}") for name in names)), on=KEY
        )
    rows = rows.sort(KEY)
    members = range(len(forecasts))
    means = rows.select(f"forecast_{n}" for n in members).to_numpy().T
    variances = rows.select(f"variance_{n}" for n in members).to_numpy().T if all(own) else None
    mean, variance = mixture_moments(means, variances, weights)
    disagreement = mixture_moments(means, None, weights)[1]
    return rows.select(KEY).with_columns(
        forecast=pl.Series(mean), variance=pl.Series(variance), disagreement=pl.Series(disagreement)
    )
