"""Table of what a search of hyper-parameters tried."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import UNIVERSE, count, number, stamp, text

SEARCH_TRIALS = TableContract(
    layer="models",
    name="search_trials",
    description="Every set of hyper-parameters that the configured search tried, however it ended. Judged on folds nested before the first test segment; nothing is applied by itself.",
    columns=(
        UNIVERSE,
        text("study", "Study within the storage."),
        count("number", "Trial within the study."),
        text("family", "Model family searched."),
        text(
            "outcome",
            "complete, pruned (stopped early) or failed (diverged, or could not be fitted).",
            allowed=("complete", "pruned", "failed"),
        ),
        number(
            "rank_ic",
            "Mean rank IC over the nested folds; null unless complete.",
            minimum=-1,
            maximum=1,
        ),
        text("parameters_json", "What was tried, by the names of the space."),
        text("detail", "Why it failed, else empty."),
        stamp("judged_from", "First decision it was judged on."),
        stamp("judged_until", "Last one; before the first test segment of models.splits."),
        count("n_decisions", "Decisions with a return.", minimum=2),
        text("trial_id", "Its row of evidence.trials."),
    ),
    key=("study", "number"),
    rules=(
        RowRule(
            "rank_ic_of_an_unfinished_trial",
            pl.col("rank_ic").is_not_null() != (pl.col("outcome") == "complete"),
        ),
    ),
)
