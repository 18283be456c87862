"""Which files of the inbox a run reads, and what becomes of those an earlier run has stored.

A run cannot move its own files: they are stored only after it has handed over their rows. So each
run first puts away what the ledger of files says is stored. A run that dies in between leaves files
that the next one either finds in the ledger or reads again; a row read twice is stored once, by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.inbox import ArrivedFile

_PLACES = {"stored": "done", "broken": "broken"}


@dataclass(frozen=True)
class Taken:
    """Files read, files that cannot be read, and how many wait for the next run."""

    read: list[tuple[ArrivedFile, pl.DataFrame]]
    broken: list[tuple[ArrivedFile, str]]
    left: int
    put_away: int


def take_files(
    folder: Path,
    ledger: Mapping[str, str],
    *,
    most: int,
    keep: timedelta,
    now: datetime,
) -> Taken:
    """Put away what is stored, and read at most `most` of the files that are not.

    Parameters
    ----------
    folder
        The inbox.
    ledger
        Status (``stored`` or ``broken``) of each file a committed run has dealt with.
    most
        Most files to read; the oldest of each stream first.
    keep
        Age at which files that were put away are deleted.
    now
        The run's clock.
    """
    waiting, put_away = [], 0
    for file in inbox.arrived(folder):
        if file.name in ledger:
            put_away += inbox.put_away(folder, file.name, _PLACES[ledger[file.name]])
        else:
            waiting.append(file)
    inbox.forget_done(folder, keep, now)
    # By time across the streams: no stream waits for another to be through.
    waiting.sort(key=lambda file: (Path(file.name).name.split("-")[1], file))
    read: list[tuple[ArrivedFile, pl.DataFrame]] = []
    broken: list[tuple[ArrivedFile, str]] = []
    for file in waiting[:most]:
        try:
            read.append((file, inbox.read_batch(folder, file)))
        except inbox.BrokenFileError as error:
            broken.append((file, str(error)))
        except FileNotFoundError:
            continue
    return Taken(read, broken, max(0, len(waiting) - most), put_away)
