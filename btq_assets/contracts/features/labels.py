"""What followed a decision: targets to train on. No family, and no part of the panel.

Belongs here: the columns of ``features.labels``. Does not belong here: how a label is computed
(`features.labels`). Nothing that a model is given, a regime or a target weight may read this
table; a test over the asset graph keeps it so.
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE, count, number, stamp, text

LABELS = TableContract(
    layer="features",
    name="labels",
    description="What followed each decision, by kind of label: targets to train on, never features. A label is null until the bars behind it are known.",
    columns=(
        UNIVERSE,
        SYMBOL,
        TS,
        text(
            "label",
            "Kind: forward_return_<sessions>, triple_barrier, trend_scanning or meta_momentum.",
        ),
        count("horizon_sessions", "Longest path the label may read, sessions from the fill."),
        number(
            "value",
            "The label: simple return; -1, 0 or 1 by the barrier touched or the sign of the trend; for meta labels 1 where the side paid, else 0.",
        ),
        number("side", "Side a meta label judges: 1 long, -1 short.", minimum=-1, maximum=1),
        number("path_return", "Simple return from the fill to the end of the span, side ignored."),
        number("t_value", "t statistic of the trend's slope; null where the fit is perfect."),
        count(
            "span_sessions",
            "Sessions from the fill to the touch, or to the end of the chosen trend.",
            nullable=True,
        ),
        stamp("label_start_ts", "Fill that follows the decision.", nullable=True),
        stamp("label_end_ts", "Last bar the label reads.", nullable=True),
        stamp(
            "known_at",
            "When the last of the bars it reads was known, at or after label_end_ts; nothing fitted before may use the row.",
            nullable=True,
        ),
        number(
            "average_uniqueness",
            "Mean over the label's sessions of one over the symbol's labels of that kind in force.",
            minimum=0,
            maximum=1.000001,
        ),
        number(
            "return_attribution",
            "Absolute sum over those sessions of the log return over the labels in force; scale it within a training window.",
            minimum=0,
        ),
    ),
    key=("universe", "symbol", "ts", "label"),
    rules=(
        RowRule(
            "label_out_of_order",
            (pl.col("label_start_ts") <= pl.col("ts"))
            | (pl.col("label_end_ts") <= pl.col("label_start_ts"))
            | (pl.col("known_at") < pl.col("label_end_ts")),
        ),
        RowRule(
            "label_without_end",
            pl.col("value").is_not_null()
            & (
                pl.col("label_start_ts").is_null()
                | pl.col("label_end_ts").is_null()
                | pl.col("known_at").is_null()
            ),
        ),
        RowRule(
            "value_before_it_is_known", pl.col("known_at").is_null() & pl.col("value").is_not_null()
        ),
    ),
)
