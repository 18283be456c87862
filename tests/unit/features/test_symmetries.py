"""What the names of symbols and the year of a history cannot matter to, for any draw of either."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from btq_assets.contracts import features as contracts
from btq_assets.evidence.comparison import compare
from btq_assets.features import structure
from btq_assets.features.families import FAMILIES, FAMILY

NAMES = tuple(family.name for family in FAMILIES)
SYMBOLS = ("S00", "S01", "S02", "S03")
#: Each example computes a family: there is nothing to gain from looking for a smaller one.
PROPERTY = settings(
    max_examples=2,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
)


@pytest.fixture(scope="module")
def whole(families, world, small_config):
    """Each family's rows, computed once."""
    return {name: families[name](world, small_config) for name in NAMES}


def _renamed(table: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    # What a currency is called says what it is; the others' names say nothing.
    columns = [column for column in ("symbol", "underlying", "asset") if column in table.columns]
    return table.with_columns(pl.col(columns).replace(names))


@pytest.mark.parametrize("name", NAMES)
def test_names_and_order_of_symbols_do_not_matter(name, families, world, whole, small_config):
    key = FAMILY[name].contract.key

    @PROPERTY
    @given(order=st.permutations(SYMBOLS), rows=st.integers(0, 2**31 - 1))
    def in_every_table_symbols_swap_names_and_rows_their_places(order, rows):
        swap = dict(zip(SYMBOLS, order, strict=True))
        back = {new: old for old, new in swap.items()}
        mixed = {
            table: _renamed(frame, swap).sample(fraction=1, shuffle=True, seed=rows)
            for table, frame in world.items()
        }
        found = _renamed(families[name](mixed, small_config), back).sort(key)
        mismatch, n_cells = compare(whole[name], found, key, 1e-7)
        assert mismatch is None, f"{name}: {mismatch}"
        assert n_cells > 0

    in_every_table_symbols_swap_names_and_rows_their_places()


#: Reads bars alone, and of their stamps the order alone.
TIMELESS = tuple(
    family.name
    for family in FAMILIES
    if set(family.inputs) == {"bars"}
    # Networks are fitted monthly, TA-Lib starts anew at dates of the calendar, and the dollar is
    # that of currencies whose stamps have other hours.
    and family.name not in ("cross_asset_structure", "talib")
)


@pytest.mark.parametrize("name", TIMELESS)
def test_the_year_of_a_history_does_not_matter(name, families, world, whole, small_config):
    key = FAMILY[name].contract.key

    @PROPERTY
    @given(weeks=st.integers(-500, 500))
    def moved_by_weeks_it_is_the_same(weeks):
        ago = dt.timedelta(weeks=weeks)
        moved = world["bars"].with_columns(pl.col("ts", "known_at") + ago, pl.col("session") + ago)
        found = families[name]({**world, "bars": moved}, small_config)
        mismatch, _ = compare(whole[name], found.with_columns(pl.col("ts") - ago), key, 1e-12)
        assert mismatch is None, f"{name}: {mismatch}"

    moved_by_weeks_it_is_the_same()


@pytest.mark.parametrize("name", NAMES)
def test_what_reads_adjusted_prices_alone_says_it_does_not_depend_on_the_scale(name, small_config):
    # Alpha101 is defined on prices as traded; what it reads of them it names.
    adjusted = {"adj_open", "adj_high", "adj_low", "adj_close"}
    for feature in FAMILY[name].features(small_config):
        if set(feature.needs) <= adjusted or name not in contracts.NAMED_SETS:
            assert feature.scale_invariant, feature.name


def test_assets_that_nothing_tells_apart_have_no_tree_and_one_cluster():
    # Correlations shrunk to none: every tree is a shortest one, and names would choose among them.
    alike = structure.distances(np.eye(5))
    assert np.isnan(structure.spanning_tree_degree(alike)).all()
    assert structure.clusters(alike).tolist() == [0] * 5
    # Two assets have one tree, however far apart.
    assert structure.spanning_tree_degree(structure.distances(np.eye(2))).tolist() == [1, 1]
