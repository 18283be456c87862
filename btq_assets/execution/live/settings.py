"""What a live loop needs to be told, and its errors.

Belongs here: settings with their bounds. Does not belong here: anything that acts on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from btq_assets.engine.terms import Account, Instruments
from btq_assets.risk.limits import OrderLimits


class LiveError(ValueError):
    """A live loop cannot start or go on as asked."""


class RealTradingError(LiveError):
    """Real orders were asked for. There are none here."""


@dataclass(frozen=True)
class VenueTerms:
    """What trading at a venue costs and takes; see `execution.routing.Venue`.

    Attributes
    ----------
    fee_bps
        On value; the paper broker charges it, so it is not negative.
    latency_ns
        Time for an order to arrive.
    fade, hidden_cost_bps
        Share of size gone on arrival, cost beyond book and fee; the router reckons with them.
    """

    fee_bps: float = 0.0
    latency_ns: int = 0
    fade: float = 0.0
    hidden_cost_bps: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.fee_bps <= 1_000 or not 0 <= self.fade < 1:
            raise LiveError(f"fee_bps in [0, 1000] and fade in [0, 1), found {self}")
        if self.latency_ns < 0 or self.hidden_cost_bps < 0:
            raise LiveError(f"latency_ns and hidden_cost_bps >= 0, found {self}")


@dataclass(frozen=True)
class LiveSettings:
    """How a loop on paper behaves.

    Attributes
    ----------
    strategy
        Name under which its orders are kept.
    account
        Name of the paper account: part of every client id, so two accounts never share orders.
    on_short_cash
        What the paper broker does with an order that cash does not cover: cut or reject.
    instruments
        Lots, smallest orders, participation; one setting for all symbols.
    decide
        ``None`` decides as ``models.decision_every`` says (first session of a week or month);
        ``"bar"`` decides on every bar.
    stale_after
        Age of the newest bar from which no new order is sent; ``None`` never.
    daily_loss
        Loss since the last bar of the day before, as a share of equity, from which the loop stops
        for good; ``None`` never.
    drawdown
        The same since the highest equity; ``None`` takes ``trading.max_drawdown_threshold``.
    kill_switch
        A file: while it exists no new order is sent and open ones are cancelled.
    flatten_on_stop
        Whether a stop also sells what is held.
    limits
        What every order must obey before it is sent; ``None`` takes those of the configuration.
    venues
        What is known of venues by name (the dataset of their books). Orders of a symbol with books
        at two or more are split over them.
    heartbeat_every
        Least time between two heartbeats while nothing comes.
    """

    strategy: str = "live"
    account: str = "paper"
    on_short_cash: Literal["reject", "cut"] = "cut"
    instruments: Instruments = field(default_factory=Instruments)
    decide: Literal["bar"] | None = None
    stale_after: timedelta | None = timedelta(days=5)
    daily_loss: float | None = 0.05
    drawdown: float | None = None
    kill_switch: Path | None = None
    flatten_on_stop: bool = False
    limits: OrderLimits | None = None
    venues: Mapping[str, VenueTerms] = field(default_factory=dict)
    heartbeat_every: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if not self.strategy or not self.account:
            raise LiveError("strategy and account need names")
        for name in ("daily_loss", "drawdown"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise LiveError(f"{name} = {value!r}: a share between 0 and 1, or None")
        if self.stale_after is not None and self.stale_after <= timedelta(0):
            raise LiveError(f"stale_after = {self.stale_after}: needs a positive time, or None")
        if self.heartbeat_every <= timedelta(0):
            raise LiveError(f"heartbeat_every = {self.heartbeat_every}: needs a positive time")
        if self.decide not in (None, "bar"):
            raise LiveError(f"decide = {self.decide!r}: None or 'bar'")
        Account(1.0, on_short_cash=self.on_short_cash)
