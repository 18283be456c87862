"""What may be missing between two messages, told by the exchange's own numbers.

Belongs here: the rules that say whether an event continues what was seen, repeats it, or shows a
hole. Does not belong here: asking for what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from btq_assets.sources.stream.events import BookEvent

Verdict = Literal["next", "repeat", "gap"]


@dataclass(frozen=True)
class Gap:
    """A hole in a stream; times in microseconds since 1970.

    ``outcome`` is ``backfilled``, ``resynced`` or ``lost``; ``part`` numbers holes noticed at once.
    """

    stream: Literal["trades", "quotes", "book"]
    symbol: str
    noticed_at: int
    reason: Literal["missing_ids", "disconnected", "out_of_sync"]
    outcome: str
    part: int = 0
    first_missing: int | None = None
    last_missing: int | None = None
    dark_since: int | None = None

    def row(self, dataset: str) -> tuple[Any, ...]:
        """Values in the columns of ``raw.stream_gaps``."""
        return (
            dataset, self.stream, self.symbol, self.noticed_at, self.reason, self.part,
            self.outcome, self.first_missing, self.last_missing, self.dark_since,
        )  # fmt: skip


@dataclass
class Counter:
    """Consecutive numbers of one symbol: the next one follows, a lower one is a repeat."""

    last: int | None = None

    def see(self, number: int) -> Verdict:
        """Judge `number`; the counter moves only by `advance`."""
        if self.last is None or number == self.last + 1:
            return "next"
        return "repeat" if number <= self.last else "gap"

    def advance(self, number: int) -> None:
        """`number` is taken care of."""
        self.last = number if self.last is None else max(self.last, number)


@dataclass
class BookSequence:
    """Whether changes of one symbol's book join, by the exchange's documented procedure.

    A snapshot carries the number of the last update in it. Changes up to it are repeats; the first
    one after must contain the next number; each later one must begin where its predecessor ended
    (spot), or name it (futures, ``pu``).
    """

    last: int | None = None
    _fresh: bool = field(default=False, repr=False)

    def see(self, change: BookEvent) -> Verdict:
        """Judge `change`; without a snapshot everything is a gap."""
        if self.last is None:
            return "gap"
        if change.update_id <= self.last:
            return "repeat"
        if self._fresh:
            joins = change.first_update_id <= self.last + 1
            if change.previous_update_id is not None:
                joins = joins or change.previous_update_id == self.last
        elif change.previous_update_id is not None:
            joins = change.previous_update_id == self.last
        else:
            joins = change.first_update_id == self.last + 1
        return "next" if joins else "gap"

    def advance(self, event: BookEvent) -> None:
        """`event`, a snapshot or a change that joined, is taken care of."""
        self.last = event.update_id
        self._fresh = event.kind == "snapshot"

    def lose(self) -> None:
        """Nothing is known any more: a snapshot is needed."""
        self.last, self._fresh = None, False
