"""Numbers as a reader wants them: few digits, a real minus sign, a dash where there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, datetime

from btq_assets.reports.view import MISSING, Cell, Interval

_MINUS = "−"
_WHOLE = re.compile(r"(?<![\w.-])\d+(?![\w.-])")
_THIN = "\u202f"  # narrow no-break space between number and unit


def is_missing(value: float | None) -> bool:
    """Whether there is no number to show."""
    return value is None or not math.isfinite(value)


def number(value: float | None, digits: int = 2) -> str:
    """`value` with a fixed number of decimals."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:,.{digits}f}"
    # "-0.00" says something that is not there.
    if float(text.replace(",", "")) == 0:
        text = text.removeprefix("-")
    return text.replace("-", _MINUS)


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent."""
    if value is None or not math.isfinite(value):
        return MISSING
    return number(100 * value, digits) + _THIN + "%"


def whole(value: float | None) -> str:
    """A count."""
    return number(value, 0)


def probability(value: float | None) -> str:
    """A probability or p-value, never rounded to an impossible 0 or 1."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 0.001:
        return "< 0.001"
    return "> 0.999" if value > 0.999 else number(value, 3)


def day(value: date | datetime | None) -> str:
    """ISO date."""
    return MISSING if value is None else f"{value:%Y-%m-%d}"


def range_of(low: float | None, high: float | None, *, as_percent: bool, digits: int) -> str:
    """Interval in brackets, without the unit beside it; empty when an end is missing."""
    if is_missing(low) or is_missing(high):
        return ""
    scale = 100.0 if as_percent else 1.0
    return f"[{number(scale * float(low), digits)}, {number(scale * float(high), digits)}]"  # type: ignore[arg-type]


def estimate(
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    as_percent: bool = False,
    digits: int = 2,
    title: str = "",
    whisker: bool = False,
) -> Cell:
    """Cell of a point estimate with its interval in small print."""
    text = percent(value, digits) if as_percent else number(value, digits)
    drawn = None
    if whisker and not (is_missing(value) or is_missing(low) or is_missing(high)):
        drawn = Interval(float(low), float(value), float(high))  # type: ignore[arg-type]
    return Cell(
        text,
        detail=range_of(low, high, as_percent=as_percent, digits=digits),
        title=title,
        interval=drawn,
    )


def merged(texts: Iterable[str]) -> dict[str, list[int]]:
    """Texts that differ in a single whole number become one, with the range of the number.

    Returns
    -------
    dict of str to list of int
        Merged text → positions of the texts it stands for, in order of first appearance.
    """
    alike: dict[str, list[tuple[int, str]]] = {}
    for place, text in enumerate(texts):
        alike.setdefault(_WHOLE.sub("#", text), []).append((place, text))
    found: dict[str, list[int]] = {}
    for shape, members in alike.items():
        places = [place for place, _ in members]
        numbers = sorted({int(_WHOLE.findall(text)[0]) for _, text in members if "#" in shape})
        if shape.count("#") == 1 and len(numbers) > 1:
            span = f"{numbers[0]:,} to {numbers[-1]:,}"
            found[shape.replace("#", span)] = places
        else:
            for place, text in members:
                found.setdefault(text, []).append(place)
    return found


def some(names: list[str], most: int = 5) -> str:
    """The first names, and how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
