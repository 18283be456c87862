"""Alpha158: qlib's expressions of daily bars.

Belongs here: names of the columns. Does not belong here: formulas (`features.alpha158`).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import Column
from btq_assets.contracts.features.family import family

WINDOWS = (5, 10, 20, 30, 60)

_BAR = {
    "kmid": "Body of the bar over its open.",
    "klen": "Range of the bar over its open.",
    "kmid2": "Body of the bar over its range.",
    "kup": "Upper shadow over the open.",
    "kup2": "Upper shadow over the range.",
    "klow": "Lower shadow over the open.",
    "klow2": "Lower shadow over the range.",
    "ksft": "Close against the middle of the range, twice, over the open.",
    "ksft2": "Close against the middle of the range, twice, over the range.",
    "open_0": "Open over the close.",
    "high_0": "High over the close.",
    "low_0": "Low over the close.",
    "vwap_0": "Volume-weighted mean price over the close; null where bars have none.",
}

_ROLLING = {
    "roc": "Close {n} sessions ago over the close.",
    "ma": "Mean close of {n} sessions over the close.",
    "std": "Standard deviation of {n} closes over the close.",
    "beta": "Slope of the line through {n} closes, over the close.",
    "rsqr": "R squared of the line through {n} closes.",
    "resi": "Distance of the close from the line through {n} closes, over the close.",
    "max": "Highest high of {n} sessions over the close.",
    "min": "Lowest low of {n} sessions over the close.",
    "qtlu": "80 % quantile of {n} closes over the close.",
    "qtld": "20 % quantile of {n} closes over the close.",
    "rank": "Rank of the close among {n} closes.",
    "rsv": "Close between the lowest low and the highest high of {n} sessions.",
    "imax": "When the highest high of {n} sessions was, 1 for today.",
    "imin": "When the lowest low of {n} sessions was, 1 for today.",
    "imxd": "How long the highest high came after the lowest low, in {n} sessions.",
    "corr": "Correlation of close and log volume over {n} sessions.",
    "cord": "Correlation of price ratio and log volume ratio over {n} sessions.",
    "cntp": "Share of rising sessions of {n}.",
    "cntn": "Share of falling sessions of {n}.",
    "cntd": "Share of rising less share of falling sessions of {n}.",
    "sump": "Share of the rises in all moves of {n} sessions.",
    "sumn": "Share of the falls in all moves of {n} sessions.",
    "sumd": "Share of the rises less that of the falls in {n} sessions.",
    "vma": "Mean volume of {n} sessions over the volume.",
    "vstd": "Standard deviation of {n} volumes over the volume.",
    "wvma": "Variation of volume-weighted absolute returns over {n} sessions.",
    "vsump": "Share of the rises of volume in all its moves of {n} sessions.",
    "vsumn": "Share of the falls of volume in all its moves of {n} sessions.",
    "vsumd": "Share of the rises less that of the falls of volume in {n} sessions.",
}

#: Bounds that follow from what an expression is; a little more, for rounding to float32.
_BOUNDS = {
    **dict.fromkeys(
        ("rsqr", "rank", "imax", "imin", "cntp", "cntn", "sump", "sumn", "vsump", "vsumn"),
        (-1e-6, 1.00001),
    ),
    **dict.fromkeys(
        ("imxd", "corr", "cord", "cntd", "sumd", "vsumd"), (-1.00001, 1.00001)
    ),
    **dict.fromkeys(("std", "vma", "vstd", "wvma", "roc", "ma", "max", "min"), (0.0, None)),
}  # fmt: skip


def _column(name: str, description: str, kind: str) -> Column:
    minimum, maximum = _BOUNDS.get(kind, (None, None))
    return Column(
        f"alpha158_{name}", pl.Float32, description, nullable=True, minimum=minimum, maximum=maximum
    )


ALPHA158 = family(
    "alpha158",
    "qlib's 158 expressions of daily bars; rows only where open, high, low, close and volume exist.",
    (
        *(_column(name, description, name) for name, description in _BAR.items()),
        *(
            _column(f"{kind}_{n}", description.format(n=n), kind)
            for kind, description in _ROLLING.items()
            for n in WINDOWS
        ),
    ),
)
