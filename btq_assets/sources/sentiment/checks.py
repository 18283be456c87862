"""What must hold for documents beyond the contract.

Belongs here: checks on the frame about to be written. Does not belong here:
scores.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check


def _labelled(context: CheckContext) -> CheckOutcome:
    frame = context.frame
    hidden = frame.filter(
        (pl.col("label") != "SYNTHETIC") | ~pl.col("headline").str.starts_with("SYNTHETIC")
    )
    return CheckOutcome(
        "labelled_synthetic",
        hidden.is_empty(),
        f"{hidden.height} of {frame.height} generated headlines do not say SYNTHETIC"
        + (f", first {hidden['headline'][0]!r}" if hidden.height else ""),
        {"documents": frame.height},
    )


def _delivered_after_publication(context: CheckContext) -> CheckOutcome:
    early = context.frame.filter(pl.col("known_at") <= pl.col("published_at"))
    return CheckOutcome(
        "delivered_after_publication",
        early.is_empty(),
        f"{early.height} documents are known before they are published"
        + (f", first {early['doc_id'][0]}" if early.height else ""),
        {"early": early.height},
    )


def _real_and_dated(context: CheckContext) -> CheckOutcome:
    frame = next(iter(context.frames.values()))
    wrong = frame.filter((pl.col("label") != "REAL") | (pl.col("published_at") < _FIRST_POSSIBLE))
    return CheckOutcome(
        "real_and_dated",
        wrong.is_empty(),
        f"{wrong.height} of {frame.height} documents are not labelled REAL or are dated before "
        f"{_FIRST_POSSIBLE:%Y}" + (f", first {wrong['doc_id'][0]}" if wrong.height else ""),
        {"documents": frame.height},
    )


#: No source here has anything older: an earlier date is the zero of some clock.
_FIRST_POSSIBLE = datetime(1980, 1, 1, tzinfo=UTC)

#: Checks of every table of observed documents.
OBSERVED_CHECKS = (
    frame_check(
        "real_and_dated",
        "Every observed document says REAL, and none is dated by a clock that stood at zero.",
        _real_and_dated,
    ),
)

CHECKS = (
    frame_check(
        "labelled_synthetic",
        "Every generated document says SYNTHETIC in its label and in its text.",
        _labelled,
    ),
    frame_check(
        "delivered_after_publication",
        "No document is known before it is published.",
        _delivered_after_publication,
    ),
)
