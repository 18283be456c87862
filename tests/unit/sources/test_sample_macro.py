"""The packaged macro series: when each value was known, and what the vintages changed."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.sources.macro import checks
from btq_assets.sources.macro.parsers import US_DATE, differing_vintages, parse_lagged
from btq_assets.sources.macro.providers.sample import read_sample
from btq_assets.sources.macro.series import NOWCAST_SERIES, SAMPLE_SERIES, SeriesSpec

FIRST = dt.datetime(2016, 6, 29, 23, 59, 59, tzinfo=dt.UTC)
SECOND = dt.datetime(2016, 7, 29, 23, 59, 59, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def macro() -> pl.DataFrame:
    parsed = read_sample()
    assert parsed.rejected.is_empty()
    return cast_to_contract(parsed.rows, raw.MACRO_SAMPLE)


def value(macro: pl.DataFrame, series_id: str, *period: int) -> dict:
    return macro.filter(series_id=series_id, period=dt.date(*period)).row(0, named=True)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


def test_nothing_breaks_the_contract_and_every_series_is_there(macro):
    assert violations(macro, raw.MACRO_SAMPLE).is_empty()
    assert set(macro["series_id"]) == {spec.series_id for spec in (*SAMPLE_SERIES, *NOWCAST_SERIES)}
    assert len(NOWCAST_SERIES) == 29


def test_values_are_those_of_the_files_and_known_after_a_lag(macro):
    # First and last lines of each file; 14:00 UTC after the stated lag.
    vix = value(macro, raw.VIX_CLOSE, 2014, 1, 3)
    assert (vix["value"], vix["known_at"], vix["revision"]) == (13.76, utc(2014, 1, 4, 14), "FINAL")
    wti = value(macro, raw.WTI_SPOT, 2019, 1, 3)
    assert (wti["value"], wti["known_at"]) == (46.92, utc(2019, 1, 10, 14))
    baa = value(macro, raw.MOODYS_BAA, 2018, 12, 1)
    assert (baa["value"], baa["known_at"], baa["revision"]) == (
        5.13,
        utc(2019, 1, 7, 14),
        "REVISED",
    )
    cpi = value(macro, raw.CORE_CPI, 1957, 1, 1)
    assert (cpi["value"], cpi["known_at"]) == (28.5, utc(1957, 3, 3, 14))
    market = value(macro, raw.MARKET_EXCESS_RETURN, 1926, 7, 1)
    assert (market["value"], market["known_at"]) == (2.96, utc(1926, 9, 29, 14))
    assert value(macro, raw.RISK_FREE_RATE, 2018, 11, 1)["value"] == 0.18


def test_no_day_without_a_value_makes_a_row(macro):
    # providers' notes: VIX has 46 empty cells of 1,305; WTI 290 of 8,611.
    assert macro.filter(series_id=raw.VIX_CLOSE).height == 1_305 - 46
    assert macro.filter(series_id=raw.WTI_SPOT).height == 8_611 - 290


def test_second_vintage_adds_85_revised_and_23_new_cells(macro):
    panel = macro.filter(pl.col("revision") == "VINTAGE")
    assert set(panel["known_at_basis"]) == {"recorded"}
    assert set(panel["known_at"]) == {FIRST, SECOND}
    second = panel.filter(known_at=SECOND)
    first = panel.filter(known_at=FIRST).select("series_id", "period", before="value")
    joined = second.join(first, on=["series_id", "period"], how="left")
    assert joined["before"].null_count() == 23
    assert joined["before"].is_not_null().sum() == 85
    assert not (joined["before"] == joined["value"]).any()
    # Lines of the two files: housing starts of 2016-05, 1164 then 1135.
    starts = panel.filter(series_id="FRBNY:HOUST", period=dt.date(2016, 5, 1)).sort("known_at")
    assert starts["value"].to_list() == [1164.0, 1135.0]


def test_nothing_of_the_panel_is_known_before_the_first_vintage(macro):
    panel = macro.filter(pl.col("series_id").str.starts_with(raw.NOWCAST_PREFIX))
    assert panel["period"].min() == dt.date(1985, 1, 1)
    assert panel["known_at"].min() == FIRST


def test_quarters_are_dated_by_their_first_day(macro):
    # The files write 2016Q1 on their line of March: 16514.6, and later that of June 16575.1.
    gdp = macro.filter(series_id="FRBNY:GDPC1").sort("known_at")
    assert gdp.filter(period=dt.date(2016, 1, 1))["value"][0] == 16514.6
    assert gdp.filter(period=dt.date(2016, 4, 1))["value"].to_list() == [16575.1]
    assert set(gdp["period"].dt.month()) == {1, 4, 7, 10}


def test_a_value_of_the_second_vintage_that_falls_back_is_a_row_again():
    def vintage(number: int, cell: float) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "series_id": ["S"],
                "period": [dt.date(2000, 1, 1)],
                "known_at": [utc(2000 + number, 1, 1)],
                "value": [cell],
            }
        )

    kept = differing_vintages([vintage(1, 1.0), vintage(2, 2.0), vintage(3, 2.0), vintage(4, 1.0)])
    assert kept["known_at"].dt.year().to_list() == [2001, 2002, 2004]


def test_unreadable_cells_are_refused_with_their_reason():
    spec = SeriesSpec("S", "S", "percent", "month", 7, "REVISED", "test")
    parsed = parse_lagged(
        b"Date,S\n1/1/2000,1.5\n13/1/2000,2\n3/1/2000,two\n4/1/2000,.\n5/1/2000,\n",
        dataset="d",
        series=[spec],
        date_format=US_DATE,
    )
    assert parsed.rows.select("period", "value").rows() == [(dt.date(2000, 1, 1), 1.5)]
    assert sorted(parsed.rejected["reason"]) == [
        "cell 'two' is not a number",
        "date '13/1/2000' is not %m/%d/%Y",
    ]


def test_checks_fail_on_early_releases_and_on_assumed_vintages(macro):
    early_group, vintage_group = checks.CHECKS

    def passed(group, frame):
        context = CheckContext({"raw.macro_sample": frame}, {}, TradingConfig())
        return group.answer(context)[0].passed

    some = macro.filter(series_id=raw.VIX_CLOSE).head(5)
    assert passed(early_group, some)
    assert passed(early_group, some.head(0))
    same_day = some.with_columns(known_at=pl.col("known_at") - pl.duration(days=1))
    assert not passed(early_group, same_day)
    panel = macro.filter(pl.col("revision") == "VINTAGE").head(5)
    assert passed(vintage_group, panel)
    assert not passed(vintage_group, panel.with_columns(known_at_basis=pl.lit("assumed_lag")))


def test_a_yield_known_before_its_evening_is_caught():
    """18:00 in New York is 22:00 UTC in summer and 23:00 UTC in winter."""

    def answer(*known_at: dt.datetime) -> bool:
        frame = pl.DataFrame(
            {
                "series_id": "BC_2YEAR",
                "period": [at.date() for at in known_at],
                "known_at": known_at,
            }
        )
        (group,) = checks.MARKET_CHECKS
        (outcome,) = group.answer(CheckContext({"raw.macro_treasury": frame}, {}, None))
        return outcome.passed

    assert answer(utc(2024, 7, 1, 22), utc(2024, 1, 2, 23))
    assert not answer(utc(2024, 7, 1, 21, 59))
    assert not answer(utc(2024, 7, 1, 22), utc(2024, 1, 2, 22))
