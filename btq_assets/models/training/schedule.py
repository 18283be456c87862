"""How the learning rate runs: a linear warm-up, then half a cosine down to zero.

Belongs here: factors by step. Does not belong here: torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def warm_up_cosine(n_steps: int, warm_up_share: float) -> Callable[[int], float]:
    """Factor of the learning rate at each of `n_steps` steps (Loshchilov and Hutter 2017, eq. 5).

    Parameters
    ----------
    n_steps
        Optimiser steps of the whole training.
    warm_up_share
        Share of them in which the factor rises from 0 to 1.
    """
    warm_up = max(int(n_steps * warm_up_share), 1)

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = (step - warm_up) / max(n_steps - warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return factor
