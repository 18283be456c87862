"""What a family's table must answer before it is written.

Belongs here: the truncation gate with the memory of each family, and whether features have
values. Does not belong here: statistical suites (`data_quality`) and structure (contracts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl

from btq_assets.config import FeaturesSection
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.evidence.truncation import truncation_check

Recompute = Callable[[Mapping[str, pl.DataFrame], Any], pl.DataFrame]


def truncation_gate(
    contract: TableContract,
    recompute: Recompute,
    history_sessions: Callable[[FeaturesSection], int] | None = None,
    symbols: int | None = None,
) -> CheckGroup:
    """The truncation check, with a memory that follows from the configured windows.

    A table without rows (no symbol has volume, no document is known) passes, and says so.

    Parameters
    ----------
    contract, recompute, symbols
        As in `truncation_check`.
    history_sessions
        Sessions before a cut that the last rows depend on; ``None`` keeps them all.
    """
    specs = truncation_check(contract, recompute).specs

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        if context.frame.is_empty():
            return [CheckOutcome(specs[0].name, True, f"{contract.table} has no rows to cut")]
        history = None if history_sessions is None else history_sessions(context.config.features)
        group = truncation_check(contract, recompute, symbols=symbols, history_sessions=history)
        return group.run(context)

    return CheckGroup(specs, run)


def null_shares(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Share of missing values of each feature per universe.

    Returns
    -------
    polars.DataFrame
        ``feature`` and one column per universe, from 0 to 1.
    """
    names = list(names)
    if frame.is_empty():
        return pl.DataFrame({"feature": names})
    shares = (
        frame.group_by("universe")
        .agg(pl.col(name).null_count() / pl.len() for name in names)
        .sort("universe")
    )
    return shares.transpose(include_header=True, header_name="feature", column_names="universe")


def presence_check(
    names: Iterable[str], off: Callable[[FeaturesSection], Iterable[str]] = lambda _: ()
) -> CheckGroup:
    """Non-blocking: each feature that is switched on has a value somewhere.

    Whether it varies is the suites' question (`data_quality`).

    Parameters
    ----------
    names
        Features of the table.
    off
        Those a configuration switches off.
    """
    wanted = tuple(names)

    def run(context: CheckContext) -> CheckOutcome:
        skipped = set(off(context.config.features))
        frame = context.frame
        absent = [
            name
            for name in wanted
            if name not in skipped and frame[name].null_count() == frame.height
        ]
        return CheckOutcome(
            "present",
            not absent,
            f"without any value: {', '.join(absent)}; look at the inputs they need in "
            "features.catalogue"
            if absent
            else f"{len(wanted) - len(skipped)} features have values",
        )

    return frame_check(
        "present",
        "Each feature that is switched on has a value somewhere.",
        run,
        blocking=False,
    )


def _stories_begin_with_their_first_document(context: CheckContext) -> CheckOutcome:
    frame = context.frame
    first = frame.group_by("cluster_id").agg(earliest=pl.col("known_at").min())
    judged = frame.join(first, on="cluster_id").with_columns(
        counted=(~pl.col("is_repeat")).sum().over("symbol", "cluster_id"),
        first_counts=pl.col("is_repeat")
        .sort_by("known_at", "doc_id")
        .first()
        .over("symbol", "cluster_id")
        .not_(),
    )
    wrong = judged.filter(
        (pl.col("earliest") != pl.col("first_known_at"))
        | (pl.col("counted") != 1)
        | ~pl.col("first_counts")
    )
    return CheckOutcome(
        "stories_count_once",
        wrong.is_empty(),
        f"{wrong.height} of {frame.height} rows belong to a story that does not begin with its "
        "earliest document, or does not count exactly once for a symbol"
        + (f", first {wrong['cluster_id'][0]}" if wrong.height else ""),
        {"stories": frame["cluster_id"].n_unique()},
    )


STORIES_CHECK = frame_check(
    "stories_count_once",
    "A story begins with its earliest document, and counts once for each symbol, by that one.",
    _stories_begin_with_their_first_document,
)
