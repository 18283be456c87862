"""Keep a recorder running: start it, start it again when it dies, stop it when told to.

Belongs here: one child process and its signals. Any other supervisor (systemd, Docker, Kubernetes)
serves as well: the recorder asks for nothing but to be started again.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

#: Exit status of a recorder that must not be started again: the configuration is wrong.
GIVE_UP = 2

#: A child that lived so long was well: waits begin anew.
_WELL_S = 60.0
_LONGEST_WAIT_S = 60.0


def supervise(
    command: Sequence[str],
    *,
    first_wait_s: float = 1.0,
    log: Callable[[str], None] = lambda text: print(text, file=sys.stderr),  # noqa: T201
) -> int:
    """Run `command` until it ends well, cannot go on (status 2), or a signal says stop.

    SIGTERM and SIGINT are passed on; the child then writes what it holds. Returns its exit status.
    """
    stopping = False
    child: subprocess.Popen[bytes] | None = None

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    failures = 0
    try:
        while True:
            started = time.monotonic()
            child = subprocess.Popen(list(command))  # noqa: S603
            status = child.wait()
            if stopping or status in (0, GIVE_UP):
                return status
            failures = 0 if time.monotonic() - started > _WELL_S else failures + 1
            wait = min(_LONGEST_WAIT_S, first_wait_s * 2**failures) * random.uniform(0.5, 1.5)
            log(f"the recorder ended with status {status}; starting it again in {wait:.1f} s")
            until = time.monotonic() + wait
            while not stopping and time.monotonic() < until:
                time.sleep(min(0.1, wait))
            if stopping:
                return 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
