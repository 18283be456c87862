"""Pictures of the fits of a step: scores by fold, curves of the training, what fits lean on.

Belongs here: drawing. Does not belong here: the numbers that are drawn (`summary`).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from btq_assets import plots
from btq_assets.models import summary
from btq_assets.models.walk_forward import Fit


def of_fits(fits: Sequence[Fit]) -> dict[str, bytes]:
    """Rank IC of each fit, and mean curves of trainings where there are any, by title."""
    found = {
        "Rank IC by fold": plots.bars(
            [summary.fit_label(fit) for fit in fits],
            [fit.test_rank_ic for fit in fits],
            "Mean rank IC out of sample",
            "rank IC",
        )
    }
    curves = summary.training_curves(fits)
    if curves:
        found["Training curves"] = _by_epoch(curves, "loss", len(fits))
    for name, values in summary.training_curves(fits, summary.STEP_CURVES).items():
        told = name.replace("_", " ")
        found[told.capitalize()] = _by_epoch({name: values}, told, len(fits))
    return found


def _by_epoch(curves: dict[str, list[float]], unit: str, n_fits: int) -> bytes:
    epochs = list(range(1, max(len(values) for values in curves.values()) + 1))
    title = f"Mean over {n_fits} fits, a stopped one at its last value"
    return plots.lines(epochs, curves, title, unit, xlabel="epoch")


def of_importances(importances: pl.DataFrame) -> dict[str, bytes]:
    """The twenty features that fits lean on most, from rows of ``models.importances_<model>``."""
    mean = importances.group_by("feature").agg(pl.col("importance").mean())
    top = mean.sort("importance", "feature", descending=[True, False]).head(20)
    title = "Mean importance over fits"
    picture = plots.bars(top["feature"].to_list(), top["importance"].to_list(), title, "share")
    return {title: picture}
