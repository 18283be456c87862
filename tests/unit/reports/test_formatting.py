"""Numbers are written so that nobody reads something that is not there."""

from __future__ import annotations

import pytest

from btq_assets.reports import formatting as fmt


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (fmt.number(None), "–"),
        (fmt.number(float("nan")), "–"),
        (fmt.number(float("inf")), "–"),
        (fmt.number(-0.001), "0.00"),
        (fmt.number(-1234.5, 1), "−1,234.5"),
        (fmt.percent(0.1234), "12.3\u202f%"),
        (fmt.percent(None), "–"),
        (fmt.probability(0.0000001), "< 0.001"),
        (fmt.probability(0.99999), "> 0.999"),
        (fmt.probability(0.25), "0.250"),
        (fmt.range_of(-0.05, 0.1, as_percent=True, digits=1), "[−5.0, 10.0]"),
        (fmt.range_of(None, 0.1, as_percent=True, digits=1), ""),
        (fmt.day(None), "–"),
    ],
)
def test_written_as_expected(written: str, expected: str) -> None:
    assert written == expected


def test_texts_that_differ_in_one_number_are_merged() -> None:
    texts = [
        "5 sessions out",
        "rule 1.5",
        "12 sessions out",
        "5 sessions out",
        "a 1 b 2",
        "a 3 b 2",
    ]
    assert fmt.merged(texts) == {
        "5 to 12 sessions out": [0, 2, 3],
        "rule 1.5": [1],
        # Two numbers: nobody can tell which belongs to which, so they stay apart.
        "a 1 b 2": [4],
        "a 3 b 2": [5],
    }
    assert fmt.merged(["same 3", "same 3"]) == {"same 3": [0, 1]}


def test_an_estimate_without_interval_has_no_whisker() -> None:
    assert fmt.estimate(0.1, None, 0.3, whisker=True).interval is None
    drawn = fmt.estimate(0.1, -0.1, 0.3, whisker=True).interval
    assert drawn is not None
    assert (drawn.low, drawn.value, drawn.high) == (-0.1, 0.1, 0.3)
