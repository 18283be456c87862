"""What must not matter does not: the scale of a history, the order of rows and symbols."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.contracts import features as contracts
from btq_assets.features.families import FAMILIES

PRICED = tuple(family.name for family in FAMILIES if set(family.inputs) == {"bars"})
ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")


@settings(max_examples=5, deadline=None)
@given(powers=st.lists(st.floats(-9, 6), min_size=7, max_size=7))
def test_scaling_a_symbols_adjusted_history_changes_nothing(powers, families, world, small_config):
    bars = world["bars"]
    pairs = bars.select("universe", "symbol").unique().sort("universe", "symbol")
    factors = pairs.with_columns(_factor=10.0 ** pl.Series(powers))
    scaled = (
        bars.join(factors, on=["universe", "symbol"], how="left", maintain_order="left")
        .with_columns(pl.col(*ADJUSTED) * pl.col("_factor"))
        .drop("_factor")
    )
    for family in PRICED:
        assert_frame_equal(
            families[family]({**world, "bars": scaled}, small_config),
            families[family](world, small_config),
            # Over the last digit where a table stores float32.
            rel_tol=2.5e-7 if _is_single_precision(family) else 1e-7,
            abs_tol=1e-9,
        )


def _is_single_precision(family):
    columns = contracts.FAMILY_CONTRACTS[family].columns
    return any(column.dtype == pl.Float32 for column in columns)


@pytest.mark.parametrize("family", contracts.FAMILIES)
def test_row_order_and_symbol_order_do_not_matter(family, families, world, small_config):
    shuffled = {
        name: frame.sample(fraction=1, shuffle=True, seed=5) for name, frame in world.items()
    }
    assert_frame_equal(
        families[family](shuffled, small_config),
        families[family](world, small_config),
        rel_tol=1e-12,
        abs_tol=1e-13,
    )


@pytest.mark.parametrize("family", contracts.FAMILIES)
def test_computing_again_gives_the_same_bits(family, families, world, small_config):
    # A version of a table is a hash of its values: one differing bit recomputes all that follows.
    first = families[family](world, small_config)
    for _ in range(5):
        assert_frame_equal(families[family](world, small_config), first, check_exact=True)


@pytest.mark.parametrize("family", ["technical", "volatility", "microstructure"])
def test_other_symbols_do_not_matter(family, families, world, small_config):
    alone = world["bars"].filter(pl.col("symbol") == "S01")
    found = families[family]({"bars": alone}, small_config)
    together = families[family](world, small_config).filter(pl.col("symbol") == "S01")
    assert_frame_equal(found, together, rel_tol=1e-13, abs_tol=1e-15)


def test_renaming_symbols_permutes_cross_asset_rows(families, world, small_config):
    swap = {"S00": "S03", "S01": "S02", "S02": "S01", "S03": "S00"}
    renamed = world["bars"].with_columns(pl.col("symbol").replace(swap))
    back = pl.col("symbol").replace({new: old for old, new in swap.items()})
    for family in ("quantum", "cross_asset"):
        found = families[family]({"bars": renamed}, small_config).with_columns(back)
        assert_frame_equal(
            found.sort("universe", "symbol", "ts"),
            families[family](world, small_config),
            rel_tol=1e-8,
            abs_tol=1e-10,
        )
