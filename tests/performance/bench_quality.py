"""Great Expectations in seconds per million rows, beside contract validation of the same rows.

Run: ``python tests/performance/bench_quality.py [million rows]``.
"""

from __future__ import annotations

import datetime as dt
import sys
import time

import numpy as np
import polars as pl
from record import record

from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from data_quality import runner
from data_quality.suites import raw_bars_declaration


def daily(n_symbols: int, n_sessions: int) -> pl.DataFrame:
    """Random walks of weekdays."""
    start = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
    stamps = pl.datetime_range(start, start + dt.timedelta(days=2 * n_sessions), "1d", eager=True)
    stamps = stamps.filter(stamps.dt.weekday() < 6).head(n_sessions)
    return _bars(n_symbols, stamps, "1d", 0.01)


def minutes(n: int) -> pl.DataFrame:
    """One market that never closes."""
    start = dt.datetime(2023, 1, 2, 0, 1, tzinfo=dt.UTC)
    stamps = pl.datetime_range(start, start + dt.timedelta(minutes=n - 1), "1m", eager=True)
    return _bars(1, stamps, "1m", 1e-3)


def _bars(n_symbols: int, stamps: pl.Series, freq: str, sigma: float) -> pl.DataFrame:
    random = np.random.default_rng(0)
    frames = []
    for number in range(n_symbols):
        close = 100 * np.exp(np.cumsum(random.normal(0, sigma, len(stamps))))
        frames.append(
            pl.DataFrame(
                {
                    "dataset": "bench",
                    "symbol": f"S{number:04d}",
                    "freq": freq,
                    "ts": stamps,
                    "known_at": stamps,
                    "known_at_basis": "assumed_lag",
                    "open": close,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "adj_close": close,
                    "volume": random.lognormal(12, 0.5, len(stamps)),
                    "currency": "USD",
                }
            )
        )
    return cast_to_contract(pl.concat(frames), raw.BARS_FOLDER)


def main(million: float) -> None:
    """Print one line a shape of data."""
    rows = int(million * 1e6)
    suite = raw_bars_declaration(raw.BARS_FOLDER)
    runner.run_suite(suite, daily(2, 300))  # the import is paid once a process
    for name, frame in (
        ("daily, 250 symbols", daily(250, max(rows // 250, 300))),
        ("minutes, 1 symbol", minutes(rows)),
    ):
        started = time.perf_counter()
        violations(frame, raw.BARS_FOLDER)
        contract = time.perf_counter() - started
        started = time.perf_counter()
        runner.run_suite(suite, frame)
        judged = time.perf_counter() - started
        per = 1e6 / frame.height
        print(
            f"{name}: {frame.height:,} rows, suite of {len(suite.expectations)} "
            f"{judged * per:.1f} s per million rows, contract {contract * per:.2f} s, "
            f"ratio {judged / contract:.0f}"
        )
        if name.startswith("daily"):
            record("suite_seconds", judged * per, rows=rows)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.65)
