"""Cells of JSON answers, as text that any table can hold.

Belongs here: what may come where a number or a time should be. Does not belong here: what it
means.
"""

from __future__ import annotations

import json
from typing import Any

#: Times in milliseconds beyond the year 2100 are nanoseconds, or nonsense.
LATEST_MS = 4_102_444_800_000


def as_text(cell: Any) -> str | None:
    """A cell as text; null stays null.

    Whole floats lose their ``.0``: 1577836800000.0 is as good a stamp as 1577836800000. JSON allows
    halves of surrogate pairs, which are no text: they become question marks.
    """
    if cell is None:
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    text = str(cell) if isinstance(cell, (str, int, float)) else json.dumps(cell, default=str)
    return text.encode(errors="replace").decode()


def is_stamp(value: Any) -> bool:
    """Whether a value can be a time in milliseconds since 1970."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST_MS
