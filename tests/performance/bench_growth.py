"""How features grow with rows and symbols, and rolling kernels against the memory's speed.

    python tests/performance/bench_growth.py [--rows 1e8] [--folder DIR] [--plot growth.png]

Growth: ten expressions of Alpha158 over one-minute bars, a Parquet file of a million a symbol,
one at a time in memory, results written beside them; the time per row should stay. `rows` is how
far it goes (1e8 writes about 6 GB); making the bars is not timed. Then a million daily bars as more
and more symbols. Bandwidth: each kernel against copying a matrix of its size, window 20; a
kernel that reads two matrices is set against one and a half copies.
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
from record import record, size

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
SIZES = tuple(10**k for k in range(5, 9))
#: Copies of its matrices a kernel may take as long as.
TARGET = 3.0
#: Times each kernel is run, all of them in turn.
ROUNDS = 11
#: Kernels the promise names: means, variances, covariances, ranks and extremes.
PROMISED = ("mean", "std", "covariance", "rank", "maximum", "argmin")


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


def growth(rows: int, folder: Path) -> list[tuple[int, float, float]]:
    """Seconds by the clock and of the processor for more and more one-minute bars."""
    alpha158.compute(bars(2, 2_000), TEN)
    print(f"{len(TEN)} expressions, file to file\n       rows      wall  processor  ns/row of it")
    found = []
    for n in sorted({min(rows, 100_000), *(n for n in SIZES if n <= rows), rows}):
        found.append((n, *_streamed(n, folder)))
        wall, used = found[-1][1:]
        print(f"{n:11,} {wall:8.2f}s {used:9.2f}s {1e9 * used / n:8.0f}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GiB")
    record("growth_memory", peak, rows=rows)
    most = [(np.log(n), np.log(used)) for n, _, used in found if n >= SLICE_ROWS]
    if len(most) > 1:
        slope = float(np.polyfit(*zip(*most, strict=True), 1)[0])
        print(f"slope of log processor seconds against log rows {slope:.3f} (1 is linear)")
        record("growth_slope", slope, rows=rows)
    return found


def _streamed(rows: int, folder: Path) -> tuple[float, float]:
    """Go through so many rows, a slice of at most `SLICE_ROWS` at a time."""
    wall = used = 0.0
    for number, first in enumerate(range(0, rows, SLICE_ROWS)):
        source = folder / "bars.parquet"
        size = min(SLICE_ROWS, rows - first)
        bars(1, size, number, minutes=True).write_parquet(source, compression="uncompressed")
        start, before = time.perf_counter(), time.process_time()
        frame = alpha158.compute(pl.read_parquet(source), TEN)
        frame.write_parquet(folder / f"{number}.parquet", compression="lz4")
        wall += time.perf_counter() - start
        used += time.process_time() - before
    return wall, used


def plotted(found: list[tuple[int, float, float]], path: Path) -> None:
    """Seconds against rows, both by powers of ten, beside a straight line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows, wall, used = (np.array(column) for column in zip(*found, strict=True))
    figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
    axes.loglog(rows, wall, "o-", label="by the clock")
    axes.loglog(rows, used, "s-", label="of the processor")
    axes.loglog(rows, used[-1] * rows / rows[-1], "k:", label="proportional to rows")
    axes.set(xlabel="one-minute bars", ylabel="seconds", title="Ten expressions, file to file")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def by_symbols() -> None:
    """A million rows as few and as many symbols."""
    print("\n1,000,000 rows as   symbols     wall  processor  ns/row of it")
    for symbols in (1, 10, 100, 1_000, 10_000):
        given = bars(symbols, 1_000_000)
        wall, used = best_of(3, lambda given=given: alpha158.compute(given, TEN))  # type: ignore[misc]
        print(f"{symbols:28,} {wall:7.2f}s {used:9.2f}s {1e3 * used:8.0f}")


def bandwidth(n_symbols: int, n_sessions: int = 3_500) -> None:
    """Kernels against a copy."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(2, n_symbols, n_sessions))
    starts = np.arange(n_symbols + 1, dtype=np.int64) * n_sessions

    def copy() -> None:
        out = np.empty_like(x)

        def task(first: int, last: int) -> None:
            out[first:last] = x[first:last]

        in_tasks(starts, task)

    kernels: dict[str, tuple[Callable[[Options], object], float]] = {
        "mean": (lambda o: rolling.mean(x, WINDOW, o), 1.0),
        "std": (lambda o: rolling.std(x, WINDOW, o), 1.0),
        "covariance": (lambda o: rolling.covariance(x, y, WINDOW, o), 1.5),
        "correlation": (lambda o: rolling.correlation(x, y, WINDOW, o), 1.5),
        "maximum": (lambda o: rolling.maximum(x, WINDOW, o), 1.0),
        "argmin": (lambda o: rolling.argmin(x, WINDOW, o), 1.0),
        "rank": (lambda o: rolling.rank(x, WINDOW, o), 1.0),
        "quantile": (lambda o: rolling.quantile(x, WINDOW, 0.8, o), 1.0),
    }
    options = Options()
    for kernel, _ in kernels.values():
        kernel(options)
    # In turn, and each against the shortest copy of all: beside other work one copy may take twice
    # as long as another.
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in kernels}
    copies_spent = []
    for _ in range(ROUNDS):
        for name, (kernel, _) in kernels.items():
            spent[name].append(best_of(1, lambda k=kernel: k(options)))  # type: ignore[misc]
            copies_spent.append(best_of(1, copy))
    copied = min(used for _, used in copies_spent)
    print(
        f"\nwindow {WINDOW}, {n_symbols} x {n_sessions} values; nanoseconds a value, of the "
        f"processor\nkernel       wall  processor  copies  target {TARGET:.0f}"
    )
    for name, (_, copies) in kernels.items():
        wall, used = (min(run[k] for run in spent[name]) for k in (0, 1))
        ratio = used / copied / copies
        print(
            f"{name:12} {1e9 * wall / x.size:4.1f} {1e9 * used / x.size:10.1f} {ratio:7.1f}"
            f"  {'met' if ratio <= TARGET else 'not met'}"
        )
        if name in PROMISED:
            record(f"rolling_{name}", ratio, symbols=n_symbols)
    print(f"copy              {1e9 * copied / x.size:5.1f}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--rows", type=float, default=size(10**8, 10**6), help="one-minute bars, 0 for none"
    )
    parser.add_argument("--symbols", type=int, default=2_000, help="of 3,500 values, for kernels")
    parser.add_argument("--folder", type=Path, help="where bars and results are, for a while")
    parser.add_argument("--plot", type=Path, help="file for a plot of the growth")
    given = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    if given.rows:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            found = growth(int(given.rows), Path(name))
        if given.plot:
            plotted(found, given.plot)
        by_symbols()
    if given.symbols:
        bandwidth(given.symbols)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
