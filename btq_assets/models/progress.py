"""What a step says while it fits: how far it is, and how long it will still take.

Belongs here: lines for a log. Its clock times those lines and nothing else. Does not belong here: what
is computed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Protocol


class Logs(Protocol):
    """The part of a step that takes lines."""

    @property
    def log(self) -> Callable[[str], None]:
        """Takes one line."""


def with_eta(step: Logs, name: str) -> Callable[[float, int, Mapping[str, float]], None]:
    """Log progress with the time left, at most every five seconds.

    What it gives is called with the number of fits done, the one in progress as a fraction, and that
    of all.
    """
    started = time.monotonic()
    last = started

    def report(done: float, total: int, found: Mapping[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 5 and done < total:
            return
        last = now
        left = (now - started) / done * (total - done)
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in found.items())
        within = f" at {done % 1:.0%}" if done % 1 else ""
        fit = f"fit {math.ceil(done)}/{total}{within}"
        step.log(f"{name}: {fit}, about {left:.0f} s left ({numbers})")

    return report
