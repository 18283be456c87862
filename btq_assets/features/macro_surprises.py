"""Monthly changes of a macro series and the surprise in its newest one, from windows of vintages.

Belongs here: changes, autoregression, surprises. Does not belong here: which series there are and
when they are fresh (`macro_curve`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from btq_assets.features.as_known import Measure, Window, z_score

#: Months of which an autoregression is fitted: at most, and at least so many pairs.
AR_MONTHS, AR_FEWEST = 60, 18
#: Months a change is held against.
MONTHS = 24


def _month(days: np.ndarray) -> np.ndarray:
    """Months since 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").view("int64")


def monthly_changes(
    days: np.ndarray, values: np.ndarray, logarithmic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Changes between successive months, and the month each one ends in; a gap has none."""
    if days.size < 2:
        return np.empty(0), np.empty(0, np.int64)
    months = _month(days)
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.log(np.where(values > 0, values, np.nan)) if logarithmic else values
    changes = np.diff(used)
    usable = (np.diff(months) == 1) & np.isfinite(changes)
    return changes[usable], months[1:][usable]


def _trailing(changes: np.ndarray, months: np.ndarray, until: int, most: int) -> np.ndarray:
    """The changes that end in `until` and the months before it without a gap, at most `most`."""
    if not months.size or months[-1] != until:
        return np.empty(0)
    gaps = np.flatnonzero(np.diff(months) != 1)
    start = max(gaps[-1] + 1 if gaps.size else 0, months.size - most)
    return changes[start:]


def annual_change(logarithmic: bool) -> Measure:
    """Four times the change over three months."""

    def measure(window: Window) -> float:
        changes = _newest_changes(window, logarithmic, 3)
        return 4.0 * float(changes.sum()) if changes.size == 3 else float("nan")

    return measure


def change_z(logarithmic: bool) -> Measure:
    """Newest monthly change among the last 24, in standard deviations."""
    score = z_score(MONTHS, 10**9)

    def measure(window: Window) -> float:
        changes = _newest_changes(window, logarithmic, MONTHS)
        place = np.arange(changes.size)
        return score(Window(place, changes, place, changes)) if changes.size else float("nan")

    return measure


def _newest_changes(window: Window, logarithmic: bool, most: int) -> np.ndarray:
    changes, months = monthly_changes(window.days, window.values, logarithmic)
    return _trailing(changes, months, int(_month(window.days[-1:])[0]), most)


Forecast = Callable[[np.ndarray], tuple[float, float]]


def surprise(logarithmic: bool, forecast: Forecast) -> Measure:
    """First print of a monthly change less its forecast, over the forecast's unit.

    Actual is the change as the release itself gives it, revised month before included; the forecast
    reads the changes known before the release, the last of which must be of the month before.
    """

    def measure(window: Window) -> float:
        actual = _newest_changes(window, logarithmic, 1)
        changes, months = monthly_changes(window.days_before, window.values_before, logarithmic)
        month = int(_month(window.days[-1:])[0])
        history = _trailing(changes, months, month - 1, AR_MONTHS)
        if not actual.size or not history.size:
            return float("nan")
        expected, unit = forecast(history)
        return (float(actual[-1]) - expected) / unit

    return measure


def random_walk(history: np.ndarray) -> tuple[float, float]:
    """The last change, in its own unit."""
    return float(history[-1]), 1.0


def autoregression(history: np.ndarray) -> tuple[float, float]:
    """Least-squares AR(1) with a constant: forecast and residual standard deviation (n - 2)."""
    before, after = history[:-1], history[1:]
    undefined = float("nan"), float("nan")
    if after.size < AR_FEWEST:
        return undefined
    centred = before - before.mean()
    spread = float(centred @ centred)
    if spread <= 1e-24:
        return undefined
    slope = float(centred @ (after - after.mean())) / spread
    constant = float(after.mean()) - slope * float(before.mean())
    residuals = after - constant - slope * before
    unit = float(np.sqrt(residuals @ residuals / (after.size - 2)))
    if unit <= 1e-12:
        return undefined
    return constant + slope * float(history[-1]), unit
