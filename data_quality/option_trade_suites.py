"""Suite of option trades.

Belongs here: what is expected of these raw tables, as data. Does not belong here: how a statistic
is computed (`option_trade_views`), structure (contracts).
"""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup
from data_quality import option_trade_views
from data_quality.declarations import Suite, View, between
from data_quality.runner import check_group

_OPTION_TRADES = (
    between(
        "both_sides_are_there", "days", "buy_share", 0.1, 0.9,
        "Buyers and sellers each start at least a tenth of a day's trades; else the side was "
        "misread.",
    ),
    between(
        "prices_are_near_the_mark", "days", "price_to_mark", 0.5, 2.0,
        "The median trade is within a factor of two of the exchange's mark.",
    ),
    between(
        "no_number_has_two_prices", "days", "repeated_fraction", None, 0.0,
        "No number of a contract's trades stands for two trades.",
    ),
)  # fmt: skip


def option_trades_declaration(contract: TableContract) -> Suite:
    """The declaration behind `raw_option_trades_suite`."""
    view = View("days", option_trade_views.option_trade_days, option_trade_views.TRADE_DAY)
    return Suite(contract.table, (view,), _OPTION_TRADES)


def raw_option_trades_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.option_trades_*`` table; all of them warn."""
    return check_group(option_trades_declaration(contract))
