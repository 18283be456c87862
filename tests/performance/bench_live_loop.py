"""Milliseconds from bars of all symbols to orders handed to the broker, journal on disk first.

    python tests/performance/bench_live_loop.py [--symbols 50] [--bars 250] [--models ridge lightgbm]

Generated bars, a decision on every bar; ridge, LightGBM and a small Transformer-GNN on the technical,
volatility and microstructure families. Wall clock and processor time: on a machine busy with other
work they differ. The time ends when the broker is called; it includes trading the orders of the bar
before, features, forecast, weights, sizing, limits, and waiting for both journals to be on the disk.
A third run says what each stage takes; its own clocks slow it a little. Asserts nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import live_cases as cases
from bench_incremental import generated_bars
from record import record

from btq_assets.execution.live import (
    BarBatch,
    LiveSettings,
    LiveTradingEngine,
    ReplayFeed,
    loop,
)
from btq_assets.execution.live.journal import Journal
from btq_assets.execution.live.targets import ModelTargets
from btq_assets.features.live import LivePanel


class RestingFeed(ReplayFeed):
    """Bars do not come one on the heels of the other."""

    def batches(self, after: datetime | None) -> Iterator[BarBatch | None]:
        """Batches, a rest before each."""
        for batch in super().batches(after):
            time.sleep(0.02)
            yield batch


#: Stages up to the call of the broker, by what does them.
STAGES = {
    "bars as the fill model reads them": (loop.BarMaker, "bars"),
    "trading of the bar before": (loop.PaperBroker, "trade"),
    "features": (LivePanel, "values"),
    "features and prices": (ModelTargets, "observe"),
    "forecast": (ModelTargets, "scores"),
    "forecast and weights": (ModelTargets, "weights"),
    "weights to orders within limits": (loop.Decisions, "record"),
    "journal records": (Journal, "append"),
}


@contextmanager
def stages(taken: dict[str, list[tuple[float, float]]]) -> Iterator[None]:
    """Milliseconds of each stage by wall clock and by processor, a pair per call, into `taken`."""

    def timed(function: Callable[..., Any], into: list[tuple[float, float]]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            begun = time.perf_counter(), time.thread_time()
            try:
                return function(*args, **more)
            finally:
                now = time.perf_counter(), time.thread_time()
                into.append((1e3 * (now[0] - begun[0]), 1e3 * (now[1] - begun[1])))

        return call

    kept = {name: getattr(*place) for name, place in STAGES.items()}
    for name, (owner, method) in STAGES.items():
        setattr(owner, method, timed(kept[name], taken.setdefault(name, [])))
    try:
        yield
    finally:
        for name, (owner, method) in STAGES.items():
            setattr(owner, method, kept[name])


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
    parser.add_argument("--models", nargs="+", default=["ridge", "lightgbm", "transformer_gnn"])
    given = parser.parse_args()
    cases.FAMILIES = ("technical", "volatility", "microstructure")
    bars = generated_bars(given.symbols, 900 + given.bars, universe=cases.UNIVERSE)
    print(f"{given.symbols} symbols, {given.bars} bars, a decision on each")
    for family in given.models:
        for name, timer in (("wall clock", time.perf_counter), ("processor", time.thread_time)):
            taken = measured(bars, family, given.bars, timer)
            p50, p99 = np.percentile(taken, [50, 99])
            print(
                f"{family:9} {name:11} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  max {taken.max():6.2f} ms"
            )
            if name == "wall clock":
                record(
                    f"live_loop_{family}_p99", float(p99), symbols=given.symbols, bars=given.bars
                )
        parts: dict[str, list[tuple[float, float]]] = {}
        with stages(parts):
            measured(bars, family, given.bars, time.perf_counter)
        for name, pairs in parts.items():
            if not pairs:
                continue
            wall, processor = np.percentile(pairs[10:], [50, 99], axis=0).T
            print(
                f"    {name:34} wall {wall[0]:6.2f} / {wall[1]:6.2f}   "
                f"processor {processor[0]:6.2f} / {processor[1]:6.2f}   (50 % / 99 % of calls)"
            )


if __name__ == "__main__":
    main()
