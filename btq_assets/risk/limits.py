"""Limits of the trading configuration: making weights obey them, and saying which are breached.

Belongs here: the one implementation of every limit, on weights held, on tables of targets and on
orders before they are sent. Does not belong here: choosing weights (the portfolio room), stopping
to trade (the execution room), the messages of a gate (`portfolio.gates`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig, TradingSection

#: Excess over a limit that counts as rounding.
LIMIT_TOLERANCE = 1e-9

MINUTE_NS = 60_000_000_000


class LimitError(ValueError):
    """Limits, or a state they are asked about, that cannot be."""


def exceeds(value: Any, allowed: float, tolerance: float = LIMIT_TOLERANCE) -> Any:
    """Whether a value, an array or a polars expression is above its limit."""
    return value > allowed + tolerance


@dataclass(frozen=True)
class Breach:
    """One limit that does not hold.

    Attributes
    ----------
    strategy, limit
        Who, and the setting's name.
    value, allowed
        What was found and the limit, fractions of equity.
    detail
        Which asset, or which drawdown.
    """

    strategy: str
    limit: str
    value: float
    allowed: float
    detail: str


def breaches(
    weights: pl.DataFrame,
    wealth: Mapping[str, np.ndarray],
    trading: TradingSection,
    *,
    tolerance: float = LIMIT_TOLERANCE,
) -> list[Breach]:
    """Breaches of position and drawdown limits by the weights held last.

    Parameters
    ----------
    weights
        ``strategy``, ``symbol``, ``weight``: shares of equity held at the last bar. Weights drift
        between fills, so one capped at its fill may lie above its limit here.
    wealth
        Equity series by strategy, in time order.
    trading
        Limits: ``max_position_size`` and ``max_drawdown_threshold``.
    tolerance
        Excess that counts as rounding.

    Returns
    -------
    list of Breach
        By strategy; empty when every limit holds.
    """
    found = [
        Breach(
            row["strategy"],
            "max_position_size",
            abs(row["weight"]),
            trading.max_position_size,
            row["symbol"],
        )
        for row in weights.sort("strategy", "symbol").iter_rows(named=True)
        if exceeds(abs(row["weight"]), trading.max_position_size, tolerance)
    ]
    for strategy, values in wealth.items():
        now = drawdown_now(float(values[-1]), float(np.max(values)))
        if exceeds(now, trading.max_drawdown_threshold, tolerance):
            found.append(
                Breach(
                    strategy,
                    "max_drawdown_threshold",
                    now,
                    trading.max_drawdown_threshold,
                    "drawdown at the last bar",
                )
            )
    return sorted(found, key=lambda b: (b.strategy, b.limit, b.detail))


def cap_weights(weights: np.ndarray, max_position: float) -> np.ndarray:
    """Cap long-only weights and give the excess to the others in proportion to their weight.

    Parameters
    ----------
    weights
        ``float64[N]``, all >= 0. An asset of weight zero receives nothing.
    max_position
        Largest weight of one asset, > 0.

    Returns
    -------
    numpy.ndarray
        ``float64[N]``, each <= `max_position`, summing to
        ``min(weights.sum(), max_position * number of positive weights)``: what no asset can take
        is left in cash.

    Raises
    ------
    ValueError
        A weight is negative or NaN.
    """
    if not (weights >= 0).all():
        raise ValueError(f"cap_weights takes long-only weights, found {weights.min():.6g}")
    capped = weights.astype(np.float64, copy=True)
    total = capped.sum()
    full = np.zeros(capped.shape, dtype=bool)
    # Each pass fills at least one more asset, so N passes are enough.
    for _ in range(capped.size):
        over = ~full & (capped > max_position)
        if not over.any():
            break
        full |= over
        free = ~full & (capped > 0)
        left = total - max_position * full.sum()
        if free.any():
            capped[free] = capped[free] / capped[free].sum() * left
        capped[full] = max_position
    return np.minimum(capped, max_position)


def limit_weights(weights: np.ndarray, max_position: float, max_gross: float) -> np.ndarray:
    """Clip each weight to ``±max_position``, then shrink all to ``sum(|w|) <= max_gross``.

    Nothing is redistributed: sizes that mean something (Kelly, a volatility target) are only
    ever made smaller.
    """
    clipped = np.clip(weights, -max_position, max_position)
    gross = np.abs(clipped).sum()
    return clipped * (max_gross / gross) if gross > max_gross else clipped


def drawdown_now(equity: float, peak: float) -> float:
    """Fraction of the highest equity so far that is lost now."""
    return 1.0 - equity / peak


@dataclass(frozen=True)
class OrderLimits:
    """What an order must obey before it is sent. Fractions of equity where not said otherwise.

    Attributes
    ----------
    max_position, max_gross, max_net
        Largest absolute weight of one asset, sum of absolute weights, absolute sum of weights,
        with all orders that still work counted as filled.
    max_drawdown
        Beyond this drawdown nothing may grow any more.
    max_turnover
        Value traded in a session.
    price_collar
        Largest distance of an order's price from the price it was decided on, as a fraction.
    max_orders_per_minute
        Orders sent in any 60 seconds.
    """

    max_position: float = 0.25
    max_drawdown: float = 0.15
    max_gross: float = 1.0
    max_net: float = 1.0
    max_turnover: float = 2.0
    price_collar: float = 0.1
    max_orders_per_minute: int = 300

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0 or not np.isfinite(value):
                raise LimitError(f"{name} = {value!r}: needs a positive number")

    @classmethod
    def of(cls, config: TradingConfig) -> OrderLimits:
        """The limits of a configuration."""
        return cls(
            max_position=config.trading.max_position_size,
            max_drawdown=config.trading.max_drawdown_threshold,
            max_gross=config.portfolio.max_gross_exposure,
            max_net=config.execution.max_net_exposure,
            max_turnover=config.execution.max_turnover_per_session,
            price_collar=config.execution.price_collar,
            max_orders_per_minute=config.execution.max_orders_per_minute,
        )


@dataclass(frozen=True)
class ProposedOrder:
    """An order before it is sent.

    Attributes
    ----------
    quantity
        Signed shares.
    price
        Its limit, or the last price where it has none.
    reference_price
        Price the decision saw.
    """

    symbol: str
    quantity: float
    price: float
    reference_price: float


@dataclass
class TradingState:
    """What limits on orders are asked against; `admit` moves it on.

    Attributes
    ----------
    equity, peak_equity
        Now, and the highest so far; currency.
    holdings
        Signed value by symbol, orders that still work counted as filled.
    traded_value
        Traded and working in this session, currency.
    sent_at
        Times at which orders were sent, nanoseconds, ascending.
    """

    equity: float
    peak_equity: float
    holdings: dict[str, float] = field(default_factory=dict)
    traded_value: float = 0.0
    sent_at: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not np.isfinite(self.equity) or not self.peak_equity >= self.equity:
            raise LimitError(
                f"equity {self.equity!r} and its peak {self.peak_equity!r}: the peak must not be "
                "below equity, and both must be numbers"
            )


def order_breaches(
    order: ProposedOrder, state: TradingState, limits: OrderLimits, now: int, *, strategy: str = ""
) -> list[Breach]:
    """Limits that one order would break; empty when it may be sent.

    An order that makes its position smaller without turning it over is held to the collar and the
    rate alone: limits must never keep a book from shrinking. An order that grows its position is
    refused where it makes a breach, or an existing one larger.

    Parameters
    ----------
    now
        Nanoseconds; the clock is the caller's.

    Returns
    -------
    list of Breach
        In the order rate, collar, position, gross, net, turnover, drawdown.
    """
    found: list[Breach] = []

    def note(limit: str, value: float, allowed: float, detail: str = order.symbol) -> None:
        if math.isnan(value) or exceeds(value, allowed):
            found.append(Breach(strategy, limit, value, allowed, detail))

    n_sent = 1 + len(_recent(state.sent_at, now))
    note("max_orders_per_minute", n_sent, limits.max_orders_per_minute, "orders in 60 seconds")
    if not (order.price > 0 and order.reference_price > 0 and math.isfinite(order.quantity)):
        return [*found, Breach(strategy, "price_collar", np.nan, limits.price_collar,
                               f"{order.symbol}: no price to compare with")]  # fmt: skip
    note("price_collar", abs(order.price / order.reference_price - 1), limits.price_collar)
    before = state.holdings.get(order.symbol, 0.0)
    value = order.quantity * order.price
    after = before + value
    if abs(after) <= abs(before) and after * before >= 0:
        return found
    if state.equity <= 0:
        return [*found, Breach(strategy, "max_drawdown", drawdown_now(state.equity, state.peak_equity),
                               limits.max_drawdown, "equity is not positive")]  # fmt: skip
    equity = state.equity
    gross = sum(map(abs, state.holdings.values())) - abs(before) + abs(after)
    net = sum(state.holdings.values()) + value
    note("max_position", abs(after) / equity, limits.max_position)
    note("max_gross", gross / equity, limits.max_gross)
    if abs(net) > abs(net - value):
        note("max_net", abs(net) / equity, limits.max_net)
    note("max_turnover", (state.traded_value + abs(value)) / equity, limits.max_turnover)
    note("max_drawdown", drawdown_now(equity, state.peak_equity), limits.max_drawdown, "equity")
    return found


def admit(
    orders: Sequence[ProposedOrder],
    state: TradingState,
    limits: OrderLimits,
    now: int,
    *,
    strategy: str = "",
) -> list[list[Breach]]:
    """Breaches of each order, in turn; an order without any counts as filled for the next ones.

    Returns
    -------
    list of list of Breach
        One entry per order. `state` has moved on by the orders that may be sent.
    """
    answers = []
    for order in orders:
        found = order_breaches(order, state, limits, now, strategy=strategy)
        if not found:
            value = order.quantity * order.price
            state.holdings[order.symbol] = state.holdings.get(order.symbol, 0.0) + value
            state.traded_value += abs(value)
            state.sent_at = [*_recent(state.sent_at, now), now]
        answers.append(found)
    return answers


def _recent(times: Sequence[int], now: int) -> Sequence[int]:
    """Those of ascending times that lie in the last minute."""
    return times[bisect_right(times, now - MINUTE_NS) :]
