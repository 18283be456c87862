"""What was added to a step's inputs since its table was computed.

Belongs here: telling an input that only grew at its end from one that changed. Does not belong
here: what a step makes of it.

The books keep the version of every input a table was computed from. Versions are sums over rows
(`versions.added_version`), so the rows added since are those at the end whose own sum is the
difference: if there is such an end, every older row is the one it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.contracts import house
from btq_assets.contracts.base import TableContract
from btq_assets.warehouse.step import Step
from btq_assets.warehouse.versions import fingerprint, is_additive, row_words

_TIMES = ("ts", "known_at")

#: Rows at the end among which the beginning of what is new is looked for first; then among all.
_LOOKED_AT = 1 << 15


@dataclass(frozen=True)
class Additions:
    """Whether inputs only grew, and from when on.

    Parameters
    ----------
    since
        Earliest time of an added row; ``None`` where the table has to be computed whole.
    why
        Reason for that, empty otherwise.
    """

    since: datetime | None
    why: str = ""


def added_since(
    step: Step,
    contract: TableContract,
    inputs: Mapping[str, tuple[TableContract, pl.DataFrame]],
    config: tuple[str, ...],
    stored_rows: int,
) -> Additions:
    """What was added to `inputs` since `contract`'s table was computed from them.

    Parameters
    ----------
    step
        The running step: its code, configuration and versions are compared with the books.
    contract
        The only table of the step.
    inputs
        Contract and rows of each input, by parameter name.
    config
        Sections of the configuration the step depends on.
    stored_rows
        Rows the table has now.
    """
    books = step.read_ledger(house.PROVENANCE)
    rows = books.filter(pl.col("table_name") == contract.table)
    if rows.is_empty():
        return Additions(None, "nothing is stored yet")
    book = rows.row(0, named=True)
    if step.config.warehouse.force_recompute:
        return Additions(None, "warehouse.force_recompute is set")
    if book["n_rows"] != stored_rows:
        return Additions(None, "the stored rows are not those that were committed")
    if book["code_version"] != step.code_version:
        return Additions(None, "code changed")
    config_hash = step.config.fingerprint(config)
    if book["config_hash"] != config_hash:
        return Additions(None, "configuration changed")
    before = json.loads(book["inputs_json"])
    mark = fingerprint(
        inputs=before, code=step.code_version, config=config_hash, source="", contracts=(contract,)
    )
    if mark != book["fingerprint"] or set(before) != set(inputs):
        return Additions(None, "contracts or libraries changed")
    starts = []
    for name, (table, frame) in inputs.items():
        if before[name] == step.data_versions[name]:
            continue
        start = first_addition(frame, table, before[name], step.data_versions[name])
        if start is None:
            return Additions(None, f"older rows of {table.table} changed, or came late")
        starts.append(start)
    return Additions(min(starts)) if starts else Additions(None, "no input changed")


def first_addition(
    frame: pl.DataFrame, contract: TableContract, before: str, now: str
) -> datetime | None:
    """Time of the earliest added row, if rows were added at the end and nowhere else.

    Parameters
    ----------
    frame
        All rows, cast to `contract`; their version is `now`.
    contract
        Its ``ts`` and ``known_at``, the earlier of the two where it has both, tell where a row is.
    before, now
        Versions of the table then and now.

    Returns
    -------
    datetime.datetime or None
        ``None`` where an older row changed, went or came late, and where rows have no time.
    """
    times = [name for name in _TIMES if name in frame.columns]
    if not times or frame.is_empty() or not (is_additive(before) and is_additive(now)):
        return None
    when = frame.select(pl.min_horizontal(times).alias("when"))["when"]
    if when.null_count() or when.dtype == pl.Date:
        return None
    gap = [
        np.uint64((int(now[part], 16) - int(before[part], 16)) % 2**64)
        for part in (slice(16), slice(16, 32))
    ]
    for n_rows in sorted({min(_LOOKED_AT, frame.height), frame.height}):
        among = when >= when.top_k(n_rows).min()
        newest = frame.filter(among).with_columns(_when=when.filter(among))
        newest = newest.sort("_when", descending=True)
        stamp = newest["_when"]
        sums = [np.cumsum(word, dtype=np.uint64) for word in row_words(newest, contract)]
        # Rows of one time are new together, or the order among them would matter.
        is_last = (stamp != stamp.shift(-1)).fill_null(True).to_numpy()
        found = np.flatnonzero(is_last & (sums[0] == gap[0]) & (sums[1] == gap[1]))
        if found.size:
            return stamp[int(found[0])]
    return None
