"""Milliseconds from bars of all symbols to orders handed to the broker, journal on disk first.

    python tests/performance/bench_live_loop.py [--symbols 50] [--bars 250]

Generated bars, a decision on every bar, ridge and LightGBM on the technical, volatility and
microstructure families. Wall clock and processor time: on a machine busy with other work they
differ. The time ends when the broker is called; it includes trading the orders of the bar before,
features, forecast, weights, sizing and one forced write to the disk. Asserts nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import live_cases as cases
from bench_incremental import generated_bars
from record import record

from btq_assets.execution.live import BarBatch, LiveSettings, LiveTradingEngine, ReplayFeed


class RestingFeed(ReplayFeed):
    """Bars do not come one on the heels of the other."""

    def batches(self, after: datetime | None) -> Iterator[BarBatch | None]:
        """Batches, a rest before each."""
        for batch in super().batches(after):
            time.sleep(0.02)
            yield batch


def measured(bars: pl.DataFrame, family: str, n_live: int, timer) -> np.ndarray:
    """Milliseconds of each decision but the first ten, which compile and fill caches."""
    ts = bars["ts"].unique().sort()
    with tempfile.TemporaryDirectory() as folder:
        model = cases.fit_model(bars, Path(folder) / "model", family)
        engine = LiveTradingEngine(
            cases.live_config(max_drawdown_threshold=0.9),
            True,
            model,
            feed=RestingFeed(bars, ts[-n_live]),
            folder=Path(folder) / "paper",
            settings=LiveSettings(decide="bar", daily_loss=None),
            timer=timer,
        )
        summary = engine.start()
    return 1e3 * np.array(summary.latencies_s[10:])


def main() -> None:
    """Time both models by both clocks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--bars", type=int, default=250)
    given = parser.parse_args()
    cases.FAMILIES = ("technical", "volatility", "microstructure")
    bars = generated_bars(given.symbols, 900 + given.bars, universe=cases.UNIVERSE)
    print(f"{given.symbols} symbols, {given.bars} bars, a decision on each")
    for family in ("ridge", "lightgbm"):
        for name, timer in (("wall clock", time.perf_counter), ("processor", time.thread_time)):
            taken = measured(bars, family, given.bars, timer)
            p50, p99 = np.percentile(taken, [50, 99])
            print(
                f"{family:9} {name:11} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  max {taken.max():6.2f} ms"
            )
            if given.symbols == 50 and name == "wall clock":
                record(f"live_loop_{family}_p99", float(p99))


if __name__ == "__main__":
    main()
