"""Memory of records, used again once nobody holds the result it was lent for.

Belongs here: large arrays that are written anew by every run. Fresh memory is cleared by the system
page by page, which took as long as a third of a run. Does not belong here: what is in them.
"""

from __future__ import annotations

import sys

import numpy as np

#: Larger ones are given back to the system.
_MOST_BYTES = 256 * 2**20
_SPARE: dict[str, np.ndarray] = {}


def records(name: str, n: int, dtype: np.dtype) -> np.ndarray:
    """An uninitialised array of `n` records.

    The memory of the last array of this `name` is taken if no array refers to it any more; otherwise
    new memory is. Safe between threads: memory leaves the store before it is looked at.
    """
    size = n * dtype.itemsize
    memory = _SPARE.pop(name, None)
    # two references: the variable, and the argument of getrefcount; any view would be a third
    if memory is None or memory.size < size or sys.getrefcount(memory) > 2:
        memory = np.empty(size, dtype=np.uint8)
    if memory.size <= _MOST_BYTES:
        _SPARE[name] = memory
    return memory[:size].view(dtype)
