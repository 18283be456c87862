"""Views of ticks: one row per series of a batch, of trades, best quotes, book changes, and gaps.

Belongs here: statistics of a batch as it came. Does not belong here: thresholds, the state of a book
(dbt's ``core.book_as_of``).

A batch begins and ends anywhere, so nothing is said across its edges; and a batch may hold thousands
of events a second, so every view is one row per series, naming the worst event.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

SERIES = ("dataset", "symbol")

#: Median absolute deviation of a normal distribution times this is its standard deviation.
_MAD_TO_SIGMA = 1.4826

#: A price is held against the median of so many neighbours, itself in the middle.
_NEIGHBOURS = 21
#: A spread of prices below this is none: five basis points.
_LEAST_SIGMA = 5e-4
#: Pauses are measured in the usual long pause of the series, which is not below this.
_LEAST_PAUSE_S = 5.0


def _seconds(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds() / 1e6


def _ahead() -> pl.Expr:
    """Most seconds by which an event came before it happened, by the two clocks."""
    return _seconds(pl.col("ts") - pl.col("received_at")).max()


def _behind_a_lower_number(number: str) -> pl.Expr:
    """Events that happened before one with a lower number."""
    ordered = pl.col("ts").sort_by(number)
    return (ordered < ordered.cum_max()).sum().cast(pl.Int64)


def _usual_pause() -> pl.Expr:
    pauses = _seconds(pl.col("received_at").sort().diff().drop_nulls())
    return pl.max_horizontal(pauses.quantile(0.95).fill_null(0.0), pl.lit(_LEAST_PAUSE_S))


def _longest_pause() -> pl.Expr:
    return _seconds(pl.col("received_at").sort().diff().drop_nulls()).max().fill_null(0.0)


def _silence(rows: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Add how long a series had been silent when its dataset was last heard, in usual pauses."""
    heard = frame.group_by("dataset").agg(dataset_heard=pl.col("received_at").max())
    return rows.join(heard, on="dataset").with_columns(
        pause_ratio=pl.col("longest_pause_s") / pl.col("usual_pause_s"),
        silence_ratio=_seconds(pl.col("dataset_heard") - pl.col("heard")) / pl.col("usual_pause_s"),
    )


def _spikes(frame: pl.DataFrame, price: pl.Expr, number: str) -> pl.DataFrame:
    """Farthest price of each series from the median of its neighbours, in robust sigmas."""
    far = (pl.col("log_price") - pl.col("log_price").rolling_median(_NEIGHBOURS, center=True)).over(
        SERIES
    )
    sigma = pl.max_horizontal(_MAD_TO_SIGMA * pl.col("far").median(), pl.lit(_LEAST_SIGMA))
    return (
        frame.sort(*SERIES, number)
        .with_columns(log_price=price.log())
        .with_columns(far=far.abs())
        .group_by(SERIES)
        .agg(
            spike_in_sigmas=pl.col("far").max() / sigma,
            spike_at=pl.col(number).get(pl.col("far").arg_max()).cast(pl.String),
        )
    )


def trades_view(gaps: pl.DataFrame | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """View of trades, held against the `gaps` recorded with them; ``None`` where nothing records any.

    One row per series: ``out_of_order`` trades before one with a lower number; ``clock_ahead_s`` and
    ``delay_s`` (median) of those that came live; ``pause_ratio`` and ``silence_ratio`` in usual
    pauses; ``unrecorded_holes`` in the numbers; ``level_ratio`` of the 90th to the 10th percentile
    of prices; ``repeated_fraction`` of trades that equal another in time, price, quantity and side;
    ``spike_in_sigmas`` of the trade ``spike_at``; ``one_sided_fraction`` of the commoner aggressor.
    """

    def trades(frame: pl.DataFrame) -> pl.DataFrame:
        live = pl.col("via") != "backfill"
        same = pl.struct("ts", "price", "quantity", "buyer_is_maker").is_duplicated()
        buys = pl.col("buyer_is_maker").mean()
        rows = frame.group_by(SERIES).agg(
            n_trades=pl.len().cast(pl.Int64),
            out_of_order=_behind_a_lower_number("trade_id"),
            clock_ahead_s=_seconds((pl.col("ts") - pl.col("received_at")).filter(live)).max(),
            delay_s=_seconds((pl.col("received_at") - pl.col("ts")).filter(live)).median(),
            usual_pause_s=_usual_pause(),
            longest_pause_s=_longest_pause(),
            heard=pl.col("received_at").max(),
            level_ratio=pl.col("price").quantile(0.9) / pl.col("price").quantile(0.1),
            repeated_fraction=same.mean(),
            one_sided_fraction=pl.when(pl.len() >= 100).then(pl.max_horizontal(buys, 1 - buys)),
        )
        return (
            _silence(rows, frame)
            .join(_spikes(frame, pl.col("price"), "trade_id"), on=SERIES, how="left")
            .join(_unrecorded(frame, gaps), on=SERIES, how="left")
            .with_columns(pl.col("unrecorded_holes").fill_null(0))
            .sort(SERIES)
        )

    return trades


def _unrecorded(frame: pl.DataFrame, gaps: pl.DataFrame | None) -> pl.DataFrame:
    """Holes in the numbers of each series that no gap ends with."""
    step = pl.col("trade_id").diff().over(SERIES)
    holes = (
        frame.sort(*SERIES, "trade_id")
        .filter(step > 1)
        .select(*SERIES, last_missing=pl.col("trade_id") - 1)
    )
    if gaps is not None:
        told = gaps.filter(stream="trades").select(*SERIES, "last_missing").unique()
        holes = holes.join(told, on=[*SERIES, "last_missing"], how="anti")
    return holes.group_by(SERIES).agg(unrecorded_holes=pl.len().cast(pl.Int64))


def quotes(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per series of best quotes.

    ``crossed_fraction`` has the bid above the ask, ``locked_fraction`` no spread at all;
    ``spread_bps`` (median) of the mid; ``empty_fraction`` offers nothing on a side;
    ``repeated_fraction`` equals the quote before in prices and quantities; the rest as for trades,
    with mid prices for the spikes.
    """
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    sides = pl.struct("bid_price", "bid_quantity", "ask_price", "ask_quantity")
    same = (sides == sides.shift(1)).fill_null(False)
    ordered = frame.sort(*SERIES, "update_id")
    rows = ordered.group_by(SERIES, maintain_order=True).agg(
        n_quotes=pl.len().cast(pl.Int64),
        crossed_fraction=(bid > ask).mean(),
        locked_fraction=(bid == ask).mean(),
        spread_bps=((ask - bid) / (ask + bid) * 2e4).median(),
        empty_fraction=((pl.col("bid_quantity") == 0) | (pl.col("ask_quantity") == 0)).mean(),
        repeated_fraction=same.mean(),
        out_of_order=_behind_a_lower_number("update_id"),
        clock_ahead_s=_ahead(),
        usual_pause_s=_usual_pause(),
        longest_pause_s=_longest_pause(),
        heard=pl.col("received_at").max(),
    )
    return (
        _silence(rows, ordered)
        .join(_spikes(ordered, (bid + ask) / 2, "update_id"), on=SERIES, how="left")
        .sort(SERIES)
    )


def book(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per series of book changes.

    ``unjoined`` changes begin after the number that would be next, without a snapshot between;
    ``crossed_snapshots`` have a best bid at or above the best ask; ``bid_fraction`` of the changed
    levels; ``out_of_order`` messages of changes; the rest as for trades. Snapshots carry no time of
    their own.
    """
    messages = (
        frame.group_by(*SERIES, "update_id", "kind")
        .agg(
            pl.col("first_update_id", "ts", "received_at").first(),
            best_bid=pl.col("price").filter(pl.col("side") == "bid").max(),
            best_ask=pl.col("price").filter(pl.col("side") == "ask").min(),
        )
        # A snapshot holds the change of its own number, which came before it.
        .sort(*SERIES, "update_id", "kind")
    )
    change = pl.col("kind") == "change"
    before = pl.col("update_id").shift(1)
    changed = pl.col("ts").filter(change)
    rows = messages.group_by(SERIES, maintain_order=True).agg(
        n_messages=pl.len().cast(pl.Int64),
        unjoined=(change & (pl.col("first_update_id") > before + 1)).sum().cast(pl.Int64),
        crossed_snapshots=(~change & (pl.col("best_bid") >= pl.col("best_ask")))
        .sum()
        .cast(pl.Int64),
        out_of_order=(changed < changed.cum_max()).sum().cast(pl.Int64),
        clock_ahead_s=_ahead(),
        usual_pause_s=_usual_pause(),
        longest_pause_s=_longest_pause(),
        heard=pl.col("received_at").max(),
    )
    # Few levels say nothing about the balance of the sides.
    sides = frame.group_by(SERIES).agg(
        bid_fraction=pl.when(pl.len() >= 100).then((pl.col("side") == "bid").mean())
    )
    return _silence(rows, frame).join(sides, on=SERIES, how="left").sort(SERIES)


STREAM = ("dataset", "stream", "symbol")


def gaps_view(book_rows: pl.DataFrame | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """View of gaps, held against the rows of the book that came with them.

    One row per stream and symbol: ``n_gaps``, ``n_lost``, ``longest_dark_s`` from the last message
    before a gap to the one that showed it, ``lost_numbers``, and ``unfinished``: gaps of the book
    after which no snapshot came, so that its state is not known.
    """

    def gaps(frame: pl.DataFrame) -> pl.DataFrame:
        lost = pl.col("outcome") == "lost"
        missing = pl.col("last_missing") - pl.col("first_missing") + 1
        rows = frame.group_by(STREAM).agg(
            n_gaps=pl.len().cast(pl.Int64),
            n_lost=lost.sum().cast(pl.Int64),
            lost_numbers=missing.filter(lost).sum().cast(pl.Int64),
            longest_dark_s=_seconds(pl.col("ts") - pl.col("dark_since")).max(),
        )
        return (
            rows.join(_unfinished(frame, book_rows), on=STREAM, how="left")
            .with_columns(pl.col("unfinished").fill_null(0))
            .sort(STREAM)
        )

    return gaps


def _unfinished(frame: pl.DataFrame, book_rows: pl.DataFrame | None) -> pl.DataFrame:
    """Gaps of the book in each series later than its last snapshot, where that one did not end them."""
    open_gaps = frame.filter(stream="book", outcome="lost")
    if book_rows is not None:
        snapshots = (
            book_rows.filter(kind="snapshot")
            .group_by(SERIES)
            .agg(last_snapshot=pl.col("received_at").max())
        )
        open_gaps = open_gaps.join(snapshots, on=SERIES, how="left").filter(
            pl.col("last_snapshot").is_null() | (pl.col("last_snapshot") < pl.col("ts"))
        )
    return open_gaps.group_by(STREAM).agg(unfinished=pl.len().cast(pl.Int64))
