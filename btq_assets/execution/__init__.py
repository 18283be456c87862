"""Orders, schedules, routing and what trading cost. No order ever leaves this house.

Order of reading: `orders` (events and states), `venues` and `routing`, `schedules`,
`almgren_chriss`, `shortfall` and `cost_analysis`, `checks`, `assets`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Accepted": "orders",
    "Blotter": "orders",
    "Cancelled": "orders",
    "Expired": "orders",
    "Filled": "orders",
    "Order": "orders",
    "OrderError": "orders",
    "OrderState": "orders",
    "OrderTerms": "orders",
    "Rejected": "orders",
    "Submitted": "orders",
    "apply": "orders",
    "client_order_id": "orders",
    "from_record": "orders",
    "replay": "orders",
    "to_record": "orders",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
