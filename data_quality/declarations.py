"""What a suite is: expectations as plain data, and the views they are judged on.

Belongs here: the types. Does not belong here: any particular suite (`suites`, `feature_suites`),
any computation on frames (`bar_views`, ...), Great Expectations itself (`runner`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(frozen=True)
class View:
    """A frame that expectations judge, computed from the table as it is about to be written.

    Parameters
    ----------
    name
        Name the expectations refer to.
    compute
        Aggregates or derives in polars, so that only what is judged becomes pandas.
    identity
        Columns that tell a reader which row failed.
    """

    name: str
    compute: Callable[[pl.DataFrame], pl.DataFrame]
    identity: tuple[str, ...]


@dataclass(frozen=True)
class Expectation:
    """One expectation, as data.

    Parameters
    ----------
    name
        Name of the check; unique within the suite.
    view
        Name of the `View` it judges.
    column
        Column it judges; ``None`` for an expectation on the whole view.
    type
        Great Expectations' own name, such as ``expect_column_values_to_be_between``.
    kwargs
        Its other arguments.
    description
        What is demanded and why, in one or two sentences.
    blocking
        Whether a failure refuses the commit. Statistics rarely prove an error: most only warn.
    """

    name: str
    view: str
    column: str | None
    type: str
    description: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    blocking: bool = False


@dataclass(frozen=True)
class History:
    """How much of what is stored is looked at beside the rows about to be written.

    A day that is added says nothing of a gap, a stale price or a shift by itself.

    Parameters
    ----------
    of
        Columns that name a series; those of which rows come are looked at.
    order
        Column that says when.
    days
        How far before the first and after the last new row of a series.
    days_by_freq
        The same for series whose ``freq`` says more.
    """

    of: tuple[str, ...]
    order: str
    days: int
    days_by_freq: Mapping[str, int] = field(default_factory=dict)

    def spans(self, frame: pl.DataFrame) -> pl.DataFrame:
        """One row a series of `frame`: the columns `of`, ``since`` and ``until``."""
        days = pl.lit(self.days)
        if self.days_by_freq:
            days = pl.col("freq").replace_strict(
                self.days_by_freq, default=self.days, return_dtype=pl.Int64
            )
        return (
            frame.group_by(self.of)
            .agg(since=pl.col(self.order).min(), until=pl.col(self.order).max())
            .with_columns(
                since=pl.col("since") - pl.duration(days=days),
                until=pl.col("until") + pl.duration(days=days),
            )
        )


def with_fresh(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with the column ``fresh``: whether a row is about to be written.

    All of them are where nothing stored stands beside.
    """
    return frame if "fresh" in frame.columns else frame.with_columns(fresh=True)


@dataclass(frozen=True)
class Suite:
    """Expectations of one table, answered in one run.

    Parameters
    ----------
    table
        ``schema.table``.
    views, expectations
        What is judged, and how.
    prepare
        Applied once to the table's frame before the views see it.
    history
        What is looked at of the rows stored already; nothing by default. Views see such rows with
        ``fresh`` false; a view with a column ``fresh`` is judged where it is true.

    Raises
    ------
    ValueError
        A name is used twice, or an expectation names a view that is not declared.
    """

    table: str
    views: tuple[View, ...]
    expectations: tuple[Expectation, ...]
    prepare: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    history: History | None = None

    def __post_init__(self) -> None:
        names = [expectation.name for expectation in self.expectations]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.table}: an expectation is declared twice in {names}")
        known = {view.name for view in self.views}
        unknown = {expectation.view for expectation in self.expectations} - known
        if unknown:
            raise ValueError(f"{self.table}: no view {sorted(unknown)}; there is {sorted(known)}")


def between(
    name: str,
    view: str,
    column: str,
    low: float | None,
    high: float | None,
    description: str,
    *,
    blocking: bool = False,
    mostly: float = 1.0,
) -> Expectation:
    """Values of a column lie between two bounds, both included; missing values are not judged."""
    kwargs: dict[str, Any] = {"min_value": low, "max_value": high}
    if mostly < 1.0:
        kwargs["mostly"] = mostly
    return Expectation(
        name, view, column, "expect_column_values_to_be_between", description, kwargs, blocking
    )
