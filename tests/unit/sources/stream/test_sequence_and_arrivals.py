"""Holes by the exchange's numbers, files that deserve a run, events that came twice."""

from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.arrivals import due
from btq_assets.sources.stream.committing import assemble
from btq_assets.sources.stream.inbox import ArrivedFile, BrokenFileError
from btq_assets.sources.stream.keeper import holes, runs
from btq_assets.sources.stream.messages import BookEvent, Trade
from btq_assets.sources.stream.sequence import BookSequence, Counter

AT = dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC)
T0 = 1_704_207_600_000_000


def change(first: int, last: int, previous: int | None = None) -> BookEvent:
    return BookEvent("X", "change", first, last, previous, 0, 0, ())


def snapshot(last: int) -> BookEvent:
    return BookEvent("X", "snapshot", last, last, None, 0, 0, ())


def test_numbers_that_follow_repeat_or_jump():
    counter = Counter()
    assert counter.see(10) == "next"  # the first one is where we came in
    counter.advance(10)
    assert [counter.see(n) for n in (9, 10, 11, 12)] == ["repeat", "repeat", "next", "gap"]


def test_the_documented_procedure_for_a_local_book():
    """Binance, "How to manage a local order book correctly": steps 5 to 7."""
    book = BookSequence()
    assert book.see(change(157, 160)) == "gap"
    book.advance(snapshot(160))
    assert book.see(change(150, 160)) == "repeat"  # u <= lastUpdateId: dropped
    assert book.see(change(162, 165)) == "gap"
    assert book.see(change(155, 163)) == "next"  # U <= lastUpdateId + 1 <= u
    book.advance(change(155, 163))
    assert book.see(change(164, 170)) == "next"
    assert (
        book.see(change(163, 170)) == "gap"
    )  # straddles, but the first after the snapshot is past
    assert book.see(change(165, 170)) == "gap"
    book.lose()
    assert book.see(change(164, 170)) == "gap"


def test_futures_changes_are_stored_so_that_they_join():
    event = BookEvent("X", "change", 157, 160, 149, 0, 0, (("bid", 1.0, 2.0),))
    (row,) = inbox.frame_of("book", event.rows("d")).rows(named=True)
    assert (row["first_update_id"], row["update_id"]) == (150, 160)


def test_futures_name_the_update_before():
    book = BookSequence()
    book.advance(snapshot(100))
    book.advance(change(90, 105, previous=89))
    assert book.see(change(200, 210, previous=105)) == "next"
    assert book.see(change(106, 110, previous=104)) == "gap"


@given(st.sets(st.integers(0, 60)), st.integers(0, 30), st.integers(0, 30))
def test_runs_and_holes_cover_every_number_once(found, first, width):
    last = first + width
    inside = sorted(n for n in found if first <= n <= last)
    have = [n for low, high in runs(inside) for n in range(low, high + 1)]
    miss = [n for low, high in holes(first, last, inside) for n in range(low, high + 1)]
    assert have == inside
    assert sorted(have + miss) == list(range(first, last + 1))


def test_new_files_start_a_run_at_once_and_files_that_stay_after_a_while():
    wanted, cursor = due(["trades/000000000001-a"], None, 0.0)
    assert wanted
    assert not due(["trades/000000000001-a"], cursor, 59.0)[0]
    assert due(["trades/000000000001-a", "trades/000000000002-b"], cursor, 1.0)[0]
    assert due(["quotes/000000000000-a"], cursor, 1.0)[0]
    wanted, again = due(["trades/000000000001-a"], cursor, 60.0)
    assert wanted
    assert not due(["trades/000000000001-a"], again, 60.0 + 119.0)[0]
    assert due(["trades/000000000001-a"], again, 60.0 + 120.0)[0]
    assert not due([], cursor, 1e9)[0]
    assert due(["trades/000000000001-a"], "no json", 0.0)[0]
    assert json.loads(again)["attempts"] == 1


def trades(*numbers: int, price: float = 1.0, via: str = "stream") -> pl.DataFrame:
    rows = [Trade("X", n, T0 + n, T0 + n + 5, price, 2.0, True, via).row("d") for n in numbers]
    return inbox.frame_of("trades", rows)


def file(sequence: int, stream: str = "trades") -> ArrivedFile:
    return ArrivedFile(stream, sequence, f"{stream}/{sequence:012d}-x.parquet", 1)


def test_an_event_delivered_twice_is_committed_once():
    batch = assemble(
        [(file(0), trades(1, 2, 3)), (file(1), trades(2, 3, 4, via="backfill"))], [], AT
    )
    kept = batch.frames["raw.trades_stream"]
    assert kept["trade_id"].to_list() == [1, 2, 3, 4]
    assert kept["via"].to_list() == ["stream"] * 3 + ["backfill"]
    assert batch.rejected.is_empty()
    assert batch.frames["raw.stream_files"]["n_rows"].to_list() == [3, 3]


def test_one_number_with_two_contents_keeps_the_first_and_refuses_the_second():
    batch = assemble([(file(0), trades(1, 2)), (file(1), trades(2, price=9.0))], [], AT)
    assert batch.frames["raw.trades_stream"]["price"].to_list() == [1.0, 1.0]
    (refused,) = batch.rejected.rows(named=True)
    assert "other content" in refused["reason"]
    assert json.loads(refused["row_json"])["price"] == 9.0


def test_known_at_is_never_before_the_event_whatever_our_clock_says():
    early = Trade("X", 1, T0, T0 - 3_000_000, 1.0, 1.0, True)
    (row,) = inbox.frame_of("trades", [early.row("d")]).rows(named=True)
    assert row["known_at"] == row["ts"]
    assert row["received_at"] < row["ts"]


def test_files_are_whole_or_absent_and_names_are_not_used_twice(tmp_path):
    name = inbox.write_batch(tmp_path, "trades", 7, trades(1, 2), AT)
    assert name == "trades/000000000007-20240102T150000000Z.parquet"
    half = tmp_path / "trades" / ".000000000008-20240102T150000000Z.parquet.part"
    half.write_bytes(b"PAR1 half")
    (tmp_path / "trades" / "notes.txt").write_text("hello")
    (found,) = inbox.arrived(tmp_path)
    assert inbox.read_batch(tmp_path, found).equals(trades(1, 2))
    assert inbox.next_sequences(tmp_path)["trades"] == 8
    inbox.put_away(tmp_path, name, "done")
    assert inbox.next_sequences(tmp_path)["trades"] == 8
    assert inbox.arrived(tmp_path) == []
    assert inbox.drop_partial(tmp_path) == 1


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", None])
def test_a_broken_file_says_why(tmp_path, content):
    name = inbox.write_batch(tmp_path, "trades", 0, trades(1, 2), AT)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    (found,) = inbox.arrived(tmp_path)
    with pytest.raises(BrokenFileError, match="no readable Parquet"):
        inbox.read_batch(tmp_path, found)


def test_other_columns_are_refused(tmp_path):
    name = inbox.write_batch(tmp_path, "trades", 0, trades(1).drop("via"), AT)
    (found,) = inbox.arrived(tmp_path)
    assert found.name == name
    with pytest.raises(BrokenFileError, match="via"):
        inbox.read_batch(tmp_path, found)
