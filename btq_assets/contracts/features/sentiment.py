"""Documents as scored, and the features made of their scores."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import KNOWN_AT, flag, number, stamp, text
from btq_assets.contracts.features.family import family

SENTIMENT = family(
    "sentiment",
    "Exponentially decayed scores of the headlines known at ts; a symbol's rows start with its first document.",
    (
        number(
            "sentiment_score", "Decayed mean score, -1 to 1.", minimum=-1.000001, maximum=1.000001
        ),
        number("sentiment_change_5d", "Change of the score over 5 sessions."),
        number("sentiment_dispersion", "Decayed standard deviation of the scores.", minimum=0),
        number("sentiment_volume", "Decayed number of documents.", minimum=0),
        number(
            "sentiment_volume_ratio_63",
            "Decayed number of documents over its 63-session mean.",
            minimum=0,
        ),
        number(
            "sentiment_negative_share",
            "Decayed share of documents with a negative score, 0 to 1.",
            minimum=0,
            maximum=1.000001,
        ),
    ),
    extra=(
        flag(
            "is_synthetic",
            "Whether any document behind the row is SYNTHETIC: no evidence of anything.",
        ),
    ),
)

DOCUMENT_SCORES = TableContract(
    layer="features",
    name="document_scores",
    description="How each document sounds, whom it is about, and whether its story was told before: one row per document, vintage and symbol.",
    columns=(
        text("doc_id", "Document in core.documents."),
        text("symbol", "Instrument it is about; empty where none was found."),
        stamp("published_at", "Time of publication, UTC."),
        KNOWN_AT,
        text("headline", "Text of the headline."),
        text("source", "Source: raw.documents_<source>."),
        text("language", "ISO 639-1 code, stated or detected; null if unsure.", nullable=True),
        text(
            "linked_by",
            "How the symbol was found: stated by the source, or in the text.",
            nullable=True,
            allowed=("source", "cashtag", "exchange", "ticker", "name"),
        ),
        number(
            "score",
            "-1 bad to 1 good; null where the text is in a language the scorer does not read.",
            minimum=-1,
            maximum=1,
        ),
        text("scorer", "Scorer and its version."),
        text("cluster_id", "Story: the document and time it began with."),
        stamp("first_known_at", "When the story was first known, UTC."),
        flag("is_repeat", "Whether the story had been told about this symbol before: counts once."),
        text("label", "SYNTHETIC or REAL."),
    ),
    key=("doc_id", "symbol", "known_at"),
    rules=(
        RowRule("before its story began", pl.col("known_at") < pl.col("first_known_at")),
        RowRule("known before it was published", pl.col("known_at") < pl.col("published_at")),
    ),
)
