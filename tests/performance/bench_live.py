"""Milliseconds from one new bar per symbol to its features, in one run.

    python tests/performance/bench_live.py [--symbols 500] [--bars 300]

Generated bars. The daily set (technical, volatility, microstructure), then each other family of bars
alone. Values of the daily set are compared with the batch first. Wall clock and processor time of
the calling thread: on a machine that is busy with other work they differ. Asserts nothing.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import polars as pl
from bench_incremental import generated_bars
from record import record

from btq_assets.config import TradingConfig
from btq_assets.features.families import FAMILIES, FAMILY
from btq_assets.features.incremental import full_because
from btq_assets.features.live import LivePanel

DAILY = ("technical", "volatility", "microstructure")


def timed(
    panel: LivePanel, bars: list[pl.DataFrame], rest_s: float = 0.0
) -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
    """Wall-clock and processor milliseconds of each update, and all features."""
    wall, processor, found = [], [], []
    for rows in bars:
        # Bars do not come one on the heels of the other.
        time.sleep(rest_s)
        starts = time.perf_counter(), time.thread_time()
        found.append(panel.update(rows))
        wall.append(time.perf_counter() - starts[0])
        processor.append(time.thread_time() - starts[1])
    return 1e3 * np.array(wall), 1e3 * np.array(processor), pl.concat(found)


def largest_gap(found: pl.DataFrame, bars: pl.DataFrame) -> float:
    """Largest gap to the batch, relative to value and mean size of the column."""
    worst = 0.0
    for name in DAILY:
        batch = found.select("universe", "symbol", "ts").join(
            FAMILY[name].compute({"bars": bars}, TradingConfig()),
            on=["universe", "symbol", "ts"],
            how="left",
            maintain_order="left",
        )
        for feature in FAMILY[name].features(TradingConfig()):
            left, right = (f[feature.name].to_numpy() for f in (found, batch))
            if not np.array_equal(np.isnan(left), np.isnan(right)):
                raise SystemExit(f"{feature.name}: values in different places; nothing was timed")
            size = np.maximum(np.abs(right), np.nanmean(np.abs(right)))
            worst = max(worst, float(np.nanmax(np.abs(left - right) / size)))
    return worst


def main() -> None:
    """Compare values, then times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--bars", type=int, default=300)
    parser.add_argument("--slow", action="store_true", help="the families that take long, too")
    parser.add_argument("--rest-ms", type=float, default=30.0, help="between two bars")
    given = parser.parse_args()
    bars = generated_bars(given.symbols, 900 + given.bars)
    sessions = bars["ts"].unique().sort()
    history = bars.filter(pl.col("ts") < sessions[-given.bars])
    new = bars.filter(pl.col("ts") >= sessions[-given.bars]).partition_by("ts", maintain_order=True)
    panel = LivePanel(history, DAILY)
    wall, processor, found = timed(panel, new, given.rest_ms / 1e3)
    print(
        f"{given.symbols} symbols, {given.bars} bars, {len(found.columns) - 3} features, {panel.paths}"
    )
    print(f"values agree with the batch to {largest_gap(found, bars):.1e} of value or column size")
    for label, taken in (("wall clock", wall), ("processor", processor)):
        p50, p99 = np.percentile(taken, [50, 99])
        print(f"{label:12} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   max {taken.max():7.1f} ms")
    if given.symbols == 500:
        record("live_update_p99", float(np.percentile(wall, 99)))
    if not given.slow:
        return
    for family in FAMILIES:
        if family.name in DAILY or set(family.inputs) != {"bars"} or full_because(family):
            continue
        panel = LivePanel(history, (family.name,))
        wall, _, _ = timed(panel, new[:3])
        print(f"{family.name:20} {wall.mean():9.0f} ms   {panel.paths[family.name]}")


if __name__ == "__main__":
    main()
