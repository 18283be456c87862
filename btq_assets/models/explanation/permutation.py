"""Permutation importance by family (Breiman 2001; Fisher, Rudin and Dominici 2019).

Belongs here: shuffling families of features and scoring what is left. Does not belong here: refitting
without them (`models.ablation`), which says what a family is worth, not what one fit leans on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from btq_assets.models import scores
from btq_assets.models.forecaster import Forecaster, ModelError


def permutation_importance(
    forecaster: Forecaster,
    panel: pl.DataFrame,
    families: Mapping[str, Sequence[str]],
    *,
    repeats: int = 5,
    seed: int = 0,
) -> pl.DataFrame:
    """How much of the rank correlation with labels goes when a family is shuffled among assets.

    All columns of a family change places together, on each date by a permutation of its own: what
    belongs to the date stays, what tells assets apart goes.

    Parameters
    ----------
    forecaster
        Fitted.
    panel
        As for `Forecaster.predict`, with ``label``; of dates the model was not fitted on.
    families
        Family → its columns; those the model does not read are passed over.
    repeats
        Shuffles of each family.
    seed
        Of the shuffles.

    Returns
    -------
    polars.DataFrame
        ``family``, ``n_columns``, ``rank_ic``, ``rank_ic_permuted`` (mean over repeats),
        ``importance`` (the first less the second), ``standard_error`` over repeats (null for one).

    Raises
    ------
    ModelError
        No family holds a column the model reads, or there is no rank correlation to lose.
    """
    read = set(forecaster.provenance.feature_names)
    held = {name: [c for c in columns if c in read] for name, columns in families.items()}
    held = {name: columns for name, columns in held.items() if columns}
    if not held:
        raise ModelError(f"no family of {sorted(families)} holds a column the model reads")
    panel = panel.sort("universe", "ts", "symbol")
    whole = scores.mean_rank_ic(forecaster.predict(panel), panel)
    if not np.isfinite(whole):
        raise ModelError("the panel has no date with labels and forecasts that differ")
    draw = np.random.default_rng(seed)
    group = panel.select(pl.struct("universe", "ts").rle_id()).to_series().to_numpy()
    rows = []
    for family, columns in held.items():
        found = []
        for _ in range(repeats):
            # Sorting random numbers within dates is a permutation within each of them.
            order = np.lexsort((draw.random(panel.height), group))
            shuffled = panel.with_columns(panel.select(columns)[order])
            found.append(scores.mean_rank_ic(forecaster.predict(shuffled), panel))
        spread = float(np.std(found, ddof=1) / np.sqrt(repeats)) if repeats > 1 else None
        mean = float(np.mean(found))
        rows.append((family, len(columns), whole, mean, whole - mean, spread))
    return pl.DataFrame(
        rows,
        schema={
            "family": pl.String,
            "n_columns": pl.Int64,
            "rank_ic": pl.Float64,
            "rank_ic_permuted": pl.Float64,
            "importance": pl.Float64,
            "standard_error": pl.Float64,
        },
        orient="row",
    ).sort("importance", descending=True)
