"""When things happen and when they can be known: the one as-of join, decisions, fills, folds.

Belongs here: every rule of time that more than one room obeys. Does not belong here: prices
beyond what a label needs, and anything fitted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

import polars as pl

from btq_assets.contracts import new_york

#: Sessions between the bar that decides and the bar that fills.
FILL_LAG_SESSIONS = 1


class TimelineError(ValueError):
    """Rows out of order, without a zone, or folds that cannot be laid out."""


@lru_cache(maxsize=32)
def session_closes(calendar: str, start: date, end: date) -> pl.DataFrame:
    """Sessions of an exchange and the instant each one closes.

    Parameters
    ----------
    calendar
        Code of an ``exchange_calendars`` calendar (``XNYS``, ``24/7``, ...).
    start, end
        First and last calendar day, both included.

    Returns
    -------
    polars.DataFrame
        ``session`` (date) and ``ts`` (UTC close), ascending.
    """
    if new_york.knows(calendar, start, end):
        return new_york.sessions(start, end).select("session", ts="closes_at")
    import exchange_calendars

    found = exchange_calendars.get_calendar(
        calendar, start=str(start - timedelta(days=7)), end=str(end + timedelta(days=7))
    )
    closes = found.schedule["close"]
    return pl.DataFrame(
        {
            "session": [stamp.date() for stamp in closes.index],
            "ts": [stamp.to_pydatetime() for stamp in closes],
        },
        schema={"session": pl.Date, "ts": pl.Datetime("us", "UTC")},
    ).filter(pl.col("session").is_between(start, end))


def asof_join(
    left: pl.DataFrame,
    right: pl.DataFrame,
    *,
    by: str | Iterable[str] | None = None,
    at: str = "ts",
    known_at: str = "known_at",
    max_age: timedelta | None = None,
) -> pl.DataFrame:
    """Join to each row of `left` the newest row of `right` that was known by then.

    This is the only join across sources in the house.

    Parameters
    ----------
    left
        Rows with a decision time in column `at`.
    right
        Rows with a knowledge time in column `known_at`. Ties keep the last row.
    by
        Columns that must be equal.
    at, known_at
        Names of the two time columns (UTC timestamps).
    max_age
        A row older than this counts as missing.

    Returns
    -------
    polars.DataFrame
        `left` in its own order, plus the columns of `right`; null where nothing was known.

    Raises
    ------
    TimelineError
        A time column carries no zone.
    """
    for name, frame in ((at, left), (known_at, right)):
        dtype = frame.schema[name]
        if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
            raise TimelineError(f"column {name!r} is {dtype}; as-of joins need UTC timestamps")
    keys = [by] if isinstance(by, str) else list(by or ())
    ordered = left.with_row_index("_order").sort(at)
    return (
        ordered.join_asof(
            right.sort(known_at, maintain_order=True),
            left_on=at,
            right_on=known_at,
            by=keys or None,
            strategy="backward",
            tolerance=max_age,
            check_sortedness=False,  # both sides were sorted on the line above
            coalesce=False,
        )
        .sort("_order")
        .drop("_order")
    )


def decision_times(ts: pl.Series, every: Literal["week", "month"]) -> pl.Series:
    """First session of each ISO week or month among `ts`.

    The first, not the last: whether a session opens a week is known from the past alone, so
    cutting the data anywhere moves no decision.

    Parameters
    ----------
    ts
        Bar ends of the sessions, UTC, in any order, repeats allowed.
    every
        ``"week"`` or ``"month"``.

    Returns
    -------
    polars.Series
        Sorted unique decision times. The very first session is left out: nothing tells whether
        it opened its week.
    """
    sessions = ts.unique().sort()
    period = sessions.dt.truncate("1w" if every == "week" else "1mo")
    return sessions.filter((period != period.shift(1)).fill_null(False)).alias("ts")


def forward_returns(
    bars: pl.DataFrame,
    horizon_sessions: int,
    *,
    price: str = "adj_close",
) -> pl.DataFrame:
    """Return from the fill that follows a decision to the fill `horizon_sessions` later.

    A decision at session ``i`` fills at ``i + 1`` and its label ends at ``i + 1 + h``. Sessions
    are those of the universe, so an asset without a price at either fill has a null label.

    Parameters
    ----------
    bars
        ``universe``, ``symbol``, ``ts`` and the price column.
    horizon_sessions
        ``h`` >= 1.
    price
        Fill price; invariant to back-adjustment because only ratios are taken.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``ts``, ``label`` (simple return), ``label_start_ts`` and
        ``label_end_ts`` (the two fills; null where they lie beyond the data).
    """
    if horizon_sessions < 1:
        raise TimelineError(
            f"horizon_sessions = {horizon_sessions}: a label needs at least one session"
        )
    sessions = (
        bars.select("universe", "ts")
        .unique()
        .sort("universe", "ts")
        .with_columns(
            label_start_ts=pl.col("ts").shift(-FILL_LAG_SESSIONS).over("universe"),
            label_end_ts=pl.col("ts").shift(-FILL_LAG_SESSIONS - horizon_sessions).over("universe"),
        )
    )
    prices = bars.select("universe", "symbol", "ts", pl.col(price).alias("_price"))
    keyed = bars.select("universe", "symbol", "ts").join(
        sessions, on=["universe", "ts"], how="left"
    )
    for end in ("start", "end"):
        keyed = keyed.join(
            prices.rename({"ts": f"label_{end}_ts", "_price": f"_{end}"}),
            on=["universe", "symbol", f"label_{end}_ts"],
            how="left",
        )
    return keyed.select(
        "universe",
        "symbol",
        "ts",
        (pl.col("_end") / pl.col("_start") - 1).alias("label"),
        "label_start_ts",
        "label_end_ts",
    ).sort("universe", "symbol", "ts")


@dataclass(frozen=True)
class Fold:
    """One walk-forward fold; all times are decision times, both ends included.

    The last label of `train` is filled by `validation_start`, the last label of `validation` by
    `test_start`: the purge follows from the label, not from a number of days.
    """

    fold: int
    train_start: datetime
    train_end: datetime
    validation_start: datetime
    validation_end: datetime
    test_start: datetime
    test_end: datetime
    n_purged: int


def walk_forward_folds(
    samples: pl.DataFrame,
    *,
    first_test: date,
    test_months: int,
    max_folds: int,
    train_years: int,
    validation_months: int,
) -> list[Fold]:
    """Lay out purged walk-forward folds over decision times.

    Parameters
    ----------
    samples
        One row per decision: ``ts`` and ``label_end_ts`` (null where the label is unfinished).
    first_test
        First day of the first test segment.
    test_months, max_folds
        Length of each test segment and the largest number of folds. The boundaries depend on
        these settings alone; a fold whose test segment has no decision yet is left out, the last
        one may be shorter.
    train_years
        Longest training segment, ending where validation starts.
    validation_months
        Length of the segment for early stopping and hyper-parameters, ending at the test segment.

    Returns
    -------
    list of Fold

    Raises
    ------
    TimelineError
        A fold has no training or validation decision.
    """
    decisions = samples.select("ts", "label_end_ts").unique("ts").sort("ts")
    folds: list[Fold] = []
    for number in range(max_folds):
        test_from = add_months(first_test, number * test_months)
        test_until = add_months(first_test, (number + 1) * test_months)
        validation_from = add_months(test_from, -validation_months)
        train_from = add_months(validation_from, -12 * train_years)
        test = _between(decisions, test_from, test_until)
        if test.is_empty():
            break
        validation, purged_validation = _purged(
            _between(decisions, validation_from, test_from), test["ts"].min()
        )
        if validation.is_empty():
            raise TimelineError(f"fold {number}: no validation decision before {test_from}")
        train, purged_train = _purged(
            _between(decisions, train_from, validation_from), validation["ts"].min()
        )
        if train.is_empty():
            raise TimelineError(f"fold {number}: no training decision before {validation_from}")
        folds.append(
            Fold(
                number,
                *_bounds(train),
                *_bounds(validation),
                *_bounds(test),
                purged_train + purged_validation,
            )
        )
    if not folds:
        raise TimelineError(
            f"no decision on or after {first_test}; the data end before the first test"
        )
    return folds


def _between(decisions: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    first, after = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (start, end))
    return decisions.filter(pl.col("ts").is_between(first, after, closed="left"))


def _bounds(segment: pl.DataFrame) -> tuple[Any, Any]:
    return segment["ts"].min(), segment["ts"].max()


def _purged(segment: pl.DataFrame, next_start: Any) -> tuple[pl.DataFrame, int]:
    kept = segment.filter(pl.col("label_end_ts") <= next_start)
    return kept, segment.height - kept.height


def add_months(day: date, months: int) -> date:
    """`day` moved by whole months, clipped to the last day of the month."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, min(day.day, (following - timedelta(days=1)).day))


def truncate(frame: pl.DataFrame, until: datetime, known_at: str = "known_at") -> pl.DataFrame:
    """Rows of `frame` that were known at `until`; the cut every truncation check makes."""
    return frame.filter(pl.col(known_at) <= until)
