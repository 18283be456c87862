"""What it costs to store bars: against a bare insert, for one session more, and in memory.

    python tests/performance/bench_ingest.py [--symbols 250] [--sessions 4514] [--mebibytes 100]

Seconds are those of the clock and those of the processor: the latter say more where others work
beside. "The full ingest" is one materialization of the folder source in an empty warehouse: parsing,
contract, checks, commit. "One session more" is one materialization after a file with one session of
every symbol was put beside. Both run in one process that has imported everything; what Dagster
itself costs is measured in the same process with an asset that does nothing but report as many
checks.

Bars are generated, seeded. With ``BTQ_BENCH_DATA`` naming a folder, every price file in it goes
through the folder source as well: those with ``_1m_`` in their name as bars of a minute of a market
that never closes, the others as daily bars of New York. Prints ratios beside their targets, asserts
none.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import io
import json
import logging
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from record import record

NOW = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


@dataclasses.dataclass(frozen=True, order=True)
class Spent:
    """Seconds of the processor, and of the clock."""

    cpu: float
    wall: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s ({self.cpu:.2f} s of processor)"


def spent(compute: Callable[[], Any], repeats: int = 1) -> Spent:
    """Best of some runs, each kind of seconds for itself."""
    runs = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        compute()
        runs.append((time.process_time() - cpu, time.perf_counter() - wall))
    return Spent(min(cpu for cpu, _ in runs), min(wall for _, wall in runs))


def clock(compute: Callable[[], Any], repeats: int = 3) -> float:
    """Best of some runs, seconds."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        compute()
        best = min(best, time.perf_counter() - started)
    return best


def daily_file(folder: Path, n_symbols: int, n_sessions: int) -> Path:
    """Seeded random walks on the sessions of New York, as a data vendor would deliver them."""
    from btq_assets.timeline import session_closes

    random = np.random.default_rng(0)
    days = session_closes("XNYS", dt.date(1995, 1, 2), dt.date(2020, 1, 1))["session"]
    days = days.head(n_sessions)
    close = 50 * np.exp(np.cumsum(random.normal(3e-4, 0.015, (n_symbols, len(days))), axis=1))
    opened = close * np.exp(random.normal(0, 0.004, close.shape))
    frame = pl.DataFrame(
        {
            "date": np.tile(days.to_numpy(), n_symbols),
            "ticker": np.repeat([f"S{n:03d}" for n in range(n_symbols)], len(days)),
            "open": opened.ravel(),
            "high": (np.maximum(opened, close) * 1.004).ravel(),
            "low": (np.minimum(opened, close) * 0.996).ravel(),
            "close": close.ravel(),
            "volume": random.integers(1_000, 10_000_000, close.size),
        }
    )
    file = folder / "daily.parquet"
    frame.write_parquet(file)
    return file


def bare_insert(file: Path, folder: Path) -> Spent:
    """What it costs to read the file with polars and insert it into a new DuckDB file."""
    import duckdb

    def insert() -> None:
        target = folder / "bare.duckdb"
        target.unlink(missing_ok=True)
        with duckdb.connect(str(target)) as connection:
            connection.register("rows", pl.read_parquet(file).to_arrow())
            connection.execute("CREATE TABLE bars AS SELECT * FROM rows")

    return spent(insert, 3)


def contract_rows(file: Path) -> pl.DataFrame:
    """The file read and put into the columns of the contract, by one who knows what is in it."""
    from btq_assets.contracts import raw

    frame = pl.read_parquet(file).rename({"ticker": "symbol"})
    ends = pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(
        hours=21
    )
    return frame.select(
        dataset=pl.lit("bench"),
        symbol="symbol",
        freq=pl.lit("1d"),
        ts=ends,
        known_at=ends,
        known_at_basis=pl.lit("assumed_lag"),
        open="open",
        high="high",
        low="low",
        close="close",
        adj_close="close",
        volume="volume",
        currency=pl.lit("USD"),
    ).select(raw.BARS_FOLDER.column_names)


def store(rows: pl.DataFrame, folder: Path) -> None:
    """Cast, judge by the contract, commit and hash, as every asset does."""
    from btq_assets.contracts import raw
    from btq_assets.contracts.base import cast_to_contract
    from btq_assets.warehouse.database import Warehouse
    from btq_assets.warehouse.paths import DataPaths
    from btq_assets.warehouse.quarantine import split_violations
    from btq_assets.warehouse.versions import frame_version
    from btq_assets.warehouse.writing import commit_frames

    kept, _ = split_violations(cast_to_contract(rows, raw.BARS_FOLDER), raw.BARS_FOLDER)
    with Warehouse(DataPaths(folder)).transaction() as connection:
        commit_frames(connection, {raw.BARS_FOLDER: kept}, distinct=True)
    frame_version(kept, raw.BARS_FOLDER)


def suite_seconds(rows: pl.DataFrame) -> float:
    """Seconds the suite of raw bars takes, without the import of its library."""
    from btq_assets.config import TradingConfig
    from btq_assets.contracts import raw
    from btq_assets.contracts.base import cast_to_contract
    from btq_assets.contracts.checks import CheckContext
    from data_quality import raw_bars_suite

    suite = raw_bars_suite(raw.BARS_FOLDER)
    rows = cast_to_contract(rows, raw.BARS_FOLDER)
    context = CheckContext({raw.BARS_FOLDER.table: rows}, {}, TradingConfig())
    small = CheckContext({raw.BARS_FOLDER.table: rows.head(1_000)}, {}, TradingConfig())
    suite.answer(small)
    return clock(lambda: suite.answer(context), 1)


def ingest(inbox: Path, data: Path, *, suite: bool = True, **folder: object) -> tuple[Spent, int]:
    """What one materialization of the inbox costs, and rows stored."""
    import dagster as dg

    from btq_assets.config import TradingConfig
    from btq_assets.contracts import raw
    from btq_assets.sources.market.assets import bars_folder
    from btq_assets.warehouse.database import Warehouse
    from btq_assets.warehouse.paths import DataPaths
    from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

    config = TradingConfig(sources={"folder": {"enabled": True, "path": str(inbox), **folder}})
    checks = bars_folder.checks if suite else ()
    definition = dataclasses.replace(bars_folder, checks=checks).definition(config)
    resources = {
        "trading": ConfigResource.of(config),
        "warehouse": WarehouseResource(path=str(data), lock_timeout_s=60),
        "device": DeviceResource(device="cpu"),
    }
    done: list[Any] = []
    with quiet():
        seconds = spent(
            lambda: done.append(
                dg.materialize([definition], resources=resources, raise_on_error=False)
            )
        )
    if not done[0].success:
        raise RuntimeError(f"the ingest of {inbox} failed")
    with Warehouse(DataPaths(data)).reader() as connection:
        found = connection.execute(f"SELECT count(*) FROM {raw.BARS_FOLDER.table}").fetchone()
    return seconds, int(found[0]) if found else 0


def dagster_alone(n_checks: int) -> Spent:
    """What Dagster costs to materialize an asset that does nothing but answer its checks."""
    import dagster as dg

    names = [f"check_{number}" for number in range(n_checks)]

    @dg.multi_asset(
        specs=[dg.AssetSpec("nothing")],
        check_specs=[dg.AssetCheckSpec(name, asset="nothing") for name in names],
    )
    def nothing():
        for name in names:
            yield dg.AssetCheckResult(asset_key="nothing", check_name=name, passed=True)
        yield dg.MaterializeResult(asset_key="nothing")

    with quiet():
        return spent(lambda: dg.materialize([nothing]), 3)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither Dagster's events nor the lines of progress."""
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def minute_bars(n_bars: int, n_symbols: int = 4) -> pl.DataFrame:
    """Seeded bars of a minute in which one minute in eight has no trade."""
    random = np.random.default_rng(1)
    per_symbol = n_bars // n_symbols
    parts = []
    for number in range(n_symbols):
        minutes = np.flatnonzero(random.random(per_symbol * 8 // 7 + 100) < 7 / 8)[:per_symbol]
        price = 100 * np.exp(np.cumsum(random.normal(0, 1e-4, minutes.size)))
        parts.append(
            pl.DataFrame(
                {
                    "universe": "u",
                    "symbol": f"S{number}",
                    "ts": (np.datetime64("2016-01-01T00:01") + minutes).astype("datetime64[us]"),
                    "open": price,
                    "high": price * 1.001,
                    "low": price * 0.999,
                    "close": price * 1.0002,
                    "volume": random.random(minutes.size),
                }
            )
        )
    return (
        pl.concat(parts)
        .with_columns(
            pl.col("ts").dt.replace_time_zone("UTC"),
            revised_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
            n_bars=pl.lit(1, dtype=pl.Int64),
        )
        .with_columns(known_at=pl.col("ts"))
    )


def big_csv(file: Path, mebibytes: int) -> int:
    """A CSV of minutes of about that size; returns its rows."""
    random = np.random.default_rng(2)
    price = 100 + np.cumsum(random.normal(0, 0.01, 100_000))
    tails = [
        f"Z,X,{p:.4f},{p + 0.05:.4f},{p - 0.05:.4f},{p + 0.01:.4f},{abs(p):.2f}\n" for p in price
    ]
    start, n = np.datetime64("1990-01-01T00:00"), 0
    with file.open("w") as out:
        out.write("ts,symbol,open,high,low,close,volume\n")
        while out.tell() < mebibytes * 2**20:
            stamps = start + np.arange(n, n + len(tails)).astype("timedelta64[m]")
            texts = np.datetime_as_string(stamps, unit="m")
            out.write("".join(a + b for a, b in zip(texts, tails, strict=True)))
            n += len(tails)
    return n


def in_child(task: str, **arguments: object) -> str:
    """What a task of `TASKS` says in a process of its own, with that process's peak of memory."""
    done = subprocess.run(
        [sys.executable, __file__, "--task", task, "--arguments", json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        said = done.stderr.strip().splitlines() or ["nothing was said"]
        raise SystemExit(f"{task} in a process of its own failed: {said[-1]}")
    return done.stdout.strip("\n")


def peak_mebibytes() -> float:
    """Most memory this process has held; what its parent held before the fork left out."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def ingest_line(inbox: str, data: str, **settings: object) -> str:
    """One materialization of an inbox."""
    seconds, n_rows = ingest(Path(inbox), Path(data), **settings)
    return f"  {n_rows:,} rows stored in {seconds}"


def session_line(folder: str, file: str) -> str:
    """Ten years through the folder source, then the same with one session more."""
    return _session_line(Path(folder), Path(file))


def _session_line(folder: Path, file: Path) -> str:
    from btq_assets.sources.market.assets import bars_folder

    frame = pl.read_parquet(file)
    days = frame["date"].unique().sort().tail(2_523).to_list()
    *_, before, second, third = days
    (folder / "nothing").mkdir()
    lines = []
    for suite in (False, True):
        inbox, data = folder / f"years_{suite}", folder / f"years_data_{suite}"
        inbox.mkdir()
        frame.filter(pl.col("date").is_between(days[0], before, closed="left")).write_parquet(
            inbox / "a.parquet"
        )
        # The first materialization of a process pays for its imports; one of nothing pays them here.
        for _ in range(2):
            ingest(folder / "nothing", folder / f"nothing_{suite}", suite=suite)
        floor = dagster_alone(1 + suite * sum(len(group.specs) for group in bars_folder.checks))
        whole, n_rows = ingest(inbox, data, suite=suite)
        more = []
        for day in (before, second, third):
            frame.filter(pl.col("date") == day).write_parquet(inbox / f"{day}.parquet")
            seconds, n_more = ingest(inbox, data, suite=suite)
            more.append(seconds)
        one = Spent(min(s.cpu for s in more), min(s.wall for s in more))
        named = "session_share_with_suite" if suite else "session_share"
        record(named, (one.cpu - floor.cpu) / whole.cpu, symbols=(n_more - n_rows) // 3)
        lines.append(
            f"  {'with' if suite else 'without'} the suite: ten years, {n_rows:,} rows, {whole}; "
            f"one session more, {(n_more - n_rows) // 3} rows, {one} = {one.wall / whole.wall:.1%} "
            f"({one.cpu / whole.cpu:.1%}); Dagster alone {floor}; beyond it "
            f"{(one.wall - floor.wall) / whole.wall:.1%} "
            f"({(one.cpu - floor.cpu) / whole.cpu:.1%})   (target < 2 %)"
        )
    return "\n".join(lines)


def given_data(folder: Path) -> None:
    """Every price file of ``BTQ_BENCH_DATA`` through the folder source."""
    named = os.environ.get("BTQ_BENCH_DATA", "")
    if not named or not Path(named).is_dir():
        print("  SKIPPED: BTQ_BENCH_DATA names no folder")
        return
    from btq_assets.sources.market.providers.folder import price_files

    for number, file in enumerate(price_files(Path(named))):
        inbox = folder / f"given_{number}"
        inbox.mkdir()
        shutil.copy(file, inbox / file.name)
        minutes = "_1m_" in file.name
        settings: dict[str, object] = {"timezone": "UTC"}
        if minutes:
            settings |= {"freq": "1m", "calendar": "24/7"}

        said = in_child(
            "ingest", inbox=str(inbox), data=str(folder / f"given_data_{number}"), **settings
        )
        print(f"  {file.name}: {said.strip()}", flush=True)


#: What `in_child` can be asked to do.
TASKS: dict[str, Callable[..., str]] = {"ingest": ingest_line, "session": session_line}


def main() -> None:
    """Print one line a comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=250)
    parser.add_argument("--sessions", type=int, default=4_514)
    parser.add_argument("--minutes", type=int, default=650_000)
    parser.add_argument("--mebibytes", type=int, default=100)
    parser.add_argument("--task", choices=sorted(TASKS), help=argparse.SUPPRESS)
    parser.add_argument("--arguments", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        said = TASKS[options.task](**options.arguments)
        print(f"{said}; peak of the process {peak_mebibytes():,.0f} MiB")
        return
    folder = Path(tempfile.mkdtemp(prefix="btq_bench_"))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder)


def _run(folder: Path, options: argparse.Namespace) -> None:
    from btq_assets.sources.market.resampling import resample_all

    file = daily_file(folder, options.symbols, options.sessions)
    rows = contract_rows(file)
    print(f"storing {rows.height:,} daily rows")
    bare = bare_insert(file, folder)
    places = iter(range(100))
    ours = spent(lambda: store(contract_rows(file), folder / f"ours_{next(places)}"), 3)
    print(f"  bare polars read and DuckDB insert: {bare}")
    print(
        f"  read, contract, commit and version: {ours} = {ours.wall / bare.wall:.1f} x "
        f"({ours.cpu / bare.cpu:.1f} x)   (target <= 3 x)"
    )
    record(
        "storing_ratio",
        ours.cpu / bare.cpu,
        symbols=options.symbols,
        sessions=options.sessions,
    )
    seconds = suite_seconds(rows)
    print(f"  suite of raw bars beside it: {seconds / rows.height * 1e6:.1f} s per million rows")

    print("adding to what is stored")
    print(in_child("session", folder=str(folder), file=str(file)))

    bars = minute_bars(options.minutes)
    freqs = ("5m", "15m", "1h", "1d")
    seconds = clock(lambda: resample_all(bars, freqs), 5)
    print(
        f"resampling {bars.height:,} bars of a minute to {', '.join(freqs)}: {seconds * 1e3:.0f} ms "
        f"= {bars.height / seconds / 1e6:.1f} M bars/s   (target >= 5)"
    )
    record("resampling_rate", bars.height / seconds, minutes=options.minutes)

    inbox = folder / "big"
    inbox.mkdir()
    n_rows = big_csv(inbox / "BIG.csv", options.mebibytes)
    print(f"memory: a CSV of {options.mebibytes} MiB, {n_rows:,} bars of a minute")
    said = in_child(
        "ingest", inbox=str(inbox), data=str(folder / "big_data"), freq="1m", calendar="24/7"
    )
    print(f"{said}   (target < 1,024 for any size)")
    peak = re.search(r"peak of the process ([\d,]+) MiB", said)
    assert peak is not None
    record("ingest_memory", float(peak[1].replace(",", "")) / 2**10, mebibytes=options.mebibytes)
    print("given data")
    given_data(folder)


if __name__ == "__main__":
    sys.exit(main())
