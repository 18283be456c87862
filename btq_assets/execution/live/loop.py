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

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.execution.events import Event, Submitted, from_record, to_record
from btq_assets.execution.live.broker import PaperBroker
from btq_assets.execution.live.decisions import Decisions
from btq_assets.execution.live.feed import BarBatch
from btq_assets.execution.live.intake import Intake, TickIntake
from btq_assets.execution.live.journal import Journal
from btq_assets.execution.live.market import BarMaker, TickMaker, nanoseconds
from btq_assets.execution.live.pretrade import PreTrade, is_intraday, refusals
from btq_assets.execution.live.recovery import GUARD, Memory
from btq_assets.execution.live.safety import Guard
from btq_assets.execution.live.settings import LiveError, LiveSettings
from btq_assets.execution.live.targets import Targets, opens_period
from btq_assets.execution.live.ticks import bars_of
from btq_assets.execution.live.venues import Router
from btq_assets.features.live import undisturbed
from btq_assets.risk.limits import OrderLimits

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
        self._tick_maker = TickMaker(self.config, history)
        self._tick_maker.quoted = dict(memory.quoted)
        self._ticks = TickIntake(
            self.config.universe.main, symbols, memory.last_final, self._intake.refused
        )
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
        self._router = Router(
            settings.venues, settings.account, limits.price_collar, settings.instruments
        )
        self._decisions = Decisions(
            config,
            settings,
            broker,
            self.orders,
            self.guard,
            self.limits,
            targets,
            self._intake.symbols,
            self._router,
        )
        if memory.quoted:
            last = history.sort("ts").group_by("symbol").agg(pl.col("adj_close").last())
            self._decisions.seen = dict(last.iter_rows())
        self.n_bars = self.n_decisions = 0
        self.latencies: list[float] = []
        self._beat_at: datetime | None = None
        self._why = self.guard.stopped
        if resume and self.guard.stopped:
            self.guard.resume()
            self._journal.append({"kind": "resumed", **self._guarded()})

    # -- what comes -------------------------------------------------------------------------------

    def take(self, batch: BarBatch) -> None:
        """A batch, whatever is in it."""
        now = self._intake.tell_time(self._clock())
        if batch.bars is not None:
            for rows in self._intake.take(batch.bars, now):
                self._session(rows, now)
        if batch.ticks is not None:
            self._ticks.take(batch.ticks, now)
        self._ticks.take_books(batch.books, now)
        if batch.until is not None:
            if batch.every is None:
                raise LiveError("a batch says that an interval is over, and not how long it was")
            ticks = self._ticks.close(batch.until, now)
            if ticks is not None:
                bars = bars_of(ticks, batch.every, batch.made_of)
                self._decisions.books_since = nanoseconds(batch.until - batch.every)
                self._interval(batch.until, ticks, bars.filter(pl.col("ts") == batch.until), now)
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

    @undisturbed()
    def _session(self, rows: pl.DataFrame, now: datetime) -> None:
        """One bar end: orders trade against the bars."""
        begun = self._timer() if self._timer else 0.0
        ts: datetime = rows["ts"][0]
        filled = self._broker.trade(nanoseconds(ts), self._maker.bars(rows, self._before))
        self._bar_end(ts, rows, filled, now, begun)

    def _interval(
        self, until: datetime, ticks: pl.DataFrame, rows: pl.DataFrame, now: datetime
    ) -> None:
        """One interval of ticks: orders trade against them, the bars they made are decided on."""
        begun = self._timer() if self._timer else 0.0
        books = self._ticks.close_books(until)
        self._router.take(books)
        events = [*self._tick_maker.events(ticks, until), *((b.symbol, b) for b in books)]
        events.sort(key=lambda event: event[1].time)
        filled = self._broker.trade_ticks(nanoseconds(until), events)
        self._tick_maker.note(rows)
        closes = dict(rows.select("symbol", "adj_close").iter_rows())
        self._decisions.seen = {**self._decisions.seen, **closes}
        self._bar_end(until, rows, filled, now, begun)

    def _bar_end(
        self,
        ts: datetime,
        rows: pl.DataFrame,
        filled: list[Event],
        now: datetime,
        begun: float,
    ) -> None:
        """What follows on the trading of a bar: mark, decide, write ahead, send, write down."""
        time = nanoseconds(ts)
        known = self.memory.unfinished.get("decision")
        self.memory.unfinished = {}
        self._hold_true(filled)
        self.limits.count(filled, time)
        if not rows.is_empty():
            self._targets.observe(rows)
        self.guard.mark(ts, self._broker.books.equity)
        self._why = self.guard.forbids(ts, now, self._killed())
        decision: dict[str, Any] | None
        if known is not None and known["time"] == time:
            decision = known
        else:
            due = not rows.is_empty() and (
                self.settings.decide == "bar"
                or opens_period(self._before, ts, self.config.models.decision_every)
            )
            decision = self._decisions.record(ts, time, self._why, due, nanoseconds(now))
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
            if self._tick_maker.quoted:
                record["quoted"] = dict(self._tick_maker.quoted)
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
