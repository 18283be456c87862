"""What a person should see of a batch of the stream; none of it holds back the rows."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import raw
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check

#: An exchange's clock and ours may differ by so much.
CLOCK_TOLERANCE_S = 2.0


def _holes_are_recorded(context: CheckContext) -> CheckOutcome:
    """Within the batch, trade numbers are consecutive or a gap says that they are not."""
    trades = context.frames[raw.TRADES_STREAM.table].sort("dataset", "symbol", "trade_id")
    gaps = context.frames[raw.STREAM_GAPS.table].filter(stream="trades")
    key = ["dataset", "symbol"]
    step = pl.col("trade_id").diff().over(key)
    holes = trades.filter(step > 1).select(*key, last=pl.col("trade_id") - 1)
    unexplained = holes.join(
        gaps.select(*key, pl.col("last_missing").alias("last")).unique(),
        on=[*key, "last"],
        how="anti",
    )
    return CheckOutcome(
        "holes_are_recorded",
        unexplained.is_empty(),
        f"{unexplained.height} holes in the numbers of trades without a recorded gap"
        + (f", first before {unexplained.row(0)}" if unexplained.height else ""),
        {"trades": trades.height, "holes": holes.height, "gaps": gaps.height},
    )


def _clocks_agree(context: CheckContext) -> CheckOutcome:
    trades = context.frames[raw.TRADES_STREAM.table].filter(via="stream")
    early = (pl.col("ts") - pl.col("received_at")).dt.total_microseconds() / 1e6
    ahead = trades.filter(early > CLOCK_TOLERANCE_S)
    return CheckOutcome(
        "clocks_agree",
        ahead.is_empty(),
        f"{ahead.height} of {trades.height} trades came more than {CLOCK_TOLERANCE_S:g} s before "
        "they happened: synchronise this machine's clock; their known_at is the exchange's time",
        {"trades": trades.height, "ahead": ahead.height},
    )


def _nothing_lost(context: CheckContext) -> CheckOutcome:
    gaps = context.frames[raw.STREAM_GAPS.table]
    lost = gaps.filter(outcome="lost")
    counts = ", ".join(f"{n} of {s}" for s, n in lost["stream"].value_counts(sort=True).rows())
    return CheckOutcome(
        "nothing_lost",
        lost.is_empty(),
        f"gaps that could not be filled: {counts}; see raw.stream_gaps" if counts else "",
        {"gaps": gaps.height, "lost": lost.height},
    )


CHECKS = (
    frame_check(
        "holes_are_recorded",
        "The numbers of trades are consecutive, or a gap is recorded where they are not.",
        _holes_are_recorded,
        blocking=False,
    ),
    frame_check(
        "clocks_agree",
        f"No trade comes more than {CLOCK_TOLERANCE_S:g} s before it happened.",
        _clocks_agree,
        blocking=False,
    ),
    frame_check(
        "nothing_lost",
        "Every gap of the stream was filled or the book was taken anew.",
        _nothing_lost,
        blocking=False,
    ),
)
