"""Factors and regressions: a file's numbers, planted slopes, errors by their formula, bad files."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.attribution import (
    attribution_rows,
    newey_west_lags,
    period_returns,
    regress,
)
from btq_assets.backtest.attribution_checks import ATTRIBUTION_ADDS_UP, ATTRIBUTION_NOT_HOLLOW
from btq_assets.backtest.factors import Factors, fama_french, french_file, universe_factors
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts.base import violations
from btq_assets.contracts.checks import CheckContext

#: The first months of the library's file as `arch` ships them, in the layout of the library.
FILE = b"""This file was created by CMPT_ME_BEME_RETS using the 201811 CRSP database.
The 1-month TBill return is from Ibbotson and Associates, Inc.

,Mkt-RF,SMB,HML,RF
192607,    2.96,   -2.30,   -2.87,    0.22
192608,    2.64,   -1.40,    4.19,    0.25
192609,    0.36,   -1.32,    0.01,    0.23
192610,   -3.24,    0.04,    0.51,  -99.99
192611,    2.53,   -0.20,   -0.35,    0.31

 Annual Factors: January-December
,Mkt-RF,SMB,HML,RF
  1927,   29.47,   -2.46,   -3.75,    3.12
"""


def test_the_first_table_of_a_french_file_is_read():
    found = french_file(FILE, "F.csv")
    assert found.names == ("Mkt-RF", "SMB", "HML")
    assert found.frequency == "month"
    assert found.period.to_list()[:2] == [dt.date(1926, 7, 1), dt.date(1926, 8, 1)]
    assert len(found.period) == 4  # the month without a rate is left out
    assert found.returns[1] == pytest.approx([0.0264, -0.0140, 0.0419])
    assert found.risk_free == pytest.approx([0.0022, 0.0025, 0.0023, 0.0031])


def test_those_are_the_numbers_of_the_packaged_file():
    from arch.data import frenchdata

    packaged = frenchdata.load()[["Mkt-RF", "SMB", "HML"]].to_numpy()[:3] / 100
    assert french_file(FILE, "F.csv").returns[:3] == pytest.approx(packaged)


def test_a_daily_file_without_a_rate():
    found = french_file(b"x\n,Mom   \n19261103,   0.56\n19261104,  -0.50\n", "M.csv")
    assert found.frequency == "day"
    assert found.period.to_list() == [dt.date(1926, 11, 3), dt.date(1926, 11, 4)]
    assert found.returns[:, 0] == pytest.approx([0.0056, -0.005])
    assert not found.risk_free.any()
    assert "no risk-free rate" in found.note


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing", "no line of factor names"),
        (b",A,A\n192607,1,1\n", "are empty or repeat"),
        (b",A\n\n", "no row YYYYMM"),
        (b",A\nhello\n", "line 2: 'hello' is no row"),
        (b",A\n192607,1,2\n", "2 values for 1 factors"),
        (b",A\n192607,x\n", "line 2: could not convert"),
        (b",A\n192607,1\n19260801,1\n", "months and days"),
        (b",A\n192613,1\n", "a date cannot be read"),
        (b",A\n192608,1\n192607,1\n", "repeat or go back"),
        (b",A\n192607,1\n192607,1\n", "repeat or go back"),
        (b",RF\n192607,1\n", "no factor besides"),
    ],
)
def test_bad_files_are_named(content, message):
    with pytest.raises(BacktestError, match=message):
        french_file(content, "F.csv")


def test_newest_vintage_of_the_packaged_series():
    rows = [
        (
            name,
            dt.date(2000, month, 1),
            dt.datetime(2001, day, 1, tzinfo=dt.UTC),
            float(month * day),
        )
        for name in ("Mkt-RF", "SMB", "HML", "RF")
        for month in (1, 2)
        for day in (1, 2)
    ]
    frame = pl.DataFrame(rows, schema=["series_id", "period", "known_at", "value"], orient="row")
    found = fama_french(frame)
    assert found is not None
    assert found.returns[:, 0] == pytest.approx([0.02, 0.04])
    assert found.risk_free == pytest.approx([0.02, 0.04])
    assert fama_french(frame.filter(pl.col("series_id") != "RF")) is None


def test_errors_are_newey_wests():
    """The sandwich with Bartlett weights 1 - j / (L + 1), times n / (n - k), written out."""
    random = np.random.default_rng(0)
    n = 200
    x = random.normal(size=(n, 2))
    noise = np.convolve(random.normal(size=n + 3), [1, 0.6, 0.3, 0.2], "valid")
    y = 0.3 + x @ [1.0, -0.5] + noise
    fit = regress(y, x)
    design = np.column_stack([np.ones(n), x])
    inverse = np.linalg.inv(design.T @ design)
    slopes = inverse @ design.T @ y
    moments = design * (y - design @ slopes)[:, None]
    middle = moments.T @ moments
    for lag in range(1, fit.lags + 1):
        part = moments[lag:].T @ moments[:-lag]
        middle += (1 - lag / (fit.lags + 1)) * (part + part.T)
    covariance = inverse @ middle @ inverse * n / (n - 3)
    assert fit.lags == newey_west_lags(n) == 4
    assert fit.coefficient == pytest.approx(slopes)
    assert fit.standard_error == pytest.approx(np.sqrt(np.diag(covariance)))
    assert fit.t_value == pytest.approx(slopes / fit.standard_error)


def test_collinear_factors_and_constant_returns_give_no_fit():
    x = np.random.default_rng(0).normal(size=(50, 1))
    assert regress(x[:, 0], np.hstack([x, x])) is None
    assert regress(np.zeros(50), x) is None


def equity_of(returns: np.ndarray, start: dt.date = dt.date(2010, 1, 4)) -> pl.DataFrame:
    days = pl.date_range(start, start + dt.timedelta(days=2 * returns.size), "1d", eager=True)
    days = days.filter(days.dt.weekday() <= 5).head(returns.size)
    return pl.DataFrame(
        {
            "run_id": "a",
            "strategy": "s",
            "ts": days.cast(pl.Datetime("us", "UTC")).dt.offset_by("21h"),
            "net_return": [None, *returns[1:].tolist()],
        }
    )


def test_planted_slopes_come_back_and_contributions_add_up():
    random = np.random.default_rng(1)
    equity = equity_of(np.zeros(600))
    x = random.normal(0, 0.01, (600, 2))
    y = 0.0002 + x @ [1.2, -0.4]
    equity = equity.with_columns(net_return=pl.Series([None, *y[1:].tolist()]))
    factors = Factors(
        "universe", "day", equity["ts"].dt.date(), ("market", "momentum"), x, np.zeros(600), "n"
    )
    rows = attribution_rows(equity, [factors])
    found = dict(rows.select("factor", "coefficient").rows())
    assert found["alpha"] == pytest.approx(0.0002 * 252)
    assert found["market"] == pytest.approx(1.2)
    assert found["momentum"] == pytest.approx(-0.4)
    assert rows["contribution_annual"].sum() == pytest.approx(y[1:].mean() * 252)
    assert rows["n"].unique().to_list() == [599]
    assert rows["r_squared"][0] == pytest.approx(1)
    assert violations(rows, contracts.ATTRIBUTION).is_empty()


def test_months_are_whole():
    """From Monday 4 January 2010: January has begun before, the last month goes on."""
    equity = equity_of(np.full(60, 0.01))
    months = period_returns(equity, "month")
    assert months["period"].to_list() == [dt.date(2010, 2, 1)]
    assert months["value"][0] == pytest.approx(1.01**20 - 1)
    to_the_end = equity.filter(pl.col("ts") < dt.datetime(2010, 3, 1, tzinfo=dt.UTC))
    assert period_returns(to_the_end, "month")["period"].to_list() == [dt.date(2010, 2, 1)]


def test_too_short_a_run_says_so():
    factors = french_file(FILE, "F.csv")
    row = attribution_rows(equity_of(np.full(60, 0.01)), [factors]).to_dicts()[0]
    assert row["coefficient"] is None
    assert row["note"] == "0 months in common, at least 24 are needed"


@pytest.fixture
def long_bars() -> pl.DataFrame:
    random = np.random.default_rng(5)
    n, names = 700, [f"S{k}" for k in range(6)]
    sessions = equity_of(np.zeros(n))["ts"]
    prices = 50 * np.exp(np.cumsum(random.normal(3e-4, 0.01, (n, 6)), axis=0))
    frames = [
        pl.DataFrame(
            {"universe": "test", "symbol": name, "ts": sessions, "adj_close": prices[:, k]}
        )
        for k, name in enumerate(names)
    ]
    empty = {c: pl.lit(None, pl.Float64) for c in ("close", "adj_open", "open", "volume")}
    return pl.concat(frames).with_columns(**empty)


def test_universe_factors_read_only_the_past(long_bars):
    """Momentum by its definition on one day; later prices move no earlier return."""
    market = Market.from_bars(long_bars, "test")
    found = universe_factors(market)
    day = 400
    start = next(k for k in range(day, 0, -1) if market.ts[k].month != market.ts[k - 1].month)
    p = market.mark_prices
    score = p[start - 1 - 21] / p[start - 1 - 252] - 1
    order = np.argsort(score)
    change = p[day] / p[day - 1] - 1
    expected = change[order[-2:]].mean() - change[order[:2]].mean()
    at = found.period.to_list().index(market.ts[day].date())
    assert found.returns[at, 0] == pytest.approx(change.mean())
    assert found.returns[at, 1] == pytest.approx(expected)
    cut = market.ts[500]
    shorter = universe_factors(Market.from_bars(long_bars.filter(pl.col("ts") <= cut), "test"))
    n = len(shorter.period)
    assert np.array_equal(found.returns[:n], shorter.returns)
    assert (
        universe_factors(Market.from_bars(long_bars.filter(pl.col("symbol") < "S2"), "test"))
        is None
    )


def checked(long_bars: pl.DataFrame, group, **change: pl.Expr):
    market = Market.from_bars(long_bars, "test")
    factors = universe_factors(market)
    random = np.random.default_rng(2)
    equity = equity_of(np.zeros(700)).with_columns(
        net_return=pl.Series([None, *random.normal(0, 0.01, 699).tolist()])
    )
    rows = attribution_rows(equity, [factors]).with_columns(**change)
    macro = pl.DataFrame(
        schema={"series_id": pl.String, "period": pl.Date, "known_at": pl.Date, "value": pl.Float64}
    )
    context = CheckContext(
        frames={contracts.ATTRIBUTION.table: rows},
        inputs={"equity": equity, "bars": long_bars, "macro": macro},
        config=TradingConfig(universe={"main": "test"}),
    )
    (answer,) = group.answer(context)
    return answer


@pytest.mark.parametrize("group", [ATTRIBUTION_ADDS_UP, ATTRIBUTION_NOT_HOLLOW])
def test_checks_pass_on_honest_rows(long_bars, group):
    assert group.specs[0].blocking
    answer = checked(long_bars, group)
    assert answer.passed, answer.message


def test_checks_fail_on_invented_rows(long_bars):
    more = checked(
        long_bars, ATTRIBUTION_ADDS_UP, contribution_annual=pl.col("contribution_annual") + 0.01
    )
    assert "the parts sum to" in more.message
    fewer = checked(long_bars, ATTRIBUTION_ADDS_UP, run_id=pl.lit("b"))
    assert "no rows of universe" in fewer.message
    ones = checked(long_bars, ATTRIBUTION_NOT_HOLLOW, coefficient=pl.lit(1.0))
    assert not ones.passed
    gone = checked(long_bars, ATTRIBUTION_NOT_HOLLOW, run_id=pl.lit("b"))
    assert "not every run is there" in gone.message
