"""Make `talib_values.npz`: indicators evaluated by TA-Lib's own Python package on one symbol.

    <interpreter with TA-Lib> tests/unit/features/talib_values.py [FILE]

The bars are seeded. Prices lie on a grid of cents, so that patterns with equal prices occur. Calls
and outputs are TA-Lib's; bringing them to scale is left to the test. Made with TA-Lib 0.8.2; every
seventh of the later rows is kept, and the file holds the bars, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

FIELDS = ("open", "high", "low", "close", "volume")
LETTERS = dict(zip("OHLCv", FIELDS, strict=True))
SESSIONS = 430
KEPT = slice(150, None, 7)
FILE = Path(__file__).with_suffix(".npz")


def bars() -> dict[str, np.ndarray]:
    """Fields, ``float64[sessions]``."""
    random = np.random.default_rng(8)
    close = np.round(40 * np.exp(np.cumsum(random.normal(0, 0.015, SESSIONS))), 2)
    opened = np.round(np.roll(close, 1) * np.exp(random.normal(0, 0.006, SESSIONS)), 2)
    opened[0] = close[0]
    high = np.maximum(opened, close) + np.round(random.exponential(0.15, SESSIONS), 2)
    low = np.minimum(opened, close) - np.round(random.exponential(0.15, SESSIONS), 2)
    volume = np.round(np.exp(random.normal(12, 0.4, SESSIONS)))
    return dict(zip(FIELDS, (opened, high, low, close, volume), strict=True))


def values(calls: list[tuple[str, str, str, str, dict[str, float]]]) -> dict[str, np.ndarray]:
    """Outputs by column.

    Parameters
    ----------
    calls
        Column, function, letters of its inputs, name of the output ("" for the only one), and
        arguments.
    """
    import talib
    from talib import abstract

    given = bars()
    found = {}
    for column, function, inputs, part, arguments in calls:
        name = function.upper()
        if function == "percentile":
            arguments = {**arguments, "percentile": float(arguments["percentile"])}
        out = getattr(talib, name)(*(given[LETTERS[letter]] for letter in inputs), **arguments)
        if part:
            out = out[abstract.Function(name).output_names.index(part)]
        found[column] = np.asarray(out, np.float64)[KEPT]
    return found


if __name__ == "__main__":
    from btq_assets.features.talib_set import calls

    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    np.savez_compressed(target, **{f"bar_{k}": v for k, v in bars().items()}, **values(calls()))
