"""Make `alpha101_values.npz`: the alphas evaluated by the package alpha101v on a small panel.

    <interpreter with alpha101v> tests/unit/features/alpha101_values.py [FILE]

The panel is seeded; one symbol starts late and one has a hole. Where `formula_values` says it
differs, the package is made to do likewise: linear decays need whole windows (its
``research_mode``), the larger or smaller of two needs both, and correlations, covariances and
decays are rounded, which decides ties. Made with alpha101v 0.1.9; the last sessions are kept, and
the file holds the panel, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

SYMBOLS, SESSIONS, KEPT = 9, 330, 24
FIELDS = ("open", "high", "low", "close", "volume", "vwap", "cap")
LEVELS = ("sector", "industry", "subindustry")
FILE = Path(__file__).with_suffix(".npz")


def panel() -> dict[str, np.ndarray]:
    """Fields, ``float64[sessions, symbols]``, and the group of each symbol by level."""
    random = np.random.default_rng(101)
    shape = (SESSIONS, SYMBOLS)
    start = random.uniform(8, 90, SYMBOLS)
    close = start * np.exp(np.cumsum(random.normal(0, 0.02, shape), axis=0))
    opened = close * np.exp(random.normal(0, 0.01, shape))
    high = np.maximum(opened, close) * np.exp(random.exponential(0.006, shape))
    low = np.minimum(opened, close) * np.exp(-random.exponential(0.006, shape))
    volume = np.round(np.exp(random.normal(11, 0.6, shape)))
    vwap = low + (high - low) * random.uniform(0.2, 0.8, shape)
    fields = dict(zip(FIELDS, (opened, high, low, close, volume, vwap, close * 1e6), strict=True))
    for values in fields.values():
        values[:40, 2] = np.nan
        values[210, 5] = np.nan
    groups = {name: np.arange(SYMBOLS) % number for name, number in zip(LEVELS, (2, 3, 4), strict=True)}  # fmt: skip
    return fields | groups


def values() -> dict[str, np.ndarray]:
    """Alphas by name, ``float64[KEPT, symbols]``."""
    import alpha101v
    import pandas as pd
    from alpha101v import factors
    from alpha101v.registry import run_factor

    def rounded(function):
        return lambda *given, **more: function(*given, **more).round(10)

    for name in ("correlation", "covariance", "decay_linear"):
        setattr(factors, name, rounded(getattr(factors, name)))
    factors.maximum = lambda x, y: (x + y + abs(x - y)) / 2
    factors.minimum = lambda x, y: (x + y - abs(x - y)) / 2
    given = panel()
    frames = {name: pd.DataFrame(given[name]) for name in FIELDS}
    frames["Open"] = frames.pop("open")
    frames["amount"] = frames["close"] * frames["volume"]
    frames["returns"] = frames["close"] / frames["close"].shift(1) - 1
    labels = {f"ind_{name}": pd.Series([f"g{g}" for g in given[name]]) for name in LEVELS}
    with alpha101v.research_mode():
        return {
            f"alpha101_{n:03d}": run_factor(f"alpha{n}", {**frames, **labels}).to_numpy(np.float32)[
                -KEPT:
            ]
            for n in range(1, 102)
        }


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    np.savez_compressed(target, **{f"bar_{k}": v for k, v in panel().items()}, **values())
