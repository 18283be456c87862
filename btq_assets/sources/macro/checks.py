"""What must hold for macro rows beyond the contract.

Belongs here: checks on the frame about to be appended. It may be empty: a re-fetch that finds
nothing new appends nothing. Does not belong here: statistics (see `data_quality`).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check


def _release_follows_period(context: CheckContext) -> CheckOutcome:
    """No value is known before the first day of its period is over."""
    frame = context.frame
    early = frame.filter(pl.col("known_at").dt.date() <= pl.col("period"))
    return CheckOutcome(
        "release_follows_period",
        early.is_empty(),
        f"{early.height} of {frame.height} values are known on or before the first day they describe"
        + (
            f", first {early.row(0)[:3]}; look at its lag in macro/series.py"
            if early.height
            else ""
        ),
        {"rows": frame.height, "early": early.height},
    )


def _vintages_are_recorded(context: CheckContext) -> CheckOutcome:
    """A VINTAGE has a recorded time, and nothing else claims to be one."""
    frame = context.frame
    wrong = frame.filter(
        (pl.col("revision") == "VINTAGE") & (pl.col("known_at_basis") != "recorded")
    )
    return CheckOutcome(
        "vintages_are_recorded",
        wrong.is_empty(),
        f"{wrong.height} rows say VINTAGE with an assumed known_at"
        + (
            f", first {wrong.row(0)[:3]}; a vintage needs the date it was taken"
            if wrong.height
            else ""
        ),
        {"vintages": frame.filter(pl.col("revision") == "VINTAGE").height},
    )


CHECKS = (
    frame_check(
        "release_follows_period",
        "Every value becomes known after the first day it describes.",
        _release_follows_period,
    ),
    frame_check(
        "vintages_are_recorded",
        "Rows labelled VINTAGE carry the recorded date of the vintage, not an assumed lag.",
        _vintages_are_recorded,
    ),
)
