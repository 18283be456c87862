"""What should be there: the sessions of every calendar in use, and which tables should grow.

Belongs here: expectations of the calendar and of the configuration. Does not belong here: what is
there, which `mart.data_health` counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.quality import FEEDS, SESSIONS
from btq_assets.timeline import session_closes


def ended_sessions(membership: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Sessions of every calendar of the members, from the first member's first day to `now`.

    Parameters
    ----------
    membership
        Rows of ``raw.universe_membership``.
    now
        Sessions that end later are left out.

    Returns
    -------
    polars.DataFrame
        Rows of ``quality.sessions``.
    """
    starts = membership.group_by("calendar").agg(first=pl.col("valid_from").min()).sort("calendar")
    parts = [
        session_closes(calendar, first, (now + timedelta(days=1)).date())
        .filter(pl.col("ts") <= now)
        .select(pl.lit(calendar).alias("calendar"), "session", pl.col("ts").alias("closes_at"))
        for calendar, first in starts.iter_rows()
    ]
    return pl.concat(parts) if parts else SESSIONS.empty()


def feeds(
    contracts: Iterable[TableContract], sources: Mapping[str, tuple[bool, bool]], now: datetime
) -> pl.DataFrame:
    """Which raw tables are switched on, and which should grow.

    Parameters
    ----------
    contracts
        Raw tables.
    sources
        Whether a source is on and whether it is live, by table name or by the end of it.
    now
        Stored as ``as_of``.

    Returns
    -------
    polars.DataFrame
        Rows of ``quality.feeds``; a table no source claims is static and on.
    """
    rows = []
    for contract in contracts:
        enabled, live = sources.get(contract.table) or _by_suffix(contract.name, sources)
        rows.append((contract.table, enabled, "live" if live else "static", now))
    return pl.DataFrame(rows, schema=FEEDS.schema, orient="row")


def _by_suffix(name: str, sources: Mapping[str, tuple[bool, bool]]) -> tuple[bool, bool]:
    fitting = [source for source in sources if name.endswith(f"_{source}")]
    return sources[max(fitting, key=len)] if fitting else (True, False)
