"""The one place that knows where data lie and how they are written.

Start with `asset_factory.py`: it is how every room puts a table into the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btq_assets.warehouse.additions import added_since
    from btq_assets.warehouse.asset_factory import TableAsset, table_asset, table_assets_of
    from btq_assets.warehouse.database import Warehouse
    from btq_assets.warehouse.errors import WarehouseError
    from btq_assets.warehouse.headway import how_far
    from btq_assets.warehouse.paths import DataPaths
    from btq_assets.warehouse.slices import StoredTable, grouped
    from btq_assets.warehouse.step import Step, TableOutput
    from btq_assets.warehouse.versions import code_version, library_versions

_HOME = {
    "DataPaths": "paths",
    "Step": "step",
    "StoredTable": "slices",
    "TableAsset": "asset_factory",
    "TableOutput": "step",
    "Warehouse": "database",
    "WarehouseError": "errors",
    "added_since": "additions",
    "code_version": "versions",
    "grouped": "slices",
    "how_far": "headway",
    "library_versions": "versions",
    "table_asset": "asset_factory",
    "table_assets_of": "asset_factory",
}

__all__ = [
    "DataPaths",
    "Step",
    "StoredTable",
    "TableAsset",
    "TableOutput",
    "Warehouse",
    "WarehouseError",
    "added_since",
    "code_version",
    "grouped",
    "how_far",
    "library_versions",
    "table_asset",
    "table_assets_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
