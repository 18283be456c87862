"""Single cells and rows of answers: numbers, times, and what is refused.

Belongs here: what every reader of this room does with one value. Does not belong here: any
provider's layout.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.sources.rows import MISSING_CELLS, REJECTED_SCHEMA, Parsed

#: Times outside are typing errors, or milliseconds taken for seconds.
_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: A refused row is kept as text of at most so many characters.
_KEPT_CHARACTERS = 2_000


class RowError(ValueError):
    """One row cannot be read; the message is the reason it is refused for."""


def number(row: Mapping[str, Any], name: str) -> float | None:
    """Cell `name` as a finite number; ``None`` where it is missing or says so.

    Raises
    ------
    RowError
        It is something else: text, a list, a truth value, NaN or infinity.
    """
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in MISSING_CELLS:
            return None
        try:
            value = float(text)
        except ValueError:
            raise RowError(f"{name} {text[:40]!r} is not a number") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RowError(f"{name} {str(value)[:40]!r} is not a number")
    try:
        found = float(value)
    except OverflowError:
        raise RowError(f"{name} is too large for a number") from None
    if not math.isfinite(found):
        raise RowError(f"{name} is not finite")
    return found


def positive(row: Mapping[str, Any], name: str) -> float | None:
    """As `number`; zero means missing, as providers write prices and volatilities that are not."""
    return number(row, name) or None


def required(row: Mapping[str, Any], name: str) -> float:
    """As `number`, for cells without which the row says nothing."""
    found = number(row, name)
    if found is None:
        raise RowError(f"{name} is missing")
    return found


def whole(row: Mapping[str, Any], name: str) -> int:
    """As `required`, for numbers that count: negative ones and fractions are refused."""
    found = required(row, name)
    if found < 0 or found != int(found) or found > 2**53:
        raise RowError(f"{name} {str(row[name])[:40]!r} is not a count")
    return int(found)


def word(row: Mapping[str, Any], name: str) -> str:
    """Cell `name` as text that is not empty."""
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"{name} {str(value)[:40]!r} is not a name")
    return value.strip()


def unix_time(row: Mapping[str, Any], name: str, *, unit_s: float = 1.0) -> datetime:
    """Cell `name` as a time: a number of units since 1970, possibly written as text."""
    seconds = required(row, name) * unit_s
    low, high = ((edge - _EPOCH).total_seconds() for edge in (_EARLIEST, _LATEST))
    if not low <= seconds < high:
        raise RowError(f"{name} {row[name]!r} is not a time between 1990 and 2100")
    return _EPOCH + timedelta(seconds=seconds)


def iso_time(row: Mapping[str, Any], name: str) -> datetime:
    """Cell `name` as a time: ISO text in UTC, of which anything below a second is dropped."""
    text = word(row, name)
    try:
        found = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        raise RowError(f"{name} {text[:40]!r} is not a time") from None
    if not _EARLIEST <= found < _LATEST:
        raise RowError(f"{name} {text[:40]!r} is not a time between 1990 and 2100")
    return found


def refusal(error: RowError, row: Any) -> tuple[str, str]:
    """Reason and row as it came, for the quarantine."""
    return str(error), json.dumps(row, default=str, ensure_ascii=False)[:_KEPT_CHARACTERS]


def as_rows(row: Any) -> Mapping[str, Any]:
    """`row` if it is an object; raises `RowError` otherwise."""
    if not isinstance(row, Mapping):
        raise RowError("the row is not an object")
    return row


def parsed(
    rows: Iterable[Mapping[str, Any]],
    refused: Iterable[tuple[str, str]],
    contract: TableContract,
) -> Parsed:
    """Rows in the contract's columns, and refused ones."""
    return Parsed(
        pl.DataFrame(list(rows), schema=contract.schema),
        pl.DataFrame(list(refused), schema=REJECTED_SCHEMA, orient="row"),
    )
