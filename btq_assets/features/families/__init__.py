"""Every family of the room in one list; assets, catalogue, reference, gates and the engine follow.

Belongs here: the list, in the order of the contracts. Does not belong here: entries, which are in
`daily_prices`, `named_sets`, `within_a_day` and `outside_prices`, and what one is (`family`).
"""

from __future__ import annotations

from btq_assets.contracts import features as contracts
from btq_assets.features.families import daily_prices, named_sets, outside_prices, within_a_day
from btq_assets.features.families.daily_prices import RECURSIVE_MEMORY
from btq_assets.features.families.family import GENERATED, Family, observed

__all__ = ["FAMILIES", "FAMILY", "GENERATED", "RECURSIVE_MEMORY", "Family", "observed"]

_DECLARED = (
    *daily_prices.FAMILIES,
    *named_sets.FAMILIES,
    *within_a_day.FAMILIES,
    *outside_prices.FAMILIES,
)

#: Families by name, in the order of the catalogue.
FAMILY: dict[str, Family] = {
    family.name: family
    for family in sorted(_DECLARED, key=lambda family: contracts.FAMILIES.index(family.name))
}

#: All of them.
FAMILIES: tuple[Family, ...] = tuple(FAMILY.values())
