"""Cleaning, naming and stacking documents, and the readers of single items under fuzz."""

from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.provider import Window
from btq_assets.sources.sentiment.documents import (
    Collected,
    Document,
    Link,
    clean,
    document_rows,
    headline_of,
    language_code,
    plain_text,
)
from btq_assets.sources.sentiment.language import language_of
from btq_assets.sources.sentiment.providers import (
    alpha_vantage_news,
    edgar,
    gdelt,
    reddit,
    x,
)

NOW = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
ALL_TIME = Window(dt.datetime(1900, 1, 1, tzinfo=dt.UTC), NOW)


def document(name: str, minute: int, headline: str, *symbols: str) -> Document:
    at = NOW - 100 * MINUTE + minute * MINUTE
    links = tuple(Link(symbol) for symbol in symbols)
    return Document(name, at, at + MINUTE, headline, "feed", links=links)


def test_text_is_cleaned():
    assert clean("a\x00b\u200b c\n\n d\ud83d") == "a b c d?"
    assert clean(None) == ""
    assert plain_text("<p>Up <b>5%</b><script>evil()</script> &amp; more</p>") == "Up 5% & more"
    assert plain_text("3 < 4 and 5 > 2") == "3 < 4 and 5 > 2"
    assert headline_of("word " * 200).endswith("word…")
    assert len(headline_of("x" * 1_000)) == 400
    codes = ["en-US", "de", "zh_CN", "und", "", None, "EN"]
    assert [language_code(c) for c in codes] == ["en", "de", "zh", None, None, None, "en"]


def test_one_row_for_each_symbol_and_one_without():
    rows = document_rows(
        [document("a", 1, "About two", "AAPL", "MSFT"), document("b", 2, "About none")],
        raw.DOCUMENTS_RSS,
    )
    assert sorted(rows["symbol"]) == ["", "AAPL", "MSFT"]
    assert violations(cast_to_contract(rows, raw.DOCUMENTS_RSS), raw.DOCUMENTS_RSS).is_empty()


def test_a_document_fetched_twice_keeps_its_latest_words_and_their_earliest_time():
    rows = document_rows(
        [
            document("a", 1, "Old words"),
            document("a", 5, "New words"),
            document("a", 9, "New words"),
        ],
        raw.DOCUMENTS_RSS,
    )
    assert rows.select("headline", "known_at").rows() == [("New words", NOW - 94 * MINUTE)]


@given(
    st.lists(
        st.builds(
            document,
            st.sampled_from("abc"),
            st.integers(0, 20),
            st.sampled_from(["one", "two", "three"]),
            st.sampled_from(["", "AAPL"]),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_rows_do_not_depend_on_the_order_of_documents(documents, random):
    shuffled = list(documents)
    random.shuffle(shuffled)
    rows = document_rows(documents, raw.DOCUMENTS_RSS)
    assert_frame_equal(rows, document_rows(shuffled, raw.DOCUMENTS_RSS))
    assert rows.select("doc_id", "symbol").is_unique().all()


# Anything JSON can hold, and values of the right kind in the wrong place.
_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)
    | st.sampled_from(["20240501T000000Z", "2024-05-01T00:00:00.000Z", "\ud83d", "99999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_NAMES = [
    "url", "title", "seendate", "language", "domain", "time_published", "summary", "source",
    "ticker_sentiment", "data", "id", "name", "created_utc", "edited", "selftext", "permalink",
    "text", "created_at", "lang", "form", "accessionNumber", "filingDate", "acceptanceDateTime",
    "items", "primaryDocument", "stickied",
]  # fmt: skip
_OBJECTS = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=8)

READERS = {
    "gdelt": lambda item: gdelt.read_article(item, "q", ALL_TIME, NOW),
    "alpha_vantage": lambda item: alpha_vantage_news.read_article(item, "AAPL", ALL_TIME, NOW),
    "reddit": lambda item: reddit.read_post({"data": item}, "stocks", NOW),
    "x": lambda item: x.read_post(item, "q", NOW),
    "edgar": lambda item: edgar.read_filing(item if isinstance(item, dict) else {}, "A", 1, "A", NOW),
}  # fmt: skip


@pytest.mark.parametrize("source", sorted(READERS))
@given(items=st.lists(_OBJECTS | _VALUES, max_size=4))
@settings(max_examples=40, deadline=None)
def test_whatever_comes_is_a_document_or_a_refused_row(source, items):
    found = Collected()
    found.read(items, READERS[source])
    rows = document_rows(found.documents, raw.DOCUMENTS_X)
    assert violations(cast_to_contract(rows, raw.DOCUMENTS_X), raw.DOCUMENTS_X).is_empty()
    assert found.rejected().height + len(found.documents) <= len(items)
    assert all(json.loads(row) is not None or row for row in ["[]"])


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_gdelts_parser_gives_an_object_or_nothing(body):
    assert gdelt.parse_json(body) is None or isinstance(gdelt.parse_json(body), dict)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The company raised its outlook for the full year after strong sales", "en"),
        ("Das Unternehmen hebt nach starken Verkäufen seinen Ausblick für das Jahr an", "de"),
        ("L'entreprise relève ses prévisions annuelles après de bonnes ventes", "fr"),
        ("La empresa eleva sus previsiones para todo el año tras buenas ventas", "es"),
        ("$AAPL $MSFT https://x.example/abc 12345", None),
        ("short", None),
        ("", None),
    ],
)
def test_languages_are_told_apart_and_nothing_is_guessed(text, language):
    assert language_of(text) == language


def test_a_filing_is_never_known_before_the_later_reading_of_its_time():
    # Summer: New York is 4 hours behind; winter: 5.
    summer = edgar.acceptance("2024-07-01T16:30:00.000Z", "2024-07-01")
    winter = edgar.acceptance("2024-01-02T16:30:00.000Z", "2024-01-02")
    assert summer == (dt.datetime(2024, 7, 1, 20, 30, tzinfo=dt.UTC),) * 2
    assert winter == (dt.datetime(2024, 1, 2, 21, 30, tzinfo=dt.UTC),) * 2


def test_frames_of_no_documents_have_the_contracts_columns():
    rows = document_rows([], raw.DOCUMENTS_GDELT)
    assert rows.schema == raw.DOCUMENTS_GDELT.schema
    assert isinstance(rows, pl.DataFrame)
