"""Repeated keys are found the same with and without the short way for frames in order."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.contracts import base
from btq_assets.contracts.base import TableContract, violations
from btq_assets.contracts.columns import count, number, text

TABLE = TableContract(
    layer="raw",
    name="keyed",
    description="Two columns of a key.",
    columns=(
        text("name", "Name.", nullable=True),
        count("place", "Place.", nullable=True, minimum=None),
        number("value", "Value.", minimum=0),
    ),
    key=("name", "place"),
)
ROWS = st.lists(
    st.tuples(
        st.none() | st.sampled_from("abc"),
        st.none() | st.integers(-3, 3),
        st.floats(-1, 1) | st.none(),
    ),
    max_size=8,
)


def frame(rows: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TABLE.schema, orient="row")


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, in_order=st.booleans())
def test_short_way_finds_what_hashing_finds(rows, in_order):
    found = frame(rows).sort(TABLE.key) if in_order else frame(rows)
    short = violations(found, TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "_strictly_ascending", lambda *_: False)
        assert_frame_equal(short, violations(found, TABLE))


@pytest.mark.parametrize(
    ("rows", "ascending"),
    [
        ([], True),
        ([("a", 1)], True),
        ([("a", 1), ("a", 2), ("b", 0)], True),
        ([("a", 1), ("a", 1)], False),
        ([("a", 2), ("a", 1)], False),
        ([("b", 0), ("a", 1)], False),
        ([("a", None), ("a", 1)], False),
        ([(None, 1), (None, 2)], False),
    ],
)
def test_what_is_in_order(rows, ascending):
    found = frame([(*row, 1.0) for row in rows])
    assert base._strictly_ascending(found, TABLE.key) is ascending
