"""One new session against the full computation of the bar-only families, in one run.

    python tests/performance/bench_incremental.py [--symbols 500] [--sessions 2520]

Generated bars. For each family: the full computation, and the update by its tail (`updated`: what a
step computes when one session was added), whose values are compared first. Beside it, what a step
spends on finding out that nothing else changed. Prints ratios, asserts none.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Callable

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts.base import cast_to_contract
from btq_assets.features.families import FAMILIES
from btq_assets.features.incremental import full_because, updated
from btq_assets.warehouse.additions import first_addition
from btq_assets.warehouse.versions import frame_version


def generated_bars(n_symbols: int, n_sessions: int, universe: str = "bench") -> pl.DataFrame:
    """Seeded random walks with ranges and volume, in the shape of `core.bars_1d`."""
    random = np.random.default_rng(0)
    start = dt.datetime(2014, 1, 2, 21, tzinfo=dt.UTC)
    stamps = pl.datetime_range(
        start, start + dt.timedelta(days=n_sessions - 1), "1d", time_unit="us", eager=True
    )
    shape = (n_symbols, n_sessions)
    close = 50 * np.exp(np.cumsum(random.normal(3e-4, 0.015, shape), axis=1))
    open_ = close * np.exp(random.normal(0, 0.004, shape))
    spread = np.abs(random.normal(0, 0.005, (2, *shape)))
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) * np.exp(spread[0]),
        "low": np.minimum(open_, close) * np.exp(-spread[1]),
        "close": close,
    }
    names = [f"S{n:03d}" for n in range(n_symbols)]
    frame = pl.DataFrame(
        {
            "universe": pl.repeat(universe, n_symbols * n_sessions, eager=True),
            "symbol": pl.Series(names).repeat_by(n_sessions).explode(),
            "ts": pl.concat([stamps] * n_symbols),
            **{name: values.ravel() for name, values in columns.items()},
            **{f"adj_{name}": values.ravel() for name, values in columns.items()},
            "volume": np.round(np.exp(random.normal(13, 0.4, shape))).ravel(),
        }
    ).with_columns(session=pl.col("ts").dt.date(), known_at=pl.col("ts"), revised_at=None)
    return frame.select(pl.col(name).cast(dtype) for name, dtype in core.BARS_1D.schema.items())


def best_of(runs: int, work: Callable[[], object]) -> float:
    """Shortest wall-clock time, seconds."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    """Compare values, then times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=2_520)
    parser.add_argument("--families", default="", help="names, comma separated; default: all")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    config = TradingConfig()
    bars = generated_bars(given.symbols, given.sessions)
    since = bars["ts"].max()
    assert isinstance(since, dt.datetime)
    older = bars.filter(pl.col("ts") < since)
    wanted = set(given.families.split(",")) - {""}
    print(f"{given.symbols} symbols x {given.sessions} sessions, {bars.height:,} bars")
    totals = [0.0, 0.0]
    for family in FAMILIES:
        reads_bars_alone = set(family.inputs) == {"bars"}
        if (
            not reads_bars_alone
            or not family.enabled(config)
            or (wanted and family.name not in wanted)
        ):
            continue
        if full_because(family):
            print(f"{family.name:16} not updated: {full_because(family)}")
            continue
        contract = family.contract
        start = time.perf_counter()
        full = family.compute({"bars": bars}, config)
        seconds = time.perf_counter() - start
        stored = cast_to_contract(full, contract).filter(pl.col("ts") < since)
        found = updated(stored, {"bars": bars}, family, config, since)
        assert_frame_equal(
            found,
            cast_to_contract(full, contract).sort(contract.key),
            rel_tol=1e-9,
            abs_tol=1e-12,
        )
        taken = best_of(
            given.runs,
            lambda family=family, stored=stored: updated(
                stored, {"bars": bars}, family, config, since
            ),
        )
        totals = [totals[0] + seconds, totals[1] + taken]
        print(
            f"{family.name:16} full {seconds:8.2f} s   tail {taken:7.3f} s   {taken / seconds:7.2%}"
        )
    print(
        f"{'together':16} full {totals[0]:8.2f} s   tail {totals[1]:7.3f} s   {totals[1] / totals[0]:7.2%}"
    )
    versions = frame_version(older, core.BARS_1D), frame_version(bars, core.BARS_1D)
    found_at = first_addition(bars, core.BARS_1D, *versions)
    assert found_at == since
    checked = best_of(given.runs, lambda: first_addition(bars, core.BARS_1D, *versions))
    print(f"finding what is new (once per family): {checked:.3f} s")


if __name__ == "__main__":
    main()
