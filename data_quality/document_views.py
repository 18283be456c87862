"""Views of raw documents: texts, times, volume a day, languages.

Belongs here: statistics of documents as a source gave them. Does not belong here: thresholds,
sentiment, the languages a text is found to be in (the sentiment room).
"""

from __future__ import annotations

import polars as pl

from data_quality.declarations import with_fresh

#: A text shorter than this was not read.
_SHORT_TEXT = 20

#: Documents below which a day, a share or a silence of a dataset means nothing.
_FEWEST = 30


def first_vintages(frame: pl.DataFrame) -> pl.DataFrame:
    """Each document and symbol once, as it was first known."""
    return frame.sort("known_at").unique(["doc_id", "symbol"], keep="first", maintain_order=True)


def documents(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per document: delay until it was known, length of its text, its label."""
    return (
        first_vintages(with_fresh(frame))
        .filter("fresh")
        .select(
            "doc_id",
            "symbol",
            "label",
            published_at=pl.col("published_at").dt.strftime("%Y-%m-%d %H:%M"),
            delay_hours=(pl.col("known_at") - pl.col("published_at")).dt.total_seconds() / 3_600,
            headline_length=pl.col("headline").str.len_chars().cast(pl.Int64),
        )
    )


def headlines(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per text: how many documents of one symbol on one day repeat it."""
    return (
        first_vintages(with_fresh(frame))
        .with_columns(day=pl.col("published_at").dt.date().cast(pl.String))
        .group_by("symbol", "day", "headline")
        .agg(n_repeats=pl.len().cast(pl.Int64), fresh=pl.col("fresh").any())
    )


def coverage(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per symbol: its share of all documents times the number of symbols (1 is even).

    Where a source is asked symbol by symbol, only those count: others are merely mentioned beside.
    """
    found = first_vintages(frame).filter(pl.col("symbol") != "")
    asked = pl.col("symbol").is_in(found["dataset"].unique().implode())
    return (
        found.filter(asked | ~asked.any())
        .group_by("symbol")
        .agg(n_documents=pl.len().cast(pl.Int64))
        .with_columns(
            relative_share=pl.col("n_documents") / pl.col("n_documents").sum() * pl.len(),
        )
        .sort("symbol")
    )


def days(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per dataset and day with documents: their number over that of its median day."""
    return (
        _once(with_fresh(frame))
        .group_by("dataset", "day")
        .agg(n_documents=pl.len().cast(pl.Int64), fresh=pl.col("fresh").any())
        .with_columns(
            total=pl.col("n_documents").sum().over("dataset"),
            usual=pl.col("n_documents").median().over("dataset"),
        )
        .select(
            "dataset",
            pl.col("day").cast(pl.String),
            "n_documents",
            "fresh",
            share_of_usual_day=pl.when(pl.col("total") >= _FEWEST).then(
                pl.col("n_documents") / pl.col("usual")
            ),
        )
        .sort("dataset", "day")
    )


def datasets(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per dataset: silences, short texts, languages.

    Fractions are missing where fewer than thirty documents have a text or a stated language.
    """
    columns = {"text", "language"} - set(frame.columns)
    frame = _once(frame.with_columns(pl.lit(None, pl.String).alias(name) for name in columns))
    gap = pl.col("day").unique().sort().diff().dt.total_days()
    short = (pl.col("text").str.strip_chars().str.len_chars() < _SHORT_TEXT).sum()
    language = pl.col("language").drop_nulls()
    commonest = language.unique_counts().max()
    return (
        frame.group_by("dataset")
        .agg(
            n_documents=pl.len().cast(pl.Int64),
            longest_silence_ratio=pl.when(pl.col("day").n_unique() >= _FEWEST).then(
                gap.max() / gap.median()
            ),
            short_text_fraction=pl.when(pl.col("text").count() >= _FEWEST).then(
                short / pl.col("text").count()
            ),
            other_language_fraction=pl.when(pl.col("language").count() >= _FEWEST).then(
                1 - commonest / pl.col("language").count()
            ),
        )
        .sort("dataset")
    )


def _once(frame: pl.DataFrame) -> pl.DataFrame:
    return (
        frame.sort("known_at")
        .unique(["dataset", "doc_id"], keep="first", maintain_order=True)
        .with_columns(day=pl.col("published_at").dt.date())
    )
