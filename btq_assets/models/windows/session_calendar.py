"""What the calendar says of a session, for tokens that are sessions.

Belongs here: encodings of dates, in plain numpy. Does not belong here: the feature family `calendar`
(`features.calendar_effects`), which knows holidays and expiries.
"""

from __future__ import annotations

import numpy as np
import polars as pl

#: What `encodings` gives of each session, in its order.
NAMES = ("gap", "weekday_sin", "weekday_cos", "month_sin", "month_cos", "turn_of_month")

#: Longest gap told from longer ones, days.
_LONGEST_GAP_DAYS = 30


def encodings(ts: pl.Series) -> np.ndarray:
    """Encodings of each session, all known before it opens.

    The log of the days since the session before it, 0 for consecutive days and for the first
    session; the place in the week and in the month, each on a circle; 1 at the turn of the month,
    on its last weekday and its first three (Lakonishok and Smidt 1988), with holidays counted as
    weekdays, so that no calendar of an exchange is needed.

    Parameters
    ----------
    ts
        Sessions, ascending, length ``T``.

    Returns
    -------
    numpy.ndarray
        ``(T, 6)`` float32, columns `NAMES`.
    """
    days = ts.dt.date().to_numpy().astype("datetime64[D]")
    gap = np.ones(len(days))
    gap[1:] = np.clip(np.diff(days).astype(float), 1, _LONGEST_GAP_DAYS)
    weekday = (days.view("int64") + 3) % 7  # 1970-01-01 was a Thursday
    months = days.astype("datetime64[M]")
    first, following = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
    place = (days - first).astype(float) / (following - first).astype(float)
    started = np.busday_count(first, days + 1)
    left = np.busday_count(days + 1, following)
    turn = (started <= 3) | (left == 0)
    columns = (np.log(gap), *_circle(weekday / 7), *_circle(place), turn.astype(float))
    return np.stack(columns, axis=1).astype(np.float32)


def _circle(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)
