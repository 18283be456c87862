"""The shape all families share: identity, nullable floats, flags.

Belongs here: the factory of family tables. Does not belong here: any family.
"""

from __future__ import annotations

from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE

SYMBOL_KEY = ("universe", "symbol", "ts")


def family(
    name: str,
    description: str,
    features: tuple[Column, ...],
    *,
    market_wide: bool = False,
    extra: tuple[Column, ...] = (),
) -> TableContract:
    """Contract of a family's table.

    Parameters
    ----------
    name, description
        Of the table.
    features
        One nullable float column per feature.
    market_wide
        Whether a row holds for a whole universe; otherwise for a symbol.
    extra
        Columns that are no features.
    """
    identity = (UNIVERSE, TS) if market_wide else (UNIVERSE, SYMBOL, TS)
    return TableContract(
        layer="features",
        name=name,
        description=description,
        columns=(*identity, *features, *extra),
        key=("universe", "ts") if market_wide else SYMBOL_KEY,
    )
