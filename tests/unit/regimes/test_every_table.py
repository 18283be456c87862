"""What every table of the room must stand: cuts, bad input, contracts, order; a leak is caught."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import RegimesSection, TradingConfig
from btq_assets.contracts import regimes as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.evidence.truncation import cut_inputs, truncation_check
from btq_assets.regimes import gaussian_states, switching
from btq_assets.regimes.change_points import change_points
from btq_assets.regimes.correlation_breaks import correlation_breaks
from btq_assets.regimes.parameters import regime_parameters
from btq_assets.regimes.stress import stress_index
from btq_assets.regimes.switching import hidden_states, market_states
from btq_assets.regimes.volatility_states import volatility_states

Compute = Callable[[pl.DataFrame, pl.DataFrame, RegimesSection], pl.DataFrame]


def _parameters(bars, macro, settings):
    states = market_states(bars, "us20", settings)
    return regime_parameters(states, stress_index(bars, macro, "us20", settings), settings)


TABLES: dict[str, Compute] = {
    "market_states": lambda b, m, s: market_states(b, "us20", s),
    "hidden_states": lambda b, m, s: hidden_states(b, "us20", s),
    "volatility_states": lambda b, m, s: volatility_states(b, "us20", s),
    "change_points": lambda b, m, s: change_points(b, "us20", s),
    "stress_index": lambda b, m, s: stress_index(b, m, "us20", s),
    "correlation_breaks": lambda b, m, s: correlation_breaks(b, "us20", s),
    "parameters": _parameters,
}
CONTRACTS = {name: getattr(contracts, name.upper()) for name in TABLES}


@pytest.fixture(scope="module")
def whole(market_bars, macro, small) -> dict[str, pl.DataFrame]:
    return {
        name: cast_to_contract(compute(market_bars, macro, small), CONTRACTS[name])
        for name, compute in TABLES.items()
    }


@pytest.mark.parametrize("name", TABLES)
def test_rows_fit_the_contract_and_begin_when_they_can(name, whole):
    rows = whole[name]
    assert violations(rows, CONTRACTS[name]).is_empty()
    assert rows.height > 50
    assert rows["ts"].is_sorted()
    for column in ("fitted_until", "boundary", "changed_at"):
        if column in rows.columns:
            assert (rows[column] <= rows["ts"]).drop_nulls().all()


def _cuts(every: int, bars: pl.DataFrame) -> list[dt.datetime]:
    return bars["ts"].unique().sort().gather_every(every, offset=every - 1).to_list()


def _assert_nothing_before_a_cut_moves(name, cuts, whole, market_bars, macro, small):
    for cut in cuts:
        given = cut_inputs({"bars": market_bars, "macro": macro}, cut)
        again = cast_to_contract(
            TABLES[name](given["bars"], given["macro"], small), CONTRACTS[name]
        )
        expected = whole[name].filter(pl.col("ts") <= cut)
        assert_frame_equal(again, expected, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("name", TABLES)
def test_cutting_the_data_changes_nothing_before(name, whole, market_bars, macro, small):
    cuts = _cuts(61, market_bars)
    _assert_nothing_before_a_cut_moves(name, cuts, whole, market_bars, macro, small)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_cutting_at_every_session_changes_nothing_before(name, whole, market_bars, macro, small):
    cuts = _cuts(1, market_bars)
    _assert_nothing_before_a_cut_moves(name, cuts, whole, market_bars, macro, small)


@pytest.mark.parametrize("name", TABLES)
def test_order_of_rows_other_universes_and_scale_do_not_matter(
    name, whole, market_bars, macro, small
):
    price = pl.col("adj_close")
    scaled = market_bars.with_columns(
        adj_close=pl.when(pl.col("symbol") == "S1").then(1024 * price).otherwise(price)
    )
    others = market_bars.with_columns(universe=pl.lit("fx"), adj_close=1 / price)
    given = pl.concat([others, scaled]).sample(fraction=1, shuffle=True, seed=3)
    # A power of two scales every price exactly: same returns to the last bit.
    again = cast_to_contract(TABLES[name](given, macro, small), CONTRACTS[name])
    assert_frame_equal(again, whole[name], rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "spoilt",
    ["none", "one_row", "one_symbol", "constant", "all_null", "infinite", "not_positive", "stops"],
)
def test_bad_bars_give_fewer_values_and_no_error(name, spoilt, market_bars, macro, small):
    price = pl.col("adj_close")
    third = pl.int_range(pl.len()).over("symbol") % 3 == 0
    bars = {
        "none": lambda: market_bars.clear(),
        "one_row": lambda: market_bars.head(1),
        "one_symbol": lambda: market_bars.filter(symbol="S0"),
        "constant": lambda: market_bars.with_columns(adj_close=pl.lit(5.0)),
        "all_null": lambda: market_bars.with_columns(adj_close=pl.lit(None, pl.Float64)),
        "infinite": lambda: market_bars.with_columns(
            adj_close=pl.when(third & (pl.col("symbol") == "S0")).then(np.inf).otherwise(price)
        ),
        "not_positive": lambda: market_bars.with_columns(
            adj_close=pl.when(third)
            .then(-price)
            .otherwise(pl.when(third.shift(1)).then(0.0).otherwise(price))
        ),
        "stops": lambda: market_bars.filter(
            (pl.col("symbol") == "S0") | (pl.col("ts") < market_bars["ts"].unique().sort()[300])
        ),
    }[spoilt]()
    rows = cast_to_contract(TABLES[name](bars, macro, small), CONTRACTS[name])
    assert violations(rows, CONTRACTS[name]).is_empty()
    if spoilt in ("none", "one_row", "all_null"):
        assert rows.is_empty()


@pytest.mark.parametrize("name", TABLES)
def test_switched_off_means_no_rows(name, market_bars, macro, small):
    off = small.model_copy(update={"enable": False})
    assert TABLES[name](market_bars, macro, off).is_empty()


def _gate(compute: Compute, contract, market_bars, macro, small):
    config = TradingConfig(regimes=small.model_dump())

    def recompute(inputs, config):
        return compute(inputs["bars"], inputs["macro"], config.regimes)

    frame = cast_to_contract(compute(market_bars, macro, small), contract)
    context = CheckContext({contract.table: frame}, {"bars": market_bars, "macro": macro}, config)
    return truncation_check(contract, recompute).answer(context)[0]


def test_smoothed_states_are_caught(market_bars, macro, small, monkeypatch):
    from btq_assets.regimes.markov import ergodic
    from btq_assets.regimes.state_kernels import expectations

    def smoothed(observations, model):
        densities = gaussian_states.log_densities(observations, model.means, model.covariances)
        return expectations(densities, model.transition, ergodic(model.transition))[0]

    compute, contract = TABLES["market_states"], contracts.MARKET_STATES
    assert _gate(compute, contract, market_bars, macro, small).passed
    monkeypatch.setattr(switching, "filtered_probabilities", smoothed)
    found = _gate(compute, contract, market_bars, macro, small)
    assert not found.passed
    assert found.metadata["column"].startswith(("p_", "state"))


def test_scores_on_the_whole_sample_are_caught(market_bars, macro, small, monkeypatch):
    from btq_assets.regimes import stress

    def full_sample(values, min_history):
        return (values - np.nanmean(values)) / np.nanstd(values)

    monkeypatch.setattr(stress, "standardised_on_the_past", full_sample)
    compute = TABLES["stress_index"]
    assert not _gate(compute, contracts.STRESS_INDEX, market_bars, macro, small).passed


def test_thresholds_of_the_whole_sample_are_caught(market_bars, macro, small, monkeypatch):
    from btq_assets.regimes import volatility_states as room

    def full_sample(values, levels, min_history):
        return [np.full(values.size, np.nanquantile(values, level)) for level in levels]

    monkeypatch.setattr(room, "past_quantiles", full_sample)
    compute = TABLES["volatility_states"]
    assert not _gate(compute, contracts.VOLATILITY_STATES, market_bars, macro, small).passed
