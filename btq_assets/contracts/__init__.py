"""Every table of the house, a file per layer or a few where a layer is large. Start with `base.py`."""

from __future__ import annotations

import importlib
import pkgutil

from btq_assets.contracts.base import TableContract


def all_contracts() -> list[TableContract]:
    """Every table declared in a module of this package, alone or in a mapping, by layer and name."""
    found: dict[str, TableContract] = {}
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        members = vars(importlib.import_module(module.name))
        for member in members.values():
            for value in member.values() if isinstance(member, dict) else (member,):
                if isinstance(value, TableContract):
                    found[value.table] = value
    return [found[table] for table in sorted(found)]
