"""One bar after another: trade, mark, decide, write ahead, send, write down.

Belongs here: the order of events of one bar, and what is written when. Does not belong here: any
rule of its own; each step calls the room that owns it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.execution.events import (
    Event,
    OrderTerms,
    Submitted,
    client_order_id,
    from_record,
    to_record,
)
from btq_assets.execution.live.account import shares_to_trade
from btq_assets.execution.live.broker import PaperBroker
from btq_assets.execution.live.intake import Intake
from btq_assets.execution.live.journal import Journal
from btq_assets.execution.live.market import BarMaker, nanoseconds
from btq_assets.execution.live.pretrade import PreTrade, is_intraday, refusal_records, refusals
from btq_assets.execution.live.recovery import GUARD, Memory
from btq_assets.execution.live.safety import LASTING, Guard
from btq_assets.execution.live.settings import LiveError, LiveSettings
from btq_assets.execution.live.targets import Targets, opens_period
from btq_assets.risk.limits import OrderLimits, limit_weights

HEARTBEAT = "heartbeat.json"


@dataclass(frozen=True)
class LiveSummary:
    """What a start came to.

    Attributes
    ----------
    n_bars, n_decisions, n_orders
        Of this start; orders of all starts.
    equity
        At the last bar, currency.
    stopped
        Why no new order may be sent, empty where it may.
    refused
        Bars dropped and jumps of the clock, by name.
    latencies_s
        Seconds from bars to orders, one per decision; empty without a timer.
    """

    n_bars: int
    n_decisions: int
    n_orders: int
    equity: float
    stopped: str
    refused: dict[str, int]
    latencies_s: tuple[float, ...]


class Loop:
    """One start: the state between bars."""

    def __init__(
        self,
        config: TradingConfig,
        settings: LiveSettings,
        folder: Path,
        clock: Callable[[], datetime],
        timer: Callable[[], float] | None,
        journal: Journal,
        broker: PaperBroker,
        memory: Memory,
        targets: Targets,
        history: pl.DataFrame,
        symbols: Sequence[str],
        resume: bool,
    ) -> None:
        self.settings, self.config = settings, config
        self.memory = memory
        self.orders = memory.orders
        self._journal, self._broker, self._targets = journal, broker, targets
        self._clock, self._timer, self._folder = clock, timer, folder
        self._before: datetime = history["ts"].max()  # type: ignore[assignment]
        self._intake = Intake(self.config.universe.main, symbols, self._before)
        self._maker = BarMaker(self.config, symbols)
        self._maker.warm_up(history)
        drawdown = self.settings.drawdown
        self.guard = Guard(
            self.settings.daily_loss,
            self.config.trading.max_drawdown_threshold if drawdown is None else drawdown,
            self.settings.stale_after,
            equity=self.config.trading.initial_cash,
        )
        for name, value in memory.guard.items():
            setattr(self.guard, name, value)
        limits = self.settings.limits or OrderLimits.of(config)
        self.limits = PreTrade(limits, self.settings.strategy, is_intraday(history))
        until = -1 if memory.last_final is None else nanoseconds(memory.last_final)
        self.limits.remember(self.orders, until, memory.sent_at)
        self.n_bars = self.n_decisions = 0
        self.latencies: list[float] = []
        self._beat_at: datetime | None = None
        self._why = self.guard.stopped
        if resume and self.guard.stopped:
            self.guard.resume()
            self._journal.append({"kind": "resumed", **self._guarded()})

    # -- what comes -------------------------------------------------------------------------------

    def take(self, bars: pl.DataFrame) -> None:
        """A batch, whatever is in it."""
        now = self._intake.tell_time(self._clock())
        for rows in self._intake.take(bars, now):
            self._session(rows, now)
        self._beat(now)

    def look_up(self) -> None:
        """Nothing came: heed the kill switch, and say that the loop lives."""
        now = self._intake.tell_time(self._clock())
        self._why = self.guard.forbids(self._before, now, self._killed())
        if self._why == "kill_switch":
            at = nanoseconds(self._before)
            ended = self._broker.cancel(self._broker.working, at, self._why)
            if ended:
                self._note("cancels", at, ended, final=True)
        self._beat(now)

    def _session(self, rows: pl.DataFrame, now: datetime) -> None:
        begun = self._timer() if self._timer else 0.0
        ts: datetime = rows["ts"][0]
        time = nanoseconds(ts)
        known = self.memory.unfinished.get("decision")
        self.memory.unfinished = {}
        filled = self._broker.trade(time, self._maker.bars(rows, self._before))
        self._hold_true(filled)
        self.limits.count(filled, time)
        self._targets.observe(rows)
        self.guard.mark(ts, self._broker.books.equity)
        self._why = self.guard.forbids(ts, now, self._killed())
        decision: dict[str, Any] | None
        if known is not None and known["time"] == time:
            decision = known
        else:
            due = self.settings.decide == "bar" or opens_period(
                self._before, ts, self.config.models.decision_every
            )
            decision = self._decision(ts, time, due, nanoseconds(now))
            if decision is not None:
                self._journal.append(decision)
        events = list(filled)
        if decision is not None:
            if self._timer and decision["orders"]:
                self.latencies.append(self._timer() - begun)
            events += self._send(time, decision)
        self._note("bar", time, events, final=True)
        self._before = ts
        self.n_bars += 1

    # -- what goes out ----------------------------------------------------------------------------

    def _decision(self, ts: datetime, time: int, due: bool, now: int) -> dict[str, Any] | None:
        """The record to be written before anything is sent; ``None`` where nothing is to be done."""
        open_orders = [self.orders[name] for name in self._broker.working]
        if self._why in ("kill_switch", *LASTING):
            flat = dict.fromkeys(sorted(self._broker.books.shares), 0.0)
            weights = flat if self.settings.flatten_on_stop else {}
            cancels = [
                o.client_id for o in open_orders if o.terms.symbol not in weights or not weights
            ]
            if weights and {o.terms.symbol for o in open_orders} >= set(weights):
                return None  # already being sold
        elif self._why or not due:
            return None
        else:
            weights = self._limited(self._targets.weights(ts))
            cancels = []
        replaced = [o.client_id for o in open_orders if o.terms.symbol in weights]
        wanted = self._terms(weights, time)
        if not (wanted or cancels or replaced or weights):
            return None
        ended, marks = {*cancels, *replaced}, self._broker.books.marks
        verdict = self.limits.judge(
            wanted,
            self._broker.books,
            [o for o in open_orders if o.client_id not in ended],
            self.guard.peak,
            lambda terms: marks[terms.symbol] if terms.limit is None else terms.limit,
            now,
        )
        return {
            "kind": "decision",
            "time": time,
            "why": self._why,
            "weights": weights,
            "cancels": sorted(ended),
            "orders": [to_record(Submitted(time, terms)) for terms in verdict.admitted],
            "sent_at": now,
            **refusal_records(verdict),
            "final": False,
        }

    def _limited(self, weights: dict[str, float]) -> dict[str, float]:
        values = np.array(list(weights.values()), dtype=float)
        if not np.isfinite(values).all():
            bad = [symbol for symbol, value in weights.items() if not np.isfinite(value)]
            raise LiveError(f"targets of {bad[:5]} are not numbers; nothing was sent")
        unknown = sorted(set(weights) - self._intake.symbols)
        if unknown:
            raise LiveError(f"targets name {unknown[:5]}, which are not traded; nothing was sent")
        held = limit_weights(
            values, self.config.trading.max_position_size, self.config.portfolio.max_gross_exposure
        )
        return dict(sorted(zip(weights, held.tolist(), strict=True)))

    def _terms(self, weights: dict[str, float], time: int) -> list[OrderTerms]:
        universe, settings = self.config.universe.main, self.settings
        books = self._broker.books
        return [
            OrderTerms(
                client_order_id(settings.account, settings.strategy, universe, symbol, time),
                settings.strategy,
                universe,
                symbol,
                quantity,
                decided_at=time,
                reference_price=books.marks[symbol],
            )
            for symbol, quantity in shares_to_trade(weights, books, settings.instruments).items()
        ]

    def _send(self, time: int, decision: dict[str, Any]) -> list[Event]:
        """Take back, send, and give what happened."""
        orders = [from_record(event) for event in decision["orders"]]
        ended = self._broker.cancel(decision["cancels"], time, decision["why"] or "replaced")
        answers = self._broker.submit([e.terms for e in orders if isinstance(e, Submitted)])
        happened = [*orders, *refusals(decision), *ended, *answers]
        self._hold_true(happened)
        self.n_decisions += 1
        return happened

    # -- what is kept -----------------------------------------------------------------------------

    def _hold_true(self, events: Sequence[Event]) -> None:
        for event in events:
            self.orders.record(event)

    def _guarded(self) -> dict[str, Any]:
        return {name: getattr(self.guard, name) for name in GUARD}

    def _note(
        self,
        kind: str,
        time: int,
        events: Sequence[Event],
        *,
        final: bool,
        sync: bool | None = None,
    ) -> None:
        books = self._broker.books
        record: dict[str, Any] = {"kind": kind, "time": time, "final": final}
        if kind == "bar":
            record |= {
                **self._guarded(),
                "cash": books.cash,
                "net": books.net,
                "gross": books.gross,
                "why": self._why,
            }
        self._journal.append(record | {"events": [to_record(event) for event in events]})

    def _killed(self) -> bool:
        switch = self.settings.kill_switch
        return switch is not None and switch.exists()

    def _beat(self, now: datetime) -> None:
        """A small file that says: alive, and how."""
        if self._beat_at is not None and now - self._beat_at < self.settings.heartbeat_every:
            return
        self._beat_at = now
        content = {
            "at": now.isoformat(),
            "bar": self._before.isoformat(),
            "equity": self.guard.equity,
            "open_orders": len(self._broker.working),
            "stopped": self._why,
            "refused": dict(self._intake.refused),
        }
        hidden = self._folder / f".{HEARTBEAT}.part"
        hidden.write_text(json.dumps(content))
        hidden.replace(self._folder / HEARTBEAT)

    def summary(self) -> LiveSummary:
        """What this start came to."""
        return LiveSummary(
            self.n_bars,
            self.n_decisions,
            len(self.orders),
            self.guard.equity,
            self._why,
            dict(self._intake.refused),
            tuple(self.latencies),
        )
