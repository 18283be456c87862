"""From wanted weights to the record of a decision: what is taken back, sent, and kept back.

Belongs here: the orders of one bar and their names, in the order of asking: targets, limits on
weights, shares, limits on orders. Does not belong here: sending, writing down (`loop`), the
limits themselves (`risk.limits`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from btq_assets.config import TradingConfig
from btq_assets.execution.events import (
    OrderTerms,
    Submitted,
    client_order_id,
    plain,
    to_record,
)
from btq_assets.execution.live.account import shares_to_trade
from btq_assets.execution.live.broker import PaperBroker
from btq_assets.execution.live.pretrade import PreTrade, refusal_records
from btq_assets.execution.live.safety import LASTING, Guard
from btq_assets.execution.live.settings import LiveError, LiveSettings
from btq_assets.execution.live.targets import Targets
from btq_assets.execution.live.venues import Router
from btq_assets.execution.orders import Blotter
from btq_assets.risk.limits import limit_weights


class Decisions:
    """Asks the targets and the limits, one bar after another.

    Attributes
    ----------
    seen
        Price a decision read, by symbol, where it is not the last one: the close of a bar made of
        ticks, after which quotes have moved on.
    books_since
        Nanoseconds; older books are not routed to.
    """

    def __init__(
        self,
        config: TradingConfig,
        settings: LiveSettings,
        broker: PaperBroker,
        orders: Blotter,
        guard: Guard,
        limits: PreTrade,
        targets: Targets,
        symbols: frozenset[str],
        router: Router,
    ) -> None:
        self._config, self._settings = config, settings
        self._broker, self._orders = broker, orders
        self._guard, self._limits, self._targets = guard, limits, targets
        self._symbols = symbols
        self.seen: Mapping[str, float] = {}
        self.books_since = 0
        self._router = router

    def record(
        self, ts: datetime, time: int, why: str, due: bool, now: int
    ) -> dict[str, Any] | None:
        """The record to be written before anything is sent; ``None`` where nothing is to be done.

        Parameters
        ----------
        ts, time
            End of the bar, twice.
        why
            What forbids new orders, empty for nothing.
        due
            Whether this bar decides.
        now
            Reading of the loop's clock, nanoseconds UTC.
        """
        open_orders = [self._orders[name] for name in self._broker.working]
        if why in ("kill_switch", *LASTING):
            flat = dict.fromkeys(sorted(self._broker.books.shares), 0.0)
            weights = flat if self._settings.flatten_on_stop else {}
            cancels = [
                o.client_id for o in open_orders if o.terms.symbol not in weights or not weights
            ]
            if weights and {o.terms.symbol for o in open_orders} >= set(weights):
                return None  # already being sold
        elif why or not due:
            return None
        else:
            weights = self._limited(self._targets.weights(ts))
            cancels = []
        replaced = [o.client_id for o in open_orders if o.terms.symbol in weights]
        wanted = self._terms(weights, time)
        if not (wanted or cancels or replaced or weights):
            return None
        ended, marks = {*cancels, *replaced}, self._broker.books.marks
        split = self._router.split(wanted, self.books_since)
        verdict = self._limits.judge(
            split.orders,
            self._broker.books,
            [o for o in open_orders if o.client_id not in ended],
            self._guard.peak,
            lambda terms: marks[terms.symbol],
            now,
        )
        return {
            "kind": "decision",
            "time": time,
            "why": why,
            "weights": weights,
            "cancels": sorted(ended),
            "orders": [to_record(Submitted(time, terms)) for terms in verdict.admitted],
            "sent_at": now,
            **({"parents": [plain(terms) for terms in split.parents]} if split.parents else {}),
            **refusal_records(verdict),
            "final": False,
        }

    def _limited(self, weights: dict[str, float]) -> dict[str, float]:
        values = np.array(list(weights.values()), dtype=float)
        if not np.isfinite(values).all():
            bad = [symbol for symbol, value in weights.items() if not np.isfinite(value)]
            raise LiveError(f"targets of {bad[:5]} are not numbers; nothing was sent")
        unknown = sorted(set(weights) - self._symbols)
        if unknown:
            raise LiveError(f"targets name {unknown[:5]}, which are not traded; nothing was sent")
        config = self._config
        held = limit_weights(
            values, config.trading.max_position_size, config.portfolio.max_gross_exposure
        )
        return dict(sorted(zip(weights, held.tolist(), strict=True)))

    def _terms(self, weights: dict[str, float], time: int) -> list[OrderTerms]:
        universe, settings = self._config.universe.main, self._settings
        books = self._broker.books
        return [
            OrderTerms(
                client_order_id(settings.account, settings.strategy, universe, symbol, time),
                settings.strategy,
                universe,
                symbol,
                quantity,
                decided_at=time,
                reference_price=self.seen.get(symbol, books.marks[symbol]),
            )
            for symbol, quantity in shares_to_trade(weights, books, settings.instruments).items()
        ]
