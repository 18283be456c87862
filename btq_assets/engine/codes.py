"""Numbers with names: kinds of orders, times in force, sizes, events, outcomes, columns of records.

Belongs here: every code that tables and compiled functions share, and the dtypes of records. Does
not belong here: anything that computes.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class OrderKind(IntEnum):
    """How an order waits for its price."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING_STOP = 4
    MARKET_ON_OPEN = 5
    LIMIT_ON_OPEN = 6
    MARKET_ON_CLOSE = 7
    LIMIT_ON_CLOSE = 8


class TimeInForce(IntEnum):
    """How long an order waits."""

    GTC = 0
    DAY = 1
    IOC = 2
    FOK = 3
    GTT = 4


class SizeKind(IntEnum):
    """What the number in ``size`` means."""

    SHARES = 0
    TARGET_SHARES = 1
    TARGET_WEIGHT = 2


class EventKind(IntEnum):
    """What one row of a market stream says."""

    BAR = 0
    QUOTE = 1
    TRADE = 2
    FX = 3


class ActionKind(IntEnum):
    """What happens to a holding without an order."""

    DIVIDEND = 0
    SPLIT = 1
    FUNDING = 2
    DELISTING = 3


class Status(IntEnum):
    """Where an order ended."""

    NEW = 0
    WORKING = 1
    PARTIAL = 2
    FILLED = 3
    CANCELLED = 4
    REJECTED = 5
    EXPIRED = 6


class Reason(IntEnum):
    """Why an order ended without being filled, or why there was a fill without an order."""

    NONE = 0
    NO_SIZE = 1
    BELOW_MINIMUM = 2
    SHORT_OF_CASH = 3
    DELISTED = 4
    NO_PRICE = 5
    RUINED = 6
    REPLACED = 7
    CANCELLED_BY_OWNER = 8
    TIME_IN_FORCE = 9
    LIQUIDATION = 10
    NO_CURRENCY_RATE = 11
    PARENT_ENDED = 12
    OTHER_FILLED = 13


class Liquidity(IntEnum):
    """Which side of the market a fill was on."""

    TAKER = 0
    MAKER = 1
    AUCTION = 2


class Moment(IntEnum):
    """Where in its bar a fill happened."""

    OPEN = 0
    INSIDE = 1
    CLOSE = 2


#: Bits of the flags of an event.
FLAG_SESSION_OPEN, FLAG_SESSION_CLOSE, FLAG_HALTED = 1, 2, 4

#: Kinds of cost, as columns of cumulative totals. Positive numbers were paid.
COST_NAMES = (
    "commission",
    "spread",
    "slippage",
    "impact",
    "fx",
    "liquidation",
    "borrow",
    "interest",
    "funding",
    "dividends",
)
N_COSTS = len(COST_NAMES)

#: One asset: its terms (what orders pay and must obey), holding, open trade, queue of orders.
ASSET_DTYPE = np.dtype(
    [
        ("taker", np.float64),
        ("maker", np.float64),
        ("per_share", np.float64),
        ("minimum", np.float64),
        ("half_spread", np.float64),
        ("slippage", np.float64),
        ("square_root", np.float64),
        ("temporary", np.float64),
        ("exponent", np.float64),
        ("permanent", np.float64),
        ("fx_cost", np.float64),
        ("liquidation_fee", np.float64),
        ("lot", np.float64),
        ("min_shares", np.float64),
        ("min_value", np.float64),
        ("multiplier", np.float64),
        ("initial_margin", np.float64),
        ("maintenance", np.float64),
        ("borrow", np.float64),
        ("participation", np.float64),
        ("rate", np.float64),
        ("shares", np.float64),
        ("mark", np.float64),
        ("factor", np.float64),
        ("for_buys", np.float64),
        ("for_sells", np.float64),
        ("planned", np.float64),
        ("entered", np.float64),
        ("entry_value", np.float64),
        ("left", np.float64),
        ("exit_value", np.float64),
        ("flow", np.float64),
        ("costs", np.float64),
        ("carry", np.float64),
        ("mae", np.float64),
        ("mfe", np.float64),
        ("opened_at", np.int64),
        ("event", np.int64),
        ("seen", np.int64),
        ("currency", np.int32),
        ("n_fills", np.int32),
        ("first", np.int32),
        ("last", np.int32),
        ("margined", np.int8),
        ("fresh", np.int8),
        ("liquidating", np.int8),
        ("delisted", np.int8),
    ],
    align=True,
)

#: The account: money, what its holdings need, costs so far, counters, rules of the run.
ACCOUNT_DTYPE = np.dtype(
    [
        ("cash", np.float64),
        ("net", np.float64),
        ("initial", np.float64),
        ("maintained", np.float64),
        ("month_value", np.float64),
        *((name, np.float64) for name in COST_NAMES),
        ("cash_rate", np.float64),
        ("debit_rate", np.float64),
        ("day_count", np.float64),
        ("n_fills", np.int64),
        ("n_trades", np.int64),
        ("n_liquidating", np.int64),
        ("latency", np.int64),
        ("through", np.int8),
        ("cut", np.int8),
    ],
    align=True,
)

#: A buy as it would be filled, before the buys of a tick are scaled to the cash at hand.
PLAN_DTYPE = np.dtype(
    [
        ("number", np.int32),
        ("asset", np.int32),
        ("quantity", np.float64),
        ("price", np.float64),
        ("limit", np.float64),
        ("quoted", np.float64),
        ("half_spread", np.float64),
        ("volatility", np.float64),
        ("daily_volume", np.float64),
        ("liquidity", np.int8),
    ],
    align=True,
)

ORDER_FILL_DTYPE = np.dtype(
    [
        ("time", np.int64),
        ("order", np.int32),
        ("asset", np.int32),
        ("liquidity", np.int8),
        ("moment", np.int8),
        ("reason", np.int8),
        ("shares", np.float64),
        ("price", np.float64),
        ("fx_rate", np.float64),
        ("commission", np.float64),
        ("spread", np.float64),
        ("slippage", np.float64),
        ("impact", np.float64),
        ("fx", np.float64),
        ("liquidation", np.float64),
    ],
    align=True,
)

ORDER_STATE_DTYPE = np.dtype(
    [
        ("quantity", np.float64),
        ("filled", np.float64),
        ("value", np.float64),
        ("accrued", np.float64),
        ("charged", np.float64),
        ("done_at", np.int64),
        ("session", np.int32),
        ("following", np.int32),
        ("status", np.int8),
        ("reason", np.int8),
        ("triggered", np.int8),
        ("rested", np.int8),
    ],
    align=True,
)

TRADE_DTYPE = np.dtype(
    [
        ("asset", np.int32),
        ("side", np.int8),
        ("is_open", np.int8),
        ("n_fills", np.int32),
        ("opened_at", np.int64),
        ("closed_at", np.int64),
        ("shares", np.float64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("gross", np.float64),
        ("costs", np.float64),
        ("carry", np.float64),
        ("mae", np.float64),
        ("mfe", np.float64),
    ],
    align=True,
)

#: No time: an order without an expiry, a fill without an order.
NEVER = np.iinfo(np.int64).max
