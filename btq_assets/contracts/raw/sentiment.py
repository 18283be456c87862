"""Raw documents: news, posts, filings and reports."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    KNOWN_AT_BASIS,
    SYMBOL,
    stamp,
    text,
)

# Generated, not observed: another seed replaces the headlines, so that the table is a function of
# the configuration and not of earlier runs.
DOCUMENTS_SAMPLE = TableContract(
    layer="raw",
    name="documents_sample",
    description="SYNTHETIC dated headlines, generated from a seed and independent of every price: they exercise the text path and carry no signal.",
    columns=(
        text("doc_id", "Hash of source, symbol, time and text."),
        SYMBOL,
        stamp("published_at", "Time of publication, UTC."),
        KNOWN_AT,
        KNOWN_AT_BASIS,
        text("headline", "Text of the headline."),
        text("label", "SYNTHETIC or REAL.", allowed=("SYNTHETIC", "REAL")),
        text("dataset", "Generator or file the row came from."),
    ),
    key=("doc_id",),
    owner="team:data",
)
