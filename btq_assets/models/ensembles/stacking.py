"""Stacking: a small regression of labels on forecasts that were made out of sample.

Belongs here: the coefficients. Does not belong here: applying them (`rules.Stacked`), and the fits
the forecasts come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np
import polars as pl

from btq_assets.models.ensembles.evidence import evidence_of
from btq_assets.models.ensembles.rules import Stacked
from btq_assets.models.forecaster import ModelError

Method = Literal["ridge", "non_negative"]


def stack(
    forecasts: Sequence[pl.DataFrame],
    labels: pl.DataFrame,
    *,
    until: datetime,
    method: Method = "non_negative",
    penalty: float = 0.01,
) -> Stacked:
    r"""Learn how to add members up (Wolpert 1992; Breiman 1996).

    Labels and forecasts are standardised across the assets of each date. ``ridge`` minimises
    :math:`\lVert y - X b \rVert^2 / n + \lambda \lVert b \rVert^2`; ``non_negative`` the same without
    a penalty under :math:`b \ge 0` (Breiman's choice; Lawson and Hanson 1974).

    Parameters
    ----------
    forecasts
        One frame per member: ``universe``, ``symbol``, ``ts``, ``forecast``, ``fitted_until``, the
        forecasts of purged folds (`evidence.out_of_fold`); refused unless out of sample.
    labels
        ``universe``, ``symbol``, ``ts``, ``label``, ``label_end_ts``.
    until
        First decision the combination will be used for; labels filled later are left out.
    method
        How.
    penalty
        :math:`\lambda` of ridge.

    Raises
    ------
    InSampleError
        A forecast whose fit had seen labels filled after the decision.
    ModelError
        An unknown method, a negative penalty, fewer rows than members, or coefficients that are all
        0: no member helps.
    """
    if method not in ("ridge", "non_negative"):
        raise ModelError(f"method {method!r} of stacking is unknown; ridge or non_negative")
    if not (np.isfinite(penalty) and penalty >= 0):
        raise ModelError(f"penalty {penalty} of stacking must be finite and not negative")
    evidence = evidence_of(forecasts, labels, until)
    x, y = evidence.members, evidence.target
    n, k = x.shape
    if n <= k:
        raise ModelError(f"{n} row(s) are too few to learn {k} coefficient(s) from")
    if method == "ridge":
        gram = x.T @ x / n + penalty * np.eye(k)
        # The least-norm solution: equal members share, where there is no penalty to decide it.
        found = np.linalg.lstsq(gram, x.T @ y / n, rcond=None)[0]
    else:
        from scipy.optimize import nnls

        found = nnls(x, y)[0]
    if not np.abs(found).sum() > 0:
        raise ModelError(
            f"stacking gives every one of {k} member(s) the coefficient 0 on {n} rows: none of them "
            "is related to the label out of sample"
        )
    return Stacked(
        coefficients=tuple(float(value) for value in found),
        fitted_until=evidence.fitted_until,
        method=method,
        n_rows=n,
    )
