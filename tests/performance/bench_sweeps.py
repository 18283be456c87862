"""Time a sweep of 10,000 parameter sets: ``python tests/performance/bench_sweeps.py [--sets 10000]``.

Ten years of 50 assets, weekly to quarterly decisions, costs, order records and the check of the
books on. Each size runs in a process of its own, whose peak memory is printed; before anything is
timed, sets of the sweep must equal `simulate` to the last bit. Nothing passes or fails on speed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import polars as pl
from record import record

N_ASSETS, N_DAYS = 50, 2_520


def market():
    """Seeded prices of 50 assets as the backtest room's `Market`."""
    from btq_assets.backtest.market import Market

    random = np.random.default_rng(11)
    moves = random.normal(2e-4, 0.015, (N_DAYS, N_ASSETS))
    prices = 50 * np.exp(np.cumsum(moves, axis=0))
    ts = pl.datetime_range(
        dt.datetime(2010, 1, 4, 21), dt.datetime(2030, 1, 1, 21), "1d", time_zone="UTC", eager=True
    )
    ts = ts.filter(ts.dt.weekday() <= 5).head(N_DAYS).dt.cast_time_unit("us")
    return Market("made", tuple(f"S{k:02d}" for k in range(N_ASSETS)), ts, prices, prices)


def family(made, n_sets: int):
    """The first `n_sets` of 10 lookbacks x 10 numbers x 5 rhythms x 20 thresholds, shuffled."""
    from btq_assets.backtest.families import RankFamily
    from btq_assets.backtest.sweeps import momentum_scores

    lookbacks = (10, 21, 42, 63, 84, 105, 126, 168, 210, 252)
    scores = momentum_scores(made.mark_prices, lookbacks)
    whole = RankFamily.grid(
        scores,
        first=252,
        score=list(scores),
        top_k=[1, 2, 3, 4, 5, 7, 10, 13, 16, 20],
        every=[5, 10, 21, 42, 63],
        threshold=np.linspace(0.0, 0.38, 20).tolist(),
    )
    chosen = np.random.default_rng(3).permutation(len(whole.rules))[:n_sets]
    return RankFamily(scores, tuple(whole.rules[k] for k in chosen), 252)


def one(n_sets: int, threads: int) -> None:
    """Run one size, print seconds, processor seconds and peak memory as JSON."""
    from btq_assets.backtest.sweeps import Terms, sweep
    from btq_assets.engine.costs import CostModel
    from btq_assets.engine.simulation import simulate

    made = market()
    terms = Terms(CostModel(commission_bps=1.0, half_spread_bps=2.0), 1e6)
    few = family(made, 3)
    alike = sweep(made, few, terms, recorder=None, keep_equity=True)
    weights = np.empty(made.mark_prices.shape)
    for number in range(3):
        few.write(number, weights)
        alone = simulate(made.fill_prices, made.mark_prices, weights, terms.costs, initial_cash=1e6)
        assert alike.equity[number].tobytes() == alone.equity.tobytes()
    start, used = time.perf_counter(), time.process_time()
    done = sweep(made, family(made, n_sets), terms, recorder=None, threads=threads)
    wall, used = time.perf_counter() - start, time.process_time() - used
    assert done.table["identity_error"].max() < 1e-9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"wall": wall, "cpu": used, "peak_gib": peak}))


def measured(n_sets: int, threads: int) -> dict[str, float]:
    """One size in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(n_sets), "--threads", str(threads)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(done.stdout)
    print(
        f"{n_sets:>6} {threads:>7} {found['wall']:>8.2f} {found['cpu']:>8.2f} "
        f"{1e3 * found['cpu'] / n_sets:>10.3f} {found['peak_gib']:>5.2f}",
        flush=True,
    )
    return found


def computing(threads: int, seconds: float) -> float:
    """Cores that threads get which never wait for anything: what the machine leaves free."""
    from threading import Thread

    from numba import njit

    @njit(nogil=True)
    def busy(n):
        total = 0.0
        for k in range(n):
            total += (k % 7) * 0.5
        return total

    busy(1)
    start = time.process_time()
    busy(10**7)
    n = int(1e7 * seconds / max(time.process_time() - start, 1e-4))
    started, used = time.perf_counter(), time.process_time()
    running = [Thread(target=busy, args=(n,)) for _ in range(threads)]
    for one_thread in running:
        one_thread.start()
    for one_thread in running:
        one_thread.join()
    return (time.process_time() - used) / (time.perf_counter() - started)


def main() -> None:
    """Every size on all cores, and a tenth of the sets on one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--sets", type=int, default=10_000, help="of the largest sweep, at most 10000"
    )
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.threads)
        return
    cores = os.cpu_count() or 1
    print(f"{N_DAYS} days x {N_ASSETS} assets, {cores} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'sets':>6} {'threads':>7} {'wall s':>8} {'cpu s':>8} {'cpu ms/set':>10} {'GiB':>5}")
    sizes = [given.sets // k for k in (1_000, 100, 10, 1) if given.sets >= k]
    found = {n: measured(n, cores) for n in sizes}
    measured(max(given.sets // 10, 1), 1)
    most = found[given.sets]
    used = most["cpu"] / most["wall"] / cores
    free = computing(cores, most["cpu"] / cores) / cores
    print(
        f"share of {cores} cores' time that the largest sweep used: {used:.2f}; threads that only "
        f"compute get {free:.2f} right after, load {os.getloadavg()[0]:.1f}"
    )
    record("sweep_cores", used, sets=given.sets)
    record("sweep_memory", most["peak_gib"], sets=given.sets)
    if len(sizes) > 1:
        falls = most["cpu"] / sizes[-1] / (found[sizes[-2]]["cpu"] / sizes[-2])
        print(f"processor seconds a set over those of a tenth of the sets: {falls:.2f}")
        record("sweep_cost_falls", falls, sets=given.sets)


if __name__ == "__main__":
    main()
