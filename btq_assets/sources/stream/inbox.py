"""The inbox: batches of the stream as Parquet files that exist whole or not at all.

Belongs here: names, writing, listing, reading and putting away of files. Does not belong here: the
network, the database, and what rows mean.

Layout: ``<inbox>/<stream>/<sequence>-<time>.parquet``; ``done/`` and ``broken/`` below the stream
for files whose rows are stored or that cannot be read. A file is written under a hidden name, synced
and renamed; its name is never used twice.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.rows import REJECTED_SCHEMA

#: Columns of each stream's files.
SCHEMAS: Mapping[str, pl.Schema] = {
    "trades": raw.TRADES_STREAM.schema,
    "quotes": raw.QUOTES_STREAM.schema,
    "book": raw.BOOK_STREAM.schema,
    "gaps": raw.STREAM_GAPS.schema,
    "refused": REJECTED_SCHEMA,
}
CHECKPOINT = "checkpoint.json"
STATUS = "status.json"
LOCK = "recorder.lock"

_NAME = re.compile(r"^(\d{12})-\d{8}T\d{9}Z\.parquet$")


class BrokenFileError(ValueError):
    """A file of the inbox cannot be read; the message says why."""


@dataclass(frozen=True, order=True)
class ArrivedFile:
    """A whole file in the inbox; ``name`` is its path below the inbox."""

    stream: str
    sequence: int
    name: str
    n_bytes: int


def inbox_folder(configured: str, data_root: Path) -> Path:
    """The inbox: as configured, or ``stream_inbox`` in the data folder."""
    return Path(configured) if configured else data_root / "stream_inbox"


def frame_of(stream: str, rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows of a stream's file; times are given in microseconds since 1970."""
    schema = SCHEMAS[stream]
    plain = {
        name: pl.Int64 if isinstance(dtype, pl.Datetime) else dtype
        for name, dtype in schema.items()
    }
    frame = pl.DataFrame(list(rows), schema=plain, orient="row")
    return frame.with_columns(
        pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        for name, dtype in schema.items()
        if isinstance(dtype, pl.Datetime)
    )


def write_batch(folder: Path, stream: str, sequence: int, frame: pl.DataFrame, at: datetime) -> str:
    """Write one file whole or not at all; returns its name below the inbox."""
    home = folder / stream
    home.mkdir(parents=True, exist_ok=True)
    stamp = f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1_000:03d}Z"
    name = f"{sequence:012d}-{stamp}.parquet"
    hidden = home / f".{name}.part"
    with hidden.open("wb") as handle:
        frame.write_parquet(handle)
        handle.flush()
        os.fsync(handle.fileno())
    hidden.replace(home / name)
    _sync_folder(home)
    return f"{stream}/{name}"


def write_json(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    """Write a small file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{name}.part"
    with hidden.open("w") as handle:
        json.dump(content, handle)
        handle.flush()
        os.fsync(handle.fileno())
    hidden.replace(folder / name)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """What `write_json` wrote; empty where there is nothing, or nothing that can be read."""
    try:
        content = json.loads((folder / name).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def arrived(folder: Path) -> list[ArrivedFile]:
    """Whole files that wait, by stream and sequence; strange names are left alone."""
    found = []
    for stream in SCHEMAS:
        for file in _files(folder / stream):
            match = _NAME.match(file.name)
            if match is None:
                continue
            try:
                size = file.stat().st_size
            except FileNotFoundError:
                continue
            found.append(ArrivedFile(stream, int(match[1]), f"{stream}/{file.name}", size))
    return sorted(found)


def next_sequences(folder: Path) -> dict[str, int]:
    """First unused sequence number of each stream, by the files that are there."""
    out = {}
    for stream in SCHEMAS:
        home = folder / stream
        names = [f.name for place in (home, home / "done", home / "broken") for f in _files(place)]
        used = [int(match[1]) for match in map(_NAME.match, names) if match]
        out[stream] = max(used, default=-1) + 1
    return out


def _files(folder: Path) -> list[Path]:
    return [f for f in folder.iterdir() if f.is_file()] if folder.is_dir() else []


def drop_partial(folder: Path) -> int:
    """Remove what a killed recorder left half written; returns how many files."""
    left = [f for s in SCHEMAS for f in _files(folder / s) if f.name.endswith(".part")]
    for file in left:
        file.unlink(missing_ok=True)
    return len(left)


def read_batch(folder: Path, file: ArrivedFile) -> pl.DataFrame:
    """Rows of a file, in its stream's columns.

    Raises
    ------
    BrokenFileError
        It is no Parquet, is cut short, or has other columns.
    FileNotFoundError
        It is gone.
    """
    path = folder / file.name
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BrokenFileError(f"no readable Parquet: {str(error).splitlines()[0][:200]}") from None
    schema = SCHEMAS[file.stream]
    if frame.schema != schema:
        odd = sorted({*frame.schema.items()} ^ {*schema.items()}, key=str)
        raise BrokenFileError(f"columns differ from those of {file.stream}: {odd[:6]}")
    return frame


def put_away(folder: Path, name: str, place: str) -> bool:
    """Move a file to ``done`` or ``broken`` below its stream; false when it is gone already."""
    path = folder / name
    target = path.parent / place / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.replace(target)
    except FileNotFoundError:
        return False
    return True


def forget_done(folder: Path, keep: timedelta, now: datetime) -> int:
    """Delete files put away as done longer than `keep` ago; returns how many."""
    oldest = (now - keep).timestamp()
    old = [
        f
        for stream in SCHEMAS
        for f in _files(folder / stream / "done")
        if f.stat().st_mtime < oldest
    ]
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)


def utc(microseconds: int) -> datetime:
    """A time as a datetime."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
