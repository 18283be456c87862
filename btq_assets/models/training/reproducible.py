"""The same numbers on a second run.

Belongs here: torch's seeds, threads and deterministic mode. Imports torch at the top; import inside
functions only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

#: Fixed, not the machine's: float sums depend on the number of threads. One, because the arrays
#: are small and a second thread only waits when other processes share the cores.
N_THREADS = 1


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seeded, deterministic torch inside the block; the caller's state is put back after it."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filling = memory.fill_uninitialized_memory
    with torch.random.fork_rng():
        torch.set_num_threads(N_THREADS)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing here reads memory before it is written: filling every new tensor is time alone.
        memory.fill_uninitialized_memory = False
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            memory.fill_uninitialized_memory = filling


def device_name(device: str) -> str:
    """What arithmetic is done on: other instructions or another card may round otherwise."""
    if device.startswith("cuda") and torch.cuda.is_available():
        return f"{device} {torch.cuda.get_device_name(device)}"
    if device == "cpu":
        return f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return device
