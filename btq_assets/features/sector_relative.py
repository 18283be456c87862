"""Sector-relative family: returns against the other assets of the same sector.

Belongs here: differences to the rest of a sector. Does not belong here: clusters found in returns
(`cross_asset_structure`). The sector is the one `core.instruments` knows; it has no history.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.features import technical
from btq_assets.features.cross_asset_structure import DAY, numbered, relative
from btq_assets.features.definitions import HISTORY, KEY, Feature, prepare, undefined_to_null

_COMPARED = {"return_5d": 5, "return_21d": 21, "momentum_12_1": 252}

FEATURES: tuple[Feature, ...] = tuple(
    Feature(
        f"sector_relative_{name}",
        "sector_relative",
        f"{name} less its mean over the other assets of the sector and universe that have one",
        "Moskowitz and Grinblatt (1999), an asset against its industry",
        "fraction",
        lookback,
        ("adj_close", "sector"),
    )
    for name, lookback in _COMPARED.items()
)


def compute(bars: pl.DataFrame, instruments: pl.DataFrame) -> pl.DataFrame:
    """Compute the family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only ``adj_close`` is read.
    instruments
        Rows of `core.instruments`: ``universe``, ``symbol``, ``sector`` (may be null).

    Returns
    -------
    polars.DataFrame
        Rows of ``features.sector_relative``: one per bar, sorted by universe, symbol and time; null
        for assets without a sector, or alone in theirs.
    """
    by_name = {f.name: f.expression for f in technical.FEATURES if f.expression is not None}
    prepared = prepare(bars)
    values = undefined_to_null(
        prepared.select(*KEY, *(by_name[name].over(HISTORY).alias(name) for name in _COMPARED))
    )
    sectors = instruments.select("universe", "symbol", "sector").unique(["universe", "symbol"])
    joined = values.join(sectors, on=["universe", "symbol"], how="left", maintain_order="left")
    # One number per day and sector, null without a sector.
    numbers = joined["sector"].unique().drop_nulls().sort()
    sector = pl.col("sector").replace_strict(
        numbers, range(len(numbers)), default=None, return_dtype=pl.Int64
    )
    grouped = numbered(joined).with_columns(_group=pl.col(DAY) * (len(numbers) + 1) + sector)
    return grouped.select(
        *KEY,
        *(relative(name, "_group").alias(f"sector_relative_{name}") for name in _COMPARED),
    )


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions; the family has no settings."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], inputs["instruments"])
