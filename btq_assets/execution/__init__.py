"""Orders, schedules, routing and what trading cost. No order ever leaves this house.

Order of reading: `events` and `orders` (states), `almgren_chriss` and `schedules`, `routing`,
`shortfall` and `cost_analysis`, `checks`, `assets`; then `live`, the loop on paper. Limits on orders
are in `risk.limits`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Accepted": "orders",
    "ImpactModel": "almgren_chriss",
    "RouteTerms": "routing",
    "Venue": "routing",
    "implementation_shortfall": "schedules",
    "of_order": "shortfall",
    "optimal_trajectory": "almgren_chriss",
    "pov": "schedules",
    "route": "routing",
    "twap": "schedules",
    "volume_profile": "schedules",
    "vwap": "schedules",
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
