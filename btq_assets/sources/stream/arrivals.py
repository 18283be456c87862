"""When the files of the inbox deserve a run: the decision of the stream's sensor, without Dagster.

Belongs here: a pure function of what lies there, what was asked for last, and the time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

#: Files that stay although they were asked for: the run failed, or they wait to be put away.
FIRST_RETRY_S = 60.0
LAST_RETRY_S = 3_600.0


def due(names: Sequence[str], cursor: str | None, now: float) -> tuple[bool, str]:
    """Whether to start a run, and the next cursor.

    A file that was not there at the last request starts a run at once. Files that stay are asked
    for again after a minute, then after twice as long each time, up to an hour.

    Parameters
    ----------
    names
        Files in the inbox.
    cursor
        What the last call returned; ``None`` or unreadable text means that nothing was asked for.
    now
        Seconds since 1970.
    """
    before = _read(cursor)
    last = before.get("last", {})
    newest: dict[str, str] = {}
    for name in names:
        stream, _, file = name.partition("/")
        newest[stream] = max(newest.get(stream, ""), file)
    fresh = any(file > last.get(stream, "") for stream, file in newest.items())
    attempts, asked_at = before.get("attempts", 0), before.get("asked_at", 0.0)
    again = bool(names) and now - asked_at >= min(LAST_RETRY_S, FIRST_RETRY_S * 2**attempts)
    if not fresh and not again:
        return False, json.dumps(before, sort_keys=True)
    after = {
        "last": {**last, **{s: max(f, last.get(s, "")) for s, f in newest.items()}},
        "attempts": 0 if fresh else attempts + 1,
        "asked_at": now,
    }
    return True, json.dumps(after, sort_keys=True)


def _read(cursor: str | None) -> dict:
    try:
        known = json.loads(cursor or "{}")
    except json.JSONDecodeError:
        return {}
    return known if isinstance(known, dict) else {}
