"""One new session against the full computation of every family of daily bars, in one run.

    python tests/performance/bench_incremental.py [--symbols 500] [--sessions 2520] [--others 200]

Generated bars. For each family: the full computation of ten years, and the rows of one new session
(`fresh_rows`), whose values are compared with the full ones first. The daily set (technical,
volatility, microstructure) has `--symbols`, other families `--others`: eigenvectors of a universe
grow with its cube. Seconds of the processor, all threads together, the best of some runs; by the
clock in brackets. What a step spends beside, whatever the number of new rows, is measured by
itself: finding out what is new, reading, putting new rows behind the stored ones, the contract, and
the commit. Prints ratios, asserts equal values.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from record import record

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts.base import cast_to_contract
from btq_assets.features.families import FAMILIES, FAMILY, Family
from btq_assets.features.incremental import fresh_rows, full_because, updated
from btq_assets.warehouse import Warehouse
from btq_assets.warehouse.additions import first_addition
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.quarantine import split_violations
from btq_assets.warehouse.versions import frame_version
from btq_assets.warehouse.writing import commit_frames

DAILY = ("technical", "volatility", "microstructure")
#: Families whose other tables may be empty, or are made of the bars.
_ALONE = {"bars", "bars_1w", "bars_1m", "bars_5m", "bars_15m", "bars_1h", "trade_bars"}
Seconds = tuple[float, float]


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
    frame = frame.select(pl.col(n).cast(dtype) for n, dtype in core.BARS_1D.schema.items())
    return frame.rechunk()


def weekly_bars(bars: pl.DataFrame) -> pl.DataFrame:
    """The last bar of each week, in the shape of `core.bars_1w`."""
    week = pl.col("session").dt.truncate("1w")
    last = bars.group_by("universe", "symbol", week, maintain_order=True).last()
    last = last.with_columns(session=pl.col("ts").dt.date())
    absent = [n for n in core.BARS_1W.schema if n not in last.columns]
    last = last.with_columns(pl.lit(None).alias(name) for name in absent)
    return last.select(pl.col(n).cast(dtype) for n, dtype in core.BARS_1W.schema.items())


def best_of(runs: int, work: Callable[[], object]) -> Seconds:
    """Shortest times of the processor and by the clock, seconds; fewer runs of what takes long."""
    taken: list[Seconds] = []
    while len(taken) < runs and sum(wall for _, wall in taken) < 2.0:
        starts = time.process_time(), time.perf_counter()
        work()
        taken.append((time.process_time() - starts[0], time.perf_counter() - starts[1]))
    return min(cpu for cpu, _ in taken), min(wall for _, wall in taken)


def inputs_of(family: Family, bars: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Bars, their weeks, and empty tables for the rest."""
    made = {"bars": bars, "bars_1w": weekly_bars(bars)}
    return {
        name: made[name] if name in made else pl.DataFrame(schema=contract.schema)
        for name, contract in family.inputs.items()
    }


def largest_gap(found: pl.DataFrame, full: pl.DataFrame, name: str) -> float:
    """Largest gap of all values, of the larger of a value and its column's mean size."""
    if found.height != full.height:
        raise SystemExit(f"{name}: {found.height} rows for {full.height}")
    worst = 0.0
    for column in full.columns:
        left, right = found[column], full[column]
        if left.equals(right):
            continue
        if not right.dtype.is_float() or not left.is_null().equals(right.is_null()):
            raise SystemExit(f"{name}.{column} differs; nothing was timed")
        size = right.abs().clip(lower_bound=right.abs().mean())
        gap = float(((left - right).abs() / size).max() or 0.0)  # type: ignore[arg-type]
        worst = max(worst, gap)
    if worst > 1e-9:
        raise SystemExit(f"{name} differs by {worst:.1e}; nothing was timed")
    return worst


def measured(
    family: Family, bars: pl.DataFrame, config: TradingConfig, runs: int
) -> tuple[Seconds, Seconds, float]:
    """Times of the full computation and of one new session, and how far apart their values are."""
    since = bars["ts"].max()
    assert isinstance(since, dt.datetime)
    inputs = inputs_of(family, bars)
    warm = bars["ts"].unique().sort()[-700]
    family.compute(inputs_of(family, bars.filter(pl.col("ts") >= warm)), config)  # compiles
    results: list[pl.DataFrame] = []
    full = best_of(1, lambda: results.append(family.compute(inputs, config)))
    wanted = cast_to_contract(results.pop().filter(pl.col("ts") >= since), family.contract)
    found = cast_to_contract(fresh_rows(inputs, family, config, since), family.contract)
    key = family.contract.key
    gap = largest_gap(found.sort(key), wanted.sort(key), family.name)
    return full, best_of(runs, lambda: fresh_rows(inputs, family, config, since)), gap


def shown(name: str, full: Seconds, new: Seconds, more: str = "") -> None:
    """One line of the report."""
    print(
        f"{name:22} full {full[0]:8.2f} s ({full[1]:7.2f})   one session {1e3 * new[0]:8.1f} ms "
        f"({1e3 * new[1]:8.1f})   {new[0] / full[0]:7.2%} ({new[1] / full[1]:7.2%})   {more}",
        flush=True,
    )


def fixed_costs(bars: pl.DataFrame, config: TradingConfig, runs: int) -> None:
    """What a step of the technical family spends beside computing."""
    family, since = FAMILY["technical"], bars["ts"].max()
    assert isinstance(since, dt.datetime)
    contract = family.contract
    older = bars.filter(pl.col("ts") < since)
    versions = frame_version(older, core.BARS_1D), frame_version(bars, core.BARS_1D)
    assert first_addition(bars, core.BARS_1D, *versions) == since
    stored = cast_to_contract(family.compute({"bars": older}, config), contract)
    frame = updated(stored, {"bars": bars}, family, config, since)
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(DataPaths(Path(folder)), 5)

        def commit(frames: Mapping) -> None:
            with warehouse.transaction() as connection:
                commit_frames(connection, frames, distinct=True)

        commit({core.BARS_1D: bars, contract: stored})
        parts: dict[str, Callable[[], object]] = {
            "finding what is new": lambda: first_addition(bars, core.BARS_1D, *versions),
            "reading the bars": lambda: warehouse.read(core.BARS_1D),
            "reading the stored rows": lambda: warehouse.read(contract),
            "new rows, and putting them behind": lambda: updated(
                stored, {"bars": bars}, family, config, since
            ),
            "contract": lambda: split_violations(cast_to_contract(frame, contract), contract),
            "version of the table": lambda: frame_version(frame, contract),
            "commit": lambda: commit({contract: frame}),
        }
        for name, work in parts.items():
            cpu, wall = best_of(runs, work)
            print(f"  {name:36} {cpu:6.3f} s ({wall:6.3f})", flush=True)


def main() -> None:
    """Compare values, then times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=2_520)
    parser.add_argument("--others", type=int, default=200, help="symbols of other families")
    parser.add_argument("--families", default="", help="names, comma separated; default: all")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    named = ["alpha101", "alpha158", "alpha360", "talib"]
    config = TradingConfig(features={"named_sets": named})
    wanted = set(given.families.split(",")) - {""}
    families = [
        f
        for f in FAMILIES
        if set(f.inputs) <= _ALONE and not full_because(f) and (not wanted or f.name in wanted)
    ]
    for label, n_symbols, chosen in (
        ("daily set", given.symbols, [f for f in families if f.name in DAILY]),
        ("others", given.others, [f for f in families if f.name not in DAILY]),
    ):
        if not chosen:
            continue
        bars = generated_bars(n_symbols, given.sessions)
        print(f"{label}: {n_symbols} symbols x {given.sessions} sessions, {bars.height:,} bars")
        totals = np.zeros((2, 2))
        for family in chosen:
            full, new, gap = measured(family, bars, config, given.runs)
            totals += (full, new)
            shown(family.name, full, new, f"values apart by {gap:.0e}")
        shown("together", tuple(totals[0]), tuple(totals[1]))
        if {family.name for family in chosen} == set(DAILY):
            share = float(totals[1][0] / totals[0][0])
            record("new_session_share", share, symbols=n_symbols, sessions=given.sessions)
    bars = generated_bars(given.symbols, given.sessions)
    print(f"beside, for one session of technical, {given.symbols} symbols:")
    fixed_costs(bars, config, min(given.runs, 3))


if __name__ == "__main__":
    main()
