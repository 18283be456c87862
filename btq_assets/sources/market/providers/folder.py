"""Files that people drop in the inbox folder.

Belongs here: listing and opening them, which of them are new, and going on when one cannot be
read. Does not belong here: what is in them (`table_file.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from btq_assets.config import FolderSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import FolderError, SourceError
from btq_assets.sources.market.table_file import price_file_parts, refused_file
from btq_assets.sources.rows import Parsed, combine, no_rejects

_TEXT = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
SUFFIXES = (*_TEXT, *(f"{suffix}.gz" for suffix in _TEXT), ".zip", ".parquet", ".pq")

#: Rows that are judged and committed together.
BATCH_ROWS = 100_000

_EDGE_BYTES = 1 << 20


@dataclass(frozen=True)
class Batch:
    """Some rows of the inbox, and the files whose last rows are among them.

    Parameters
    ----------
    rows
        Rows of ``raw.bars_folder``.
    rejected
        Rows and files that could not be read.
    files
        Rows of ``raw.folder_files``.
    share_read
        Part of the bytes to be read that has been read by now, 0 to 1.
    last
        Whether no other batch follows.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    files: pl.DataFrame
    share_read: float = 1.0
    last: bool = False


def price_files(folder: Path) -> list[Path]:
    """Files of the inbox that may hold prices, by name; hidden and temporary ones left out.

    Raises
    ------
    SourceError
        The folder does not exist.
    """
    if not folder.is_dir():
        raise SourceError(
            f"sources.folder.path = {str(folder)!r} is not a folder; create it or set "
            "sources.folder.enabled: false"
        )
    return sorted(
        file
        for file in folder.iterdir()
        if (file.is_file() or file.is_symlink())
        and not file.name.startswith((".", "~"))
        and file.name.lower().endswith(SUFFIXES)
    )


def read_folder(settings: FolderSourceSection, now: datetime) -> Parsed:
    """Bars of every readable file, all at once; one refused row for each file that is not.

    Raises
    ------
    SourceError
        The folder, the zone or the calendar does not exist.
    """
    batches = read_batches(settings, now, batch_rows=None)
    return combine(
        (Parsed(batch.rows, batch.rejected) for batch in batches), raw.BARS_FOLDER.empty()
    )


def read_batches(
    settings: FolderSourceSection,
    now: datetime,
    *,
    read_before: frozenset[tuple[str, str]] = frozenset(),
    batch_rows: int | None = BATCH_ROWS,
) -> Iterator[Batch]:
    """Bars of the files that are new or have changed, in batches that fit in memory.

    The same bar in two files of a batch is one bar when all values agree. Where they differ, nobody
    can tell which is right: both are left to the contract, which refuses duplicate keys. A bar that
    was stored before and now comes with other values is a correction, known now.

    Parameters
    ----------
    settings, now
        Configuration of the source, and the time of reading.
    read_before
        File and mark (see `file_mark`) of the files that have been read to their end.
    batch_rows
        Rows after which a batch ends; ``None`` makes one batch of everything.

    Yields
    ------
    Batch
        At least one, which may be empty.

    Raises
    ------
    SourceError
        The folder, the zone or the calendar does not exist.
    """
    waiting: list[tuple[int, Parsed]] = []
    finished: list[pl.DataFrame] = []
    yielded = False
    marked = [(file, file_mark(file, settings)) for file in price_files(Path(settings.path))]
    unread = [(file, mark) for file, mark in marked if (file.name, mark) not in read_before]
    sizes = [_size(file) for file, _ in unread]
    before, total = 0, max(1, sum(sizes))
    for number, (file, mark) in enumerate(unread):
        summary, position = _Summary(file.name, mark, now), 0
        for part, reached in _file_parts(file, settings, now):
            if batch_rows and sum(p.rows.height for _, p in waiting) >= batch_rows:
                yield _batch(waiting, finished, (before + position) / total)
                waiting, finished, yielded = [], [], True
            summary.add(part)
            waiting.append((number, part))
            position = min(reached, sizes[number])
        before += sizes[number]
        finished.append(summary.rows())
    if waiting or finished or not yielded:
        yield replace(_batch(waiting, finished, 1.0), last=True)


def folder_version(settings: FolderSourceSection) -> str:
    """Hash over the files of the inbox and how they are read; an absent folder counts as empty."""
    state = hashlib.sha256()
    folder = Path(settings.path)
    for file in price_files(folder) if folder.is_dir() else []:
        state.update(f"{file.name} {file_mark(file, settings)}".encode())
    return state.hexdigest()[:16]


def file_mark(file: Path, settings: FolderSourceSection) -> str:
    """Hash of a file's size, time and edges, and of the settings it is read with.

    A file of many gigabytes is not read to find out whether it has changed.
    """
    state = hashlib.sha256(settings.model_dump_json(exclude={"path"}).encode())
    try:
        facts = file.stat()
        with file.open("rb") as stream:
            state.update(stream.read(_EDGE_BYTES))
            stream.seek(max(0, facts.st_size - _EDGE_BYTES))
            state.update(stream.read(_EDGE_BYTES))
        if facts.st_size > _EDGE_BYTES:
            state.update(f"{facts.st_size} {facts.st_mtime_ns}".encode())
    except OSError as error:
        state.update(f"{error.errno}".encode())
    return state.hexdigest()[:16]


def present_files(settings: FolderSourceSection) -> frozenset[tuple[str, str]]:
    """File and mark of what lies in the inbox."""
    return frozenset(
        (file.name, file_mark(file, settings)) for file in price_files(Path(settings.path))
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _file_parts(
    file: Path, settings: FolderSourceSection, now: datetime
) -> Iterator[tuple[Parsed, int]]:
    """Parts of a file, each with the byte of the file that was reached."""
    try:
        if not file.resolve().is_relative_to(Path(settings.path).resolve()):
            raise FolderError(
                file.name, "is a link to a file outside the inbox; copy the file itself"
            )
        with closing(file.open("rb")) as stream:
            size = file.stat().st_size
            for part in price_file_parts(file.name, stream, size, settings, now):
                yield part, size if stream.closed else stream.tell()
    except FolderError as error:
        yield refused_file(error), 0
    except OSError as error:
        yield refused_file(FolderError(file.name, f"cannot be opened ({error.strerror})")), 0


def _batch(
    waiting: list[tuple[int, Parsed]], finished: list[pl.DataFrame], share_read: float
) -> Batch:
    return Batch(
        _once_across_files(waiting),
        pl.concat([no_rejects(), *(part.rejected for _, part in waiting)]),
        pl.concat([raw.FOLDER_FILES.empty(), *finished]),
        share_read,
    )


def _once_across_files(waiting: list[tuple[int, Parsed]]) -> pl.DataFrame:
    """Drop a row that an earlier file has too; repeats inside one file stay, and are refused."""
    parts = [(number, part.rows) for number, part in waiting if part.rows.height]
    stacked = pl.concat([raw.BARS_FOLDER.empty(), *(rows for _, rows in parts)])
    if len({number for number, _ in parts}) < 2:
        return stacked
    numbered = pl.concat([rows.with_columns(_part=pl.lit(number)) for number, rows in parts])
    earliest = pl.col("_part").min().over(raw.BARS_FOLDER.column_names)
    return numbered.filter(pl.col("_part") == earliest).drop("_part")


class _Summary:
    """What a file held, gathered while it is read."""

    def __init__(self, file: str, mark: str, now: datetime) -> None:
        self.facts = {"file": file, "mark": mark, "read_at": now}
        self.symbols = _by_symbol(raw.BARS_FOLDER.empty())
        self.n_refused = 0

    def add(self, part: Parsed) -> None:
        self.n_refused += part.rejected.height
        # One row a symbol, however many parts the file has.
        self.symbols = (
            pl.concat([self.symbols, _by_symbol(part.rows)])
            .group_by("symbol", "currency")
            .agg(
                pl.col("n_bars").sum(),
                pl.col("first_ts").min(),
                pl.col("last_ts").max(),
                pl.col("has_adjusted", "has_open").any(),
            )
        )

    def rows(self) -> pl.DataFrame:
        """Rows of ``raw.folder_files``; one without a symbol where no bar could be read."""
        found = self.symbols
        if found.is_empty():
            nothing = {"symbol": "", "currency": "", "n_bars": 0}
            flags = {"has_adjusted": False, "has_open": False}
            found = pl.DataFrame(
                [{**nothing, "first_ts": None, "last_ts": None, **flags}], schema=found.schema
            )
        return (
            found.with_columns(
                n_refused=pl.lit(self.n_refused, dtype=pl.Int64),
                **{name: pl.lit(value) for name, value in self.facts.items()},
            )
            .select(raw.FOLDER_FILES.column_names)
            .cast(dict(raw.FOLDER_FILES.schema))  # type: ignore[arg-type]
            .sort("symbol", "currency")
        )


def _by_symbol(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("symbol", "currency").agg(
        n_bars=pl.len().cast(pl.Int64),
        first_ts=pl.col("ts").min(),
        last_ts=pl.col("ts").max(),
        has_adjusted=pl.col("adj_close").is_not_null().any(),
        has_open=pl.col("open").is_not_null().any(),
    )
