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

#: Columns of the terms of an asset, ``float64[N, N_TERMS]``: what its orders pay and must obey.
(
    TAKER,
    MAKER,
    PER_SHARE,
    MINIMUM,
    HALF_SPREAD,
    SLIPPAGE,
    SQUARE_ROOT,
    TEMPORARY,
    EXPONENT,
    PERMANENT,
    FX_COST,
    LIQUIDATION_FEE,
    LOT,
    MIN_SHARES,
    MIN_VALUE,
    MULTIPLIER,
    INITIAL_MARGIN,
    MAINTENANCE,
    BORROW,
    MARGINED,
    CURRENCY,
    PARTICIPATION,
) = range(22)
N_TERMS = 22

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
(
    C_COMMISSION,
    C_SPREAD,
    C_SLIPPAGE,
    C_IMPACT,
    C_FX,
    C_LIQUIDATION,
    C_BORROW,
    C_INTEREST,
    C_FUNDING,
    C_DIVIDENDS,
) = range(10)
N_COSTS = len(COST_NAMES)

ORDER_FILL_DTYPE = np.dtype(
    [
        ("time", np.int64),
        ("order", np.int64),
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
        ("limit", np.float64),
        ("stop", np.float64),
        ("accepted_at", np.int64),
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
