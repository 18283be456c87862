"""The recorder against a local exchange: nothing lost, nothing twice, and every hole on record."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import deque

import pytest
from stream_exchange import (
    CONTENT,
    SYMBOLS,
    Exchange,
    content,
    record,
    replayed_book,
    rows,
    section,
)

from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.keeper import RecorderError
from btq_assets.sources.stream.messages import BookEvent, Trade
from btq_assets.sources.stream.recorder import Recorder
from btq_assets.sources.stream.replay import ReplayServer, recorded
from btq_assets.sources.stream.supervise import supervise


def assert_whole(folder, ticks) -> None:
    """Trades and quotes are those that were played; the books end where the true ones do."""
    for stream, truth in (("trades", ticks.trades), ("quotes", ticks.quotes)):
        found = rows(folder, stream)
        assert content(found, stream).equals(content(truth, stream)), stream
    book = rows(folder, "book")
    for symbol in SYMBOLS:
        assert replayed_book(book, symbol) == replayed_book(ticks.book, symbol)


class AnsweredServer(ReplayServer):
    """Plays given events only after so many snapshots of a book were asked for.

    However slow the machine, the recorder then has its snapshot before those changes.
    """

    def until_asked(self, snapshots: dict[int, tuple[str, int]]) -> AnsweredServer:
        """`snapshots`: by number of the event, whose book and how many times."""
        self.snapshots = snapshots
        return self

    async def _send(self, connection, wanted, number) -> None:
        symbol, times = self.snapshots.get(number, ("", 0))
        while sum("/depth" in path and symbol in path for path in self.asked) < times:
            await asyncio.sleep(0.01)
        await super()._send(connection, wanted, number)


def changes_of(events, symbol: str) -> list[int]:
    """Numbers of the changes of a book."""
    return [i for i, e in enumerate(events) if isinstance(e, BookEvent) and e.symbol == symbol]


def paced(events, seconds: float = 1.0) -> float:
    """Speed at which `events` last so long: an exchange that does not run ahead of its answers."""
    return (events[-1].ts - events[0].ts) / 1e6 / seconds


def test_what_is_played_is_recorded(tmp_path, ticks, events):
    recorder = record(ReplayServer(events), tmp_path)
    assert_whole(tmp_path, ticks)
    trades = rows(tmp_path, "trades")
    assert trades.select(CONTENT["trades"]).is_unique().all()
    assert (trades["known_at"] == trades["received_at"]).all()
    assert trades["known_at_basis"].unique().to_list() == ["recorded"]
    assert rows(tmp_path, "gaps").is_empty()
    assert recorder.counts.refused == 0
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["messages"] == recorder.counts.messages > 1_000
    assert not list(tmp_path.rglob("*.part"))


def test_a_recording_is_played_again_and_recorded_equal(tmp_path, ticks, events):
    early = {changes_of(events, symbol)[20]: (symbol, 1) for symbol in SYMBOLS}
    server = AnsweredServer(events, speed=paced(events)).until_asked(early)
    record(server, tmp_path / "first")
    record(ReplayServer(recorded(tmp_path / "first")), tmp_path / "second")
    assert_whole(tmp_path / "second", ticks)


def test_lost_trades_are_asked_for_and_the_gap_is_on_record(tmp_path, ticks, events):
    numbers = [i for i, e in enumerate(events) if isinstance(e, Trade) and e.symbol == "SYN001"]
    missing = set(numbers[20:25]) | set(numbers[60:61])
    server = ReplayServer(events, tamper=lambda i, text: [] if i in missing else [text])
    server.http_failures = deque([429, 503])
    record(server, tmp_path)
    assert_whole(tmp_path, ticks)
    trades = rows(tmp_path, "trades")
    assert trades.filter(via="backfill").height == 6
    gaps = rows(tmp_path, "gaps").filter(stream="trades").sort("first_missing")
    first = events[numbers[20]].trade_id
    assert gaps.select("symbol", "reason", "outcome", "first_missing", "last_missing").rows() == [
        ("SYN001", "missing_ids", "backfilled", first, first + 4),
        ("SYN001", "missing_ids", "backfilled", first + 40, first + 40),
    ]


def test_trades_the_exchange_no_longer_has_are_lost_on_record(tmp_path, events):
    numbers = [i for i, e in enumerate(events) if isinstance(e, Trade) and e.symbol == "SYN001"]
    missing = set(numbers[20:30])
    server = ReplayServer(events, tamper=lambda i, text: [] if i in missing else [text])
    record(server, tmp_path, kinds=("trades",), backfill_trades=4)
    first = events[numbers[20]].trade_id
    gaps = rows(tmp_path, "gaps").sort("part")
    assert gaps.select("part", "outcome", "first_missing", "last_missing").rows() == [
        (0, "lost", first, first + 5),
        (1, "backfilled", first + 6, first + 9),
    ]
    assert gaps["dark_since"].null_count() == 0


def test_a_book_that_lost_a_change_starts_again_from_a_snapshot(tmp_path, ticks, events):
    numbers = changes_of(events, "SYN002")
    missing = set(numbers[100:103])
    lose = lambda i, text: [] if i in missing else [text]  # noqa: E731
    # The first snapshot comes before the loss, the second after it.
    asked = {numbers[99]: ("SYN002", 1), numbers[110]: ("SYN002", 2)}
    server = AnsweredServer(events, speed=paced(events), tamper=lose).until_asked(asked)
    record(server, tmp_path)
    assert_whole(tmp_path, ticks)
    (gap,) = rows(tmp_path, "gaps").rows(named=True)
    assert (gap["stream"], gap["symbol"], gap["reason"]) == ("book", "SYN002", "out_of_sync")
    assert gap["outcome"] == "resynced"
    assert gap["first_missing"] == events[numbers[100]].first_update_id
    assert gap["last_missing"] == events[numbers[102]].update_id
    snapshots = rows(tmp_path, "book").filter(kind="snapshot")
    assert snapshots.filter(symbol="SYN002")["update_id"].n_unique() == 2


def test_cut_connections_are_made_again_and_repeats_drop_out(tmp_path, ticks, events):
    server = ReplayServer(events, waits=True, overlap=30, hang_up_after=frozenset({300, 700, 1100}))
    recorder = record(server, tmp_path)
    assert recorder.counts.connections == 4
    assert recorder.counts.repeats > 0
    assert_whole(tmp_path, ticks)
    for stream in ("trades", "quotes"):
        assert rows(tmp_path, stream).select(CONTENT[stream]).is_unique().all()
    dark = rows(tmp_path, "gaps").filter(stream="quotes", reason="disconnected")
    # Nobody can tell whether quotes were missed, so each new connection says that they may be.
    assert dark.height == 3 * len(SYMBOLS)
    assert (dark["dark_since"] <= dark["ts"]).all()


def test_garbled_messages_are_kept_with_their_reason(tmp_path, ticks, events):
    def garble(number: int, text: str) -> list[str]:
        extra = ['{"e": "trade", "s": "SYN001"', '{"e": "outage"}'] if number == 50 else []
        stranger = text.replace("SYN001", "OTHER1")
        return [*extra, *([stranger] if number == 60 else []), text]

    recorder = record(ReplayServer(events, tamper=garble), tmp_path)
    assert_whole(tmp_path, ticks)
    reasons = rows(tmp_path, "refused")["reason"].to_list()
    assert recorder.counts.refused == len(reasons) >= 2
    assert any("not JSON" in reason for reason in reasons)
    assert any("unknown message type 'outage'" in reason for reason in reasons)


def test_a_slow_disk_stops_the_reading_and_loses_nothing(tmp_path, ticks, events):
    def slowly(*arguments) -> str:
        time.sleep(0.05)
        return inbox.write_batch(*arguments)

    recorder = record(
        ReplayServer(events),
        tmp_path,
        write=slowly,
        settle_s=0.7,
        queue_messages=50,
        batch_rows=2_000,
    )
    assert recorder.counts.fullest_queue == 50
    assert_whole(tmp_path, ticks)


def test_a_disk_that_refuses_for_a_while_is_tried_again(tmp_path, ticks, events):
    failures = deque([OSError(errno.ENOSPC, "No space left on device")] * 3)

    def at_first_not(*arguments) -> str:
        if failures:
            raise failures.popleft()
        return inbox.write_batch(*arguments)

    recorder = record(ReplayServer(events), tmp_path, write=at_first_not, disk_patience_seconds=10)
    assert recorder.counts.disk_failures == 3
    assert_whole(tmp_path, ticks)


def test_a_disk_that_refuses_for_good_ends_the_recorder_with_the_reason(tmp_path, events):
    def never(*arguments) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RecorderError, match=r"the disk refused .* No space left on device"):
        record(ReplayServer(events), tmp_path, write=never)


def test_one_inbox_has_one_recorder(tmp_path, events):
    import filelock

    with (
        filelock.FileLock(tmp_path / inbox.LOCK),
        pytest.raises(RecorderError, match="another recorder"),
    ):
        record(ReplayServer(events), tmp_path)


def test_a_silent_exchange_is_connected_to_again(tmp_path, events):
    async def main() -> int:
        async with ReplayServer(events[:3], tamper=lambda i, text: []) as server:
            recorder = Recorder(
                section(server, silence_seconds=0.1),
                tmp_path,
                log=lambda text: None,
                first_wait_s=0.01,
            )
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(0.6, stop.set)
            await recorder.run(stop)
            return recorder.counts.connections

    assert asyncio.run(main()) >= 2


# Recorders that are processes of their own, and die.


def start(exchange: Exchange, folder) -> subprocess.Popen:
    settings = section(exchange.server, folder=str(folder)).model_dump()
    names = (
        "dataset", "websocket_url", "rest_url", "folder", "batch_seconds", "largest_wait_seconds",
    )  # fmt: skip
    environment = {f"BTQ_SOURCES__STREAM__{n.upper()}": str(settings[n]) for n in names}
    environment["BTQ_SOURCES__STREAM__SYMBOLS"] = json.dumps(SYMBOLS)
    return subprocess.Popen(
        [sys.executable, "-m", "btq_assets", "record"],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )


def promised(folder) -> bool:
    known = inbox.read_json(folder, inbox.CHECKPOINT).get("trades", {})
    return bool(known) and None not in known.values()


def wait_for(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_killed_recorders_resume_to_the_same_recording(tmp_path, ticks, events):
    """Two kills at random moments; the union equals what an unbroken run records."""
    unbroken = tmp_path / "unbroken"
    record(ReplayServer(events), unbroken)
    folder, luck = tmp_path / "killed", random.Random(4)
    # Twenty minutes of market in some two seconds; it stands still while a recorder starts, but
    # what was sent to one that died is not sent again.
    with Exchange(events, speed=paced(events, 2.0), waits=True) as exchange:
        for _ in range(2):
            connected = exchange.server.connections
            child = start(exchange, folder)
            wait_for(lambda n=connected: exchange.server.connections > n)
            # Before the first batch of a symbol is on the disk, nothing of it has been promised.
            wait_for(lambda: promised(folder))
            time.sleep(luck.uniform(0.05, 0.4))
            child.kill()
            child.wait()
            for file in inbox.arrived(folder):
                inbox.read_batch(folder, file)  # every file is whole
        child = start(exchange, folder)
        wait_for(exchange.server.finished.is_set)
        time.sleep(0.5)
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    found = content(rows(folder, "trades"), "trades")
    assert found.equals(content(rows(unbroken, "trades"), "trades"))
    for symbol in SYMBOLS:
        assert replayed_book(rows(folder, "book"), symbol) == replayed_book(ticks.book, symbol)
    gaps = rows(folder, "gaps")
    # What a killed recorder held goes with it, its gaps included: the next one finds them again.
    assert gaps.filter(stream="trades", outcome="backfilled").height >= 1
    assert gaps.filter(stream="trades", outcome="lost").is_empty()
    assert gaps.filter(stream="quotes", reason="disconnected").height >= len(SYMBOLS)
    assert not list(folder.rglob(".*.part"))


def test_sigterm_writes_what_is_in_memory(tmp_path, events):
    with Exchange(events) as exchange:
        child = start(exchange, tmp_path)
        wait_for(exchange.server.finished.is_set)
        time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    played = sum(isinstance(event, Trade) for event in events)
    assert rows(tmp_path, "trades").height == played


def test_the_supervisor_starts_a_dead_recorder_again_and_a_wrong_one_not(tmp_path):
    marks = tmp_path / "starts"
    script = (
        "import sys, pathlib; p = pathlib.Path(sys.argv[1]); "
        "n = len(p.read_text()) if p.exists() else 0; p.write_text('x' * (n + 1)); "
        "sys.exit(int(sys.argv[2]) if n < 2 else 0)"
    )
    said: list[str] = []
    command = [sys.executable, "-c", script, str(marks), "1"]
    assert supervise(command, first_wait_s=0.01, log=said.append) == 0
    assert marks.read_text() == "xxx"
    assert len(said) == 2
    marks.unlink()
    assert supervise([*command[:-1], "2"], first_wait_s=0.01, log=said.append) == 2
    assert marks.read_text() == "x"
