"""How much memory a training took at most.

Belongs here: asking the device or the system. Does not belong here: saving memory.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PeakMemory:
    """What a fit took at most.

    Parameters
    ----------
    mebibytes
        Of the GPU since the fit began; of the process since it started where there is none.
    of
        ``cuda`` or ``process``.
    """

    mebibytes: float
    of: str


def begin(device: str) -> None:
    """Count anew from here, where the device can."""
    if device.startswith("cuda"):
        _cuda().reset_peak_memory_stats(device)


def peak(device: str) -> PeakMemory:
    """The largest amount so far."""
    if device.startswith("cuda"):
        return PeakMemory(_cuda().max_memory_allocated(device) / 2**20, "cuda")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kibibytes on Linux, bytes on macOS.
    return PeakMemory(most / (2**20 if sys.platform == "darwin" else 2**10), "process")


def _cuda() -> Any:
    import torch

    return torch.cuda
