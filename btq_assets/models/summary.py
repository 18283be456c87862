"""What a person wants to see of a walk-forward run: scores by fold, curves, what was left out.

Belongs here: tables and short texts over fits. Does not belong here: drawing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from btq_assets.models.walk_forward import Fit


def fit_label(fit: Fit) -> str:
    """Short name of a fit for an axis."""
    seed = f" s{fit.seed}" if fit.seed else ""
    horizon = f" h{fit.horizon}" if fit.horizon else ""
    return f"{fit.variant}{seed}{horizon} f{fit.fold}"


def notes(fits: Sequence[Fit]) -> tuple[str, ...]:
    """What fits had to do otherwise than they were told, such as halving a batch."""
    return tuple(
        f"{fit_label(fit)}: {note}"
        for fit in fits
        for note in fit.forecaster.scores.get("notes", ())
    )


def scores_by_fold(fits: Sequence[Fit]) -> pl.DataFrame:
    """One row per fit: validation and test rank IC, and what the validation segment chose."""
    rows = []
    for fit in fits:
        found = fit.forecaster.scores
        rows.append(
            {
                "variant": fit.variant,
                "seed": fit.seed,
                "fold": fit.fold,
                **({"horizon": fit.horizon or 0} if any(f.horizon for f in fits) else {}),
                "validation_rank_ic": _round(found.get("validation_rank_ic")),
                "test_rank_ic": _round(fit.test_rank_ic),
                "chosen": _chosen(found),
                "n_train": found["n_train"],
                "n_columns": found["n_columns"],
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def mean_rank_ic(fits: Sequence[Fit]) -> float | None:
    """Mean test rank IC over all fits."""
    values = [fit.test_rank_ic for fit in fits if np.isfinite(fit.test_rank_ic)]
    return _round(float(np.mean(values))) if values else None


def one_line(fits: Sequence[Fit]) -> str:
    """Mean test rank IC by variant."""
    parts = []
    for variant, horizon in dict.fromkeys((fit.variant, fit.horizon) for fit in fits):
        ic = mean_rank_ic([f for f in fits if (f.variant, f.horizon) == (variant, horizon)])
        over = f" over {horizon} sessions" if horizon else ""
        parts.append(f"{variant}{over} {'undefined' if ic is None else f'{ic:+.4f}'}")
    return f"mean rank IC out of sample: {', '.join(parts)}"


#: Curves by what they say of a training: how well it learns, how it steps.
LOSS_CURVES = ("training_loss", "validation_loss")
STEP_CURVES = ("learning_rate", "gradient_norm")


def training_curves(
    fits: Sequence[Fit], names: Sequence[str] = LOSS_CURVES
) -> dict[str, list[float]]:
    """Curves by epoch, mean over fits; may be empty.

    A fit that stopped early keeps its last value, so that the mean is over the same fits at each
    epoch.
    """
    curves = {}
    for name in names:
        series = [f.forecaster.scores[name] for f in fits if name in f.forecaster.scores]
        if series:
            longest = max(map(len, series))
            filled = [[*values, *values[-1:] * (longest - len(values))] for values in series]
            curves[name] = np.mean(filled, axis=0).tolist()
    return curves


def left_out(fits: Sequence[Fit]) -> tuple[str, ...]:
    """Offered columns that held no value in the training segment of some fit."""
    lacking: set[str] = set()
    for fit in fits:
        offered = {*fit.offered.asset, *fit.offered.market}
        lacking |= offered - set(fit.forecaster.provenance.feature_names)
    return tuple(sorted(lacking))


def peak_memory(fits: Sequence[Fit]) -> dict[str, object]:
    """Most memory that any fit took, MiB, and of what: the GPU, or the whole process."""
    peaks = [fit.peak for fit in fits if fit.peak is not None]
    if not peaks:
        return {}
    most = max(peaks, key=lambda peak: peak.mebibytes)
    return {"peak_memory_mib": round(most.mebibytes, 1), "peak_memory_of": most.of}


def _chosen(found: dict[str, object]) -> str:
    for name in ("alpha", "n_trees", "best_epoch"):
        if name in found:
            return f"{name} = {found[name]:g}"
    return ""


def _round(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
