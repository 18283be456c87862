"""What was added at the end is found; anything else is a change, and says so."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import SYMBOL, TS, number, text
from btq_assets.warehouse.additions import first_addition
from btq_assets.warehouse.versions import frame_version

PRICES = TableContract(
    layer="raw",
    name="prices",
    description="Prices.",
    columns=(SYMBOL, TS, number("price", "Price.")),
    key=("symbol", "ts"),
)
START = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)


def _rows(n_sessions: int, n_symbols: int = 3) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (f"S{n}", START + dt.timedelta(days=day), 10.0 * n + day)
            for n in range(n_symbols)
            for day in range(n_sessions)
        ],
        schema=PRICES.schema,
        orient="row",
    )


def _found(before: pl.DataFrame, now: pl.DataFrame) -> dt.datetime | None:
    return first_addition(now, PRICES, frame_version(before, PRICES), frame_version(now, PRICES))


@settings(max_examples=25, deadline=None)
@given(n_old=st.integers(0, 30), n_new=st.integers(1, 30), seed=st.integers(0, 99))
def test_new_sessions_at_the_end_are_found_in_any_order_of_rows(n_old, n_new, seed):
    now = _rows(n_old + n_new).sample(fraction=1, shuffle=True, seed=seed)
    assert _found(_rows(n_old), now) == START + dt.timedelta(days=n_old)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f.with_columns(price=pl.when(pl.int_range(pl.len()) == 4).then(1.0).otherwise("price")), id="revised"),
        pytest.param(lambda f: f.with_columns(pl.col("price") * 1.01), id="rebased"),
        pytest.param(lambda f: f.filter(pl.int_range(pl.len()) != 7), id="withdrawn"),
        pytest.param(lambda f: pl.concat([f, f.filter(symbol="S0").with_columns(symbol=pl.lit("S9"))]), id="new symbol with history"),
    ],
)  # fmt: skip
def test_any_other_change_is_not_an_addition(change):
    assert _found(_rows(20), change(_rows(22))) is None


def test_a_symbol_that_arrives_later_on_the_same_session_is_a_change():
    late = (pl.col("symbol") == "S1") & (pl.col("ts") == START + dt.timedelta(days=19))
    assert _found(_rows(20).filter(~late), _rows(21)) is None


def test_many_rows_are_looked_through(monkeypatch):
    monkeypatch.setattr("btq_assets.warehouse.additions._LOOKED_AT", 4)
    assert _found(_rows(5), _rows(25)) == START + dt.timedelta(days=5)


def test_rows_without_a_time_have_no_end():
    plain = TableContract(
        layer="raw", name="names", description="Names.", columns=(text("name", "Name."),), key=("name",)
    )  # fmt: skip
    before, now = (pl.DataFrame({"name": names}) for names in (["a"], ["a", "b"]))
    versions = (frame_version(frame, plain) for frame in (before, now))
    assert first_addition(now, plain, *versions) is None
