"""Opening a registered provider and asking it for one window.

Belongs here: keys from the environment, windows from partition keys, and the client. Does not
belong here: Dagster, and what a provider does with a window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from btq_assets.config import ProviderSection
from btq_assets.sources.answers import AnswerStore
from btq_assets.sources.errors import MissingKeyError, SourceError
from btq_assets.sources.http import HttpClient, Pace
from btq_assets.sources.provider import Fetched, ProviderEntry, ResumingProvider, Window
from btq_assets.timeline import add_months

#: Windows of unpartitioned providers start here where no setting says otherwise.
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)

#: By provider: a range of partitions opens a client for each, and all keep one pace.
_PACES: dict[str, Pace] = {}


def key_of(entry: ProviderEntry, environment: Mapping[str, str]) -> str:
    """The provider's key, or empty.

    Raises
    ------
    MissingKeyError
        It needs one, and the variable is not set.
    """
    if not entry.key:
        return ""
    key = environment.get(entry.key, "").strip()
    if not key and entry.key_required:
        raise MissingKeyError(
            f"sources.{entry.name} needs a key: set the environment variable {entry.key} "
            f"(get one at {entry.key_page}), or set sources.{entry.name}.enabled: false"
        )
    return key


def window_of(entry: ProviderEntry, partition_key: str | None, now: datetime) -> Window:
    """The window a partition stands for; everything up to `now` for unpartitioned providers.

    Raises
    ------
    SourceError
        A partitioned provider is asked without a partition.
    """
    if entry.partitions is None:
        return Window(BEGINNING, now)
    if partition_key is None:
        raise SourceError(
            f"{entry.name} is fetched by {entry.partitions}: run the job ingest_{entry.name} with a "
            "partition"
        )
    first = date.fromisoformat(partition_key)
    last = add_months(first, 1) if entry.partitions == "month" else first + timedelta(days=1)
    start, end = (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (first, last))
    return Window(start, end)


def fetch_window(
    entry: ProviderEntry,
    settings: ProviderSection,
    *,
    key: str = "",
    now: datetime,
    partition_key: str | None = None,
    answers: Path | None = None,
    replay: bool = False,
    stored: Callable[[], pl.DataFrame] | None = None,
) -> tuple[Fetched, dict[str, Any]]:
    """Ask a provider for one window.

    Parameters
    ----------
    entry, settings
        The provider and its section of the configuration.
    key
        Its key, or empty.
    now
        Time of the fetch, UTC.
    partition_key
        First day of the month, or the day.
    answers
        Folder of raw answers; ``None`` keeps none.
    replay
        Ask nobody: parse stored answers again.
    stored
        Reads the rows of the provider's first table, for one that goes on where it ended.

    Returns
    -------
    tuple
        What was fetched, and how it was: ``requests``, ``stored_answers``.
    """
    client = HttpClient(
        entry.name,
        settings,
        now,
        answers=AnswerStore(answers) if answers else None,
        replay=replay,
        key=key,
        pace=_PACES.setdefault(entry.name, Pace()),
    )
    provider = entry.open(settings, client)
    # Stored answers are those to the questions of their own day.
    if stored is not None and not replay and isinstance(provider, ResumingProvider):
        provider.resume_from(stored())
    fetched = provider.fetch(window_of(entry, partition_key, now), now)
    missing = [c.table for c in entry.contracts if c.table not in fetched.frames]
    if missing:
        raise SourceError(
            f"{entry.name} gave no frame for {missing}; even an empty one is an answer"
        )
    return fetched, {"requests": client.n_requests, "stored_answers": client.n_stored}
