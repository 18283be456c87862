"""Starting the processes that share the batches of one fit.

Belongs here: helpers of a fit, from their start to their end. Does not belong here: what the processes
tell one another (`peers`). Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from btq_assets.models.training.peers import Peers
from btq_assets.models.workers import end_with_parent

#: What a helper does: fits as everyone does, with its own `Peers`, and throws the result away.
Follow = Callable[..., Any]

#: Seconds helpers have to end by themselves.
_GRACE_S = 10.0


@contextmanager
def together(size: int, follow: Follow, arguments: Sequence[Any]) -> Iterator[Peers]:
    """Start ``size - 1`` processes that run ``follow(*arguments, peers=...)``; be the first.

    Parameters
    ----------
    size
        Processes in all, this one included.
    follow, arguments
        A function of a module and its arguments, as another process can be given them.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        helpers = [
            context.Process(target=_help, args=(meeting, rank, size, follow, *arguments))
            for rank in range(1, size)
        ]
        for helper in helpers:
            helper.start()
        done = False
        try:
            with Peers.joined(meeting, 0, size) as peers:
                yield peers
                done = True
        finally:
            _ended(helpers, _GRACE_S if done else 0.0)


def _help(meeting: str, rank: int, size: int, follow: Follow, *arguments: Any) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    with Peers.joined(meeting, rank, size) as peers:
        follow(*arguments, peers=peers)


def _ended(helpers: Sequence[BaseProcess], grace_s: float) -> None:
    until = time.monotonic() + grace_s
    for helper in helpers:
        helper.join(max(until - time.monotonic(), 0.0))
        if helper.is_alive():
            helper.kill()
            helper.join()
