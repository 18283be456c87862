"""What must hold for documents beyond the contract.

Belongs here: checks on the frame about to be written. Does not belong here:
scores.
"""

from __future__ import annotations

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
