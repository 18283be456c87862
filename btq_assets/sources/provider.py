"""What a remote provider is, and how it is registered: one file and one entry.

Belongs here: the interface every provider keeps, the window it is asked for, and the entry that
puts it into the graph. Does not belong here: HTTP (`http.py`), any particular provider.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup
from btq_assets.sources.rows import no_rejects

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

Kind = Literal["bars", "macro", "documents", "options", "dark_pool", "onchain"]
Partitions = Literal["month", "day"]


@dataclass(frozen=True)
class Window:
    """Half-open interval of time ``[start, end)``, UTC.

    A provider yields rows whose own time (``ts``, ``period``, ``published_at``) lies in it. The
    window of an unpartitioned provider ends at the time of the fetch and starts at the first
    configured day.
    """

    start: datetime
    end: datetime

    def fresh_hours(self, most: float, settling: timedelta, now: datetime) -> float:
        """Age up to which a stored answer about this window serves.

        Never one that was fetched before the window was over and had settled: what came after
        would be missing until the answer is old.

        Parameters
        ----------
        most
            Hours that the settings allow.
        settling
            From the end of the window to the last change of what lies in it.
        now
            Time of the fetch.
        """
        return max(0.0, min(most, (now - self.end - settling) / timedelta(hours=1)))


@dataclass(frozen=True)
class Fetched:
    """What a provider gave for a window.

    Parameters
    ----------
    frames
        Rows by ``contract.table``, in the contract's columns.
    rejected
        Rows that could not be read: ``reason``, ``row_json``.
    notes
        Numbers and short texts worth showing: pages read, symbols without data.
    """

    frames: Mapping[str, pl.DataFrame]
    rejected: pl.DataFrame = field(default_factory=no_rejects)
    notes: Mapping[str, Any] = field(default_factory=dict)


class Provider(Protocol):
    """One remote provider, opened with its settings and a client."""

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Everything configured that falls into the window and was finished by `now`.

        Raises
        ------
        SourceError
            And its kinds (`sources.errors`): a wrong key, an unknown symbol, a provider that does
            not answer, an answer of unknown shape.
        """
        ...


@runtime_checkable
class ResumingProvider(Provider, Protocol):
    """A provider that asks only for what is not stored."""

    def resume_from(self, stored: pl.DataFrame) -> None:
        """Take note of the rows of its first table, before a fetch."""
        ...


@dataclass(frozen=True)
class ProviderEntry:
    """A provider's place in the house.

    Parameters
    ----------
    name
        Section under ``sources`` and name of the job ``ingest_<name>``.
    kind
        What it serves.
    contracts
        Tables it writes; the first one carries the checks.
    opener
        ``package.module:callable``, called with ``(settings, client)``; imported when needed.
    partitions
        How its history is cut; ``None`` for providers that give the present or everything at once.
    key
        Environment variable of the key; empty where none is needed.
    key_required
        Whether it refuses to work without.
    key_page
        Where a key is to be had.
    homepage, terms
        Shown in the catalogue of sources.
    checks
        Checks on the rows before they are committed.
    code
        Modules whose source is part of the code version.
    tolerance
        Relative difference below which a number counts as unchanged.
    compared
        Columns that tell a new vintage from an old one; by default all outside the key.
    """

    name: str
    kind: Kind
    contracts: tuple[TableContract, ...]
    opener: str
    partitions: Partitions | None = None
    key: str = ""
    key_required: bool = False
    key_page: str = ""
    homepage: str = ""
    terms: str = ""
    checks: tuple[CheckGroup, ...] = ()
    code: tuple[str, ...] = ()
    tolerance: float = 0.0
    compared: tuple[str, ...] | None = None

    def open(self, settings: Any, client: HttpClient) -> Provider:
        """The provider, ready to fetch."""
        module, name = self.opener.split(":")
        opener: Callable[..., Provider] = getattr(importlib.import_module(module), name)
        return opener(settings, client)
