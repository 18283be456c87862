"""Sentiment family on documents whose decay one can work out by hand."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.features import sentiment
from btq_assets.sources.sentiment import scored
from btq_assets.sources.sentiment.scoring.vader import VaderScorer

GOOD, BAD = "profit beats forecasts", "shares plunge on fraud probe"


@pytest.fixture
def bars(make_bars) -> pl.DataFrame:
    return make_bars(2, 80)


def _documents(
    bars: pl.DataFrame, *rows: tuple[str, int, str, str, float], score: bool = True
) -> pl.DataFrame:
    """``(symbol, session, headline, label, hours before that session's close)``."""
    sessions = bars["ts"].unique().sort()
    documents = pl.DataFrame(
        [
            {
                "doc_id": f"d{number}",
                "symbol": symbol,
                "published_at": sessions[session] - dt.timedelta(hours=hours + 1),
                "known_at": sessions[session] - dt.timedelta(hours=hours),
                "headline": headline,
                "label": label,
                "source": "sample",
            }
            for number, (symbol, session, headline, label, hours) in enumerate(rows)
        ],
        schema=core.DOCUMENTS.schema,
    )
    return scored.score(documents) if score else documents


def _scores() -> tuple[float, float]:
    good, bad = VaderScorer().score([GOOD, BAD])
    return good, bad


def test_two_documents_decay_by_the_half_life(bars):
    # Half-life 5 sessions: at session 20 the document of session 10 weighs 1/4, that of 15 1/2.
    documents = _documents(bars, ("S00", 10, GOOD, "REAL", 2), ("S00", 15, BAD, "REAL", 2))
    frame = sentiment.compute(bars, documents)
    row = frame.row(20 - 10, named=True)
    good, bad = _scores()
    score = (0.25 * good + 0.5 * bad) / 0.75
    assert row["sentiment_volume"] == pytest.approx(0.75)
    assert row["sentiment_score"] == pytest.approx(score)
    assert row["sentiment_negative_share"] == pytest.approx(2 / 3)
    spread = (0.25 * good**2 + 0.5 * bad**2) / 0.75 - score**2
    assert row["sentiment_dispersion"] == pytest.approx(math.sqrt(spread))
    assert row["sentiment_change_5d"] == pytest.approx(score - (0.5 * good + bad) / 1.5)


def test_a_document_counts_from_the_first_close_after_it_was_known(bars):
    # Known one hour after the close of session 10: session 11 is the first to see it.
    frame = sentiment.compute(bars, _documents(bars, ("S00", 10, GOOD, "REAL", -1)))
    sessions = bars["ts"].unique().sort()
    assert frame["ts"].min() == sessions[11]
    assert frame["sentiment_volume"][0] == pytest.approx(1)


def test_an_old_score_goes_stale(bars):
    # 2^(-25/5) = 1/32 is the last weight above 0.03.
    frame = sentiment.compute(bars, _documents(bars, ("S00", 10, GOOD, "REAL", 2)))
    assert frame["sentiment_score"].is_not_null().to_list() == [True] * 26 + [False] * 44
    assert frame["sentiment_volume"].is_not_null().all()
    assert frame["sentiment_dispersion"].is_null().all()  # one document has no spread


def test_synthetic_documents_mark_their_rows_and_only_theirs(bars):
    documents = _documents(
        bars,
        ("S00", 10, GOOD, "REAL", 2),
        ("S00", 20, GOOD, "SYNTHETIC", 2),
        ("S01", 30, GOOD, "REAL", 2),
    )
    frame = sentiment.compute(bars, documents)
    marked = frame.filter("is_synthetic")
    assert marked["symbol"].unique().to_list() == ["S00"]
    assert marked["ts"].min() == bars["ts"].unique().sort()[20]


def test_symbols_do_not_share_documents(bars):
    frame = sentiment.compute(bars, _documents(bars, ("S01", 10, BAD, "REAL", 2)))
    assert frame["symbol"].unique().to_list() == ["S01"]


@pytest.mark.parametrize("documents", ["none", "switched off"])
def test_without_documents_there_are_no_rows(documents, bars):
    given = _documents(bars, ("S00", 10, GOOD, "REAL", 2))
    config = TradingConfig(use_sentiment=documents == "none")
    given = given.clear() if documents == "none" else given
    assert sentiment.compute(bars, given, config.features).is_empty()


def test_a_story_told_again_counts_once_and_a_foreign_text_not_at_all(bars):
    once = sentiment.compute(bars, _documents(bars, ("S00", 10, GOOD, "REAL", 2)))
    again = _documents(
        bars,
        ("S00", 10, GOOD, "REAL", 2),
        ("S00", 11, GOOD + " - Reuters", "REAL", 2),
        ("S00", 12, "Der Gewinn übertrifft deutlich alle Erwartungen der Analysten", "REAL", 2),
    )
    assert_frame_equal(sentiment.compute(bars, again), once)


_HEADLINES = (GOOD, BAD, "annual meeting", GOOD + " again today")


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["S00", "S01"]),
            st.integers(5, 70),
            st.sampled_from(_HEADLINES),
            st.sampled_from(["REAL", "SYNTHETIC"]),
            st.integers(-40, 40),
        ),
        max_size=8,
    ),
    session=st.integers(5, 70),
)
@settings(max_examples=30, deadline=None)
def test_no_document_counts_before_it_is_known(make_bars, rows, session):
    """Documents unknown at a close may be there or not: rows up to that close are the same."""
    bars = make_bars(2, 80)
    documents = _documents(bars, *rows, score=False)
    close = bars["ts"].unique().sort()[session]
    known = documents.filter(pl.col("known_at") <= close)
    with_later = sentiment.compute(bars, scored.score(documents))
    without = sentiment.compute(bars, scored.score(known))
    upto = pl.col("ts") <= close
    assert_frame_equal(with_later.filter(upto), without.filter(upto))
