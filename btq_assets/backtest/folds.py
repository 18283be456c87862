"""Walk-forward windows by calendar months, and blocks inside them, purged by the label.

Belongs here: which decisions train and which are tested, and what the labels forbid. Does not
belong here: models and scores (`walk_forward`), and the labels themselves (`timeline`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from btq_assets.backtest.market import BacktestError
from btq_assets.timeline import add_months


@dataclass(frozen=True)
class Window:
    """One fold: positions into the sorted decisions.

    Attributes
    ----------
    fold
        Number, from 0.
    train, test
        ``int64`` positions of decisions, ascending. Every label of `train` is filled by the first
        decision of `test`.
    n_purged
        Decisions of the training months left out because their label ends later than that.
    train_from, test_from, test_until
        The months: ``train_from <= train < test_from <= test < test_until``.
    """

    fold: int
    train: np.ndarray
    test: np.ndarray
    n_purged: int
    train_from: date
    test_from: date
    test_until: date


def windows(
    decided_at: pl.Series,
    label_end: pl.Series,
    *,
    train_months: int,
    test_months: int,
    step_months: int,
    anchored: bool = False,
) -> list[Window]:
    """Lay out purged train and test windows over decisions.

    The first test segment starts `train_months` after the first decision's month begins; each
    later one `step_months` after the one before. Boundaries are whole months, so cutting the data
    at the end moves none of them.

    Parameters
    ----------
    decided_at
        Decision times, UTC, ascending and unique.
    label_end
        Fill at which each decision's label ends; null where it is not filled yet.
    train_months, test_months, step_months
        Lengths, at least 1; ``step_months`` may not exceed ``test_months``, or decisions between
        two test segments would be tested by nobody.
    anchored
        Training always starts at the first decision, instead of `train_months` before the test.

    Raises
    ------
    BacktestError
        Impossible lengths, or fewer data than one training and test window.
    """
    named = {"train_period": train_months, "test_period": test_months, "step": step_months}
    for name, months in named.items():
        if isinstance(months, bool) or not isinstance(months, int) or months < 1:
            raise BacktestError(f"{name}_months = {months!r}: a whole number from 1 on is needed")
    if step_months > test_months:
        raise BacktestError(
            f"step_months = {step_months} exceeds test_period_months = {test_months}: the months "
            "between would be tested by no fold; make the step as long as the test or shorter"
        )
    if decided_at.is_empty():
        raise BacktestError("there is no decision to lay windows over")
    start = decided_at[0].date().replace(day=1)
    found: list[Window] = []
    while True:
        test_from = add_months(start, train_months + len(found) * step_months)
        test_until = add_months(test_from, test_months)
        train_from = start if anchored else add_months(test_from, -train_months)
        test = _between(decided_at, test_from, test_until)
        if test.size == 0:
            break
        wanted = _between(decided_at, train_from, test_from)
        filled = (label_end <= decided_at[int(test[0])]).fill_null(False).to_numpy()
        train = wanted[filled[wanted]]
        if train.size == 0:
            raise BacktestError(
                f"fold {len(found)}: no decision of {train_from} to {test_from} has a label filled "
                f"by {decided_at[int(test[0])]}; lengthen train_period_months"
            )
        found.append(
            Window(
                len(found),
                train,
                test,
                int(wanted.size - train.size),
                train_from,
                test_from,
                test_until,
            )
        )
        if test[-1] == len(decided_at) - 1:
            break
    if not found:
        raise BacktestError(
            f"decisions run from {decided_at[0]} to {decided_at[-1]}: less than the "
            f"{train_months} months of training and the test after them"
        )
    return found


def inner_blocks(
    train: np.ndarray,
    decided_at: pl.Series,
    label_end: pl.Series,
    n_blocks: int,
    embargo: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Purged and embargoed blocks inside one training window, for choosing among parameters.

    Every block of consecutive decisions is judged once by what is learnt from the others. A
    learning decision is left out when its label and a judged one share time (purge), and when it
    is one of the first `embargo` decisions after the last judged label (López de Prado 2018, *Advances in
    Financial Machine Learning*, sections 7.4.1 and 7.4.2).

    Parameters
    ----------
    train
        Positions of a window's training decisions; nothing else is looked at.
    decided_at, label_end
        As in `windows`.
    n_blocks
        At least 2.
    embargo
        Decisions.

    Returns
    -------
    list of (learn, judge)
        Positions, ascending; blocks for which nothing is left to learn from are left out.
    """
    starts = decided_at.dt.timestamp("us").to_numpy()
    ends = label_end.dt.timestamp("us").to_numpy()
    found = []
    for judge in np.array_split(train, n_blocks):
        if judge.size == 0:
            continue
        until = ends[judge].max()
        overlaps = (starts[train] < until) & (ends[train] > starts[judge[0]])
        embargoed = train[(train > judge[-1]) & (starts[train] >= until)][:embargo]
        learn = train[~overlaps & ~np.isin(train, judge) & ~np.isin(train, embargoed)]
        if learn.size:
            found.append((learn, judge))
    return found


def reach(decided_at: pl.Series, label_end: pl.Series) -> int:
    """Most decisions that come after one and before its label ends: the purge, in decisions."""
    starts = decided_at.dt.timestamp("us").to_numpy()
    ends = label_end.drop_nulls().dt.timestamp("us").to_numpy()
    position = np.flatnonzero(label_end.is_not_null().to_numpy())
    if position.size == 0:
        raise BacktestError("no label is filled: the data are shorter than the label horizon")
    # a label that ends at the very time of a decision is known to it
    return int(np.max(np.searchsorted(starts, ends, side="left") - position - 1, initial=0))


def _between(decided_at: pl.Series, first: date, after: date) -> np.ndarray:
    bounds = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, after)]
    inside = (decided_at >= bounds[0]) & (decided_at < bounds[1])
    return np.flatnonzero(inside.to_numpy())
