"""What must hold for generated rows beyond the contract: nobody may take them for real.

Belongs here: checks on the frames about to be written. Does not belong here: what was planted.
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.sources.synthetic.spec import LABEL


def _labelled_synthetic(context: CheckContext) -> CheckOutcome:
    problems = []
    for table, frame in context.frames.items():
        bare = frame.filter(~pl.col("dataset").str.starts_with(LABEL)).height
        if bare:
            problems.append(
                f"{bare} of {frame.height} rows of {table} do not say {LABEL} in their dataset"
            )
        if "headline" in frame.columns:
            hidden = frame.filter(
                (pl.col("label") != LABEL) | ~pl.col("headline").str.starts_with(LABEL)
            ).height
            if hidden:
                problems.append(f"{hidden} headlines of {table} do not say {LABEL}")
    rows = {table: frame.height for table, frame in context.frames.items()}
    return CheckOutcome("labelled_synthetic", not problems, "; ".join(problems), rows)


def _something_came(context: CheckContext) -> CheckOutcome:
    empty = sorted(table for table, frame in context.frames.items() if frame.is_empty())
    return CheckOutcome(
        "something_came",
        not empty,
        f"the generator gave no rows of {', '.join(empty)}" if empty else "",
    )


LABELLED: CheckGroup = frame_check(
    "labelled_synthetic",
    f"Every generated row belongs to a dataset whose name begins with {LABEL}; a headline says so "
    "too.",
    _labelled_synthetic,
)

#: A quiet market may have no headline and nothing planted; all else has rows.
CHECKS = (
    LABELLED,
    frame_check(
        "something_came", "The generator gave rows of every table it is asked for.", _something_came
    ),
)
