"""An append-only file of records that survives a kill at any byte.

Belongs here: how a record is written, read and repaired. Does not belong here: what records mean.

A line is eight hexadecimal digits of CRC-32, a space, and JSON with its number ``n``, from zero. A
last line that is torn was never acknowledged: it is cut off when the file is opened again. Damage
anywhere else is an error, since everything behind it rests on it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any


class JournalError(RuntimeError):
    """A journal is damaged, or another process writes it."""


class Journal:
    """One writer, records on disk before `append` returns.

    Parameters
    ----------
    path
        File; its folder is made.
    sync
        Ask the disk to keep each record (``fdatasync``) before `append` returns. Without it a
        killed process loses nothing, a machine that loses power may lose the last records.

    Raises
    ------
    JournalError
        Another process has it open, or a record that is not the last is damaged.

    Examples
    --------
    >>> journal = Journal(Path("orders.journal"))  # doctest: +SKIP
    >>> journal.append({"kind": "started"})  # doctest: +SKIP
    0
    """

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self.path = Path(path)
        self.sync = sync
        self._first: Journal | None = None
        self._syncs: ThreadPoolExecutor | None = None
        self._pending: list[Future[None]] = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise JournalError(f"{self.path}: another process is writing it; stop that one") from (
                error
            )
        try:
            #: Records that were there when it was opened.
            self.records, whole = _parsed(self.path.read_bytes(), self.path)
        except JournalError:
            self.close()
            raise
        os.ftruncate(self._handle, whole)
        _sync_folder(self.path.parent)
        self._n = len(self.records)

    def __len__(self) -> int:
        return self._n

    def append(self, record: Mapping[str, Any], *, sync: bool | None = None) -> int:
        """Write one record; returns its number.

        `sync` overrides the journal's own setting for this record.
        """
        line = encoded({"n": self._n, **record})
        if self._first is not None:
            self._first.settle()
        self._write(line)
        if self.sync if sync is None else sync:
            self._sync()
        self._n += 1
        return self._n - 1

    def follow(self, first: Journal) -> None:
        """Write no record before all of `first` is on the disk; `first` itself no longer waits for it.

        What is computed between a record there and one here is computed while the disk works.
        """
        self._first = first
        first._syncs = first._syncs or ThreadPoolExecutor(1, "journal")

    def settle(self) -> None:
        """Wait until everything appended is on the disk.

        Raises
        ------
        OSError
            The disk refused.
        """
        pending, self._pending = self._pending, []
        for sync in pending:
            sync.result()

    def _sync(self) -> None:
        if self._syncs is None:
            os.fdatasync(self._handle)
            return
        self._pending.append(self._syncs.submit(os.fdatasync, self._handle))
        # The other thread gets to ask the disk before this one goes on computing.
        time.sleep(5e-5)

    def _write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._handle, line) :]

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._handle >= 0:
            try:
                self.settle()
            finally:
                if self._syncs is not None:
                    self._syncs.shutdown()
                os.close(self._handle)
                self._handle = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encoded(record: Mapping[str, Any]) -> bytes:
    """One line of the file; numbers keep every bit, NaN is refused."""
    body = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Whole records of a journal that another process may be writing; none without a file."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    return _parsed(content, Path(path))[0]


def _parsed(content: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """Records, and the number of bytes they take; what is behind them is a torn tail."""
    records: list[dict[str, Any]] = []
    at = 0
    while at < len(content):
        end = content.find(b"\n", at)
        record = None if end < 0 else _decoded(content[at:end])
        if record is None or record.get("n") != len(records):
            rest = content[at:]
            if (end >= 0 and end + 1 < len(content)) or record is not None:
                raise JournalError(
                    f"{path}: record {len(records)} at byte {at} is damaged and {len(rest)} bytes "
                    "follow; restore the file from a copy, or begin a new folder"
                )
            break
        records.append(record)
        at = end + 1
    return records, at


def _decoded(line: bytes) -> dict[str, Any] | None:
    if len(line) < 10 or line[8:9] != b" ":
        return None
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        record = json.loads(line[9:])
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
