"""What all kernels share: the number of windows worked on side by side, and the look for holes.

numba does not notice a change here when it looks for compiled callers: remove ``__pycache__``
after one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Windows computed side by side: few enough that all buffers stay in the first-level cache.
TILE = 512


@njit(cache=True, nogil=True, error_model="numpy")
def has_holes(x, low, high):
    """Whether ``x[low:high]`` has a NaN."""
    part = x[low:high]
    missing = 0
    for i in range(part.size):
        missing += 1 if np.isnan(part[i]) else 0
    return missing > 0
