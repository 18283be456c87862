"""Stretches of a search that were not read to their end, kept for the next run.

Belongs here: noting them beside the stored answers, and trusting a note only where the run that wrote
it was committed. Does not belong here: asking.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from btq_assets.sources.answers import Answer
from btq_assets.sources.http import HttpClient


@dataclass(frozen=True)
class Gap:
    """Posts between two numbers, both left out, that nobody has read.

    Parameters
    ----------
    since
        Number below them; ``None`` for as far back as the source goes.
    until
        Number above them; ``None`` for the newest.
    proof
        Newest post of the run that left the gap so; empty where it brought none. Until that post is
        stored the run did not happen, and `before` counts.
    before
        The gap as it was before that run.
    is_closed
        Nothing is left of it.
    """

    since: int | None
    until: int | None
    proof: str = ""
    before: Gap | None = None
    is_closed: bool = False


def open_gaps(client: HttpClient, query: str, stored: Collection[int], oldest: int) -> list[Gap]:
    """Gaps that are open, as far as what is stored proves it.

    Parameters
    ----------
    stored
        Numbers of the posts that are stored.
    oldest
        Number of the oldest post the source still gives: what lies before is gone.
    """
    found = client.answers.find(_address(query)) if client.answers else None
    gaps = [_proven(_read(item), stored) for item in (json.loads(found.body) if found else [])]
    return [
        replace(gap, proof="", before=None)
        for gap in gaps
        if gap is not None and not gap.is_closed and gap.until is not None and gap.until > oldest
    ]


def keep_gaps(client: HttpClient, query: str, gaps: Sequence[Gap]) -> None:
    """Note gaps for the next run; what was noted before is replaced."""
    if client.answers is not None and not client.replay:
        body = json.dumps([asdict(gap) for gap in gaps]).encode()
        client.answers.keep(Answer(_address(query), client.now, {}, body))


def _proven(gap: Gap | None, stored: Collection[int]) -> Gap | None:
    while gap is not None and gap.proof and int(gap.proof) not in stored:
        gap = gap.before
    return gap


def _read(item: dict[str, Any]) -> Gap:
    before = item["before"]
    return Gap(**{**item, "before": _read(before) if before else None})


def _address(query: str) -> str:
    return json.dumps(["gaps", query])
