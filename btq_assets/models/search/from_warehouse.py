"""From the training set of the warehouse to what every trial of a search is asked.

Belongs here: which rows a search may see, and what it reads of them. Does not belong here: frames of a
notebook (`notebook`), the warehouse itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.models.catalogue import family_named
from btq_assets.models.folds import null_columns
from btq_assets.models.forecaster import ModelError
from btq_assets.models.plans import plan_of
from btq_assets.models.search.candidates import Question
from btq_assets.models.search.nested import before_test, nested_folds

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

_NEEDED = (
    "universe", "symbol", "ts", "is_decision", "session_return", "label", "label_raw",
    "label_start_ts", "label_end_ts",
)  # fmt: skip
_OPTIONAL = ("sector", "sample_weight")


def question_of_family(
    training_set: pl.DataFrame,
    splits: pl.DataFrame,
    config: TradingConfig,
    *,
    device: str = "cpu",
) -> Question:
    """What every trial of ``models.search`` is asked.

    Only what was known before the first test segment is read: rows that precede it, labels filled by
    its first decision.

    Parameters
    ----------
    training_set, splits
        ``models.training_set`` and ``models.splits``.
    config
        ``models.search``: family, folds, epochs; the settings of the family that are not searched.

    Raises
    ------
    ModelError
        An unknown family, one asset only, or too few decisions for the folds.
    """
    settings = config.models.search
    family = family_named(settings.family)
    first = splits.sort("fold").row(0, named=True)
    plan = plan_of(settings.family, config, code_version="search", device=device)
    rows = training_set.filter(pl.col("universe") == first["universe"])
    kept = [
        *_NEEDED,
        *(name for name in _OPTIONAL if name in rows.columns),
        *plan.asset_features,
    ]
    known = before_test(rows, first["test_start"]).select(kept)
    if known["symbol"].n_unique() < 2:
        raise ModelError("a search ranks assets against each other: it needs at least two")
    folds = nested_folds(known, settings.n_folds)
    segment = known.filter(pl.col("ts").is_between(folds[0]["train_start"], folds[0]["train_end"]))
    empty = null_columns(segment, plan.asset_features)
    spec: Any = plan.make("base", plan.seeds[0]).spec
    if settings.epochs is not None and hasattr(spec, "epochs"):
        spec = replace(spec, epochs=settings.epochs)
    return Question(
        known=known,
        folds=folds,
        feature_columns=tuple(name for name in plan.asset_features if name not in empty),
        spec=spec,
        forecaster=family.load(),
        config=config,
        device=device,
    )
