"""The table of promised and measured figures: the one mart that no SQL makes."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import count, flag, number, stamp, text

DIRECTIONS = ("at least", "at most", "reported")
VERDICTS = ("met", "not met", "not measured", "reported")

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
        text(
            "direction",
            "On which side of the promise a figure keeps it; reported where no bound is promised.",
            allowed=DIRECTIONS,
        ),
        number("promised", "What is promised, or what the rival has; null where no bound is."),
        number("measured", "The last figure measured; null where there is none."),
        text("verdict", "What follows from the two.", allowed=VERDICTS),
        text("command", "What measures it; null where nothing does yet.", nullable=True),
        text("code_commit", "Commit of the code that was measured.", nullable=True),
        flag("code_clean", "Whether that code was the commit's, unchanged.", nullable=True),
        count("cores", "Processors the machine had.", nullable=True, minimum=1),
        number("load", "Processes that waited for one, mean of the minute before.", minimum=0),
        stamp("measured_at", "When, UTC.", nullable=True),
        text("run_id", "Run of the backtests, for figures that come from one.", nullable=True),
        text(
            "note",
            "Why nothing was measured, or what keeps the figure from being one of the code as it is.",
            nullable=True,
        ),
    ),
    key=("figure",),
    rules=(
        RowRule("kept by no figure", (pl.col("verdict") == "met") & ~_reached.fill_null(False)),
        RowRule("missed by no figure", (pl.col("verdict") == "not met") & _reached.fill_null(True)),
        RowRule(
            "measured and without a verdict",
            pl.col("measured").is_not_null() & (pl.col("verdict") == "not measured"),
        ),
        RowRule(
            "reported without a figure, or beside a bound",
            (pl.col("verdict") == "reported")
            & (pl.col("measured").is_null() | (pl.col("direction") != "reported")),
        ),
        RowRule(
            "a figure of unknown code",
            pl.col("measured").is_not_null()
            & pl.col("code_commit").is_null()
            & pl.col("run_id").is_null(),
        ),
    ),
    owner="team:research",
    kinds=("duckdb", "polars"),
)
