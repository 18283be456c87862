"""Where histories begin and end in a sorted table, looked up in a few places."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.features.tails import as_stamp
from btq_assets.features.trailing import histories, stamps


def table(sizes: list[int], universes: int) -> pl.DataFrame:
    """As many symbols as sizes, dealt to the universes in order."""
    share = -(-len(sizes) // universes)
    return pl.DataFrame(
        {
            "universe": [f"u{i // share}" for i, n in enumerate(sizes) for _ in range(n)],
            "symbol": [f"s{i % share:03d}" for i, n in enumerate(sizes) for _ in range(n)],
        }
    )


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(
        st.sampled_from([1, 2, 63, 700, 1023, 1024, 1025, 2500]), min_size=1, max_size=9
    ),
    universes=st.integers(1, 3),
)
def test_histories_are_the_groups_of_the_table(sizes, universes) -> None:
    """Expected from polars' own grouping of every row."""
    bars = table(sizes, universes)
    groups = bars.with_row_index().group_by("universe", "symbol", maintain_order=True)
    wanted = groups.agg(pl.col("index").min().alias("a"), pl.col("index").max().alias("b") + 1)
    found = histories(bars)
    assert found is not None
    assert found.names.equals(wanted.select("universe", "symbol"))
    assert found.starts.tolist() == wanted["a"].to_list()
    assert found.ends.tolist() == wanted["b"].to_list()


@pytest.mark.parametrize("sizes", [[3, 4], [1500, 1500], [5, 2000, 1]])
def test_names_out_of_order_are_seen(sizes) -> None:
    bars = table(sizes, 1)
    assert histories(pl.concat([bars.tail(sizes[-1]), bars.head(bars.height - sizes[-1])])) is None


@pytest.mark.parametrize("unit", ["us", "ms"])
def test_a_time_is_the_whole_number_of_its_row(unit) -> None:
    """Expected from the column itself, before 1970 too and behind the point."""
    moments = [
        dt.datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=dt.UTC),
        dt.datetime(2022, 7, 1, 20, 0, 0, 123_000, tzinfo=dt.UTC),
    ]
    bars = pl.DataFrame({"ts": pl.Series(moments).cast(pl.Datetime(unit, "UTC"))})
    found = [as_stamp(moment, bars) for moment in moments]
    assert found == stamps(bars).tolist()
    elsewhere = moments[1].astimezone(dt.timezone(dt.timedelta(hours=5)))
    assert as_stamp(elsewhere, bars) == found[1]
    assert np.issubdtype(stamps(bars).dtype, np.integer)
