"""What must hold for generated bars beyond the contract: nobody may take them for real."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.sources.synthetic.spec import LABEL


def _labelled_synthetic(context: CheckContext) -> CheckOutcome:
    frame = context.frame
    bare = frame.filter(~pl.col("dataset").str.starts_with(LABEL))
    return CheckOutcome(
        "labelled_synthetic",
        bare.is_empty() and not frame.is_empty(),
        f"{bare.height} of {frame.height} generated bars do not say {LABEL} in their dataset"
        if frame.height
        else "the generator gave no bars",
        {"bars": frame.height},
    )


CHECKS = (
    frame_check(
        "labelled_synthetic",
        f"Every generated bar belongs to a dataset whose name begins with {LABEL}.",
        _labelled_synthetic,
    ),
)
