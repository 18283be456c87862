"""Alpha360: qlib's prices and volumes of the last sixty sessions, over today's.

Belongs here: names, formulas, and bars in, rows out. Does not belong here: anything rolling.

Definitions are those of qlib 0.9 (``Alpha360DL``), except that nothing is added to a volume of
zero: a quotient by it is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.config import TradingConfig
from btq_assets.features.definitions import Feature
from btq_assets.features.qlib_bars import Fields, fields_of, frame_of

FAMILY = "alpha360"
PREFIX = f"{FAMILY}_"
SESSIONS = 60
SOURCE = "Yang et al. (2020), qlib 0.9 Alpha360"

_GUARD = 1e-12

#: Field, its letter in formulas, columns it needs.
_FIELDS = (
    ("close", "C", ("adj_close",)),
    ("open", "O", ("adj_open", "adj_close")),
    ("high", "H", ("adj_high", "adj_close")),
    ("low", "L", ("adj_low", "adj_close")),
    ("vwap", "volume-weighted mean price", ("vwap", "adj_close", "close")),
    ("volume", "v", ("volume", "close", "adj_close")),
)


def _feature(field: str, letter: str, ago: int, needs: tuple[str, ...]) -> Feature:
    then = f"{letter}[t-{ago}]" if ago else letter
    return Feature(
        f"{PREFIX}{field}_{ago}",
        FAMILY,
        f"{then} / {'v' if field == 'volume' else 'C'}",
        SOURCE,
        "ratio",
        ago,
        needs,
    )


FEATURES: tuple[Feature, ...] = tuple(
    _feature(field, letter, ago, needs)
    for field, letter, needs in _FIELDS
    for ago in range(SESSIONS - 1, -1, -1)
)
NAMES = tuple(feature.name.removeprefix(PREFIX) for feature in FEATURES)


def evaluate(
    fields: Fields, names: Sequence[str] = NAMES, *, compatible: bool
) -> dict[str, NDArray[np.float32]]:
    """Evaluate expressions over arrays.

    Parameters
    ----------
    fields
        Prices and volumes of all symbols.
    names
        Expressions by their names without prefix, such as ``close_59``.
    compatible
        Whether 1e-12 is added to volumes that divide, as qlib does.

    Returns
    -------
    dict
        ``float32[rows]`` per name; undefined values are NaN or infinite.
    """
    out = {}
    # The row within its symbol; a value further back than that belongs to another symbol.
    row = np.arange(fields.rows) - np.repeat(fields.starts[:-1], np.diff(fields.starts))
    units = {"volume": fields.arrays["volume"] + (_GUARD if compatible else 0.0)}
    with np.errstate(all="ignore"):
        for name in names:
            field, _, ago_text = name.rpartition("_")
            ago = int(ago_text)
            values, unit = fields.arrays[field], units.get(field, fields.arrays["close"])
            found = np.full(fields.rows, np.nan, np.float32)
            found[ago:] = values[: max(values.size - ago, 0)] / unit[ago:]
            found[row < ago] = np.nan
            out[name] = found
    return out


def compute(
    bars: pl.DataFrame, names: Sequence[str] = NAMES, *, compatible: bool = False
) -> pl.DataFrame:
    """Compute expressions of Alpha360.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`, in any order; a column ``vwap``, unadjusted, is read where given.
    names
        Expressions by their names without prefix; all of them unless given.
    compatible
        Whether qlib's guard of zero volumes holds instead of null.

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
