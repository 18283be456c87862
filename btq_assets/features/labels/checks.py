"""What ``features.labels`` must answer before it is written.

Belongs here: that a label reads nothing after it is said to be known. Does not belong here:
structure, which the contract states.
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.evidence.truncation import truncation_dates

#: Numbers of a row that must be the same once it is known.
JUDGED = ("value", "path_return", "t_value", "average_uniqueness", "return_attribution")
_NAME = "known_at_its_end"


def _known_at_its_end(context: CheckContext) -> CheckOutcome:
    from btq_assets.features.labels.table import labels

    stored = context.frames[contracts.LABELS.table]
    if stored.is_empty():
        return CheckOutcome(_NAME, True, f"{contracts.LABELS.table} has no rows to cut")
    bars = context.inputs["bars"]
    key = list(contracts.LABELS.key)
    n_compared = 0
    for cut in truncation_dates(stored, context.config.features.truncation_dates, _NAME):
        fresh = labels(bars.filter(pl.col("known_at") <= cut), context.config)
        both = stored.filter(pl.col("ts") <= cut).join(
            fresh.select(*key, *(pl.col(name).alias(f"_{name}") for name in JUDGED)),
            on=key,
            how="left",
        )
        known = (pl.col("known_at") <= cut).fill_null(False)
        for name in JUDGED:
            again = pl.col(f"_{name}")
            same = ((pl.col(name) - again).abs() <= 1e-9 * (1 + pl.col(name).abs())).fill_null(
                False
            )
            nulls = pl.col(name).is_null() & again.is_null()
            wrong = both.filter(pl.when(known).then(~(same | nulls)).otherwise(again.is_not_null()))
            if wrong.height:
                row = wrong.row(0, named=True)
                return CheckOutcome(
                    _NAME,
                    False,
                    f"{wrong.height} label(s) differ from those of bars known at {cut}: {name} of "
                    f"{row['label']} of {row['symbol']} at {row['ts']} is {row[name]}, was "
                    f"{row['_' + name]}",
                    {"cut": str(cut), "column": name},
                )
        n_compared += both.height
    return CheckOutcome(_NAME, True, f"{n_compared:,} labels unchanged", {"compared": n_compared})


KNOWN_AT_ITS_END: CheckGroup = frame_check(
    _NAME,
    "Recomputed from the bars known at seeded dates, labels known by then are the same and all others are null.",
    _known_at_its_end,
)
