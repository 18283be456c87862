"""Raw documents: news, posts, filings and reports."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import Column, RowRule, TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    KNOWN_AT_BASIS,
    number,
    stamp,
    text,
)

LABELS = ("SYNTHETIC", "REAL")

DOCUMENT_SYMBOL = Column(
    "symbol",
    pl.String,
    "Instrument the source itself names, one row each; empty where it names none.",
)

#: What must differ for a fetched document to be a new vintage of a stored one. Counters, scores
#: and lists of the source change all the time and make no new document.
COMPARED = ("headline", "text")


def documents_contract(source: str, description: str, *, generated: bool = False) -> TableContract:
    """Contract of ``raw.documents_<source>``: one row per document, symbol and vintage.

    Parameters
    ----------
    source
        Name of the source.
    description
        What its documents are.
    generated
        Generated, not observed: another seed replaces the rows, so that the table is a function of
        the configuration and not of earlier runs. Observed documents are append-only.
    """
    return TableContract(
        layer="raw",
        name=f"documents_{source}",
        description=description,
        columns=(
            text("doc_id", "Hash of the source's own name of the document, such as its address."),
            DOCUMENT_SYMBOL,
            stamp("published_at", "Time of publication as the source states it, UTC."),
            KNOWN_AT,
            KNOWN_AT_BASIS,
            text("headline", "Headline, or the first line of a text without one."),
            text("text", "Body as plain text; null where the source gives none.", nullable=True),
            text("url", "Where it can be read.", nullable=True),
            text(
                "language",
                "ISO 639-1 code the source states; null where it states none.",
                nullable=True,
            ),
            text("author", "Site, subreddit, account or form the document came by.", nullable=True),
            number(
                "relevance",
                "How much the document is about the symbol, in the source's own judgement.",
                minimum=0,
                maximum=1,
            ),
            number(
                "source_score",
                "Sentiment in the source's own judgement; no feature reads it.",
                minimum=-1,
                maximum=1,
            ),
            text("label", "SYNTHETIC or REAL.", allowed=LABELS),
            text("dataset", "Feed, query, company or file the row came from."),
        ),
        key=("doc_id", "symbol", "known_at"),
        append_only=not generated,
        rules=(
            RowRule("known before it was published", pl.col("known_at") < pl.col("published_at")),
            RowRule("empty headline", pl.col("headline").str.strip_chars() == ""),
        ),
        max_rejected_fraction=0.0 if generated else 0.5,
        owner="team:data",
    )


DOCUMENTS_SAMPLE = documents_contract(
    "sample",
    "SYNTHETIC dated headlines, generated from a seed and independent of every price: they exercise the text path and carry no signal.",
    generated=True,
)

DOCUMENTS_RSS = documents_contract("rss", "Entries of RSS and Atom feeds.")

DOCUMENTS_GDELT = documents_contract(
    "gdelt", "Titles of online news found by GDELT, by configured query."
)

DOCUMENTS_ALPHA_VANTAGE = documents_contract(
    "alpha_vantage_news", "News with tickers and their relevance, from Alpha Vantage."
)

DOCUMENTS_REDDIT = documents_contract("reddit", "Posts of configured subreddits.")

DOCUMENTS_X = documents_contract("x", "Posts on X found by configured queries.")

DOCUMENTS_EDGAR = documents_contract(
    "edgar", "Filings with the SEC: form, items and time of acceptance."
)

DOCUMENTS_REPORTS = documents_contract(
    "reports", "Analyst reports dropped in a folder: PDF, HTML and text."
)

#: Tables of documents that were observed.
OBSERVED_DOCUMENTS = (
    DOCUMENTS_RSS,
    DOCUMENTS_GDELT,
    DOCUMENTS_ALPHA_VANTAGE,
    DOCUMENTS_REDDIT,
    DOCUMENTS_X,
    DOCUMENTS_EDGAR,
    DOCUMENTS_REPORTS,
)
