"""Versions of content: equal for equal rows, whatever the order, and additive."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.contracts.base import TableContract, cast_to_contract
from btq_assets.contracts.columns import count, day, flag, number, stamp, text
from btq_assets.warehouse.versions import added_version, frame_version

EVERYTHING = TableContract(
    layer="raw",
    name="everything",
    description="A column of each type.",
    columns=(
        text("name", "Name.", nullable=True),
        number("value", "Value."),
        count("many", "Many.", nullable=True, minimum=None),
        flag("is_it", "Whether.", nullable=True),
        stamp("ts", "When.", nullable=True),
        day("period", "Day.", nullable=True),
    ),
    key=("name",),
    append_only=True,
)
ROW = st.tuples(
    st.none() | st.text(max_size=4),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.integers(-(2**60), 2**60),
    st.none() | st.booleans(),
    st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)),
    st.none() | st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
)


def frame(rows: list[tuple]) -> pl.DataFrame:
    found = [(*row[:4], row[4] and row[4].replace(tzinfo=dt.UTC), row[5]) for row in rows]
    return cast_to_contract(pl.DataFrame(found, schema=EVERYTHING.schema, orient="row"), EVERYTHING)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROW, max_size=12), data=st.data())
def test_rows_added_give_the_version_of_the_whole_in_any_order(rows, data):
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    whole = frame_version(frame(rows), EVERYTHING)
    grown = frame_version(frame(shuffled[:cut]), EVERYTHING)
    assert added_version(grown, frame(shuffled[cut:]), EVERYTHING) == whole


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=6, unique_by=repr), data=st.data())
def test_a_cell_that_changes_changes_the_version(rows, data):
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 5))
    other = data.draw(ROW)[column]
    changed = [list(row) for row in rows]
    changed[place][column] = other
    same = repr(frame([tuple(r) for r in changed]).rows()) == repr(frame(rows).rows())
    equal = frame_version(frame([tuple(r) for r in changed]), EVERYTHING) == frame_version(
        frame(rows), EVERYTHING
    )
    assert equal is same or sorted(map(repr, rows)) == sorted(map(repr, map(tuple, changed)))


def test_a_repeated_row_counts_and_values_do_not_move_between_columns_or_rows():
    one = frame([("a", 1.0, 1, True, None, None)])
    assert frame_version(pl.concat([one, one]), EVERYTHING) != frame_version(one, EVERYTHING)
    ab = frame([("a", 1.0, 0, None, None, None), ("b", 2.0, 0, None, None, None)])
    ba = frame([("a", 2.0, 0, None, None, None), ("b", 1.0, 0, None, None, None)])
    assert frame_version(ab, EVERYTHING) != frame_version(ba, EVERYTHING)
    null, zero = frame([("a", None, 0, None, None, None)]), frame([("a", 0.0, 0, None, None, None)])
    assert frame_version(null, EVERYTHING) != frame_version(zero, EVERYTHING)


def test_versions_are_the_same_in_another_process():
    code = (
        "import importlib.util, sys;"
        f"spec = importlib.util.spec_from_file_location('t', {__file__!r});"
        "t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t);"
        "print(t.frame_version(t.frame([('a', 1.5, 3, True, None, None)]), t.EVERYTHING))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PATH": ""},
    )
    here = frame_version(frame([("a", 1.5, 3, True, None, None)]), EVERYTHING)
    assert done.stdout.strip() == here


def test_a_version_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="no version that rows can be added to"):
        added_version("0123456789abcdef", EVERYTHING.empty(), EVERYTHING)
