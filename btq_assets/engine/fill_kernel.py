"""Compiled fill model: does an order trade against an event, at which price, and what is charged.

Belongs here: one order against one event, without an account. The event engine (`order_kernel`)
and the paper broker (through `fills`) call these same functions. Does not belong here: cash,
holdings, margin.
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine import codes, rebalance_kernel
from btq_assets.engine.codes import FLAG_HALTED, FLAG_SESSION_CLOSE, FLAG_SESSION_OPEN
from btq_assets.engine.compiled import compiled
from btq_assets.engine.rebalance_kernel import spread_and_impact

_LIMIT, _STOP, _STOP_LIMIT, _TRAILING = 1, 2, 3, 4
_MARKET_ON_OPEN, _LIMIT_ON_OPEN = 5, 6
_DAY, _IOC, _FOK, _GTT = 1, 2, 3, 4
_BAR, _QUOTE = 0, 1
_TAKER, _MAKER, _AUCTION = 0, 1, 2
_OPEN, _INSIDE, _CLOSE = 0, 1, 2

#: What `attempt` answers.
WAIT, FILL, FILL_AND_EXPIRE, EXPIRE, CANCEL = 0, 1, 2, 3, 4


@compiled(codes, build_in=True)
def match(kind, side, limit, stop, triggered, rested, at_once, through, open_, high, low, close):
    """Price of an order within one bar; times inside the bar are unknown, so the worse is assumed.

    A stop fires before anything else is tried. A stop-limit that fired inside the bar and did not
    trade there at once fills at its limit only if the close, which is surely later, allows it.

    Parameters
    ----------
    kind : int
        `codes.OrderKind`, auctions excluded (they are markets and limits at one price).
    side
        1 buys, -1 sells.
    limit, stop
        Prices; a trailing stop comes with its level of the moment as `stop`.
    triggered, rested : bool
        The stop has fired earlier; the order has seen an earlier event (a limit is then a maker).
    at_once : bool
        Only the first price counts (IOC, FOK).
    through : bool
        A resting limit needs a price beyond it; touching is not enough.
    open_, high, low, close
        Prices of the bar; a tick has four equal ones.

    Returns
    -------
    price : float
        NaN: no trade.
    liquidity, moment : int
        `codes.Liquidity`, `codes.Moment`.
    triggered : bool
    """
    best, worst = (low, high) if side > 0 else (high, low)
    if _STOP <= kind <= _TRAILING:
        if not triggered:
            if side * open_ >= side * stop:
                triggered = True
            elif not at_once and side * worst >= side * stop:
                if kind != _STOP_LIMIT or side * stop <= side * limit:
                    return stop, _TAKER, _INSIDE, True
                if side * close <= side * limit:
                    return limit, _MAKER, _CLOSE, True
                return np.nan, _MAKER, _INSIDE, True
            else:
                return np.nan, _TAKER, _INSIDE, False
        if kind != _STOP_LIMIT:
            return open_, _TAKER, _OPEN, True
    elif kind != _LIMIT:
        return open_, _TAKER, _OPEN, False
    if side * open_ <= side * limit:
        return open_, (_MAKER if rested and kind == _LIMIT else _TAKER), _OPEN, triggered
    if not at_once and (
        side * best < side * limit or (not through and side * best == side * limit)
    ):
        return limit, _MAKER, _INSIDE, triggered
    return np.nan, _MAKER, _INSIDE, triggered


@compiled(codes, build_in=True)
def fillable(remaining, available, lot, minimum):
    """Shares that trade now: within what is available, in whole lots unless it is the rest."""
    if available >= remaining:
        return remaining
    quantity = max(available, 0.0)
    if lot > 0.0:
        quantity = np.floor(quantity / lot * (1.0 + 1e-12)) * lot
    return quantity if quantity >= minimum else 0.0


@compiled(codes, build_in=True)
def room(kind, volume, participation):
    """Shares that orders may take of an event whose volume (or quoted size) is `volume`.

    A quoted size always limits, traded volume only where a participation is set. A known volume of
    zero trades nothing; an unknown one nothing under a limit.
    """
    if volume == 0.0:
        return 0.0
    if kind == _QUOTE:
        return np.inf if np.isnan(volume) else min(participation, 1.0) * volume
    if np.isinf(participation):
        return np.inf
    return 0.0 if np.isnan(volume) else participation * volume


@compiled(codes, build_in=True)
def attempt(
    kind,
    force,
    side,
    remaining,
    limit,
    stop,
    triggered,
    rested,
    session,
    active_at,
    expire_at,
    cancel_at,
    event_kind,
    time,
    start,
    open_,
    high,
    low,
    close,
    flags,
    event_session,
    available,
    lot,
    minimum,
    through,
    on_deciding_bar,
):
    """One order against one event.

    An order takes part in a bar that begins at or after `active_at`, and in a quote or trade
    strictly later than it. It must be alive over the whole bar. For a quote, `open_` and `high`
    are bid and ask.

    Returns
    -------
    verdict : int
        `WAIT`, `FILL`, `FILL_AND_EXPIRE` (what is left ends), `EXPIRE`, `CANCEL`.
    quantity : float
        Shares, positive.
    price : float
        Before costs: of a bar or trade the traded price, of a quote the mid (taker).
    liquidity, moment : int
    quoted : float
        Half of the quoted spread, currency per share; NaN where there is no quote.
    triggered : bool
    session : int
        Session the order belongs to; set by the first event it takes part in.
    """
    nothing = np.nan
    if cancel_at < time:
        return CANCEL, 0.0, nothing, _TAKER, _OPEN, nothing, triggered, session
    if (force == _GTT and expire_at < time) or (
        force == _DAY and session >= 0 and session != event_session
    ):
        return EXPIRE, 0.0, nothing, _TAKER, _OPEN, nothing, triggered, session
    if on_deciding_bar:
        open_, high, low, event_kind = close, close, close, (_QUOTE + 1)
    elif start < active_at if event_kind == _BAR else time <= active_at:
        return WAIT, 0.0, nothing, _TAKER, _OPEN, nothing, triggered, session
    if session < 0:
        session = event_session
    at_once = _IOC <= force <= _FOK
    quoted = nothing
    mid = nothing
    if event_kind == _QUOTE:
        mid = 0.5 * (open_ + high)
        quoted = 0.5 * (high - open_)
        touch = high if side > 0 else open_
        open_, high, low, close = touch, touch, touch, touch
    auction = False
    if kind >= _MARKET_ON_OPEN:
        wanted = FLAG_SESSION_OPEN if kind <= _LIMIT_ON_OPEN else FLAG_SESSION_CLOSE
        if flags & wanted == 0 or flags & FLAG_HALTED != 0:
            return WAIT, 0.0, nothing, _TAKER, _OPEN, nothing, triggered, session
        auction = True
        moment = _OPEN if kind <= _LIMIT_ON_OPEN else _CLOSE
        price = open_ if kind <= _LIMIT_ON_OPEN else close
        if not np.isnan(limit) and side * price > side * limit:
            price = nothing
        liquidity = _AUCTION
    elif flags & FLAG_HALTED != 0:
        price, liquidity, moment = nothing, _TAKER, _OPEN
    else:
        price, liquidity, moment, triggered = match(
            kind, side, limit, stop, triggered, rested, at_once, through, open_, high, low, close
        )
    quantity = 0.0
    if not np.isnan(price):
        quantity = fillable(remaining, available, lot, minimum)
        if force == _FOK and quantity < remaining:
            quantity = 0.0
    ends = at_once or auction
    if quantity <= 0.0:
        return (
            (EXPIRE if ends else WAIT),
            0.0,
            nothing,
            _TAKER,
            _OPEN,
            nothing,
            triggered,
            session,
        )
    if event_kind == _QUOTE:
        if liquidity == _TAKER:
            price = mid
        else:
            quoted = nothing
    verdict = FILL_AND_EXPIRE if ends and quantity < remaining else FILL
    return verdict, quantity, price, liquidity, moment, quoted, triggered, session


@compiled(codes)
def trailing_level(side, level, reference, amount, fraction):
    """Stop level of a trailing stop after the price `reference`: it only moves with the trade.

    A selling stop stays `amount` (or `fraction` of the price) below the highest price seen, a
    buying one above the lowest.
    """
    if np.isnan(reference):
        return level
    wanted = reference + side * (reference * fraction if np.isnan(amount) else amount)
    if np.isnan(level):
        return wanted
    return min(level, wanted) if side > 0 else max(level, wanted)


@compiled(codes, rebalance_kernel, build_in=True)
def charge(
    assets, asset, price, quantity, side, liquidity, limit, half_spread, quoted, sigma, volume
):
    """Spread, slippage and impact of one fill, and how far it moves the price for good.

    Makers pay none of them; auctions pay no spread. An order with a limit never pays beyond it:
    what would be beyond is cut from the three in proportion.

    Parameters
    ----------
    assets : structured array
        `codes.ASSET_DTYPE`, of which the terms are read.
    asset
        Row of it.
    price, quantity, side, liquidity
        The fill: price before costs, positive shares, 1 or -1, `codes.Liquidity`.
    limit
        NaN for an order without one.
    half_spread
        Fraction of value in force at this event; NaN takes that of the terms.
    quoted
        Half of the quoted spread per share; NaN without a quote.
    sigma, volume
        Daily volatility (fraction) and daily volume (shares); NaN where unknown.

    Returns
    -------
    spread, slippage, impact : float
        Currency of the asset; impact is NaN where it should be charged and cannot.
    permanent : float
        Fraction by which later prices are moved, positive.
    """
    if liquidity == _MAKER:
        return 0.0, 0.0, 0.0, 0.0
    terms = assets[asset]
    value = quantity * price * terms.multiplier
    scale = 0.0
    share = 0.0
    permanent = 0.0
    charged = terms.square_root > 0.0 or terms.temporary > 0.0 or terms.permanent > 0.0
    known = charged and volume > 0.0 and sigma >= 0.0
    if known:
        scale = terms.square_root * sigma / np.sqrt(price * volume * terms.multiplier)
        share = quantity / volume
    rate = terms.half_spread if np.isnan(half_spread) else half_spread
    spread, impact = spread_and_impact(value, rate, scale)
    if known and terms.temporary > 0.0:
        impact += value * terms.temporary * sigma * share**terms.exponent
    if known and terms.permanent > 0.0:
        permanent = terms.permanent * sigma * share
        impact += 0.5 * permanent * value
    if liquidity == _AUCTION:
        spread = 0.0
    elif not np.isnan(quoted):
        spread = quoted * quantity * terms.multiplier
    slippage = terms.slippage * value
    adverse = spread + slippage + impact
    if not np.isnan(limit):
        most = side * (limit - price) * quantity * terms.multiplier
        if adverse > most and adverse != 0.0:
            cut = max(most, 0.0) / adverse
            spread, slippage, impact = spread * cut, slippage * cut, impact * cut
    if charged and not known:
        impact = np.nan
    return spread, slippage, impact, permanent


@compiled(codes, build_in=True)
def commission_rate(assets, tiers, asset, liquidity, traded):
    """Fraction of executed value; by tier of the value traded this month where there are tiers."""
    if tiers.shape[0] == 0:
        return assets[asset].maker if liquidity == _MAKER else assets[asset].taker
    row = 0
    while row + 1 < tiers.shape[0] and traded >= tiers[row + 1, 0]:
        row += 1
    return tiers[row, 2] if liquidity == _MAKER else tiers[row, 1]


@compiled(codes, build_in=True)
def commission_due(rate, per_share, minimum, executed, quantity, accrued, charged):
    """Commission of one fill of an order, given what earlier fills accrued and were charged.

    The minimum is per order: the first fill pays it, later ones only what lies above it.

    Returns
    -------
    due, accrued : float
    """
    accrued += rate * executed + per_share * quantity
    owed = max(accrued, minimum) if minimum > 0.0 else accrued
    return owed - charged, accrued
