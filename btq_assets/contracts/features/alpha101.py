"""The 101 alphas: names of the columns.

Belongs here: names. Does not belong here: formulas (`features.alpha101_paper`).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import Column
from btq_assets.contracts.features.family import family

ALPHA101 = family(
    "alpha101",
    "The 101 formulaic alphas of Kakushadze (2016); rows only where open, high, low, close and "
    "volume exist.",
    tuple(
        Column(f"alpha101_{n:03d}", pl.Float32, f"Alpha #{n} of the paper.", nullable=True)
        for n in range(1, 102)
    ),
)
