"""Every expectation of ticks passes a generated market and fails ticks that break it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest

from btq_assets.contracts import raw
from btq_assets.contracts.checks import CheckContext
from btq_assets.sources.stream.assets import stream
from btq_assets.sources.synthetic import MarketSpec, generate
from btq_assets.sources.synthetic.ticks import session_ticks
from data_quality import stream_suites, stream_views
from data_quality.runner import run_suite

Frames = dict[str, pl.DataFrame]
Corruption = Callable[[Frames], Frames]

TRADES, QUOTES, BOOK, GAPS = (
    c.table for c in (raw.TRADES_STREAM, raw.QUOTES_STREAM, raw.BOOK_STREAM, raw.STREAM_GAPS)
)


@pytest.fixture(scope="module")
def clean() -> Frames:
    """Twenty minutes of two symbols, received 50 ms after they happened, without a gap."""
    ticks = session_ticks(generate(MarketSpec(seed=3, n_symbols=2, n_sessions=1)), minutes=20)
    late = pl.col("ts") + dt.timedelta(milliseconds=50)
    frames = {TRADES: ticks.trades, QUOTES: ticks.quotes, BOOK: ticks.book}
    received = {t: f.with_columns(received_at=late, known_at=late) for t, f in frames.items()}
    return {**received, GAPS: raw.STREAM_GAPS.empty()}


GROUPS = {
    "trades": stream_suites.trades_suite(raw.TRADES_STREAM, raw.STREAM_GAPS),
    "quotes": stream_suites.quotes_suite(raw.QUOTES_STREAM),
    "book": stream_suites.book_suite(raw.BOOK_STREAM),
    "gaps": stream_suites.gaps_suite(raw.STREAM_GAPS, raw.BOOK_STREAM),
}


def answers(frames: Frames, *groups: str) -> dict[str, bool]:
    context = CheckContext(frames, {}, None)
    chosen = [GROUPS[name] for name in groups or GROUPS]
    return {o.name: o.passed for group in chosen for o in group.answer(context)}


def changed(table: str, *exprs: pl.Expr, **named: pl.Expr) -> Corruption:
    return lambda frames: {**frames, table: frames[table].with_columns(*exprs, **named)}


def gap(**values) -> Corruption:
    row = {
        "dataset": "SYNTHETIC_market", "stream": "book", "symbol": "SYN001",
        "ts": dt.datetime(2024, 1, 2, 14, 35, tzinfo=dt.UTC), "reason": "out_of_sync", "part": 0,
        "outcome": "resynced", "first_missing": 5, "last_missing": 8,
        "dark_since": dt.datetime(2024, 1, 2, 14, 34, 50, tzinfo=dt.UTC),
    }  # fmt: skip
    n = values.pop("n", 1)
    rows = [{**row, **values, "part": part} for part in range(n)]
    return lambda frames: {**frames, GAPS: pl.DataFrame(rows, schema=raw.STREAM_GAPS.schema)}


def dropped(table: str, keep: pl.Expr) -> Corruption:
    return lambda frames: {**frames, table: frames[table].filter(keep)}


def paused(table: str) -> Corruption:
    """Everything after the tenth minute is received an hour later."""
    half = pl.col("ts") > pl.col("ts").min() + dt.timedelta(minutes=10)
    later = pl.when(half).then(pl.col("received_at").dt.offset_by("1h")).otherwise("received_at")
    return changed(table, received_at=later)


def silent(table: str) -> Corruption:
    """One symbol stops after a minute, the other goes on; pauses are a second."""
    own = pl.col("symbol") == "SYN001"
    early = pl.col("ts") < pl.col("ts").min() + dt.timedelta(minutes=1)

    def stop(frames: Frames) -> Frames:
        rows = frames[table].filter(~own | early)
        later = pl.when(own).then("received_at").otherwise(pl.col("received_at").dt.offset_by("1h"))
        return {**frames, table: rows.with_columns(received_at=later)}

    return stop


def number_of(table: str) -> str:
    return "trade_id" if table == TRADES else "update_id"


def backwards(table: str) -> Corruption:
    row = pl.col(number_of(table)) == pl.col(number_of(table)).max()
    return changed(table, ts=pl.when(row).then(pl.col("ts").dt.offset_by("-5m")).otherwise("ts"))


def fast_clock(table: str) -> Corruption:
    return changed(table, received_at=pl.col("ts") - dt.timedelta(seconds=3))


def of_every_feed(name: str, table: str) -> dict[str, Corruption]:
    return {
        f"{name}_stamps_follow_the_numbers": backwards(table),
        f"{name}_clocks_agree": fast_clock(table),
        f"{name}_do_not_pause": paused(table),
        f"{name}_do_not_fall_silent": silent(table),
    }


price, bid, ask = pl.col("price"), pl.col("bid_price"), pl.col("ask_price")
nth = pl.int_range(pl.len())
WITHOUT_IDS = (pl.col("trade_id") < 1_000_010) | (pl.col("trade_id") > 1_000_012)

BROKEN: dict[str, Corruption] = {
    **of_every_feed("trades", TRADES),
    **of_every_feed("quotes", QUOTES),
    **of_every_feed("book", BOOK),
    "trades_holes_are_recorded": dropped(TRADES, WITHOUT_IDS),
    "trades_come_soon": changed(TRADES, received_at=pl.col("ts") + dt.timedelta(seconds=6)),
    "trades_have_one_unit": changed(
        TRADES, price=pl.when(nth % 3 == 0).then(price * 100).otherwise(price)
    ),
    "trades_have_no_spike": changed(
        TRADES, price=pl.when(nth == 100).then(price * 1.2).otherwise(price)
    ),
    "trades_are_not_repeated": lambda frames: {
        **frames,
        TRADES: pl.concat(
            [frames[TRADES], frames[TRADES].with_columns(pl.col("trade_id") + 10_000_000)]
        ),
    },
    "trades_have_two_sides": changed(TRADES, buyer_is_maker=pl.lit(True)),
    "quotes_sides_are_not_swapped": changed(QUOTES, bid_price=ask, ask_price=bid),
    "quotes_are_not_crossed": changed(
        QUOTES, ask_price=pl.when(nth == 7).then(bid * 0.999).otherwise(ask)
    ),
    "quotes_are_rarely_locked": changed(
        QUOTES, ask_price=pl.when(nth % 10 == 0).then(bid).otherwise(ask)
    ),
    "quotes_spreads_are_plausible": changed(QUOTES, ask_price=ask * 1.1),
    "quotes_have_quantities": changed(
        QUOTES, bid_quantity=pl.when(nth % 20 == 0).then(0.0).otherwise("bid_quantity")
    ),
    "quotes_are_not_stale": changed(
        QUOTES,
        pl.col("bid_price", "bid_quantity", "ask_price", "ask_quantity").first().over("symbol"),
    ),
    "quotes_have_no_spike": changed(
        QUOTES,
        bid_price=pl.when(nth == 100).then(bid * 1.2).otherwise(bid),
        ask_price=pl.when(nth == 100).then(ask * 1.2).otherwise(ask),
    ),
    "book_changes_join": dropped(
        BOOK, pl.col("update_id") != pl.col("update_id").unique().sort().get(9)
    ),
    "book_snapshots_are_not_crossed": changed(
        BOOK,
        price=pl.when((pl.col("kind") == "snapshot") & (pl.col("side") == "bid"))
        .then(price * 1.5)
        .otherwise(price),
    ),
    "book_has_two_sides": changed(BOOK, side=pl.lit("bid")),
    "gaps_are_filled": gap(stream="trades", outcome="lost"),
    "gaps_are_few": gap(n=21),
    "gaps_are_short": gap(dark_since=dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)),
    "gaps_resync_is_finished": gap(outcome="lost"),
}


def test_a_generated_market_passes_everything(clean):
    assert {name for name, passed in answers(clean).items() if not passed} == set()


def test_no_event_at_all_passes_everything(clean):
    assert all(answers({table: frame.clear() for table, frame in clean.items()}).values())


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_every_expectation_fails_what_it_is_about(clean, name):
    assert answers(BROKEN[name](clean), name.split("_")[0])[name] is False


def test_every_check_of_the_stream_has_ticks_that_fail_it():
    names = {spec.name for _, spec in stream.check_specs if spec.name != "contract"}
    assert names == set(BROKEN)


def test_what_blocks_would_make_every_later_number_wrong():
    blocking = {s.name for _, s in stream.check_specs if s.blocking and s.name != "contract"}
    assert blocking == {"trades_have_one_unit", "quotes_sides_are_not_swapped"}


def test_a_hole_that_a_gap_explains_is_no_failure(clean):
    frames = dropped(TRADES, WITHOUT_IDS)(clean)
    rows = [
        gap(stream="trades", symbol=s, first_missing=1_000_010, last_missing=1_000_012)(frames)[
            GAPS
        ]
        for s in ("SYN001", "SYN002")
    ]
    assert answers({**frames, GAPS: pl.concat(rows)}, "trades")["trades_holes_are_recorded"]
    assert not answers({**frames, GAPS: rows[0]}, "trades")["trades_holes_are_recorded"]


def test_a_snapshot_after_the_loss_finishes_it(clean):
    frames = gap(outcome="lost")(clean)
    at = frames[GAPS]["ts"][0]
    before = frames[BOOK].filter(pl.col("kind") == "snapshot")
    assert before["received_at"].max() < at  # the clean book starts with one, long before
    anew = frames[BOOK].with_columns(
        kind=pl.when(pl.col("update_id") == pl.col("update_id").max())
        .then(pl.lit("snapshot"))
        .otherwise("kind")
    )
    assert answers({**frames, BOOK: anew}, "gaps")["gaps_resync_is_finished"]


def test_the_worst_trade_is_named(clean):
    frame = BROKEN["trades_have_no_spike"](clean)[TRADES]
    outcome = next(
        o
        for o in run_suite(stream_suites.trades_declaration(raw.TRADES_STREAM), frame)
        if o.name == "trades_have_no_spike"
    )
    assert str(frame["trade_id"][100]) in outcome.metadata["sample"]


def test_statistics_by_hand():
    """Three trades: 10, 20, 30 received 1, 3 and 2 s after they happened; the third came second."""
    at = dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC)
    rows = [
        ("d", "X", n, at + dt.timedelta(seconds=s), at, "recorded", at + dt.timedelta(seconds=s + lag),
         p, 1.0, None, "stream")
        for n, s, lag, p in ((1, 0, 1, 10.0), (2, 9, 3, 20.0), (5, 5, 2, 30.0))
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=raw.TRADES_STREAM.schema, orient="row")
    (row,) = stream_views.trades_view(None)(frame).rows(named=True)
    assert row["out_of_order"] == 1
    assert row["unrecorded_holes"] == 1
    assert row["delay_s"] == 2.0
    assert row["clock_ahead_s"] == -1.0
    assert row["longest_pause_s"] == 6.0  # received at 1, 7 and 12 s
    assert row["one_sided_fraction"] is None
