"""Documents become scores: links, languages, repeats, and nothing before its time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.config import DocumentsSection, TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.features.checks import STORIES_CHECK
from btq_assets.sources.sentiment.scored import score
from btq_assets.sources.sentiment.scoring.base import score_documents

START = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


class Length:
    """A scorer one can work out by hand: a hundredth for each letter, at most 1."""

    name, version = "length", "1"

    def __init__(self) -> None:
        self.read: list[str] = []

    def score(self, texts: Sequence[str]) -> list[float]:
        self.read += texts
        return [min(len(text) / 100, 1.0) for text in texts]


def documents(*rows: dict) -> pl.DataFrame:
    given_rows = []
    for number, row in enumerate(rows):
        at = START + row.pop("hour", number) * HOUR
        given_rows.append(
            {
                "doc_id": f"d{number}",
                "symbol": "",
                "published_at": at - HOUR,
                "known_at": at,
                "label": "REAL",
                "source": "rss",
            }
            | row
        )
    return pl.DataFrame(given_rows, schema=core.DOCUMENTS.schema)


def scored(frame: pl.DataFrame, **options) -> pl.DataFrame:
    result = score(frame, DocumentsSection(**options), Length())
    result = cast_to_contract(result, contracts.DOCUMENT_SCORES)
    assert violations(result, contracts.DOCUMENT_SCORES).is_empty()
    context = CheckContext({"features.document_scores": result}, {}, TradingConfig())
    (outcome,) = STORIES_CHECK.answer(context)
    assert outcome.passed, outcome.message
    return result


def test_links_of_source_and_text_are_joined_and_weak_ones_left_out():
    frame = scored(
        documents(
            {"headline": "Apple and $MSFT rise", "symbol": "AAPL", "relevance": 0.9},
            {"headline": "Weather", "symbol": "KO", "relevance": 0.05},
            {"headline": "Bond yields", "text": "As Pfizer said yesterday."},
        )
    )
    assert frame.select("doc_id", "symbol", "linked_by").rows() == [
        ("d0", "AAPL", "source"),
        ("d0", "MSFT", "cashtag"),
        ("d1", "", None),
        ("d2", "PFE", "name"),
    ]


def test_a_repeat_counts_once_for_each_symbol():
    text = "Chip makers rally after strong results from the whole industry"
    frame = scored(
        documents(
            {"headline": text, "symbol": "AMD", "hour": 0},
            {"headline": text + " - Reuters", "symbol": "AMD", "hour": 1, "source": "gdelt"},
            {"headline": text, "symbol": "NVDA", "hour": 2},
        )
    )
    assert frame.select("doc_id", "is_repeat").rows() == [
        ("d0", False),
        ("d1", True),
        ("d2", False),  # the first one about NVDA
    ]
    assert frame["cluster_id"].n_unique() == 1
    assert frame["first_known_at"].unique().to_list() == [START]


def test_an_edited_document_is_no_second_story():
    words = "Apple raises its dividend by five percent after a good quarter"
    frame = scored(
        documents(
            {"doc_id": "same", "headline": words, "hour": 0},
            {"doc_id": "same", "headline": words + ", it says", "hour": 5},
            {"doc_id": "same", "headline": "Correction: Apple does not do so at all", "hour": 6},
        )
    )
    assert frame["is_repeat"].to_list() == [False, True, False]


def test_other_languages_are_kept_without_a_score():
    german = "Apple hebt nach starken Verkäufen den Ausblick für das ganze Jahr an"
    frame = scored(
        documents(
            {"headline": german},
            {"headline": "Apple up", "language": "fr"},
            {"headline": "$AAPL up"},
        )
    )
    assert frame["language"].to_list() == ["de", "fr", None]
    assert frame["score"].is_null().to_list() == [True, True, False]
    both = scored(documents({"headline": german}), languages=("de", "en"))
    assert both["score"].is_not_null().all()


def test_a_body_counts_half():
    scorer = Length()
    long = "x" * 60
    result = score_documents(
        scorer, [("a" * 20, None), ("a" * 20, f"{'B' * 39}. {'C' * 79}."), (long, long)]
    )
    assert result["a" * 20, None] == 0.2
    assert result["a" * 20, f"{'B' * 39}. {'C' * 79}."] == pytest.approx((0.2 + 0.6) / 2)
    assert result[long, long] == 0.6
    assert len(scorer.read) == len(set(scorer.read))  # each sentence once


def test_no_documents_give_no_scores():
    assert scored(documents()).is_empty()


def test_the_check_refuses_a_story_that_begins_later_or_counts_twice():
    frame = scored(documents({"headline": "Apple up"}, {"headline": "Apple up"}))
    for broken in (
        frame.with_columns(is_repeat=pl.lit(False)),
        frame.with_columns(is_repeat=~pl.col("is_repeat")),
        frame.with_columns(first_known_at=pl.col("first_known_at") - HOUR),
    ):
        context = CheckContext({"features.document_scores": broken}, {}, TradingConfig())
        assert not STORIES_CHECK.answer(context)[0].passed


_TEXTS = ["Apple up", "Apple down today", "$MSFT up", "nothing", "Apple and Pfizer merge", "(KO)"]
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "headline": st.sampled_from(_TEXTS),
            "hour": st.integers(0, 100),
            "symbol": st.sampled_from(["", "AAPL", "KO"]),
        }
    ),
    max_size=10,
)


@given(_ROWS, st.integers(0, 100), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_cutting_documents_off_changes_no_earlier_score(rows, hour, random):
    frame = documents(*(dict(row) for row in rows))
    cut = START + hour * HOUR
    order = list(range(frame.height))
    random.shuffle(order)
    whole = scored(frame[order])
    then = scored(frame.filter(pl.col("known_at") <= cut))
    assert_frame_equal(then, whole.filter(pl.col("known_at") <= cut))
