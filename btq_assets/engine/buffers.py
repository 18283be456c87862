"""Memory of records, used again once nobody holds the result it was lent for.

Belongs here: large arrays that are written anew by every run. Fresh memory is cleared by the system
page by page, which took as long as a third of a run. Does not belong here: what is in them.
"""

from __future__ import annotations

import sys

import numpy as np

#: Larger ones are given back to the system, and so are more of one name: as many as run at once.
_MOST_BYTES, _MOST_KEPT = 256 * 2**20, 2
_SPARE: dict[str, list[np.ndarray]] = {}


def records(name: str, n: int, dtype: np.dtype) -> np.ndarray:
    """An uninitialised array of `n` records.

    Memory of an earlier array of this `name` is taken if no array refers to it any more; otherwise
    new memory is. Safe between threads: memory leaves the store before it is looked at.
    """
    size = n * dtype.itemsize
    spare = _SPARE.setdefault(name, [])
    memory: np.ndarray | None = None
    for _ in range(_MOST_KEPT):
        try:
            memory = spare.pop(0)
        except IndexError:
            break
        # two references: the variable, and the argument of getrefcount; any view would be a third
        if memory.size >= size and sys.getrefcount(memory) <= 2:
            break
        if sys.getrefcount(memory) > 2 and len(spare) < _MOST_KEPT:
            spare.append(memory)
        memory = None
    if memory is None:
        memory = np.empty(size, dtype=np.uint8)
    if memory.size <= _MOST_BYTES:
        spare.append(memory)
        del spare[:-_MOST_KEPT]
    return memory[:size].view(dtype)
