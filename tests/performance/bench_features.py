"""Features against a plain pandas loop over symbols, in one run.

    python tests/performance/bench_features.py [--symbols 20] [--sessions 8313]

Both sides compute the technical and the close-only volatility features on the same seeded prices;
their values are compared before anything is timed. Prints a ratio, asserts none.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl

from btq_assets.features import technical, volatility

#: Against 80-bit windows computed one by one, our Bollinger z is 6e-14 off and the one from pandas'
#: running variance 2e-9; everything else agrees to 1e-12.
TOLERANCE = 5e-9
RANGE_FEATURES = ("parkinson_21_annual", "garman_klass_21_annual", "rogers_satchell_21_annual")


def prices(n_symbols: int, n_sessions: int) -> pl.DataFrame:
    """Seeded geometric random walks in the shape of `core.bars_1d`, close only."""
    random = np.random.default_rng(0)
    start = dt.datetime(1990, 1, 2, 21, tzinfo=dt.UTC)
    stamps = pl.datetime_range(
        start, start + dt.timedelta(days=n_sessions - 1), "1d", time_unit="us", eager=True
    )
    walks = np.exp(np.cumsum(random.normal(3e-4, 0.015, (n_symbols, n_sessions)), axis=1))
    return pl.concat(
        pl.DataFrame(
            {"universe": "u", "symbol": f"S{n:02d}", "ts": stamps, "adj_close": 50 * walks[n]}
        )
        for n in range(n_symbols)
    )


def ours(bars: pl.DataFrame) -> pl.DataFrame:
    """Both families, as the assets compute them."""
    close_only = volatility.compute(bars).drop(RANGE_FEATURES)
    return technical.compute(bars).hstack(close_only.drop("universe", "symbol", "ts"))


def pandas_loop(frame: pd.DataFrame) -> pd.DataFrame:
    """The same features, one symbol after the other."""
    parts = []
    for _, rows in frame.groupby("symbol", sort=True):
        parts.append(_one_symbol(rows["adj_close"]))
    return pd.concat(parts)


def _one_symbol(p: pd.Series) -> pd.DataFrame:
    out = {f"return_{n}d": p.pct_change(n) for n in (1, 5, 21, 63)}
    out["momentum_12_1"] = p.shift(21) / p.shift(252) - 1
    out["rsi_14"] = _rsi(p)
    out["macd_histogram_to_price"] = _macd(p)
    out["bollinger_z_20"] = (p - p.rolling(20).mean()) / p.rolling(20).std(ddof=0)
    out["distance_sma_50"] = p / p.rolling(50).mean() - 1
    out["distance_sma_200"] = p / p.rolling(200).mean() - 1
    out["distance_high_252"] = p / p.rolling(252).max() - 1
    r = np.log(p).diff()
    year = math.sqrt(252)
    short = r.rolling(21).std()
    out["volatility_21_annual"] = short * year
    out["volatility_63_annual"] = r.rolling(63).std() * year
    out["volatility_ewma_annual"] = (r**2).ewm(alpha=0.06, min_periods=21).mean() ** 0.5 * year
    out["downside_volatility_63_annual"] = (r.clip(upper=0) ** 2).rolling(63).mean() ** 0.5 * year
    out["volatility_ratio_21_252"] = short / r.rolling(252).std()
    out["volatility_of_volatility_63"] = short.rolling(63).std() / short.rolling(63).mean()
    out["absolute_return_autocorrelation_63"] = r.abs().rolling(63).corr(r.abs().shift(1))
    return pd.DataFrame(out)


def _seeded_mean(values: pd.Series, n: int, alpha: float) -> pd.Series:
    """Recursive mean that starts at the plain mean of the first n values, as TA-Lib does."""
    first = values.first_valid_index()
    start = values.index.get_loc(first)
    seeded = values.iloc[start + n - 1 :].copy()
    seeded.iloc[0] = values.iloc[start : start + n].mean()
    return seeded.ewm(alpha=alpha, adjust=False).mean().reindex(values.index)


def _rsi(p: pd.Series) -> pd.Series:
    moves = p.diff()
    gain = _seeded_mean(moves.clip(lower=0), 14, 1 / 14)
    loss = _seeded_mean(-moves.clip(upper=0), 14, 1 / 14)
    return 100 * gain / (gain + loss)


def _macd(p: pd.Series) -> pd.Series:
    fast = _seeded_mean(p.iloc[14:], 12, 2 / 13).reindex(p.index)
    line = fast - _seeded_mean(p, 26, 2 / 27)
    return (line - _seeded_mean(line, 9, 2 / 10)) / p


def largest_gap(mine: pl.DataFrame, theirs: pd.DataFrame) -> tuple[str, float]:
    """Feature with the largest gap, relative to the column's own size; nulls must match."""
    worst = ("", 0.0)
    for name in theirs.columns:
        left, right = mine[name].to_numpy(), theirs[name].to_numpy()
        if not np.array_equal(np.isnan(left), np.isnan(right)):
            raise SystemExit(f"{name}: the two sides have values in different places")
        gap = float(np.nanmax(np.abs(left - right)) / np.nanmean(np.abs(right)))
        worst = max(worst, (name, gap), key=lambda pair: pair[1])
    return worst


def best_of(runs: int, *works: Callable[[], object]) -> list[float]:
    """Shortest wall-clock time of each, seconds; taken in turn, so that noise hits all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times]


def main() -> None:
    """Compare values, then times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=8_313)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    bars = prices(given.symbols, given.sessions)
    frame = bars.to_pandas()
    name, gap = largest_gap(ours(bars), pandas_loop(frame))
    if gap > TOLERANCE:
        raise SystemExit(f"{name} differs by {gap:.1e} of its mean size; nothing was timed")
    mine, theirs = best_of(given.runs, lambda: ours(bars), lambda: pandas_loop(frame))
    n_features = len(ours(bars).columns) - 3
    print(f"{n_features} features, {given.symbols} symbols x {given.sessions} sessions")
    print(f"values agree to {gap:.1e} of each column's mean size (worst: {name})")
    print(f"btquant      {1e3 * mine:8.1f} ms (best of {given.runs})")
    print(f"pandas loop  {1e3 * theirs:8.1f} ms (best of {given.runs})")
    print(f"ratio        {theirs / mine:8.1f}")


if __name__ == "__main__":
    main()
