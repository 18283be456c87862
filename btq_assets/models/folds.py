"""Walk-forward folds over a training set, and the purge that keeps their segments apart.

Belongs here: laying out folds, cutting one fold out of the table, and the rule that no label
reaches into the next segment. Does not belong here: labels themselves, and anything fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets import timeline
from btq_assets.contracts import models as tables
from btq_assets.models.forecaster import ModelError, require_distinct

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig


class PurgeError(ModelError):
    """A label reaches into the segment after its own."""


def splits(training_set: pl.DataFrame, config: TradingConfig) -> pl.DataFrame:
    """Purged walk-forward folds over the decisions of a training set (``models.splits``)."""
    settings = config.models.walk_forward
    frames = []
    for (universe,), rows in training_set.group_by("universe", maintain_order=True):
        folds = timeline.walk_forward_folds(
            rows.filter("is_decision").select("ts", "label_end_ts"),
            first_test=date.fromisoformat(settings.first_test),
            test_months=settings.test_months,
            max_folds=settings.max_folds,
            train_years=settings.train_years,
            validation_months=settings.validation_months,
        )
        frames.append(
            pl.DataFrame([vars(fold) for fold in folds]).with_columns(universe=pl.lit(universe))
        )
    return pl.concat(frames).select(tables.SPLITS.column_names)


def purge_violations(training_set: pl.DataFrame, folds: pl.DataFrame) -> pl.DataFrame:
    """Rows whose label ends after the next segment starts, and segments out of order.

    Parameters
    ----------
    training_set
        ``models.training_set``.
    folds
        ``models.splits``.

    Returns
    -------
    polars.DataFrame
        ``fold``, ``segment``, ``symbol``, ``ts``, ``label_end_ts``, ``next_start``; empty when
        the folds are clean.
    """
    decisions = training_set.filter(pl.col("is_decision") & pl.col("label").is_not_null())
    found = []
    for fold in folds.iter_rows(named=True):
        for segment, following in (("train", "validation"), ("validation", "test")):
            next_start = fold[f"{following}_start"]
            rows = decisions.filter(
                (pl.col("universe") == fold["universe"])
                & pl.col("ts").is_between(fold[f"{segment}_start"], fold[f"{segment}_end"])
            )
            late = pl.col("label_end_ts").is_null() | (pl.col("label_end_ts") > next_start)
            found.append(
                rows.filter(late | (pl.col("ts") >= next_start)).select(
                    pl.lit(fold["fold"]).alias("fold"),
                    pl.lit(segment).alias("segment"),
                    "symbol",
                    "ts",
                    "label_end_ts",
                    pl.lit(next_start).alias("next_start"),
                )
            )
    return pl.concat(found)


def truncate(training_set: pl.DataFrame, until: datetime) -> pl.DataFrame:
    """The training set as it was at `until`: later rows gone, unfilled labels null again."""
    unfilled = pl.col("label_end_ts") > until
    return training_set.filter(pl.col("ts") <= until).with_columns(
        pl.when(unfilled.fill_null(True)).then(None).otherwise(pl.col(name)).alias(name)
        for name in label_values(training_set)
    )


def label_values(training_set: pl.DataFrame) -> list[str]:
    """Columns that are unknown until a label is filled: those of all horizons, and weights."""
    when = ("label_start_ts", "label_end_ts")
    return [
        name
        for name in training_set.columns
        if name.startswith(("label", "sample_weight")) and name not in when
    ]


def null_columns(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[str, ...]:
    """Those of `columns` that hold no value at all in `frame`."""
    counts = frame.select(pl.col(list(columns)).count()).row(0)
    return tuple(name for name, n in zip(columns, counts, strict=True) if n == 0)


@dataclass(frozen=True)
class TrainingSet:
    """What one fit may see: a panel that ends before the test segment starts.

    Parameters
    ----------
    panel
        Rows of ``models.training_set`` (daily, several symbols), with ``is_decision``,
        ``session_return``, ``label``, ``label_end_ts`` and the feature columns.
    asset_features
        Feature columns with one value per asset and session.
    market_features
        Feature columns with one value per session.
    train, validation
        First and last decision time of each segment, both included.
    cutoff
        First decision of the test segment: nothing known later may be used.
    """

    panel: pl.DataFrame
    asset_features: tuple[str, ...]
    market_features: tuple[str, ...]
    train: tuple[datetime, datetime]
    validation: tuple[datetime, datetime]
    cutoff: datetime

    def __post_init__(self) -> None:
        """Refuse a panel in which an asset has two rows at the same time."""
        require_distinct(self.panel, "a training set")

    def train_rows(self) -> pl.DataFrame:
        """Labelled decisions of the training segment; raises `PurgeError` on an overlap."""
        return self._segment("train", self.train, self.validation[0])

    def validation_rows(self) -> pl.DataFrame:
        """Labelled decisions of the validation segment; raises `PurgeError` on an overlap."""
        return self._segment("validation", self.validation, self.cutoff)

    def fitted_until(self) -> datetime:
        """Last fill behind any label used."""
        ends = pl.concat([self.train_rows(), self.validation_rows()])["label_end_ts"]
        return ends.max()  # type: ignore[return-value]

    def _segment(
        self, name: str, bounds: tuple[datetime, datetime], next_start: datetime
    ) -> pl.DataFrame:
        rows = self.panel.filter(
            pl.col("is_decision")
            & pl.col("ts").is_between(*bounds)
            & pl.col("label").is_not_null()
            & pl.col("label").is_finite()
        ).sort("ts", "symbol")
        if rows.is_empty():
            raise ModelError(
                f"no labelled decision in the {name} segment {bounds[0]} - {bounds[1]}"
            )
        late = rows.filter(
            pl.col("label_end_ts").is_null()
            | (pl.col("label_end_ts") > next_start)
            | (pl.col("ts") >= next_start)
        )
        if late.height:
            row = late.row(0, named=True)
            raise PurgeError(
                f"{late.height} {name} label(s) end after the next segment starts at {next_start}: "
                f"{row['symbol']} decided {row['ts']}, filled {row['label_end_ts']}"
            )
        return rows


def for_fold(
    training_set: pl.DataFrame,
    fold: Mapping[str, Any],
    *,
    market: bool,
    asset_features: Sequence[str] = tables.DEFAULT_COLUMNS.asset,
    market_features: Sequence[str] = tables.DEFAULT_COLUMNS.market,
) -> TrainingSet:
    """Cut one fold out of the table and choose the columns that hold data in it.

    Columns without a single value in the training segment are left out: deciding that on the
    whole table would let later data choose the design of an earlier fit.

    Parameters
    ----------
    training_set
        ``models.training_set``.
    fold
        One row of ``models.splits``.
    market
        Whether market-wide columns are offered (variant ``macro``).
    asset_features, market_features
        Columns on offer.
    """
    cutoff: datetime = fold["test_start"]
    panel = truncate(
        training_set.filter(
            (pl.col("universe") == fold["universe"]) & (pl.col("ts") <= fold["validation_end"])
        ),
        cutoff,
    )
    segment = panel.filter(
        pl.col("is_decision") & pl.col("ts").is_between(fold["train_start"], fold["train_end"])
    )
    offered = (tuple(asset_features), tuple(market_features) if market else ())
    chosen = []
    for columns in offered:
        nulls = set(null_columns(segment, columns)) if columns else set()
        chosen.append(tuple(name for name in columns if name not in nulls))
    return TrainingSet(
        panel=panel,
        asset_features=chosen[0],
        market_features=chosen[1],
        train=(fold["train_start"], fold["train_end"]),
        validation=(fold["validation_start"], fold["validation_end"]),
        cutoff=cutoff,
    )


def panel_between(
    training_set: pl.DataFrame, start: datetime, end: datetime, history_sessions: int
) -> pl.DataFrame:
    """Rows from `start` to `end` plus the history a forecaster needs; only the former decide.

    Labels are dropped: a forecast cannot want them.
    """
    sessions = training_set.select("ts").unique().sort("ts")["ts"]
    first = max(int(sessions.search_sorted(start)) - history_sessions, 0)
    return (
        training_set.filter(pl.col("ts").is_between(sessions[first], end))
        .with_columns(is_decision=pl.col("is_decision") & (pl.col("ts") >= start))
        .drop(*label_values(training_set), "label_start_ts", "label_end_ts")
    )
