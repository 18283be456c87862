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


#: For recorded releases: an announced rate may well be known before the day it applies from.
VINTAGE_CHECKS = (
    frame_check(
        "vintages_are_recorded",
        "Rows labelled VINTAGE carry the recorded date of the vintage, not an assumed lag.",
        _vintages_are_recorded,
    ),
)
CHECKS = (
    frame_check(
        "release_follows_period",
        "Every value becomes known after the first day it describes.",
        _release_follows_period,
    ),
    *VINTAGE_CHECKS,
)


def _known_after_the_close(context: CheckContext) -> CheckOutcome:
    """A curve of a day is known on that day at 18:00 in New York, or later."""
    frame = context.frame
    local = pl.col("known_at").dt.convert_time_zone("America/New_York")
    day = pl.col("period")
    early = frame.filter(
        (local.dt.date() < day) | ((local.dt.date() == day) & (local.dt.hour() < 18))
    )
    return CheckOutcome(
        "known_after_the_close",
        early.is_empty(),
        f"{early.height} of {frame.height} yields are known before 18:00 New York time of their day"
        + (
            f", first {early.row(0)[:3]}; look at macro/providers/treasury.py"
            if early.height
            else ""
        ),
        {"rows": frame.height, "early": early.height},
    )


#: For yields of a day that are out on its evening.
MARKET_CHECKS = (
    frame_check(
        "known_after_the_close",
        "No yield is known before 18:00 New York time of its day.",
        _known_after_the_close,
    ),
)
