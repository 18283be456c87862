"""The suite of raw documents, as data.

Belongs here: what is expected of texts, their times and their volume. Does not belong here: how a
statistic is computed (`document_views`), structure (contracts), sentiment.
"""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup
from data_quality import document_views
from data_quality.declarations import History, Suite, View, between
from data_quality.runner import check_group

_DOCUMENTS = (
    between(
        "known_within_a_day",
        "documents",
        "delay_hours",
        None,
        24,
        "A document is known within a day of its publication.",
    ),
    between(
        "headline_has_a_headlines_length",
        "documents",
        "headline_length",
        8,
        400,
        "A headline has 8 to 400 characters.",
    ),
    between(
        "headlines_are_not_repeated",
        "headlines",
        "n_repeats",
        None,
        3,
        "No headline is repeated more than three times for one symbol on one day.",
    ),
    between(
        "no_flood_of_documents",
        "days",
        "share_of_usual_day",
        None,
        50,
        "No day of a dataset has fifty times the documents of its median day: a feed that repeats "
        "itself, or a query that matches everything.",
    ),
    between(
        "no_long_silence",
        "datasets",
        "longest_silence_ratio",
        None,
        30,
        "No dataset is silent for thirty times the usual time between its days with documents.",
    ),
    between(
        "texts_are_not_empty",
        "datasets",
        "short_text_fraction",
        None,
        0.05,
        "Where a dataset gives texts at all, at most 5 % of them have fewer than 20 characters: a "
        "paywall or a page that was not read leaves such.",
    ),
    between(
        "one_language_prevails",
        "datasets",
        "other_language_fraction",
        None,
        0.5,
        "At least half of the documents whose language is stated share the commonest one; scorers "
        "read English.",
    ),
    between(
        "no_symbol_dominates",
        "coverage",
        "relative_share",
        None,
        5,
        "No symbol has more than five times its even share of the documents.",
    ),
)

#: A feed brings a few documents at a time: what is usual shows over months.
_HISTORY = History(("dataset",), "published_at", 90)

_DOCUMENT_VIEWS = (
    View("documents", document_views.documents, ("doc_id", "symbol", "published_at")),
    View("days", document_views.days, ("dataset", "day")),
    View("datasets", document_views.datasets, ("dataset",)),
    View("headlines", document_views.headlines, ("symbol", "day", "headline")),
    View("coverage", document_views.coverage, ("symbol",)),
)


def documents_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.documents_*`` table; all of them warn.

    Parameters
    ----------
    contract
        Contract made by `contracts.raw.documents_contract`.
    """
    return check_group(documents_declaration(contract))


def documents_declaration(contract: TableContract) -> Suite:
    """The declaration behind `documents_suite`."""
    return Suite(contract.table, _DOCUMENT_VIEWS, _DOCUMENTS, history=_HISTORY)


#: The name that says which layer it is for.
raw_documents_suite = documents_suite
