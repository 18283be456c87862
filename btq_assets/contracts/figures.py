"""The table of promised and measured figures: the one mart that no SQL makes."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import count, flag, number, stamp, text

DIRECTIONS = ("at least", "at most")
VERDICTS = ("met", "missed", "not measured", "not built")

_reached = (
    pl.when(pl.col("direction") == "at least")
    .then(pl.col("measured") >= pl.col("promised"))
    .otherwise(pl.col("measured") <= pl.col("promised"))
)

FIGURES = TableContract(
    layer="mart",
    name="figures",
    description="Every figure that is promised, beside the last one measured: with the command that measures it, the commit and how busy the machine was.",
    columns=(
        text("figure", "Short name."),
        text("description", "What is measured, against what."),
        text("unit", "Unit of both figures."),
        text("direction", "On which side of the promise a figure keeps it.", allowed=DIRECTIONS),
        number("promised", "What is promised.", nullable=False),
        number("measured", "The last figure measured; null where there is none."),
        text("verdict", "What follows from the two.", allowed=VERDICTS),
        text("command", "What measures it; null where nothing does yet.", nullable=True),
        text("code_commit", "Commit of the code that was measured.", nullable=True),
        flag("code_clean", "Whether that code was the commit's, unchanged.", nullable=True),
        count("cores", "Processors the machine had.", nullable=True, minimum=1),
        number("load", "Processes that waited for one, mean of the minute before.", minimum=0),
        stamp("measured_at", "When, UTC.", nullable=True),
    ),
    key=("figure",),
    rules=(
        RowRule("kept by no figure", (pl.col("verdict") == "met") & ~_reached.fill_null(False)),
        RowRule("missed by no figure", (pl.col("verdict") == "missed") & _reached.fill_null(True)),
        RowRule(
            "measured and without a verdict",
            pl.col("measured").is_not_null() & ~pl.col("verdict").is_in(["met", "missed"]),
        ),
        RowRule(
            "a figure of unknown code",
            pl.col("measured").is_not_null() & pl.col("code_commit").is_null(),
        ),
    ),
    owner="team:research",
    kinds=("duckdb", "polars"),
)
