"""The journal: what was acknowledged is there, what was torn is not, damage is an error."""

from __future__ import annotations

import os
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.execution.live.journal import Journal, JournalError, encoded, read_journal


def test_records_come_back_in_order_and_to_the_last_bit(tmp_path):
    with Journal(tmp_path / "a.journal") as journal:
        assert [journal.append({"x": x}) for x in (0.1 + 0.2, 1e-308)] == [0, 1]
    with Journal(tmp_path / "a.journal") as journal:
        assert [record["x"] for record in journal.records] == [0.30000000000000004, 1e-308]
        assert journal.append({"x": 3}) == 2
    assert [record["n"] for record in read_journal(tmp_path / "a.journal")] == [0, 1, 2]


def test_a_line_is_its_checksum_and_json(tmp_path):
    # worked by hand: CRC-32 of the body as zlib has it (ISO 3309)
    body = b'{"n":0,"kind":"started"}'
    assert encoded({"n": 0, "kind": "started"}) == b"%08x %s\n" % (zlib.crc32(body), body)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 5), cut=st.integers(0, 400))
def test_a_file_cut_at_any_byte_holds_the_whole_records_before(tmp_path_factory, n, cut):
    path = tmp_path_factory.mktemp("cut") / "a.journal"
    lines = [encoded({"n": i, "value": "x" * i}) for i in range(n)]
    content = b"".join(lines)
    path.write_bytes(content[:cut])
    whole = sum(len(b"".join(lines[: i + 1])) <= cut for i in range(n))
    with Journal(path) as journal:
        assert len(journal.records) == whole
        assert journal.append({"value": "next"}) == whole
    assert [record["n"] for record in read_journal(path)] == list(range(whole + 1))


def test_damage_that_is_not_the_tail_is_an_error(tmp_path):
    path = tmp_path / "a.journal"
    lines = [encoded({"n": i}) for i in range(3)]
    path.write_bytes(lines[0] + lines[1].replace(b"1", b"7", 1) + lines[2])
    with pytest.raises(JournalError, match="record 1 at byte"):
        Journal(path)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(JournalError, match="record 1 at byte"):
        Journal(path)


def test_two_writers_are_refused(tmp_path):
    with (
        Journal(tmp_path / "a.journal"),
        pytest.raises(JournalError, match="another process is writing"),
    ):
        Journal(tmp_path / "a.journal")


def test_not_a_number_is_refused(tmp_path):
    with Journal(tmp_path / "a.journal") as journal:
        with pytest.raises(ValueError, match="JSON"):
            journal.append({"x": float("nan")})
        assert journal.append({"x": 1.0}) == 0


def test_a_journal_that_follows_writes_nothing_before_the_other_is_on_the_disk(
    tmp_path, monkeypatch
):
    """A slow disk: every record of the second comes after the sync of all records of the first."""
    events: list[tuple[str, str]] = []
    real_sync, real_write = os.fdatasync, os.write
    names: dict[int, str] = {}

    def slow_sync(handle: int) -> None:
        time.sleep(0.02)
        real_sync(handle)
        events.append(("on disk", names[handle]))

    def write(handle: int, line: bytes) -> int:
        events.append(("written", names.get(handle, "other")))
        return real_write(handle, line)

    with Journal(tmp_path / "engine") as engine, Journal(tmp_path / "broker") as broker:
        names.update({engine._handle: "engine", broker._handle: "broker"})
        engine.follow(broker)
        monkeypatch.setattr(os, "fdatasync", slow_sync)
        monkeypatch.setattr(os, "write", write)
        for number in range(3):
            begun = time.perf_counter()
            broker.append({"kind": "bars", "number": number})
            assert time.perf_counter() - begun < 0.015  # it does not wait itself
            broker.append({"kind": "orders"})
            engine.append({"kind": "bar"})
        broker.append({"kind": "last"})
    kinds = [name for what, name in events if what == "written"]
    assert kinds == ["broker", "broker", "engine"] * 3 + ["broker"]
    unsafe = 0
    for what, name in events:
        if name == "broker":
            unsafe += 1 if what == "written" else -1
        elif what == "written":
            assert unsafe == 0
    assert events[-1] == ("on disk", "broker")  # before the file is let go
    assert [r["kind"] for r in read_journal(tmp_path / "broker")] == ["bars", "orders"] * 3 + [
        "last"
    ]


def test_a_disk_that_refuses_stops_the_journal_that_follows(tmp_path, monkeypatch):
    with Journal(tmp_path / "engine") as engine, Journal(tmp_path / "broker") as broker:
        engine.follow(broker)

        def refuse(handle: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fdatasync", refuse)
        broker.append({"kind": "bars"})
        with pytest.raises(OSError, match="Input/output"):
            engine.append({"kind": "decision"})
        monkeypatch.undo()
    assert read_journal(tmp_path / "engine") == []
