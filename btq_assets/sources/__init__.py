"""Sources: where data enter the house, four rooms that know nothing of one another.

``market`` (bars), ``macro`` (series and their vintages) and ``sentiment`` (documents) each have
``providers/`` (the only code that opens files or sockets), pure parsers, and ``assets.py``. What
they share lies here: packaged files pinned by hash, refused rows, and the rule for re-fetches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btq_assets.sources.credits import attributions
    from btq_assets.sources.errors import (
        FolderError,
        ProviderUnavailableError,
        SourceError,
        UnknownSymbolError,
    )
    from btq_assets.sources.packaged import PackagedFile
    from btq_assets.sources.vintages import new_vintages

_HOME = {
    "FolderError": "errors",
    "PackagedFile": "packaged",
    "ProviderUnavailableError": "errors",
    "SourceError": "errors",
    "UnknownSymbolError": "errors",
    "attributions": "credits",
    "new_vintages": "vintages",
}

__all__ = [
    "FolderError",
    "PackagedFile",
    "ProviderUnavailableError",
    "SourceError",
    "UnknownSymbolError",
    "attributions",
    "new_vintages",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
