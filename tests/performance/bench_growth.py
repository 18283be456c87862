"""How features grow with rows and symbols, and rolling kernels against the memory's speed.

    python tests/performance/bench_growth.py [--largest 1e7] [--minute-rows 1e8]

Growth: ten expressions of Alpha158 over more and more rows, and over the same rows as more and
more symbols; the time per row should stay. ``--minute-rows`` goes through that many one-minute
bars, one Parquet file of a million bars a symbol, one at a time in memory, and writes
the results beside them. Bandwidth: each kernel against copying the bytes that it has to
read and write, with as many threads, window 20.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from btq_assets.features import alpha158
from btq_assets.features.kernels import rolling
from btq_assets.features.kernels.rolling import Options
from btq_assets.features.kernels.tasks import in_tasks

TEN = (
    "kmid", "roc_20", "ma_20", "std_20", "beta_20", "max_20", "rank_20", "rsv_20", "corr_20",
    "vma_20",
)  # fmt: skip
WINDOW = 20
SLICE_ROWS = 1_000_000


def bars(n_symbols: int, n_rows: int, seed: int = 0, minutes: bool = False) -> pl.DataFrame:
    """Seeded walks in the shape of `core.bars_1d`, `n_rows` in all."""
    random = np.random.default_rng(seed)
    length = n_rows // n_symbols
    step = dt.timedelta(minutes=1) if minutes else dt.timedelta(days=1)
    start = dt.datetime(1950, 1, 1, tzinfo=dt.UTC)
    stamps = pl.datetime_range(start, start + step * (length - 1), step, time_unit="us", eager=True)
    shape = (n_symbols, length)
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.01, shape), axis=1)).reshape(-1)
    high = close * (1 + 0.01 * random.random(close.size))
    low = close * (1 - 0.01 * random.random(close.size))
    columns = {"open": (high + low) / 2, "high": high, "low": low, "close": close}
    return pl.DataFrame(
        {
            "universe": pl.repeat("u", close.size, eager=True),
            "symbol": np.repeat([f"S{seed + n:05d}" for n in range(n_symbols)], length),
            "ts": pl.concat([stamps] * n_symbols),
            **columns,
            "volume": np.round(np.exp(random.normal(10, 0.5, close.size))),
            **{f"adj_{name}": values for name, values in columns.items()},
        }
    )


def best_of(runs: int, work: Callable[[], object]) -> tuple[float, float]:
    """Shortest wall and processor seconds."""
    walls, used = [], []
    for _ in range(runs):
        start, before = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - start)
        used.append(time.process_time() - before)
    return min(walls), min(used)


def growth(largest: float) -> None:
    """Time per row, by rows and by symbols."""
    alpha158.compute(bars(2, 2_000), TEN)
    print(f"{len(TEN)} expressions   symbols       rows     wall  ns/row  processor ns/row")
    sizes = [10**k for k in range(5, 9) if 10**k <= largest]
    cases = [(max(1, rows // 2_500), rows) for rows in sizes]
    cases += [(symbols, 1_000_000) for symbols in (1, 10, 100, 1_000, 10_000)]
    for symbols, rows in cases:
        given = bars(symbols, rows)
        wall, used = best_of(3, lambda given=given: alpha158.compute(given, TEN))  # type: ignore[misc]
        print(
            f"{symbols:24,} {rows:10,} {wall:7.2f}s {1e9 * wall / rows:7.0f} {1e9 * used / rows:10.0f}"
        )


def stream(rows: int) -> None:
    """One-minute bars of many symbols, one slice at a time."""
    slices = max(1, rows // SLICE_ROWS)
    alpha158.compute(bars(2, 2_000), TEN)
    reading = used = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(slices):
            source = folder / "bars.parquet"
            bars(1, SLICE_ROWS, number, minutes=True).write_parquet(source, compression="lz4")
            start, before = time.perf_counter(), time.process_time()
            frame = alpha158.compute(pl.read_parquet(source), TEN)
            frame.write_parquet(folder / f"{number}.parquet", compression="lz4")
            reading += time.perf_counter() - start
            used += time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{slices * SLICE_ROWS:,} one-minute rows, {len(TEN)} expressions, file to file: "
        f"{reading:.1f} s, processor {used:.1f} s, peak {peak:.2f} GiB (making the bars not timed)"
    )


def bandwidth(n_symbols: int = 8_000, n_sessions: int = 3_500) -> None:
    """Kernels against a copy of the bytes they read and write."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(2, n_symbols, n_sessions))
    starts = np.arange(n_symbols + 1, dtype=np.int64) * n_sessions

    def copy(*given: np.ndarray) -> None:
        out = [np.empty_like(values) for values in given]

        def task(first: int, last: int) -> None:
            for values, to in zip(given, out, strict=True):
                to[first:last] = values[first:last]

        in_tasks(starts, task)

    kernels: dict[str, tuple[Callable[[Options], object], tuple[np.ndarray, ...]]] = {
        "mean": (lambda o: rolling.mean(x, WINDOW, o), (x,)),
        "std": (lambda o: rolling.std(x, WINDOW, o), (x,)),
        "covariance": (lambda o: rolling.covariance(x, y, WINDOW, o), (x, y)),
        "correlation": (lambda o: rolling.correlation(x, y, WINDOW, o), (x, y)),
        "maximum": (lambda o: rolling.maximum(x, WINDOW, o), (x,)),
        "argmin": (lambda o: rolling.argmin(x, WINDOW, o), (x,)),
        "rank": (lambda o: rolling.rank(x, WINDOW, o), (x,)),
        "quantile": (lambda o: rolling.quantile(x, WINDOW, 0.8, o), (x,)),
    }
    options = Options()
    print(
        f"\nwindow {WINDOW}, {n_symbols} x {n_sessions}   kernel     copy  ratio  processor ratio"
    )
    for name, (kernel, given) in kernels.items():
        kernel(options)
        pairs = [
            (best_of(1, lambda k=kernel: k(options)), best_of(1, lambda g=given: copy(*g)))  # type: ignore[misc]
            for _ in range(5)
        ]
        (wall, used), (copied, copied_used) = (
            tuple(min(pair[side][k] for pair in pairs) for k in (0, 1)) for side in (0, 1)
        )
        print(
            f"{name:27} {1e3 * wall:7.1f}ms {1e3 * copied:6.1f}ms {wall / copied:6.1f}"
            f" {used / copied_used:10.1f}"
        )


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--largest", type=float, default=1e7)
    parser.add_argument("--minute-rows", type=float, default=0)
    given = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    if given.minute_rows:
        stream(int(given.minute_rows))
        return
    if given.largest:
        growth(given.largest)
    bandwidth()


if __name__ == "__main__":
    main()
