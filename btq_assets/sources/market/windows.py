"""Windows of bars: which opens belong to a window, when it is complete, when it is empty.

Belongs here: arithmetic of windows and bar lengths. Does not belong here: asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from btq_assets.sources.errors import WindowError
from btq_assets.sources.provider import Window

BAR_LENGTHS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return round(moment.timestamp() * 1_000)


def from_epoch_ms(milliseconds: int) -> datetime:
    """The instant so many milliseconds after 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def opens_of(window: Window, freq: str) -> tuple[int, int]:
    """First open, and the one after the last, of the bars that end in a window, ms since 1970.

    A bar belongs to the window its end lies in: the last day of January ends in February.
    """
    length = BAR_LENGTHS[freq]
    first, after = epoch_ms(window.start - length), epoch_ms(window.end - length)
    step = round(length.total_seconds() * 1_000)
    return -(-first // step) * step, -(-after // step) * step


def refuse_empty(
    name: str, symbols: Sequence[str], window: Window, now: datetime, begins: datetime | None = None
) -> None:
    """Say that nobody had anything in a window that is over.

    Raises
    ------
    WindowError
        The window is over.
    """
    if window.end > now:
        return
    first = f", which begins at {begins:%Y-%m-%d %H:%M}" if begins else ""
    raise WindowError(
        f"{name} has no bar of {', '.join(symbols)} from {window.start:%Y-%m-%d} to "
        f"{window.end:%Y-%m-%d}: the window lies before the history it serves{first}. Set "
        f"sources.{name}.start_month later"
    )
