"""Time the engine against vectorbt on the same work: ``python tests/performance/bench_engine.py``.

500 assets, 2,520 days, target weights on every day, cash shared, commission and spread on. The
two are brought to equal conventions first (shares sized at the fill; vectorbt's targets are
shifted one bar, because it fills on the bar of the signal) and must agree to 1e-9 before anything
is timed. Needs the extra ``bench``. Nothing passes or fails on speed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

N_ASSETS, N_DAYS, REPEATS = 500, 2_520, 7
COMMISSION_BPS, HALF_SPREAD_BPS, CASH = 1.0, 2.0, 1_000_000.0

#: First call of each side in a fresh process, imports not counted.
COLD = """
import sys, time
sys.path.insert(0, {folder!r})
import bench_engine as bench
prices, targets = bench.market()
run = bench.{side}()
start = time.perf_counter()
run(prices, targets)
print(time.perf_counter() - start)
"""


def market() -> tuple[np.ndarray, np.ndarray]:
    """Seeded prices ``[T, N]``, and weights that leave 5 % in cash."""
    random = np.random.default_rng(11)
    prices = 50 * np.exp(np.cumsum(random.normal(2e-4, 0.015, (N_DAYS, N_ASSETS)), axis=0))
    targets = random.random((N_DAYS, N_ASSETS))
    return prices, 0.95 * targets / targets.sum(axis=1, keepdims=True)


def ours() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Import the engine; the returned function gives equity per bar."""
    from btq_assets.engine.costs import CostModel
    from btq_assets.engine.simulation import simulate

    costs = CostModel(commission_bps=COMMISSION_BPS, half_spread_bps=HALF_SPREAD_BPS)

    def run(prices: np.ndarray, targets: np.ndarray) -> np.ndarray:
        done = simulate(prices, prices, targets, costs, initial_cash=CASH, sizing="fill")
        assert done.identity_error < 1e-9
        return done.equity

    return run


def peer() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Import vectorbt; the returned function gives equity per bar."""
    import pandas as pd
    import vectorbt

    def run(prices: np.ndarray, targets: np.ndarray) -> np.ndarray:
        shifted = np.vstack([np.full((1, targets.shape[1]), np.nan), targets[:-1]])
        portfolio = vectorbt.Portfolio.from_orders(
            pd.DataFrame(prices),
            size=shifted,
            size_type="targetpercent",
            group_by=True,
            cash_sharing=True,
            call_seq="auto",
            fees=COMMISSION_BPS / 1e4,
            slippage=HALF_SPREAD_BPS / 1e4,
            init_cash=CASH,
            freq="1D",
        )
        return portfolio.value().to_numpy().ravel()

    return run


def first_call_seconds(side: str, cache: str | None) -> float:
    """Seconds of the first call in a fresh process.

    With `cache`, an empty folder, everything is compiled; without, compiled code of earlier
    processes is loaded from where numba keeps it.
    """
    code = COLD.format(folder=str(Path(__file__).resolve().parent), side=side)
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return float(answer.stdout.split()[-1])


def main() -> None:
    """Compare, then time both sides in turn."""
    from record import record

    prices, targets = market()
    sides = {"engine": ours(), "vectorbt": peer()}
    values = {name: run(prices, targets) for name, run in sides.items()}
    gap = float(np.max(np.abs(values["engine"] / values["vectorbt"] - 1)))
    print(f"{N_ASSETS} assets x {N_DAYS} days, target weights every day, shared cash, costs on")
    print(f"largest relative difference of equity: {gap:.1e}")
    if not gap <= 1e-9:
        raise SystemExit("the two do not agree: nothing is timed")
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, run in sides.items():
            start = time.perf_counter()
            run(prices, targets)
            times[name].append(time.perf_counter() - start)
    columns = {
        "warm, median": {name: statistics.median(found) for name, found in times.items()},
        "warm, best": {name: min(found) for name, found in times.items()},
        "first call": {},
        "compiling": {},
    }
    for name, side in (("engine", "ours"), ("vectorbt", "peer")):
        columns["first call"][name] = first_call_seconds(side, None)
        with tempfile.TemporaryDirectory() as folder:
            columns["compiling"][name] = first_call_seconds(side, folder)
    print(f"{'seconds':<10}" + "".join(f"{title:>14}" for title in columns))
    for name in sides:
        print(f"{name:<10}" + "".join(f"{column[name]:>14.3f}" for column in columns.values()))
    ratios = [column["vectorbt"] / column["engine"] for column in columns.values()]
    print(f"{'ratio':<10}" + "".join(f"{ratio:>13.1f}x" for ratio in ratios))
    record("rebalancing_to_vectorbt", 1 / ratios[0])
    print("the engine also writes every fill and proves its books; vectorbt only its order records")


if __name__ == "__main__":
    main()
