"""From the files of the inbox to the rows of the tables.

Belongs here: joining batches, and the rule for what came twice. Does not belong here: reading files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from btq_assets.contracts import raw
from btq_assets.contracts.base import TableContract
from btq_assets.sources.rows import REJECTED_SCHEMA
from btq_assets.sources.stream.inbox import ArrivedFile

#: Table of each stream's rows.
TABLES: dict[str, TableContract] = {
    "trades": raw.TRADES_STREAM,
    "quotes": raw.QUOTES_STREAM,
    "book": raw.BOOK_STREAM,
    "gaps": raw.STREAM_GAPS,
}

#: Columns that differ when the same event comes twice: the event is not another one for that.
_OF_THE_DELIVERY = ("known_at", "known_at_basis", "received_at", "via")


@dataclass(frozen=True)
class Batch:
    """Rows to commit, rows to refuse, and the ledger of the files they came from."""

    frames: dict[str, pl.DataFrame]
    rejected: pl.DataFrame


def assemble(
    read: Sequence[tuple[ArrivedFile, pl.DataFrame]],
    broken: Sequence[tuple[ArrivedFile, str]],
    now: datetime,
) -> Batch:
    """Rows of several files, each event once.

    Parameters
    ----------
    read
        Files in the order of their sequence, with their rows.
    broken
        Files that could not be read, with the reason.
    now
        Time of the commit.

    Returns
    -------
    Batch
        Of equal events the first stays. Events with one number and different content are refused
        but for the first: an exchange numbers once.
    """
    frames: dict[str, pl.DataFrame] = {}
    rejected = [
        pl.DataFrame(
            {"reason": [f"{file.name}: {reason}"], "row_json": [f'{{"file": "{file.name}"}}']},
            schema=REJECTED_SCHEMA,
        )
        for file, reason in broken
    ]
    for stream, contract in TABLES.items():
        parts = [frame for file, frame in read if file.stream == stream]
        rows = pl.concat([contract.empty(), *parts])
        kept = rows.unique(contract.key, keep="first", maintain_order=True)
        if kept.height < rows.height:
            rejected.append(_contradictions(rows, kept, contract))
        frames[contract.table] = kept
    rejected += [frame for file, frame in read if file.stream == "refused"]
    frames[raw.STREAM_FILES.table] = _files(read, broken, now)
    return Batch(frames, pl.concat([pl.DataFrame(schema=REJECTED_SCHEMA), *rejected]))


def _contradictions(
    rows: pl.DataFrame, kept: pl.DataFrame, contract: TableContract
) -> pl.DataFrame:
    content = [c for c in contract.column_names if c not in _OF_THE_DELIVERY]
    other = rows.join(kept, on=content, how="anti", nulls_equal=True)
    name = contract.name.removesuffix("_stream")
    return other.select(
        reason=pl.lit(f"{name}: the number of an event that came before, with other content"),
        row_json=pl.struct(pl.all()).struct.json_encode(),
    )


def _files(
    read: Sequence[tuple[ArrivedFile, pl.DataFrame]],
    broken: Sequence[tuple[ArrivedFile, str]],
    now: datetime,
) -> pl.DataFrame:
    rows: list[tuple[object, ...]]
    rows = [(f.name, now, "stored", None, frame.height, f.n_bytes) for f, frame in read]
    rows += [(f.name, now, "broken", reason, 0, f.n_bytes) for f, reason in broken]
    return pl.DataFrame(rows, schema=raw.STREAM_FILES.schema, orient="row")
