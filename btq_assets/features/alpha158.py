"""Alpha158: qlib's 158 expressions of one symbol's daily bars.

Belongs here: names, formulas, and bars in, rows out. Does not belong here: loops over values
(`kernels`).

Definitions are those of qlib 0.9 (``Alpha158DL``). The table keeps full windows and
leaves undefined quotients out, where qlib begins with the first row and adds 1e-12 to divisors;
`compute` offers both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.config import TradingConfig
from btq_assets.features.definitions import Feature
from btq_assets.features.qlib_bars import Fields, fields_of, frame_of

FAMILY = "alpha158"
PREFIX = f"{FAMILY}_"
WINDOWS = (5, 10, 20, 30, 60)
SOURCE = "Yang et al. (2020), qlib 0.9 Alpha158"

_PRICES = ("adj_open", "adj_high", "adj_low", "adj_close")
_CLOSE = ("adj_close",)
_TRADED = ("adj_close", "close", "volume")

_BAR = (
    ("kmid", "(C - O) / O"),
    ("klen", "(H - L) / O"),
    ("kmid2", "(C - O) / (H - L)"),
    ("kup", "(H - max(O, C)) / O"),
    ("kup2", "(H - max(O, C)) / (H - L)"),
    ("klow", "(min(O, C) - L) / O"),
    ("klow2", "(min(O, C) - L) / (H - L)"),
    ("ksft", "(2C - H - L) / O"),
    ("ksft2", "(2C - H - L) / (H - L)"),
)

#: Kind, formula with {n}, sessions before the window's end beyond {n} - 1, columns needed, unit.
_ROLLING: tuple[tuple[str, str, int, tuple[str, ...], str], ...] = (
    ("roc", "C[t-{n}] / C", 1, _CLOSE, "fraction of the price"),
    ("ma", "mean{n}(C) / C", 0, _CLOSE, "fraction of the price"),
    ("std", "std{n}(C) / C", 0, _CLOSE, "fraction of the price"),
    ("beta", "slope of C on 1..{n} over {n} sessions, / C", 0, _CLOSE, "fraction per session"),
    ("rsqr", "R squared of that line over {n} sessions; null where std{n}(C) <= 1e-7 mean{n}(C)", 0,
     _CLOSE, "0 to 1"),
    ("resi", "(C - its place on that line over {n} sessions) / C", 0, _CLOSE,
     "fraction of the price"),
    ("max", "max{n}(H) / C", 0, ("adj_high", *_CLOSE), "fraction of the price"),
    ("min", "min{n}(L) / C", 0, ("adj_low", *_CLOSE), "fraction of the price"),
    ("qtlu", "80 % quantile of {n} C, linear between neighbours, / C", 0, _CLOSE,
     "fraction of the price"),
    ("qtld", "20 % quantile of {n} C, linear between neighbours, / C", 0, _CLOSE,
     "fraction of the price"),
    ("rank", "rank of C among its last {n} values, ties averaged, / {n}", 0, _CLOSE, "0 to 1"),
    ("rsv", "(C - min{n}(L)) / (max{n}(H) - min{n}(L))", 0, _PRICES[1:], "0 to 1"),
    ("imax", "place of the first max{n}(H) in its window, oldest 1, / {n}", 0, ("adj_high",),
     "0 to 1"),
    ("imin", "place of the first min{n}(L) in its window, oldest 1, / {n}", 0, ("adj_low",),
     "0 to 1"),
    ("imxd", "place of max{n}(H) less place of min{n}(L), / {n}", 0, ("adj_high", "adj_low"),
     "-1 to 1"),
    ("corr", "correlation of C and ln((volume + 1) v / volume) over {n} sessions", 0, _TRADED,
     "-1 to 1"),
    ("cord", "correlation of C / C[t-1] and ln(v / v[t-1] + 1) over {n} sessions", 1, _TRADED,
     "-1 to 1"),
    ("cntp", "share of {n} sessions with C > C[t-1]", 1, _CLOSE, "0 to 1"),
    ("cntn", "share of {n} sessions with C < C[t-1]", 1, _CLOSE, "0 to 1"),
    ("cntd", "share of {n} sessions with C > C[t-1] less that with C < C[t-1]", 1, _CLOSE,
     "-1 to 1"),
    ("sump", "sum{n}(max(d, 0)) / sum{n}(abs d), d = C - C[t-1]", 1, _CLOSE, "0 to 1"),
    ("sumn", "sum{n}(max(-d, 0)) / sum{n}(abs d), d = C - C[t-1]", 1, _CLOSE, "0 to 1"),
    ("sumd", "sum{n}(d) / sum{n}(abs d), d = C - C[t-1]", 1, _CLOSE, "-1 to 1"),
    ("vma", "mean{n}(v) / v", 0, _TRADED, "ratio"),
    ("vstd", "std{n}(v) / v", 0, _TRADED, "ratio"),
    ("wvma", "std{n}(x) / mean{n}(x), x = abs(C / C[t-1] - 1) v", 1, _TRADED, "ratio"),
    ("vsump", "sum{n}(max(d, 0)) / sum{n}(abs d), d = v - v[t-1]", 1, _TRADED, "0 to 1"),
    ("vsumn", "sum{n}(max(-d, 0)) / sum{n}(abs d), d = v - v[t-1]", 1, _TRADED, "0 to 1"),
    ("vsumd", "sum{n}(d) / sum{n}(abs d), d = v - v[t-1]", 1, _TRADED, "-1 to 1"),
)  # fmt: skip


def _definitions() -> Iterable[Feature]:
    for name, formula in _BAR:
        yield _feature(name, formula, "fraction", 0, _PRICES)
    for name, column in (("open", "O"), ("high", "H"), ("low", "L")):
        formula = f"{column} / C"
        yield _feature(f"{name}_0", formula, "ratio", 0, (f"adj_{name}", "adj_close"))
    formula = "volume-weighted mean price of the session / close; null where bars have none"
    yield _feature("vwap_0", formula, "ratio", 0, ("vwap", "close"))
    for kind, formula, more, needs, unit in _ROLLING:
        for n in WINDOWS:
            yield _feature(f"{kind}_{n}", formula.format(n=n), unit, n - 1 + more, needs)


def _feature(name: str, formula: str, unit: str, lookback: int, needs: tuple[str, ...]) -> Feature:
    return Feature(PREFIX + name, FAMILY, formula, SOURCE, unit, lookback, needs)


FEATURES: tuple[Feature, ...] = tuple(_definitions())
NAMES = tuple(feature.name.removeprefix(PREFIX) for feature in FEATURES)


def evaluate(
    fields: Fields, names: Sequence[str] = NAMES, *, compatible: bool, threads: int | None = None
) -> dict[str, NDArray[np.float32]]:
    """Evaluate expressions over arrays.

    Parameters
    ----------
    fields
        Prices and volumes of all symbols.
    names
        Expressions by their names without prefix, such as ``roc_5``.
    compatible
        Whether qlib's conventions hold: windows from their first value, guarded quotients.
    threads
        Number of threads; one per core unless given. Results do not depend on it.

    Returns
    -------
    dict
        ``float32[rows]`` per name; undefined values are NaN or infinite.
    """
    from btq_assets.features.kernels.alpha158_panel import Part, Results
    from btq_assets.features.kernels.alpha158_panel import evaluate as evaluate_part
    from btq_assets.features.kernels.tasks import in_tasks

    starts = fields.starts
    results = Results.of(names, fields.rows)
    needed = results.fields()

    def task(first: int, last: int) -> None:
        rows = slice(starts[first], starts[last])
        arrays = fields.part(rows, needed)
        own = starts[first : last + 1] - starts[first]
        evaluate_part(Part(arrays, own, int(starts[first]), results, compatible))

    in_tasks(starts, task, threads)
    return {name: results[name] for name in names}


def compute(
    bars: pl.DataFrame, names: Sequence[str] = NAMES, *, compatible: bool = False
) -> pl.DataFrame:
    """Compute expressions of Alpha158.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`, in any order; a column ``vwap``, unadjusted, is read where given.
    names
        Expressions by their names without prefix; all of them unless given.
    compatible
        Whether qlib's conventions hold instead of the table's.

    Returns
    -------
    polars.DataFrame
        One row per bar with open, high, low, close and volume, sorted by universe, symbol and
        time; float32, undefined values null.
    """
    fields = fields_of(bars)
    return frame_of(fields, evaluate(fields, names, compatible=compatible), PREFIX)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions of the family; no setting changes them."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"])
