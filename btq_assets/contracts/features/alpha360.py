"""Alpha360: prices and volumes of the last sixty sessions, over today's.

Belongs here: names of the columns. Does not belong here: formulas (`features.alpha360`).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import Column
from btq_assets.contracts.features.family import family

SESSIONS = 60

_FIELDS = {
    "close": "Close",
    "open": "Open",
    "high": "High",
    "low": "Low",
    "vwap": "Volume-weighted mean price, null where bars have none,",
    "volume": "Volume",
}

ALPHA360 = family(
    "alpha360",
    "Prices and volumes of 60 sessions over today's close and volume; rows only where open, high, low, close and volume exist.",
    tuple(
        Column(
            f"alpha360_{name}_{ago}",
            pl.Float32,
            f"{title} {ago} sessions ago over today's {'volume' if name == 'volume' else 'close'}.",
            nullable=True,
            minimum=0.0,
        )
        for name, title in _FIELDS.items()
        for ago in range(SESSIONS - 1, -1, -1)
    ),
)
