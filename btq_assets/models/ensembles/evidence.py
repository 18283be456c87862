"""What a combination may learn from: forecasts made out of sample, and labels filled in time.

Belongs here: refusing forecasts that have seen their own label, and laying members beside labels.
Does not belong here: learning weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.models import design
from btq_assets.models.ensembles.blending import KEY, require_forecasts, standardised
from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    from btq_assets.models.walk_forward import Fit


class InSampleError(ModelError):
    """A forecast was made by a fit that had seen labels filled after the decision."""


@dataclass(frozen=True)
class Evidence:
    """Members beside labels.

    Parameters
    ----------
    rows
        ``universe``, ``symbol``, ``ts``, ``label`` and ``member_0`` ... (standardised forecasts);
        rows all members have.
    target
        Labels of `rows` as deviations in standard deviations of their date.
    fitted_until
        Last fill behind any of the labels.
    overlap
        Further decisions at most before a label is filled: lags at which errors depend.
    """

    rows: pl.DataFrame
    target: np.ndarray
    fitted_until: datetime
    overlap: int

    @property
    def members(self) -> np.ndarray:
        """``(rows, members)`` standardised forecasts."""
        names = [name for name in self.rows.columns if name.startswith("member_")]
        return self.rows.select(names).to_numpy()


def out_of_fold(fits: Sequence[Fit]) -> pl.DataFrame:
    """Forecasts of one member over its folds, each row with the ``fitted_until`` of its fit."""
    if not fits:
        raise ModelError("there is no fit to take forecasts from")
    return pl.concat(
        [fit.forecasts.with_columns(fitted_until=pl.lit(fit.fitted_until)) for fit in fits]
    ).sort(KEY)


def require_out_of_sample(forecasts: Sequence[pl.DataFrame]) -> None:
    """Refuse forecasts whose fit used a label filled after the decision, or that do not say.

    Raises
    ------
    InSampleError
        A frame without ``fitted_until`` or with a missing one, or a row decided before it.
    """
    require_forecasts(forecasts)
    for number, frame in enumerate(forecasts):
        if "fitted_until" not in frame.columns:
            raise InSampleError(
                f"member {number} does not say until when its fits had seen labels; give "
                "fitted_until with each forecast (see ensembles.evidence.out_of_fold)"
            )
        seen = frame.filter(
            pl.col("fitted_until").is_null() | (pl.col("fitted_until") > pl.col("ts"))
        )
        if seen.height:
            row = seen.sort("ts").row(0, named=True)
            raise InSampleError(
                f"{seen.height} forecast(s) of member {number} are not out of sample: "
                f"{row['symbol']} at {row['ts']} by a fit that saw labels until "
                f"{row['fitted_until']}"
            )


def evidence_of(
    forecasts: Sequence[pl.DataFrame], labels: pl.DataFrame, until: datetime
) -> Evidence:
    """Members and labels that are known at a time.

    Parameters
    ----------
    forecasts
        One frame per member: ``universe``, ``symbol``, ``ts``, ``forecast``, ``fitted_until``.
    labels
        ``universe``, ``symbol``, ``ts``, ``label``, ``label_end_ts``.
    until
        The first decision the combination will be used for: labels filled later are left out.

    Raises
    ------
    InSampleError
        See `require_out_of_sample`.
    ModelError
        No row that all members have with a label filled in time, or no two different labels.
    """
    require_out_of_sample(forecasts)
    missing = [n for n in (*KEY, "label", "label_end_ts") if n not in labels.columns]
    if missing:
        raise ModelError(f"labels lack column(s) {missing}")
    rows = labels.select(*KEY, pl.col("label").cast(pl.Float64), "label_end_ts").filter(
        pl.col("label").is_finite() & (pl.col("label_end_ts") <= until)
    )
    for number, frame in enumerate(forecasts):
        rows = rows.join(standardised(frame).rename({"forecast": f"member_{number}"}), on=KEY)
    if rows.is_empty():
        raise ModelError(
            f"no asset and date that all {len(forecasts)} member(s) forecast has a label filled by "
            f"{until}: there is nothing to learn weights from"
        )
    rows = rows.sort("ts", "universe", "symbol")
    target = design.relative_target(rows)
    usable = np.isfinite(target)
    if not usable.any():
        raise ModelError(design.NO_DISPERSION.format(n=rows.height))
    kept = rows.filter(pl.Series(usable))
    return Evidence(
        rows=kept.drop("label_end_ts"),
        target=target[usable],
        fitted_until=kept["label_end_ts"].max(),  # type: ignore[arg-type]
        overlap=_overlap(kept),
    )


def _overlap(rows: pl.DataFrame) -> int:
    dates = rows.group_by("ts").agg(pl.col("label_end_ts").max()).sort("ts")
    stamps = dates["ts"]
    after = stamps.search_sorted(dates["label_end_ts"], side="left").to_numpy()
    return int(max((after - np.arange(len(stamps)) - 1).max(), 0))
