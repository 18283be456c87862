"""What stops new orders: the kill switch, stale data, a day's loss, a drawdown.

Belongs here: rules over numbers that others measured. Does not belong here: cancelling or selling
(`engine`), the size of positions (`risk.limits`).

A loss or a drawdown stops for good: a later start goes on only when it is told to. Stale data and
the kill switch stop for as long as they last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

#: Stops that outlive their cause.
LASTING = frozenset({"daily_loss", "drawdown"})


@dataclass
class Guard:
    """Highest equity, the equity a day began with, and what they forbid.

    Attributes
    ----------
    daily_loss, drawdown
        Shares of equity; ``None`` never stops.
    stale_after
        Age of the newest bar.
    peak, day_start
        Highest equity so far; equity at the last bar of the day before.
    day
        Day (UTC, ISO) of the last bar.
    equity
        At the last bar.
    stopped
        The lasting stop in force, empty for none.
    """

    daily_loss: float | None
    drawdown: float | None
    stale_after: timedelta | None
    equity: float
    peak: float = 0.0
    day_start: float = 0.0
    day: str = ""
    stopped: str = ""

    def __post_init__(self) -> None:
        self.peak = self.peak or self.equity
        self.day_start = self.day_start or self.equity

    def mark(self, ts: datetime, equity: float) -> str:
        """Take the equity after a bar; the lasting stop in force, empty for none."""
        day = ts.date().isoformat()
        if day != self.day:
            self.day, self.day_start = day, self.equity
        self.equity = equity
        self.peak = max(self.peak, equity)
        if not self.stopped:
            if self.daily_loss is not None and equity <= self.day_start * (1 - self.daily_loss):
                self.stopped = "daily_loss"
            elif self.drawdown is not None and equity <= self.peak * (1 - self.drawdown):
                self.stopped = "drawdown"
        return self.stopped

    def resume(self) -> None:
        """Lift a lasting stop; losses count from here."""
        self.stopped = ""
        self.peak = self.day_start = self.equity

    def forbids(self, newest: datetime, now: datetime, killed: bool) -> str:
        """Why no new order may be sent now, empty where it may."""
        if killed:
            return "kill_switch"
        if self.stopped:
            return self.stopped
        if self.stale_after is not None and now - newest > self.stale_after:
            return "stale_data"
        return ""
