"""Weights held and measures at each date, against a plain loop and by hand."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from btq_assets.config import RiskSection
from btq_assets.contracts import risk
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.risk.exceedances import kupiec_test
from btq_assets.risk.held import holdings
from btq_assets.risk.measures import RiskError
from btq_assets.risk.replays import simulations, simulations_table, stress_table
from btq_assets.risk.rolling import (
    exceedances_table,
    measures_table,
    next_returns,
    rolling_risk,
)

N_SESSIONS, FIRST = 1_140, 1_040
SYMBOLS = ("A", "B", "C")
SETTINGS = RiskSection(monte_carlo_paths=200, monte_carlo_horizon_sessions=10)
STAMPS = pl.datetime_range(
    dt.datetime(2000, 1, 3, 21, tzinfo=dt.UTC),
    dt.datetime(2010, 1, 1, 21, tzinfo=dt.UTC),
    "1d",
    eager=True,
)[:N_SESSIONS]
RETURNS = np.random.default_rng(0).standard_t(5, (N_SESSIONS, 3)) * 0.01
PRICES = 100 * np.cumprod(1 + RETURNS, axis=0)


def bars(prices=PRICES):
    frames = [
        pl.DataFrame({"universe": "u", "symbol": name, "ts": STAMPS, "adj_close": prices[:, i]})
        for i, name in enumerate(SYMBOLS)
    ]
    return pl.concat(frames).drop_nans("adj_close")


def positions(rows):
    """Rows of (strategy, session, symbol, shares)."""
    return pl.DataFrame(
        [
            {"run_id": s, "strategy": s, "symbol": name, "ts": STAMPS[t], "shares": float(shares)}
            for s, t, name, shares in rows
        ],
        schema={
            "run_id": pl.String,
            "strategy": pl.String,
            "symbol": pl.String,
            "ts": STAMPS.dtype,
            "shares": pl.Float64,
        },
    )


def equity(*names, value=1_000.0):
    return pl.concat(
        [
            pl.DataFrame({"run_id": s, "strategy": s, "ts": STAMPS[FIRST:], "equity": value})
            for s in names
        ]
    )


def runs(*names, role="candidate"):
    return pl.DataFrame(
        {"run_id": names, "strategy": names, "universe": ["u"] * len(names), "role": role}
    )


HELD = [
    ("s", FIRST + 2, "A", 3),
    ("s", FIRST + 2, "B", 2),
    ("s", FIRST + 10, "A", 0),
    ("s", FIRST + 10, "B", 2),
    ("s", FIRST + 10, "C", -1),
]


@pytest.fixture(scope="module")
def held():
    (found,) = holdings(bars(), positions(HELD), equity("cash", "s"), runs("cash", "s"))
    return found


@pytest.fixture(scope="module")
def found(held):
    return rolling_risk(held, SETTINGS)


def test_shares_stay_between_fills_and_weights_follow_prices(held):
    assert held.strategies == ("cash", "s")
    w = held.weights[:, 1]
    assert np.isnan(w[:FIRST]).all()
    assert (w[FIRST : FIRST + 2] == 0).all()
    assert w[FIRST + 9] == pytest.approx(np.array([3, 2, 0]) * PRICES[FIRST + 9] / 1_000)
    assert w[FIRST + 10] == pytest.approx(np.array([0, 2, -1]) * PRICES[FIRST + 10] / 1_000)
    assert held.last_weights[1] == pytest.approx(np.array([0, 2, -1]) * PRICES[-1] / 1_000)
    assert (held.weights[FIRST:, 0] == 0).all()


def test_a_symbol_that_is_no_longer_listed_in_a_snapshot_is_not_held(held):
    dropped = [row for row in HELD if row != ("s", FIRST + 10, "A", 0)]
    (again,) = holdings(bars(), positions(dropped), equity("cash", "s"), runs("cash", "s"))
    assert np.array_equal(again.weights, held.weights, equal_nan=True)


def test_each_date_equals_a_plain_computation(found):
    for d in (5, 40, 99):
        t = found.dates[d]
        weights = found.holdings.weights[t, 1]
        for i, (level, length) in enumerate(((0.95, 500), (0.99, 1_000))):
            series = RETURNS[t + 1 - length : t + 1] @ weights
            assert found.n_window[d, 1, i] == length
            expected = np.quantile(-series, level, method="inverted_cdf")
            assert found.values[d, 1, 0, 0, i] == pytest.approx(expected, rel=1e-9)
            worst = np.sort(series)[: round(length * (1 - level))]
            assert found.values[d, 1, 1, 0, i] == pytest.approx(-worst.mean(), rel=1e-9)


def test_cash_has_zero_everywhere(found):
    assert (found.values[:, 0] == 0).all()


def test_tables_fit_their_contracts(found, held):
    paths = list(simulations([held], SETTINGS, 21))
    for frame, contract in (
        (measures_table([found]), risk.MEASURES),
        (exceedances_table([found]), risk.EXCEEDANCES),
        (stress_table([held]), risk.STRESS),
        (simulations_table(paths), risk.SIMULATIONS),
    ):
        assert frame.height
        assert violations(cast_to_contract(frame, contract), contract).is_empty()
    table = measures_table([found])
    assert table.height == 2 * 100 * 2 * 3 * 2
    one = table.row(
        by_predicate=(pl.col("strategy") == "s")
        & (pl.col("ts") == STAMPS[FIRST + 50])
        & (pl.col("measure") == "cvar")
        & (pl.col("method") == "parametric")
        & (pl.col("level") == 0.99),
        named=True,
    )
    assert one["value"] == found.values[50, 1, 1, 1, 1]


def test_exceedances_are_counted_on_the_next_session(found):
    after = next_returns(found)
    assert np.isnan(after[:, 0]).all()  # nothing held is nothing forecast
    assert np.isnan(after[-1, 1])
    t = found.dates[30]
    assert after[30, 1] == pytest.approx(RETURNS[t + 1] @ found.holdings.weights[t, 1])
    row = exceedances_table([found]).row(
        by_predicate=(pl.col("strategy") == "s")
        & (pl.col("method") == "historical")
        & (pl.col("level") == 0.95),
        named=True,
    )
    var = found.values[2:-1, 1, 0, 0, 0]
    observed = int((-after[2:-1, 1] > var).sum())
    assert (row["n"], row["observed"]) == (97, observed)
    assert row["kupiec_p"] == kupiec_test(97, observed, 0.95)[1]
    empty = exceedances_table([found]).filter(pl.col("strategy") == "cash")
    assert empty["kupiec_p"].null_count() == empty.height
    assert empty["note"].str.contains("nothing held").all()


def test_true_var_is_exceeded_as_often_as_it_says():
    # Independent normal returns and one steady holding: about 5 % of 900 sessions.
    random = np.random.default_rng(3)
    n = 1_450
    stamps = STAMPS[0] + pl.Series([dt.timedelta(days=i) for i in range(n)])
    prices = 100 * np.cumprod(1 + random.normal(0, 0.01, n))
    frame = pl.DataFrame({"universe": "u", "symbol": "A", "ts": stamps, "adj_close": prices})
    held = pl.DataFrame(
        {"run_id": "s", "strategy": "s", "symbol": "A", "ts": stamps[500:501], "shares": 1.0}
    )
    worth = pl.DataFrame(
        {"run_id": "s", "strategy": "s", "ts": stamps[500:], "equity": prices[500:]}
    )
    (one,) = holdings(frame, held, worth, runs("s"))
    settings = RiskSection(levels=(0.95,))
    table = exceedances_table([rolling_risk(one, settings)])
    assert table["kupiec_p"].min() > 0.01
    # The case it must refuse: VaR of a calmer past than the test.
    calm = replace(one, returns=np.where(np.arange(n)[:, None] < 1_000, 0.3, 1.0) * one.returns)
    assert exceedances_table([rolling_risk(calm, settings)])["kupiec_p"].max() < 0.01


def test_short_windows_are_marked_not_filled():
    early = FIRST - 700
    short = pl.DataFrame({"run_id": "s", "strategy": "s", "ts": STAMPS[early:], "equity": 1_000.0})
    rows = positions([("s", early, "A", 5)])
    (one,) = holdings(bars(), rows, short, runs("s"))
    found = rolling_risk(one, SETTINGS)
    first_500, first_1000 = 500 - early, 1_000 - early
    for level, first in ((0, first_500), (1, first_1000)):
        assert not found.valid[:first, 0, :, :, level].any()
        assert found.valid[first:, 0, :, 0, level].all()
        assert np.isnan(found.values[:first, 0, :, :, level]).all()
    assert found.n_window[0, 0, 0] == early


def test_a_gap_in_a_held_asset_invalidates_and_in_another_does_not():
    prices = PRICES.copy()
    prices[FIRST - 30, 2] = np.nan
    only_a = positions([("s", FIRST, "A", 5)])
    only_c = positions([("s", FIRST, "C", 5)])
    for rows, valid, n in ((only_a, True, 500), (only_c, False, 498)):
        (one,) = holdings(bars(prices), rows, equity("s"), runs("s"))
        found = rolling_risk(one, SETTINGS, last_dates=3)
        assert found.valid[:, 0, 0, 0, 0].all() == valid
        assert (found.n_window[:, 0, 0] == n).all()
        assert len(one.history(0)) == N_SESSIONS - (1 if valid else 3)


def test_a_holding_without_todays_price_is_valued_at_its_last():
    prices = PRICES.copy()
    prices[FIRST + 20, 1] = np.nan
    (one,) = holdings(bars(prices), positions(HELD), equity("s"), runs("s"))
    assert one.weights[FIRST + 20, 0, 1] == pytest.approx(2 * prices[FIRST + 19, 1] / 1_000)
    assert np.isnan(one.returns[FIRST + 20 : FIRST + 22, 1]).all()


def test_cornish_fisher_outside_its_domain_is_null_and_invalid():
    wild = PRICES.copy()
    wild[FIRST - 50 :, 0] *= 0.5
    (one,) = holdings(bars(wild), positions([("s", FIRST, "A", 5)]), equity("s"), runs("s"))
    found = rolling_risk(one, SETTINGS, last_dates=5)
    assert not found.valid[:, 0, :, 2].any()
    assert np.isnan(found.values[:, 0, :, 2]).all()
    assert found.valid[:, 0, :, :2].all()
    table = exceedances_table([found]).filter(pl.col("method") == "cornish_fisher")
    assert table["n"].to_list() == [0, 0]
    assert table["note"].str.contains("left out").all()


def test_last_dates_equal_the_end_of_all_dates(held, found):
    last = rolling_risk(held, SETTINGS, last_dates=4)
    assert np.array_equal(last.values, found.values[-4:], equal_nan=True)


@pytest.mark.parametrize(
    ("rows", "worth", "ran", "message"),
    [
        ([("s", FIRST, "Z", 1)], equity("s"), runs("s"), "Z"),
        (HELD, equity("s"), runs("s", "s"), "two runs"),
        (HELD, equity("s"), runs("s").with_columns(universe=pl.lit("fx")), "no bars"),
        (HELD, equity("s").with_columns(pl.col("ts").dt.offset_by("1h")), runs("s"), "sessions"),
    ],
)
def test_tables_that_do_not_fit_are_refused(rows, worth, ran, message):
    with pytest.raises(RiskError, match=message):
        list(holdings(bars(), positions(rows), worth, ran))


def test_benchmark_rows_are_left_out():
    both = pl.concat([runs("s"), runs("index", role="benchmark")])
    (one,) = holdings(bars(), positions(HELD), equity("s", "index"), both)
    assert one.strategies == ("s",)
