"""Volatility models refitted monthly, against a loop over the package arch, in one run.

    python tests/performance/bench_garch.py [--series 50] [--sessions 2520] [--peer-series 5]

Both sides fit each model on all returns so far after every 21 sessions, from the 504th on, and
forecast the next session's volatility. Series are simulated from GJR-GARCH, seeded. The peer fits
the first `peer-series` series only; its time for all of them is that one times series over
peer-series, and is printed as scaled. Times for 500 series are extrapolated from those measured.
Forecasts are compared before anything is reported.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from record import record, size

from btq_assets.features.kernels import garch, garch_paths

FIRST_FIT, EVERY = 504, 21
KINDS = {"garch": garch.GARCH, "gjr": garch.GJR, "egarch": garch.EGARCH}
PEER: dict[str, dict[str, Any]] = {
    "garch": {},
    "gjr": {"o": 1},
    "egarch": {"vol": "EGARCH", "o": 1},
}
#: arch stops at 1e-6 of the likelihood, which leaves its forecasts this far from the optimum's.
TOLERANCE = 5e-3
EXTRAPOLATED_SERIES = 500
#: Sessions of ten years.
PROMISED_SESSIONS = 2_520


def simulated(n_series: int, n_sessions: int) -> np.ndarray:
    """Log returns ``(series, sessions)`` of GJR-GARCH processes with slightly different news."""
    random = np.random.default_rng(0)
    alpha = random.uniform(0.02, 0.06, n_series)
    gamma = random.uniform(0.04, 0.12, n_series)
    beta = 0.98 - alpha - gamma / 2
    s = np.full(n_series, 2e-4)
    returns = np.empty((n_series, n_sessions))
    for t in range(n_sessions):
        e = np.sqrt(s) * random.standard_normal(n_series)
        returns[:, t] = 3e-4 + e
        s = 4e-6 + (alpha + gamma * (e < 0)) * e * e + beta * s
    return returns


def ours(returns: np.ndarray, model: str, threads: int) -> np.ndarray:
    """Volatility of the session after each refit, ``(series, refits)``."""

    def one(series: np.ndarray) -> np.ndarray:
        values, _ = garch_paths.paths(KINDS[model], series, first_fit=FIRST_FIT, every=EVERY)
        return np.sqrt(values[0, FIRST_FIT - 1 :: EVERY])

    with ThreadPoolExecutor(threads) as pool:
        return np.array(list(pool.map(one, returns)))


def peer(returns: np.ndarray, model: str) -> np.ndarray:
    """The same by a loop over arch, in per cent as its documentation asks for."""
    from arch import arch_model

    found = []
    for series in returns:
        row = []
        for last in range(FIRST_FIT, series.size + 1, EVERY):
            fit = arch_model(100 * series[:last], rescale=False, **PEER[model]).fit(
                disp="off", show_warning=False
            )
            variance = fit.forecast(horizon=1).variance.to_numpy()[-1, 0]
            row.append(np.sqrt(variance) / 100)
        found.append(row)
    return np.array(found)


def seconds(work) -> tuple[float, float, Any]:
    """Wall-clock time, processor time and result."""
    start, before = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - start, time.process_time() - before, result


def main() -> None:
    """Compare forecasts, then times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--series", type=int, default=size(50, 8))
    parser.add_argument("--sessions", type=int, default=PROMISED_SESSIONS)
    parser.add_argument("--peer-series", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=list(KINDS), choices=KINDS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    cores = len(os.sched_getaffinity(0))
    returns = simulated(given.series, given.sessions)
    n_fits = len(range(FIRST_FIT, given.sessions + 1, EVERY))
    cold, _, _ = seconds(lambda: [ours(returns[:1, : FIRST_FIT + 1], m, 1) for m in given.models])
    print(
        f"{given.series} series x {given.sessions} sessions, {n_fits} fits each; {cores} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(f"first call, with compiled code loaded or made: {cold:.1f} s")
    target = 0.8 * cores
    ratios, extrapolated = [], []
    for model in given.models:
        theirs_took, theirs_used, theirs = seconds(
            lambda m=model: peer(returns[: given.peer_series], m)
        )
        one_took, _, one = seconds(lambda m=model: ours(returns, m, 1))
        took, used, found = seconds(lambda m=model: ours(returns, m, cores))
        if not np.array_equal(one, found):
            raise SystemExit(f"{model}: results depend on the number of threads")
        gaps = np.abs(found[: given.peer_series] / theirs - 1)
        if np.median(gaps) > TOLERANCE:
            raise SystemExit(f"{model}: the median forecast is {np.median(gaps):.1e} off arch's")
        more = given.series / given.peer_series
        scaled = theirs_took * more
        ratios.append(scaled / took / cores)
        extrapolated.append(took * EXTRAPOLATED_SERIES / given.series)
        print(
            f"{model:7s} arch {theirs_took:.1f} s for {given.peer_series} series, "
            f"{scaled:.0f} s scaled to {given.series}; ours {one_took:.2f} s with 1 thread, "
            f"{took:.2f} s with {cores}; ratio {scaled / took:.0f} (target {target:.1f})"
        )
        print(
            f"        processor {theirs_used * more:.0f} s scaled against {used:.1f} s, "
            f"{more * theirs_used / used:.0f} times"
        )
        print(
            f"        forecasts differ by {np.median(gaps):.1e} in the median, {gaps.max():.1e} at "
            f"most, {np.mean(gaps > TOLERANCE):.1%} above {TOLERANCE}; {EXTRAPOLATED_SERIES} "
            f"series: {extrapolated[-1]:.0f} s extrapolated"
        )
    if set(given.models) == set(KINDS) and given.sessions == PROMISED_SESSIONS:
        record("garch_to_arch", min(ratios), series=given.series)
        record("garch_500_series", max(extrapolated), series=given.series)


if __name__ == "__main__":
    main()
