"""One story, told by many: causal, independent of order, checked against a plain double loop."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.sources.sentiment.duplicates import bands, shingles, similarity, stories

START = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
WINDOW = 72 * HOUR
SCHEMA = {"doc_id": pl.String, "known_at": pl.Datetime("us", "UTC"), "headline": pl.String}


def frame(*rows: tuple[str, int, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(name, START + hour * HOUR, text) for name, hour, text in rows], SCHEMA, orient="row"
    )


def told(documents: pl.DataFrame, threshold: float = 0.7) -> dict[str, str]:
    found = stories(documents, threshold=threshold, window=WINDOW)
    return {d: c.split("@")[0] for d, c in found.select("doc_id", "cluster_id").iter_rows()}


WIRE = "Apple beats estimates as iPhone sales surge in China"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (WIRE, True),
        (WIRE.upper() + "!", True),
        (WIRE + " - Reuters", True),
        (WIRE + " | The Wall Street Journal", True),
        ("UPDATE: " + WIRE, True),
        (WIRE.replace("China", "India"), True),  # 8 of 10 distinct pairs
        (WIRE.replace("beats", "misses").replace("surge", "slump"), False),
        ("Microsoft beats estimates as cloud sales surge in Europe", False),
        ("Apple", False),
    ],
)
def test_what_counts_as_the_same_story(other, same):
    found = told(frame(("a", 0, WIRE), ("b", 1, other)))
    assert (found["b"] == "a") is same


def test_similarity_by_hand():
    # {a b, b c, c d} and {b c, c d, d e}: 2 shared of 4.
    assert similarity(shingles("A b c d"), shingles("b c, d e")) == 0.5
    assert similarity(shingles(""), shingles("")) == 0.0


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.5, (64, 2)), (0.7, (42, 3)), (0.9, (21, 6)), (1.0, (16, 8))]
)
def test_bands_miss_less_than_one_pair_in_a_million(threshold, expected):
    # (1 - 0.5^2)^64 = 1e-8, (1 - 0.7^3)^42 = 2e-8, (1 - 0.9^6)^21 = 1.2e-7, by hand.
    assert bands(threshold) == expected
    number, length = expected
    assert (1 - threshold**length) ** number <= 1e-6


def test_a_story_told_again_after_the_window_is_a_new_one():
    found = stories(
        frame(("a", 0, WIRE), ("b", 72, WIRE), ("c", 73, WIRE), ("d", 100, WIRE)),
        threshold=0.7,
        window=WINDOW,
    )
    assert [c.split("@")[0] for c in found["cluster_id"]] == ["a", "a", "c", "c"]
    assert found["first_known_at"].to_list() == [START, START, START + 73 * HOUR, START + 73 * HOUR]


def test_a_later_bridge_does_not_join_what_was_apart():
    """B resembles A and C, which do not resemble each other: C was news when it came."""
    a, b, c = (
        "one two three four five six seven eight",
        "three four five six seven eight nine ten",
        "five six seven eight nine ten eleven twelve",
    )
    assert told(frame(("a", 0, a), ("c", 1, c)), 0.5) == {"a": "a", "c": "c"}
    assert told(frame(("a", 0, a), ("c", 1, c), ("b", 2, b)), 0.5)["c"] == "c"


_WORDS = ["apple", "profit", "rises", "falls", "again", "today", "after", "report"]
_DOCUMENTS = st.lists(
    st.tuples(
        st.integers(0, 150),
        st.lists(st.sampled_from(_WORDS), min_size=0, max_size=6).map(" ".join),
    ),
    max_size=14,
).map(lambda rows: frame(*((f"d{n}", hour, text) for n, (hour, text) in enumerate(rows))))
_THRESHOLDS = st.sampled_from([0.5, 0.7, 1.0])


@given(_DOCUMENTS, _THRESHOLDS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_stories_do_not_depend_on_the_order_of_rows(documents, threshold, random):
    order = list(range(documents.height))
    random.shuffle(order)
    one = stories(documents, threshold=threshold, window=WINDOW)
    other = stories(documents[order], threshold=threshold, window=WINDOW)
    assert_frame_equal(one.sort("doc_id"), other.sort("doc_id"))


@given(_DOCUMENTS, _THRESHOLDS, st.integers(0, 150))
@settings(max_examples=60, deadline=None)
def test_what_comes_later_changes_no_earlier_story(documents, threshold, hour):
    cut = START + hour * HOUR
    whole = stories(documents, threshold=threshold, window=WINDOW)
    then = stories(documents.filter(pl.col("known_at") <= cut), threshold=threshold, window=WINDOW)
    assert_frame_equal(then, whole.filter(pl.col("known_at") <= cut))


@given(_DOCUMENTS, _THRESHOLDS)
@settings(max_examples=60, deadline=None)
def test_proposals_miss_nothing_a_double_loop_finds(documents, threshold):
    """The definition written out plainly: every earlier open beginning is compared."""
    begun: list[tuple[dt.datetime, str, frozenset]] = []
    expected = {}
    for doc_id, known_at, text in documents.sort("known_at", "doc_id").iter_rows():
        own = shingles(text)
        alike = [
            (at, name)
            for at, name, other in begun
            if known_at - at <= WINDOW and similarity(own, other) >= threshold
        ]
        expected[doc_id] = min(alike)[1] if alike else doc_id
        if not alike:
            begun.append((known_at, doc_id, own))
    assert told(documents, threshold) == expected
