"""Ranges of symbols, worked on by threads.

Belongs here: how rows are split. Does not belong here: what is done with them.

Threads rather than numba's own parallel loops: kernels release the interpreter's lock, and
numba's default scheduler ends the process when two threads of an application enter it at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

#: Rows a task works on: few enough for the second-level cache, enough to outweigh its calls.
TASK_ROWS = 1 << 14


def in_tasks(
    starts: NDArray[np.int64], work: Callable[[int, int], None], threads: int | None = None
) -> None:
    """Call ``work(first, last)`` for ranges of symbols that together cover all of them.

    Parameters
    ----------
    starts
        Where each symbol's rows begin, and where the last one's end.
    work
        Writes the results of the symbols ``first`` to ``last - 1``; tasks share no output.
    threads
        Number of threads; ``None`` for one per available core.
    """
    bounds = [0]
    for symbol in range(1, starts.size):
        if starts[symbol] - starts[bounds[-1]] >= TASK_ROWS or symbol == starts.size - 1:
            bounds.append(symbol)
    ranges = list(pairwise(bounds))
    threads = threads or len(os.sched_getaffinity(0))
    if threads == 1 or len(ranges) < 2:
        for first, last in ranges:
            work(first, last)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, first, last) for first, last in ranges]:
            done.result()
