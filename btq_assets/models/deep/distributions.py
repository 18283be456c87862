"""What a network says around its forecast, in label units.

Belongs here: from outputs of a date to mean, variance and quantiles as columns. Does not belong here:
torch, and mixtures of several models (`ensembles.distribution`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from btq_assets.contracts.models import QUANTILE_COLUMNS

#: Largest absolute log of a variance, as in the loss (`training.losses.gaussian`).
_LOG_LIMIT = 10.0


def of_date(
    said: Mapping[str, np.ndarray], unit: float, *, relative: bool
) -> dict[str, np.ndarray]:
    """Columns of one date.

    Losses with such heads are taken around the mean forecast of the date (`training.losses`); so are
    these columns where the network learnt relative labels. A network with a mean alone keeps its
    forecast as it is.

    Parameters
    ----------
    said
        ``mean`` ``(n, 1)`` and, where the network has the heads, ``log_variance`` ``(n, 1)`` or
        ``quantiles`` ``(n, 1, Q)``, in standard deviations of the label.
    unit
        Standard deviation of the label, label units.
    relative
        Whether labels are relative to the mean of their date.

    Returns
    -------
    dict
        ``forecast`` and, as there are heads, ``variance`` or the names of `QUANTILE_COLUMNS`; ``(n,)``
        each.
    """
    mean = said["mean"][:, 0]
    heads = "log_variance" in said or "quantiles" in said
    shift = mean.mean() if relative and heads and len(mean) else 0.0
    found = {"forecast": (mean - shift) * unit}
    if "log_variance" in said:
        log_variance = np.clip(said["log_variance"][:, 0], -_LOG_LIMIT, _LOG_LIMIT)
        found["variance"] = np.exp(log_variance) * unit**2
    if "quantiles" in said:
        for place, name in enumerate(QUANTILE_COLUMNS):
            found[name] = (said["quantiles"][:, 0, place] - shift) * unit
    return found
