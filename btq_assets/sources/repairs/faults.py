"""Values in the wrong unit, and single ticks that come and go.

Belongs here: detectors that look at one column of one series. Does not belong here: splits and
dividends (`splits`), what is done about a fault.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from btq_assets.sources.repairs.series import PRICES, SERIES, moves

_HUNDRED = math.log(100)

#: A move counts as a hundredfold one when it lies within a factor of 1.42 of it: 70 to 142.
_HUNDRED_TOLERANCE = 0.35

#: A paired error is a fault of single bars; a longer one may be a market that was redenominated.
_LONG_SPAN_BARS = 60

#: A bad tick jumps so many typical moves, and so much, and comes back all but this share.
_TICK_SIGMAS = 12.0
_TICK_LEAST = math.log(1.1)
TICK_COLUMNS = ("close", "adj_close")
_TICK_NOT_UNDONE = 0.25


@dataclass(frozen=True)
class Fault:
    """A fault in one column over a span of bars, and the factor that would mend it.

    Parameters
    ----------
    kind, column
        As in ``quality.repairs``.
    series
        Source, dataset, symbol, freq.
    shown_at
        Bar whose value shows the fault, by its ``ts``.
    from_ts, to_ts
        First and last bar of the span.
    factor
        ``None`` where the value should become missing.
    confidence
        0 to 1.
    evidence
        One or two sentences.
    evidence_known_at
        When the newest bar it rests on was known.
    """

    kind: str
    column: str
    series: tuple[str, str, str, str]
    shown_at: datetime
    from_ts: datetime
    to_ts: datetime
    factor: float | None
    confidence: float
    evidence: str
    evidence_known_at: datetime


def unit_errors(bars: pl.DataFrame) -> Iterator[Fault]:
    """Spans of bars in which a price column is a hundred times, or a hundredth of, its neighbours.

    A jump of about a hundred and the next one back enclose the span. A jump that never comes back
    leaves open which side is wrong: the shorter one is proposed, with little confidence.

    Parameters
    ----------
    bars
        What `series.observed` returns.
    """
    for column in PRICES:
        all_moves = moves(bars, column)
        jumps = all_moves.filter(
            (pl.col("move").abs() - _HUNDRED).abs() < _HUNDRED_TOLERANCE
        ).select(SERIES)
        if jumps.is_empty():
            continue
        affected = all_moves.join(jumps.unique(), on=SERIES, how="semi", maintain_order="left")
        for part in affected.partition_by(SERIES, maintain_order=True):
            yield from _unit_errors_of(part.to_dicts(), column)


def _unit_errors_of(rows: list[dict[str, Any]], column: str) -> Iterator[Fault]:
    places = [
        row["place"]
        for row in rows
        if row["move"] is not None and abs(abs(row["move"]) - _HUNDRED) < _HUNDRED_TOLERANCE
    ]
    waiting: int | None = None
    for place in places:
        if waiting is None:
            waiting = place
        elif rows[waiting]["move"] * rows[place]["move"] < 0:
            yield _enclosed(rows, column, waiting, place)
            waiting = None
        else:
            waiting = place
    if waiting is not None:
        yield _one_sided(rows, column, waiting)


def _enclosed(rows: list[dict[str, Any]], column: str, first: int, back: int) -> Fault:
    there, again = rows[first]["move"], rows[back]["move"]
    sigma = rows[first]["sigma"]
    misfit = max(abs(abs(there) - _HUNDRED), abs(abs(again) - _HUNDRED)) / sigma
    n_bars = back - first
    confidence = 0.99 if misfit <= 8 else 0.9
    if n_bars > _LONG_SPAN_BARS:
        confidence = 0.8
    return Fault(
        "unit_100x",
        column,
        _series(rows[first]),
        rows[first]["ts"],
        rows[first]["ts"],
        rows[back - 1]["ts"],
        0.01 if there > 0 else 100.0,
        confidence,
        f"{column} {_told(there)} on {rows[first]['session']} and {_told(again)} on "
        f"{rows[back]['session']}, {n_bars} bar(s) later; a typical move is {sigma:.2%}.",
        rows[back]["known_at"],
    )


def _one_sided(rows: list[dict[str, Any]], column: str, place: int) -> Fault:
    move = rows[place]["move"]
    before, after = place, len(rows) - place
    early = before < after
    span = rows[:place] if early else rows[place:]
    upwards = (move > 0) == early
    return Fault(
        "unit_100x",
        column,
        _series(rows[place]),
        span[-1 if early else 0]["ts"],
        span[0]["ts"],
        span[-1]["ts"],
        100.0 if upwards else 0.01,
        0.6,
        f"{column} {_told(move)} on {rows[place]['session']} and never comes back; the shorter "
        f"side ({len(span)} of {len(rows)} bars) is taken to be in another unit.",
        rows[place]["known_at"],
    )


def bad_ticks(
    bars: pl.DataFrame, market: Mapping[str, pl.DataFrame] | None = None
) -> Iterator[Fault]:
    """Single closes far from both neighbours, while the rest of the dataset stays where it is.

    Parameters
    ----------
    bars
        What `series.observed` returns.
    market
        Moves of the others by column (`series.market_moves`), where `bars` are not all there are.
    """
    for column in TICK_COLUMNS:
        found = moves(bars, column, market[column] if market else None).with_columns(
            next_known_at=pl.col("known_at").shift(-1).over(SERIES),
            next_market=pl.col("market_move").shift(-1).over(SERIES),
        )
        there, back = pl.col("move"), pl.col("next_move")
        least = pl.max_horizontal(pl.col("lately_sigma") * _TICK_SIGMAS, pl.lit(_TICK_LEAST))
        calm = pl.max_horizontal(
            pl.col("market_move").abs().fill_null(0.0), pl.col("next_market").abs().fill_null(0.0)
        )
        ticks = found.filter(
            (there * back < 0)
            & (pl.min_horizontal(there.abs(), back.abs()) > least)
            & ((there + back).abs() < _TICK_NOT_UNDONE * there.abs())
            & ((there.abs() - _HUNDRED).abs() >= _HUNDRED_TOLERANCE)
            & (calm < 0.25 * there.abs())
        )
        yield from _ticks(ticks.iter_rows(named=True), column)


def _ticks(rows: Iterable[dict[str, Any]], column: str) -> Iterator[Fault]:
    for row in rows:
        there, back = row["move"], row["next_move"]
        undone = 1 - abs(there + back) / abs(there)
        company = (
            f"; the median of its dataset moved {row['market_move']:.2%}"
            if row["market_move"] is not None
            else ""
        )
        yield Fault(
            "bad_tick",
            column,
            _series(row),
            row["ts"],
            row["ts"],
            row["ts"],
            None,
            round(0.5 + 0.35 * undone, 2),
            f"{column} {_told(there)} on {row['session']} and {_told(back)} at the next bar, "
            f"{min(abs(there), abs(back)) / row['lately_sigma']:.0f} typical moves{company}.",
            row["next_known_at"],
        )


def _series(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return row["source"], row["dataset"], row["symbol"], row["freq"]


def _told(move: float) -> str:
    return f"{'rises' if move > 0 else 'falls'} {math.exp(abs(move)):.3g}-fold"
