"""Folds inside the segments that come before a test: train, stop early, judge.

Belongs here: cutting them, purged. Does not belong here: the outer folds (`models.folds`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from btq_assets.models.folds import truncate
from btq_assets.models.forecaster import ModelError

#: Decisions a segment needs at least after its purge.
MINIMUM_DECISIONS = 5


def before_test(training_set: pl.DataFrame, test_start: datetime | None) -> pl.DataFrame:
    """What was known when the test segment starts: earlier rows, labels filled by then.

    Parameters
    ----------
    training_set
        As ``models.training_set``.
    test_start
        First decision of the test segment; ``None`` where the whole frame precedes it.
    """
    if test_start is None:
        return training_set
    known = training_set.filter(pl.col("ts") < test_start)
    if known.is_empty():
        raise ModelError(f"no row precedes the test segment that starts at {test_start}")
    return truncate(known, test_start)


def nested_folds(known: pl.DataFrame, n_folds: int) -> list[dict[str, Any]]:
    """Growing training, then a block to stop early on, then a block to judge.

    Decisions with a label are cut into ``n_folds + 3`` blocks of equal length. Fold ``k`` (from 0)
    trains on the first ``k + 2`` blocks, stops on the next and is judged on the one after it, so that
    what judges never stopped the training. The end of each segment is moved back until every label
    in it is filled by the first decision of the next.

    Parameters
    ----------
    known
        Rows of one universe, all before the test segment; see `before_test`.
    n_folds
        At least 1.

    Returns
    -------
    list of dict
        As rows of ``models.splits``; ``test_*`` is the judged block.

    Raises
    ------
    ModelError
        Several universes, or too few decisions.
    """
    if n_folds < 1:
        raise ModelError(f"n_folds = {n_folds}: at least one nested fold is needed")
    universes = known["universe"].unique().to_list()
    if len(universes) != 1:
        raise ModelError(f"a search is over one universe, the panel has {sorted(universes)}")
    dates = (
        known.filter(pl.col("is_decision") & pl.col("label").is_finite())
        .group_by("ts")
        .agg(pl.col("label_end_ts").max())
        .sort("ts")
    )
    ts, ends = dates["ts"].to_list(), dates["label_end_ts"].to_list()
    n_blocks = n_folds + 3
    starts = [len(ts) * block // n_blocks for block in range(n_blocks + 1)]
    folds = []
    for fold in range(n_folds):
        stop, judge, after = starts[fold + 2], starts[fold + 3], starts[fold + 4]
        row: dict[str, Any] = {"fold": fold, "universe": universes[0]}
        for name, first, following in (
            ("train", 0, stop),
            ("validation", stop, judge),
            ("test", judge, after),
        ):
            last = following - 1
            while name != "test" and last >= first and ends[last] > ts[following]:
                last -= 1
            if last - first + 1 < MINIMUM_DECISIONS:
                raise ModelError(
                    f"{len(ts)} labelled decision(s) are too few for {n_folds} nested fold(s): the "
                    f"{name} segment of fold {fold} keeps {max(last - first + 1, 0)} after its purge, "
                    f"at least {MINIMUM_DECISIONS} are needed"
                )
            row |= {f"{name}_start": ts[first], f"{name}_end": ts[last]}
        folds.append(row)
    return folds
