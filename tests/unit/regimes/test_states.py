"""Refits by count, parameters frozen between them, and nothing read from the future."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import RegimesSection
from btq_assets.contracts import regimes as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.evidence.truncation import cut_inputs
from btq_assets.regimes import RegimeError, states
from btq_assets.regimes.markov import filtered_probabilities

SETTINGS = RegimesSection(min_fit_sessions=252, refit_every_sessions=100, fit_window_sessions=300)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """Three symbols driven by one market that is calm, turbulent and calm again."""
    random = np.random.default_rng(3)
    n = 700
    deviation = np.where((np.arange(n) // 90) % 2, 0.025, 0.006)
    market = random.normal(0, deviation)
    start = dt.datetime(2015, 1, 1, 21, tzinfo=dt.UTC)
    stamps = [start + dt.timedelta(days=k) for k in range(n)]
    return pl.concat(
        pl.DataFrame(
            {
                "universe": "us20",
                "symbol": symbol,
                "ts": stamps,
                "known_at": stamps,
                "adj_close": 10 * np.exp(np.cumsum(market + random.normal(0, 0.002, n))),
            }
        )
        for symbol in ("A", "B", "C")
    )


@pytest.fixture(scope="module")
def rows(bars) -> pl.DataFrame:
    return states.market_states(bars, "us20", SETTINGS)


def test_rows_fit_the_contract(rows):
    cast = cast_to_contract(rows, contracts.STATES)
    assert violations(cast, contracts.STATES).is_empty()
    assert cast["converged"].all()


def test_rows_start_at_the_first_fit_and_refits_are_counted_in_sessions(rows, bars):
    sessions = bars["ts"].unique().sort()
    # The first return belongs to the second session: return k is session k + 1.
    refits = [sessions[k + 1] for k in (251, 351, 451, 551, 651)]
    assert rows["ts"][0] == refits[0]
    assert rows["fitted_until"].unique().sort().to_list() == refits
    assert (rows["fitted_until"] <= rows["ts"]).all()


def test_a_fit_sees_its_window_and_no_more(bars, rows):
    # The third fit follows return 451 and may look back 300 returns: 152 to 451.
    returns = states.equal_weight_returns(bars, "us20")["log_return"].to_numpy()
    made = states.fit(returns[152:452])
    volatility = np.sqrt(252 * made.variances)
    row = rows.row(200, named=True)
    assert row["calm_volatility_annual"] == pytest.approx(volatility[0], rel=1e-9)
    assert row["turbulent_volatility_annual"] == pytest.approx(volatility[1], rel=1e-9)
    filtered = filtered_probabilities(returns[152:452], made)
    assert row["p_turbulent"] == pytest.approx(filtered[-1, 1], rel=1e-9)


def test_the_turbulent_spells_are_found(rows):
    spell = pl.Series((np.arange(1, 700) // 90) % 2 == 1)[251:]
    assert ((rows["state"] == "turbulent") == spell).mean() > 0.9


@pytest.mark.parametrize("n_kept", [260, 352, 353, 500, 640])
def test_cutting_the_data_changes_nothing_before(n_kept, bars, rows):
    cut = bars["ts"].unique().sort()[n_kept - 1]
    given = cut_inputs({"bars": bars}, cut)["bars"]
    again = states.market_states(given, "us20", SETTINGS)
    assert_frame_equal(again, rows.filter(pl.col("ts") <= cut), rel_tol=1e-9, abs_tol=1e-12)


def test_the_last_rows_alone_are_the_same_rows(bars, rows):
    assert_frame_equal(
        states.market_states(bars, "us20", SETTINGS, last_sessions=70), rows.tail(70)
    )


def test_order_of_rows_and_scale_of_a_history_do_not_matter(bars, rows):
    scaled = bars.with_columns(
        adj_close=pl.col("adj_close") * pl.when(pl.col("symbol") == "B").then(1e4).otherwise(1.0)
    ).sample(fraction=1, shuffle=True, seed=1)
    again = states.market_states(scaled, "us20", SETTINGS)
    assert_frame_equal(again, rows, rel_tol=1e-5, abs_tol=1e-6)


def test_a_fit_that_fails_leaves_the_previous_one_in_force(bars, rows, monkeypatch):
    real, calls = states.fit, []

    def second_fails(returns):
        calls.append(len(returns))
        return None if len(calls) == 2 else real(returns)

    monkeypatch.setattr(states, "fit", second_fails)
    found = states.market_states(bars, "us20", SETTINGS)
    second = slice(100, 200)
    assert not found["converged"][second].any()
    assert found["converged"][:100].all()
    assert found["converged"][200:].all()
    assert (found["fitted_until"][second] == rows["fitted_until"][0]).all()
    # Same filter, same parameters, simply run on: the first fit's window is all it needs.
    returns = states.equal_weight_returns(bars, "us20")["log_return"].to_numpy()
    kept = filtered_probabilities(returns[:451], real(returns[:252]))[351:, 1]
    np.testing.assert_allclose(found["p_turbulent"][second], kept, rtol=1e-9)


def test_no_rows_before_a_fit_converges(bars, monkeypatch):
    monkeypatch.setattr(states, "fit", lambda returns: None)
    assert states.market_states(bars, "us20", SETTINGS).is_empty()


def test_equal_weight_return_by_hand():
    day = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)
    bars = pl.DataFrame(
        {
            "universe": "u",
            "symbol": ["A", "A", "B", "B"],
            "ts": [day, day + dt.timedelta(1)] * 2,
            "adj_close": [100.0, 110.0, 50.0, 49.0],
        }
    )
    found = states.equal_weight_returns(bars, "u")
    assert found["log_return"].to_list() == [pytest.approx(np.log(1 + (0.10 - 0.02) / 2))]


def test_trend_is_the_return_of_the_last_252_sessions():
    # 252 sessions of 0.1 % make 25 %, of 0.01 % 2.5 %: inside the band of 5 %.
    steady = {"bull": 1e-3, "bear": -1e-3, "sideways": 1e-4}
    assert {states.trend(np.full(300, daily))[-1] for daily in steady.values()} == set(steady)
    assert [states.trend(np.full(300, steady[word]))[-1] for word in steady] == list(steady)
    # A crash leaves the year after 252 sessions.
    crash = np.r_[-0.5, np.full(260, 1e-4)]
    assert states.trend(crash)[251] == "bear"
    assert states.trend(crash)[252] == "sideways"


def test_a_universe_without_bars_is_named_and_a_disabled_section_is_empty(bars):
    with pytest.raises(RegimeError, match="'nowhere'"):
        states.market_states(bars, "nowhere", SETTINGS)
    assert states.market_states(bars, "us20", RegimesSection(enable=False)).is_empty()
