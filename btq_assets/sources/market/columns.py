"""Which column of an unknown price file means what.

Belongs here: synonyms, the configured mapping, and the refusal of files whose columns cannot be
told. Does not belong here: reading cells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from btq_assets.sources.errors import FolderError

#: Meaning → spellings, compared after dropping case and everything but letters and digits.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "date": ("date", "day", "tradedate", "tradingday", "session", "dt", "observationdate"),
    "time": ("time", "timeofday"),
    "ts": ("ts", "datetime", "timestamp", "opentime", "unix", "unixtime", "epoch"),
    "symbol": ("symbol", "ticker", "instrument", "ric", "pair", "code"),
    "open": ("open", "o", "openprice", "opening", "openingprice", "first"),
    "high": ("high", "h", "highprice", "max"),
    "low": ("low", "l", "lowprice", "min"),
    "close": ("close", "c", "closeprice", "closing", "closingprice", "last", "closelast", "price"),
    "adj_close": ("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice"),
    "volume": ("volume", "v", "vol", "basevolume", "sharevolume"),
    "currency": ("currency", "ccy"),
}

#: What a configured mapping may name.
TARGETS = tuple(SYNONYMS)


def map_columns(
    file: str, found: Sequence[str], configured: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Meaning → column of the file.

    A configured column wins, then a column spelled like the meaning itself, then a synonym.

    Parameters
    ----------
    file
        Name of the file, for messages.
    found
        Columns of the file.
    configured
        File column (any case) → meaning; columns that this file does not have are ignored.

    Raises
    ------
    FolderError
        A configured meaning does not exist, two columns claim one meaning, or there is no time
        or no price.
    """
    require_distinct(file, found)
    chosen = _configured(file, found, configured or {})
    for meaning, spellings in SYNONYMS.items():
        if meaning in chosen:
            continue
        candidates = [
            name for name in found if plain(name) in spellings and name not in chosen.values()
        ]
        exact = [name for name in candidates if plain(name) == plain(meaning)]
        candidates = exact or candidates
        if len(candidates) > 1:
            raise FolderError(
                file,
                f"columns {candidates} could all be {meaning!r}; say which under "
                "sources.folder.columns",
            )
        if candidates:
            chosen[meaning] = candidates[0]
    _require(file, found, chosen)
    return chosen


def require_distinct(file: str, found: Sequence[str]) -> None:
    """Raise `FolderError` where two columns of a file have the same name."""
    repeated = sorted({name for name in found if list(found).count(name) > 1})
    if repeated:
        raise FolderError(file, f"column(s) {repeated} appear twice; rename one of them")


def plain(name: str) -> str:
    """`name` in lower case, letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _configured(file: str, found: Sequence[str], configured: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted({meaning for meaning in configured.values() if meaning not in TARGETS})
    if unknown:
        raise FolderError(
            file, f"sources.folder.columns maps to {unknown}; known meanings are {list(TARGETS)}"
        )
    by_spelling = {name.strip().lower(): name for name in found}
    chosen: dict[str, str] = {}
    for column, meaning in configured.items():
        if name := by_spelling.get(column.strip().lower()):
            if meaning in chosen:
                raise FolderError(
                    file,
                    f"sources.folder.columns maps {chosen[meaning]!r} and {name!r} to {meaning!r}",
                )
            chosen[meaning] = name
    return chosen


def _require(file: str, found: Sequence[str], chosen: Mapping[str, str]) -> None:
    if not {"date", "ts", "time"} & set(chosen):
        raise FolderError(
            file,
            f"no column is a date or time; found {list(found)}. Map one to 'ts' under "
            "sources.folder.columns",
        )
    if not {"close", "adj_close"} & set(chosen):
        raise FolderError(
            file,
            f"no column is a close or adjusted close; found {list(found)}. Map one to 'close' or "
            "'adj_close' under sources.folder.columns",
        )
