"""Calls for tests of workers, in a module that other processes find."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from btq_assets.models.forecaster import ModelError
from btq_assets.models.workers import Processes


def square(shared: int, item: int) -> int:
    """``shared * item ** 2``; 99 ends the process."""
    if item < 0:
        raise ModelError(f"{item} is negative")
    if item == 99:
        os._exit(9)
    return shared * item * item


def sleeping(folder: str, item: int) -> None:
    """Leave a file with the number of the process, and sleep."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(120)


if __name__ == "__main__":
    from worker_calls import sleeping as named

    Processes(2).map(named, sys.argv[1], [1, 2])
