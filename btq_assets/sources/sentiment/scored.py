"""From documents to scored links: whom each is about, in which language, whether it is news.

Belongs here: putting linking, language, duplicates and scores together, once for each document.
Does not belong here: aggregation over time (`features.sentiment`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl

from btq_assets.config import DocumentsSection
from btq_assets.contracts import features as contracts
from btq_assets.sources.sentiment.duplicates import stories
from btq_assets.sources.sentiment.language import language_of
from btq_assets.sources.sentiment.linking import WAYS, Linker
from btq_assets.sources.sentiment.scoring.base import Scorer, open_scorer, score_documents

_IDENTITY = ("doc_id", "known_at")

#: A body is searched for names this far; what is named later is hardly what a text is about.
_LINKED_CHARACTERS = 2_000


def score(
    documents: pl.DataFrame,
    settings: DocumentsSection | None = None,
    scorer: Scorer | None = None,
) -> pl.DataFrame:
    """Rows of ``features.document_scores``.

    A row's own values depend on its document alone, and its story on earlier documents alone, so
    cutting documents off at any time changes no earlier row.

    Parameters
    ----------
    documents
        Rows of `core.documents`.
    settings
        Companies, languages, thresholds and the scorer.
    scorer
        Another scorer than the configured one.

    Returns
    -------
    polars.DataFrame
        One row per document, time and symbol it is about (``""`` where it is about none),
        sorted by the contract's key.
    """
    settings = settings or DocumentsSection()
    scorer = scorer or open_scorer(settings)
    linked = _linked(documents, settings)
    told = stories(
        documents,
        threshold=settings.duplicate_similarity,
        window=timedelta(hours=settings.duplicate_window_hours),
    )
    spoken = _languages(documents)
    rows = linked.join(told, on=_IDENTITY, how="left").join(spoken, on=_IDENTITY, how="left")
    understood = pl.col("language").is_null() | pl.col("language").is_in(settings.languages)
    scores = score_documents(
        scorer, rows.filter(understood).select("headline", "text").unique().iter_rows()
    )
    texts = pl.DataFrame(
        [(headline, text, value) for (headline, text), value in scores.items()],
        schema={"headline": pl.String, "text": pl.String, "score": pl.Float64},
        orient="row",
    )
    place_in_story = pl.int_range(pl.len()).over("symbol", "cluster_id")
    return (
        rows.sort("known_at", "doc_id")
        .with_columns(is_repeat=place_in_story > 0)
        .join(texts, on=["headline", "text"], how="left", nulls_equal=True)
        .with_columns(
            score=pl.when(understood).then("score"),
            scorer=pl.lit(f"{scorer.name} {scorer.version}"),
        )
        .select(contracts.DOCUMENT_SCORES.column_names)
        .sort(contracts.DOCUMENT_SCORES.key)
    )


def _linked(documents: pl.DataFrame, settings: DocumentsSection) -> pl.DataFrame:
    """One row per document, time and symbol, stated by the source or found in the text."""
    linker = Linker(settings.companies)
    once = documents.unique(_IDENTITY, keep="first", maintain_order=True)
    in_text = [
        (doc_id, known_at, symbol, way)
        for doc_id, known_at, headline, text in once.select(
            *_IDENTITY, "headline", "text"
        ).iter_rows()
        for symbol, way in linker.links(f"{headline}\n{(text or '')[:_LINKED_CHARACTERS]}").items()
    ]
    schema: dict[str, Any] = {
        "doc_id": pl.String,
        "known_at": documents.schema["known_at"],
        "symbol": pl.String,
        "linked_by": pl.String,
    }
    strong = pl.col("relevance").is_null() | (pl.col("relevance") >= settings.min_relevance)
    stated = documents.filter((pl.col("symbol") != "") & strong).select(
        *_IDENTITY, "symbol", linked_by=pl.lit(WAYS[0])
    )
    found = pl.concat(
        [stated, pl.DataFrame(in_text, schema=schema, orient="row").select(stated.columns)]
    )
    strongest = (
        found.with_columns(
            _way=pl.col("linked_by").replace_strict(list(WAYS), list(range(len(WAYS))))
        )
        .sort(*_IDENTITY, "symbol", "_way")
        .unique([*_IDENTITY, "symbol"], keep="first", maintain_order=True)
        .drop("_way")
    )
    return (
        once.drop("symbol", "language")
        .join(strongest, on=_IDENTITY, how="left")
        .with_columns(symbol=pl.col("symbol").fill_null(""))
    )


def _languages(documents: pl.DataFrame) -> pl.DataFrame:
    once = documents.select(*_IDENTITY, "headline", "text", "language").unique(
        _IDENTITY, keep="first", maintain_order=True
    )
    stated = once.filter(pl.col("language").is_not_null())
    silent = once.filter(pl.col("language").is_null())
    heard = {
        pair: language_of(f"{pair[0]} {(pair[1] or '')[:_LINKED_CHARACTERS]}")
        for pair in dict.fromkeys(silent.select("headline", "text").iter_rows())
    }
    found = [heard[pair] for pair in silent.select("headline", "text").iter_rows()]
    return pl.concat(
        [stated, silent.with_columns(language=pl.Series(found, dtype=pl.String))]
    ).select(*_IDENTITY, "language")
