"""Macro family on vintages whose every value is known."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, raw
from btq_assets.features import macro

UTC = dt.UTC


def _bars(*days: dt.date) -> pl.DataFrame:
    stamps = [dt.datetime(d.year, d.month, d.day, 21, tzinfo=UTC) for d in days]
    return pl.DataFrame({"universe": "u", "symbol": "a", "ts": stamps, "adj_close": 1.0})


def _vintages(*rows: tuple[str, dt.date, dt.datetime, float]) -> pl.DataFrame:
    return pl.DataFrame(
        [(s, period, known, None, value, "unit", "VINTAGE") for s, period, known, value in rows],
        schema=core.MACRO_VINTAGES.schema,
        orient="row",
    )


def _value(bars: pl.DataFrame, vintages: pl.DataFrame, name: str) -> list[float | None]:
    return macro.compute(bars, vintages)[name].to_list()


def test_a_revision_changes_the_change_from_its_own_date_on():
    indpro = raw.NOWCAST_PREFIX + "INDPRO"
    release = dt.datetime(2016, 6, 15, 14, tzinfo=UTC)
    revision = dt.datetime(2016, 6, 29, 14, tzinfo=UTC)
    vintages = _vintages(
        (indpro, dt.date(2015, 5, 1), dt.datetime(2015, 6, 15, tzinfo=UTC), 100.0),
        (indpro, dt.date(2016, 5, 1), release, 103.0),
        (indpro, dt.date(2015, 5, 1), revision, 101.0),
    )
    bars = _bars(dt.date(2016, 6, 14), dt.date(2016, 6, 15), dt.date(2016, 6, 28), dt.date(2016, 6, 29))  # fmt: skip
    found = _value(bars, vintages, "industrial_production_yoy")
    first, second = math.log(103 / 100), math.log(103 / 101)
    assert found == [None, pytest.approx(first), pytest.approx(first), pytest.approx(second)]


def test_a_revision_does_not_make_a_value_fresh():
    series = raw.NOWCAST_PREFIX + "UNRATE"
    vintages = _vintages(
        (series, dt.date(2015, 1, 1), dt.datetime(2015, 2, 6, tzinfo=UTC), 5.7),
        (series, dt.date(2016, 1, 1), dt.datetime(2016, 2, 5, tzinfo=UTC), 4.9),
        (series, dt.date(2016, 1, 1), dt.datetime(2016, 4, 4, tzinfo=UTC), 5.0),
        (series, dt.date(2015, 1, 1), dt.datetime(2016, 4, 20, tzinfo=UTC), 5.6),
    )
    bars = _bars(dt.date(2016, 4, 6), dt.date(2016, 4, 21))  # 61 and 76 days after the release
    found = _value(bars, vintages, "unemployment_change_12m")
    assert found == [pytest.approx(5.0 - 5.7), None]


def test_daily_series_end_a_week_after_their_last_value():
    days = [dt.date(2019, 1, 2) + dt.timedelta(days=n) for n in range(20)]
    vintages = _vintages(
        *(
            (raw.VIX_CLOSE, day, dt.datetime(day.year, day.month, day.day, 22, tzinfo=UTC), 20.0 + n)
            for n, day in enumerate(days[:5])
        )
    )  # fmt: skip
    found = _value(_bars(*days), vintages, "vix_level")
    # Known at 22:00, after the close at 21:00: each session sees the value of the day before.
    assert found[:6] == [None, 20, 21, 22, 23, 24]
    assert found[11] == 24
    assert found[12:] == [None] * 8


def test_changes_count_observations_and_refuse_a_hole():
    start = dt.date(2015, 1, 1)
    whole = [start + dt.timedelta(days=n) for n in range(30)]
    holed = [day for day in whole if day < dt.date(2015, 1, 10)] + [
        dt.date(2015, 3, 1) + dt.timedelta(days=n) for n in range(14)
    ]
    for days, expected in ((whole, pytest.approx(21.0)), (holed, None)):
        vintages = _vintages(
            *(
                (raw.VIX_CLOSE, day, dt.datetime(day.year, day.month, day.day, 20, tzinfo=UTC), float(n))
                for n, day in enumerate(days)
            )
        )  # fmt: skip
        assert _value(_bars(days[-1]), vintages, "vix_change_21d") == [expected]


def test_a_spread_waits_for_both_of_its_yields():
    known = dt.datetime(2010, 3, 8, 14, tzinfo=UTC)
    vintages = _vintages(
        (raw.MOODYS_BAA, dt.date(2010, 1, 1), dt.datetime(2010, 2, 8, 14, tzinfo=UTC), 6.25),
        (raw.MOODYS_AAA, dt.date(2010, 1, 1), dt.datetime(2010, 2, 8, 14, tzinfo=UTC), 5.26),
        (raw.MOODYS_BAA, dt.date(2010, 2, 1), known, 6.34),
        (raw.MOODYS_AAA, dt.date(2010, 2, 1), known + dt.timedelta(days=2), 5.35),
    )
    bars = _bars(dt.date(2010, 3, 8), dt.date(2010, 3, 10))
    found = _value(bars, vintages, "credit_spread_baa_aaa")
    assert found == [pytest.approx(6.25 - 5.26), pytest.approx(6.34 - 5.35)]


def test_a_log_of_a_negative_price_is_missing():
    days = [dt.date(2020, 2, 1) + dt.timedelta(days=n) for n in range(64)]
    prices = [20.0] * 63 + [-37.0]
    vintages = _vintages(
        *(
            (raw.WTI_SPOT, day, dt.datetime(day.year, day.month, day.day, tzinfo=UTC), price)
            for day, price in zip(days, prices, strict=True)
        )
    )
    assert _value(_bars(days[-1]), vintages, "wti_return_63d") == [None]


def test_switched_off_or_without_series_all_values_are_null(world):
    off = TradingConfig(use_macro=False)
    for vintages, config in ((world["vintages"], off), (world["vintages"].clear(), None)):
        frame = macro.compute(world["bars"], vintages, config and config.features)
        assert frame.height == world["bars"].select("universe", "ts").unique().height
        assert frame.select(pl.exclude("universe", "ts").is_null().all()).row(0) == (True,) * 9
