"""The reports room: frames in, one self-contained HTML page out.

Start with `assemble.py` (frames → view), then `render.py` (view → page).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btq_assets.reports.console import print_summary
    from btq_assets.reports.frames import ReportContext, ReportFrames
    from btq_assets.reports.view import ReportView

_HOME = {
    "ReportContext": "frames",
    "ReportFrames": "frames",
    "ReportView": "view",
    "print_summary": "console",
}

__all__ = ["ReportContext", "ReportFrames", "ReportView", "print_summary"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
