"""The curve that was known at a quote's time, and what is said where there was none."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.config.sources import OptionMetricsSection
from btq_assets.contracts.core import MACRO_VINTAGES
from btq_assets.sources.alternative.discount_rates import curves_known_at

SETTINGS = OptionMetricsSection()
NOON = dt.datetime(2024, 6, 4, 16, tzinfo=dt.UTC)


def vintages(*rows: tuple) -> pl.DataFrame:
    """Rows of series, period, known_at, superseded_at, percent."""
    return pl.DataFrame(
        [(*row, "percent per year", "FINAL") for row in rows],
        schema=MACRO_VINTAGES.schema,
        orient="row",
    )


def curve(day: int, *yields: float, names=("BC_1MONTH", "BC_1YEAR"), until=None) -> pl.DataFrame:
    known = dt.datetime(2024, 6, day, 22, tzinfo=dt.UTC)
    period = dt.date(2024, 6, day)
    return vintages(
        *((name, period, known, until, value) for name, value in zip(names, yields, strict=True))
    )


def at(time: dt.datetime, *parts: pl.DataFrame, settings=SETTINGS):
    return curves_known_at([time], pl.concat(parts) if parts else vintages(), settings)[time]


def test_the_newest_curve_known_by_then_is_read_between_its_maturities():
    found = at(NOON, curve(3, 5.0, 4.0), curve(4, 9.0, 9.0))
    assert found.basis == "treasury"
    # Bond-equivalent to continuous: 2 ln(1 + y / 2); halfway in time between 1/12 and 1.
    ends = 2 * np.log1p(np.array([0.05, 0.04]) / 2)
    assert found.rate(1 / 12) == pytest.approx(ends[0])
    assert found.rate((1 / 12 + 1) / 2) == pytest.approx(ends.mean())
    # Flat beyond both ends.
    assert (found.rate(0.01), found.rate(5.0)) == pytest.approx((ends[0], ends[1]))
    evening = NOON.replace(hour=22)
    assert at(evening, curve(3, 5.0, 4.0), curve(4, 9.0, 9.0)).rate(1) == pytest.approx(
        2 * np.log1p(0.045)
    )


def test_a_revision_counts_from_when_it_was_known():
    revised = NOON + dt.timedelta(hours=1)
    period = dt.date(2024, 6, 3)
    parts = (
        curve(3, 5.0, 4.0, until=revised),
        vintages(
            ("BC_1MONTH", period, revised, None, 6.0), ("BC_1YEAR", period, revised, None, 6.0)
        ),
    )
    assert at(NOON, *parts).rate(1) == pytest.approx(2 * np.log1p(0.02))
    assert at(revised, *parts).rate(1) == pytest.approx(2 * np.log1p(0.03))


def test_the_treasury_comes_before_h15_and_the_setting_last_and_all_say_so():
    h15 = curve(3, 1.0, 1.0, names=("DGS3MO", "DGS1"))
    assert at(NOON, curve(3, 5.0, 4.0), h15).basis == "treasury"
    assert at(NOON, h15).basis == "h15"
    for parts in ((), (curve(4, 5.0, 4.0),), (curve(3, 5.0, names=("BC_1YEAR",)),)):
        # Nothing; not yet known; a single maturity.
        found = at(NOON, *parts)
        assert (found.basis, found.rate(1)) == ("setting", SETTINGS.discount_rate_annual)
    late = NOON + dt.timedelta(days=10)
    assert at(late, curve(3, 5.0, 4.0)).basis == "setting"
    assert at(late - dt.timedelta(days=1), curve(3, 5.0, 4.0)).basis == "treasury"
    off = OptionMetricsSection(discount="setting", discount_rate_annual=0.01)
    found = at(NOON, curve(3, 5.0, 4.0), settings=off)
    assert (found.basis, found.rate(1)) == ("setting", 0.01)
