"""Every family, one spoilt symbol at a time: its values are possible or missing, all others' the same.

Bars are handed over as they are, as someone with bars of his own would. Rows of other tables pass
the contract of their table first, as they do on their way into it: what it refuses is quarantined
with a reason, and what it lets through must do no harm.
"""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.contracts import core
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import TableContract, violations
from btq_assets.evidence.comparison import compare
from btq_assets.features.definitions import KEY
from btq_assets.features.families import FAMILIES, FAMILY

NAMES = tuple(family.name for family in FAMILIES)
RAW = ("open", "high", "low", "close")
PRICES = (*RAW, *(f"adj_{name}" for name in RAW))
INFINITE = float("inf")
MISSING = float("nan")

SPOILT = pl.col("symbol") == "S01"
ROW = pl.int_range(pl.len()).over("universe", "symbol")
NOW_AND_THEN = ROW % 50 == 20


def _set(columns, value, when=True):
    """Columns of the spoilt symbol: a value, or a function of the column."""

    def spoil(bars: pl.DataFrame) -> pl.DataFrame:
        def new(name: str) -> pl.Expr:
            return value(pl.col(name)) if callable(value) else pl.lit(value)

        return bars.with_columns(
            pl.when(SPOILT & when).then(new(name)).otherwise(pl.col(name)).cast(pl.Float64).alias(name)
            for name in columns
        )  # fmt: skip

    return spoil


def _keep(rows: pl.Expr):
    return lambda bars: bars.filter(~SPOILT | rows)


SPOILS = {
    "constant": _set(PRICES, 0.1),
    "all null": _set((*PRICES, "volume"), None),
    "all NaN": _set((*PRICES, "volume"), MISSING),
    "one row": _keep(ROW == 200),
    "two rows": _keep(ROW.is_in([200, 201])),
    "gaps": _keep(ROW % 7 != 0),
    "starts late": _keep(ROW >= 300),
    "stops": _keep(ROW < 150),
    "no volume": _set(("volume",), 0.0),
    "null volume": _set(("volume",), None),
    "infinite prices": _set((*PRICES, "volume"), INFINITE, NOW_AND_THEN),
    "infinite closes": _set(("adj_close",), INFINITE, NOW_AND_THEN),
    "infinite highs": _set(("high", "adj_high"), INFINITE, NOW_AND_THEN),
    "NaN lows": _set(("low", "adj_low"), MISSING, NOW_AND_THEN),
    "negative prices": _set(PRICES, lambda x: -x, NOW_AND_THEN),
    "negative lows": _set(("low", "adj_low"), lambda x: -x, NOW_AND_THEN),
    "negative volume": _set(("volume",), lambda x: -x, NOW_AND_THEN),
    "zero opens": _set(("open", "adj_open"), 0.0, NOW_AND_THEN),
    "high below low": _set(("high", "adj_high"), 1e-3, NOW_AND_THEN),
    "1e13 times": _set(PRICES, lambda x: x * 1e13),
    "1e-13 times": _set(PRICES, lambda x: x * 1e-13),
    "volume 1e13 times": _set(("volume",), lambda x: x * 1e13),
    "spikes of 1e13": _set(PRICES, lambda x: x * 1e13, NOW_AND_THEN),
    "falls to 1e-13": _set(PRICES, lambda x: x * 1e-13, NOW_AND_THEN),
    "1e13 and 1e-13 by turns": _set(PRICES, lambda x: x * pl.when(ROW % 2 == 0).then(1e13).otherwise(1e-13)),
}  # fmt: skip
#: Hundreds of columns each: what they had not survived, and what differs most from the rest.
SELECTED = ("all null", "gaps", "no volume", "infinite highs", "negative lows", "negative volume",
            "zero opens", "high below low", "1e-13 times", "spikes of 1e13", "falls to 1e-13")  # fmt: skip
CASES = tuple(
    (name, spoil)
    for name in NAMES
    for spoil in (SELECTED if name in contracts.NAMED_SETS else SPOILS)
    if "bars" in FAMILY[name].inputs
)


def _others(frame: pl.DataFrame, family) -> pl.DataFrame:
    """Rows that may not change: other symbols', or other universes' where symbols read another."""
    if family.symbols is None:
        return frame.filter(pl.col("universe") != "us20")
    return frame.filter(~SPOILT)


def _assert_possible(frame: pl.DataFrame, contract: TableContract) -> None:
    refused = violations(frame.select(contract.column_names), contract)
    assert refused.is_empty(), refused["reason"].unique().to_list()
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    assert frame.select(pl.col(floats).is_finite().all()).row(0) == (True,) * len(floats)


@pytest.fixture(scope="module")
def whole(families, world, small_config):
    """Each family on the unspoilt world, computed once.

    The last first: where another worker computes them too, on a clean clone, each compiles half of
    the kernels and finds the rest stored.
    """
    return {name: families[name](world, small_config) for name in reversed(NAMES)}


@pytest.mark.parametrize(("name", "spoil"), CASES)
def test_one_spoilt_symbol_is_possible_or_missing_and_changes_no_other(
    name, spoil, families, world, whole, small_config
):
    bars = SPOILS[spoil](world["bars"])
    found = families[name]({**world, "bars": bars}, small_config)
    family = FAMILY[name]
    _assert_possible(found, family.contract)
    assert_frame_equal(_others(found, family), _others(whole[name], family), check_exact=True)
    if set(KEY) <= set(family.contract.key) and name not in contracts.NOT_DAILY:
        price = pl.col("adj_close")
        priced = bars.filter(price.is_finite() & (price > 0))
        # Nothing is filled in: no row without a bar that has a price.
        assert found.join(priced, on=KEY, how="anti").is_empty()


#: One bar of the spoilt symbol; nothing of it may be left once it is out of all windows.
BLEMISHES = {
    "infinite high": _set(("high", "adj_high"), INFINITE, ROW == 60),
    "NaN": _set((*PRICES, "volume"), MISSING, ROW == 60),
    "null high": _set(("high", "adj_high"), None, ROW == 60),
    "negative low": _set(("low", "adj_low"), lambda x: -x, ROW == 60),
    "zero open": _set(("open", "adj_open"), 0.0, ROW == 60),
    "infinite volume": _set(("volume",), INFINITE, ROW == 60),
    "price 1e13 times": _set(PRICES, lambda x: x * 1e13, ROW == 60),
    "price 1e-13 times": _set(PRICES, lambda x: x * 1e-13, ROW == 60),
    "volume 1e13 times": _set(("volume",), lambda x: x * 1e13, ROW == 60),
}
FEW_BLEMISHES = ("infinite high", "negative low", "price 1e13 times", "volume 1e13 times")
READS_PRICES = tuple(
    family.name
    for family in FAMILIES
    if "bars" in family.inputs and family.requires not in ("calendar", "macro")
)


@pytest.mark.parametrize("name", READS_PRICES)
def test_a_bad_bar_is_forgotten_or_leaves_nothing_but_no_wrong_value(
    name, families, world, whole, small_config
):
    family = FAMILY[name]
    windows = [
        f.name for f in family.features(small_config) if not f.recursive and f.lookback_sessions < 200
    ]  # fmt: skip
    last = world["bars"]["ts"].unique().sort()[-30]
    columns = (*family.contract.key, *windows)
    late = pl.col("ts") >= last
    expected = whole[name].filter(late, SPOILT).select(columns)
    chosen = FEW_BLEMISHES if name in contracts.NAMED_SETS else BLEMISHES
    for blemish in chosen:
        spoil = BLEMISHES[blemish]
        bars = spoil(world["bars"])
        found = families[name]({**world, "bars": bars}, small_config).filter(late, SPOILT)
        # TA-Lib adds and subtracts as it goes: what a monstrous value has swallowed is missing.
        swallowed = name == "talib" and "times" in blemish
        kept = found.select(columns)
        for column in windows if swallowed else ():
            kept = kept.with_columns(pl.coalesce(column, expected[column]))
        mismatch, _ = compare(expected, kept, family.contract.key, 1e-6)
        assert mismatch is None, f"{blemish}: {mismatch}"
        if not swallowed:
            assert found.height == expected.height


@pytest.mark.parametrize("name", NAMES)
def test_repeated_stamps_are_refused_with_a_reason_and_the_rest_is_computed(
    name, families, world, whole, small_config
):
    # What the warehouse does with every table: rows that contradict one another are quarantined.
    bars = world["bars"].select(core.BARS_1D.column_names)
    again = bars.filter(SPOILT & NOW_AND_THEN).with_columns(pl.col(PRICES) * 1.1)
    given = pl.concat([bars, again])
    refused = violations(given, core.BARS_1D)
    assert refused["reason"].unique().to_list() == ["duplicate key (universe, symbol, ts)"]
    assert refused.height == 2 * again.height
    found = families[name]({**world, "bars": _accepted(given, core.BARS_1D)}, small_config)
    family = FAMILY[name]
    assert_frame_equal(_others(found, family), _others(whole[name], family), check_exact=True)
    if set(KEY) <= set(found.columns) and name not in contracts.NOT_DAILY:
        assert found.join(again, on=KEY, how="semi").is_empty()


def _accepted(frame: pl.DataFrame, contract: TableContract) -> pl.DataFrame:
    """Rows the contract lets in."""
    refused = violations(frame.select(contract.column_names), contract)["row_index"]
    return frame.with_row_index("_n").filter(~pl.col("_n").is_in(refused.to_list())).drop("_n")


def _entity(table: pl.DataFrame) -> pl.Expr:
    """The second symbol, coin or series of a table."""
    for name in ("symbol", "asset", "coin", "series_id"):
        if name in table.columns and table[name].n_unique() > 1:
            return pl.col(name) == table[name].drop_nulls().unique().sort()[1]
    return pl.lit(True)


def _numbers(value, every=1):
    def spoil(table: pl.DataFrame) -> pl.DataFrame:
        rows = _entity(table) & (pl.int_range(pl.len()) % every == every // 2)
        return table.with_columns(
            pl.when(rows).then(value(pl.col(n)) if callable(value) else pl.lit(value))
            .otherwise(pl.col(n)).cast(dtype).alias(n)
            for n, dtype in table.schema.items() if dtype.is_float()
        )  # fmt: skip

    return spoil


OTHER_SPOILS = {
    "empty": lambda table: table.clear(),
    "one row": lambda table: table.head(1),
    "gaps": lambda table: table.filter(pl.int_range(pl.len()) % 7 != 0),
    "repeated": lambda table: pl.concat([table, table.filter(pl.int_range(pl.len()) % 5 == 2)]),
    "null": _numbers(None),
    "NaN": _numbers(MISSING, 5),
    "infinite": _numbers(INFINITE, 5),
    "negative": _numbers(lambda x: -x),
    "zero": _numbers(0.0),
    "constant": _numbers(3.0),
    "1e13 times": _numbers(lambda x: x * 1e13),
    "1e-13 times": _numbers(lambda x: x * 1e-13),
    "spikes": _numbers(lambda x: x * 1e13, 5),
}


@pytest.mark.parametrize(
    ("name", "table"),
    [(f.name, table) for f in FAMILIES for table in f.inputs if table not in ("bars", "scores")],
)
def test_other_tables_spoilt_give_possible_values(
    name, table, families, world, whole, small_config
):
    family = FAMILY[name]
    contract = family.inputs[table]
    for spoil in OTHER_SPOILS.values():
        given = _accepted(spoil(world[table]), contract)
        found = families[name]({**world, table: given}, small_config)
        _assert_possible(found, family.contract)
    spoilt = (
        world[table]["symbol"].unique().sort()[1] if "symbol" in contract.column_names else None
    )
    if spoilt is not None and family.symbols is not None:
        given = _accepted(_numbers(lambda x: x * 1e13, 5)(world[table]), contract)
        found = families[name]({**world, table: given}, small_config)
        others = pl.col("symbol") != spoilt
        assert_frame_equal(found.filter(others), whole[name].filter(others), check_exact=True)
