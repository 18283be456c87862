"""What a line of progress says: a share, a rate and the time that is left, by the rule of three."""

from __future__ import annotations

import pytest

from btq_assets.warehouse.headway import duration, how_far


@pytest.mark.parametrize(
    ("share", "rows", "seconds", "said"),
    [
        (0.25, 1_000, 10.0, "25 %, 100 rows/s, about 30 s left"),
        (0.5, 1_200_000, 100.0, "50 %, 12,000 rows/s, about 1 min 40 s left"),
        (1.0, 10, 2.0, "100 %, 5 rows/s"),
        (0.0, 0, 5.0, "0 %, 0 rows/s"),
        (0.4, 0, 0.0, "40 %"),
        (1.7, 10, 1.0, "100 %, 10 rows/s"),
    ],
)
def test_what_is_left_follows_from_what_is_done(share, rows, seconds, said):
    assert how_far(share, rows, seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3_599.4, "59 min 59 s"), (7_500, "2 h 5 min")],
)
def test_a_duration_in_the_two_units_that_matter(seconds, said):
    assert duration(seconds) == said
