"""Cash and holdings of a paper account, and what they allow.

Belongs here: what a fill does to cash, whether margin covers one, how many shares bring a target
weight. The rules are those of the event engine (docs/engine.md), and tests hold the two together.
Does not belong here: prices of fills and costs (`engine.fills`), limits of risk (`risk.limits`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from btq_assets.engine.terms import Instruments

#: Smaller changes, relative to the holding, are rounding and not trading.
DUST = 1e-12


@dataclass
class Books:
    """Cash, signed shares and last prices, by symbol; changed by fills and marks.

    Attributes
    ----------
    cash
        Currency.
    shares, marks
        By symbol; a symbol without shares is absent from the first.
    initial_margin
        Equity needed per value held.
    """

    cash: float
    shares: dict[str, float] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    initial_margin: float = 1.0
    _totals: tuple[float, float] | None = field(default=None, repr=False, compare=False)

    @property
    def net(self) -> float:
        """Value of all holdings."""
        return sum(n * self.marks[symbol] for symbol, n in self.shares.items())

    @property
    def gross(self) -> float:
        """Sum of the absolute values of all holdings."""
        return sum(abs(n * self.marks[symbol]) for symbol, n in self.shares.items())

    @property
    def equity(self) -> float:
        """Cash and holdings."""
        return self.cash + self.net

    def covers(self, symbol: str, shares: float, price: float, cost: float) -> bool:
        """Whether equity after a fill would cover the initial margin; less risk always may.

        `shares` are signed, `cost` is all that the fill pays beside its value.
        """
        held = self.shares.get(symbol, 0.0)
        after = held + shares
        if abs(after) <= abs(held) and after * held >= 0.0:
            return True
        if self._totals is None:
            self._totals = self.net, self.gross
        net, gross = self._totals
        mark = self.marks.get(symbol, price)
        equity = self.cash + net + held * (price - mark) - cost
        needed = self.initial_margin * (gross + abs(after) * price - abs(held) * mark)
        return equity >= needed - 1e-9 * max(abs(equity), needed)

    def book(self, symbol: str, shares: float, price: float, cost: float) -> None:
        """One fill into cash and holdings; the holding is valued at its price until marked."""
        held = self.shares.get(symbol, 0.0)
        after = held + shares
        self.cash -= shares * price + cost
        if self._totals is not None:
            mark = self.marks.get(symbol, price)
            net, gross = self._totals
            self._totals = (
                net + after * price - held * mark,
                gross + abs(after) * price - abs(held) * mark,
            )
        self.marks[symbol] = price
        if after == 0.0 or (held * shares < 0.0 and abs(after) <= DUST * abs(held)):
            self.shares.pop(symbol, None)
        else:
            self.shares[symbol] = after

    def mark(self, symbol: str, price: float) -> None:
        """Value a holding at a new price."""
        self.marks[symbol] = price
        self._totals = None

    def to_record(self) -> dict[str, Any]:
        """Plain values for a journal."""
        return {"cash": self.cash, "shares": dict(self.shares), "marks": dict(self.marks)}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Take over what `to_record` gave."""
        self.cash = float(record["cash"])
        self.shares, self.marks = dict(record["shares"]), dict(record["marks"])
        self._totals = None


def shares_to_trade(
    weights: Mapping[str, float], books: Books, instruments: Instruments
) -> dict[str, float]:
    """Signed shares that bring holdings to target weights, by symbol, in the order given.

    Sized by equity and last prices of now, as the event engine sizes a target weight. A weight of
    zero sells everything, whatever the lot. A symbol whose order would be rounding, below the
    smallest order, or has no price, is absent.
    """
    from btq_assets.engine.kernel import target_shares

    equity = books.equity
    if equity <= 0.0 or not weights:
        return {}
    lot, smallest = float(np.max(instruments.lot_size)), float(np.max(instruments.min_shares))
    least = float(np.max(instruments.min_value))
    marks = np.array([books.marks.get(symbol, math.nan) for symbol in weights])
    wanted = target_shares(np.array(list(weights.values()), dtype=float), equity, marks)
    found: dict[str, float] = {}
    for (symbol, weight), target, mark in zip(weights.items(), wanted, marks, strict=True):
        held = books.shares.get(symbol, 0.0)
        quantity = float(target) - held
        if math.isnan(quantity) or abs(quantity) <= DUST * max(abs(target), abs(held)):
            continue
        if weight != 0.0:
            if lot > 0.0:
                quantity = math.trunc(quantity / lot * (1.0 + DUST)) * lot
            if quantity == 0.0 or abs(quantity) < smallest or abs(quantity) * mark < least:
                continue
        found[symbol] = quantity
    return found
