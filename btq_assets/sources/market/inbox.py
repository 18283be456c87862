"""Which files of the inbox are new and completely written.

Belongs here: the decision, from what was seen last time and what is seen now. Does not belong
here: looking into the folder, and starting runs (`sensors.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class SeenFile:
    """A file as one look into the folder finds it.

    Parameters
    ----------
    name
        File name.
    size_bytes
        Its size.
    modified_ns
        Its modification time, nanoseconds since 1970.
    """

    name: str
    size_bytes: int
    modified_ns: int


def new_files(seen: Iterable[SeenFile], cursor: str | None) -> tuple[list[SeenFile], str]:
    """Files that have settled since they were last handled, and the next cursor.

    A file has settled when two looks in a row find the same size and modification time: one that
    is still being copied has not. A file that changes later is new again; one that is deleted is
    forgotten.

    Parameters
    ----------
    seen
        The folder now.
    cursor
        What the last call returned; ``None`` or unreadable text means that nothing is known.

    Returns
    -------
    tuple of list and str
        Files to read now, by name; and the cursor to hand in next time.
    """
    before = _read(cursor)
    ready, after = [], {}
    for file in sorted(seen, key=lambda item: item.name):
        mark = [file.size_bytes, file.modified_ns]
        known = before.get(file.name, {})
        settled = known.get("seen") == mark
        if settled and known.get("handled") != mark:
            ready.append(file)
        handled = mark if settled else known.get("handled")
        after[file.name] = {"seen": mark, "handled": handled}
    return ready, json.dumps(after, sort_keys=True)


def _read(cursor: str | None) -> dict[str, dict[str, object]]:
    try:
        known = json.loads(cursor or "{}")
    except json.JSONDecodeError:
        return {}
    return known if isinstance(known, dict) else {}
