"""Time the probability of backtest overfitting: ``python tests/performance/bench_overfitting.py``.

    [--trials 100] [--days 2500] [--blocks 16]

Every split of 16 blocks, 12,870 of them. First the chosen trials' ranks in fewer blocks must be those
of the definition, split by split; then it is timed. Nothing passes or fails on speed.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from itertools import combinations

import numpy as np
from record import record

from btq_assets.evidence.overfitting import probability_of_overfitting

TARGET_S = 5.0


def by_definition(returns: np.ndarray, n_blocks: int) -> np.ndarray:
    """Logits of Bailey et al. (2017), section 2.2, one split after the other."""
    length = len(returns) // n_blocks
    used = returns[len(returns) - n_blocks * length :]
    blocks = np.split(used, n_blocks)
    found = []
    for inside in combinations(range(n_blocks), n_blocks // 2):
        halves = [
            np.vstack([blocks[k] for k in range(n_blocks) if (k in inside) == chosen])
            for chosen in (True, False)
        ]
        best, other = (half.mean(axis=0) / half.std(axis=0, ddof=1) for half in halves)
        rank = 1 + (other < other[best.argmax()]).sum()
        share = rank / (returns.shape[1] + 1)
        found.append(math.log(share / (1 - share)))
    return np.array(found)


def main() -> None:
    """Compare with the definition, then time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--days", type=int, default=2_500)
    parser.add_argument("--blocks", type=int, default=16)
    given = parser.parse_args()
    returns = np.random.default_rng(5).normal(2e-4, 0.01, (given.days, given.trials))
    few = min(given.blocks, 8)
    gap = np.abs(
        probability_of_overfitting(returns, n_blocks=few).logits - by_definition(returns, few)
    ).max()
    if not gap <= 1e-9:
        raise SystemExit(f"logits are {gap:.1e} off the definition's: nothing is timed")
    walls, used = [], []
    for _ in range(3):
        start, before = time.perf_counter(), time.process_time()
        found = probability_of_overfitting(returns, n_blocks=given.blocks)
        walls.append(time.perf_counter() - start)
        used.append(time.process_time() - before)
    print(
        f"{found.n_splits:,} splits of {given.trials} trials x {given.days} days: {min(walls):.2f} s, "
        f"{min(used):.2f} s of the processor (target < {TARGET_S:.0f} s); "
        f"load {os.getloadavg()[0]:.1f}"
    )
    record("pbo_seconds", min(walls), trials=given.trials, days=given.days, blocks=given.blocks)


if __name__ == "__main__":
    main()
