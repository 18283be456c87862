"""Strategies under the parameters of regimes: by hand, against the engine, and without the future."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.config import ConfigError, TradingConfig
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.contracts.portfolio import TARGETS_REGIME
from btq_assets.engine.costs import CostModel
from btq_assets.engine.simulation import simulate
from btq_assets.evidence.truncation import truncation_check
from btq_assets.portfolio import PortfolioError, PricePanel, baselines, hierarchical, kelly, ranks
from btq_assets.portfolio.regime_aware import (
    Holdings,
    KnownParameters,
    known_parameters,
    regime_targets,
    under_parameters,
)

DAY = dt.timedelta(days=1)
START = dt.datetime(2020, 1, 6, 21, tzinfo=dt.UTC)


def panel_of(prices: np.ndarray, known_at_us: np.ndarray | None = None) -> PricePanel:
    n, n_symbols = prices.shape
    epoch = int(START.timestamp()) * 1_000_000
    stamps = epoch + np.arange(n) * 86_400_000_000
    symbols = tuple("ABCDEF"[:n_symbols])
    return PricePanel("test", symbols, stamps, prices, known_at_us)


def given_parameters(exposure, max_position, threshold) -> KnownParameters:
    arrays = [np.array(values, float) for values in (exposure, max_position, threshold)]
    return KnownParameters(np.ones(len(arrays[0]), bool), *arrays)


#: Made once: every case holds the same numbers.
_MADE: dict[str, pl.DataFrame] = {}


def tables_of(case) -> dict[str, pl.DataFrame]:
    config = case.config
    if _MADE:
        return dict(_MADE)
    _MADE.update(
        {
            "rank": ranks.rank_targets(case.forecasts, case.bars, case.states, config),
            "kelly": kelly.kelly_targets(case.forecasts, case.bars, config),
            "hrp": hierarchical.hrp_targets(case.bars, case.splits, config),
            "baselines": baselines.baseline_targets(case.bars, case.splits, config),
        }
    )
    return dict(_MADE)


def test_the_newest_row_known_at_the_decision_is_read():
    panel = panel_of(np.ones((6, 2)))
    rows = pl.DataFrame(
        {
            "scope": ["test", "test", "other"],
            "ts": [START + DAY, START + 3 * DAY, START],
            "exposure_multiplier": [0.5, 0.25, 9.0],
            "max_position": [0.9, 0.1, 9.0],
            "rebalance_threshold": [0.01, 0.02, 9.0],
        }
    )
    found = known_parameters(panel, np.array([0, 1, 2, 3, 5]), rows, 0.4)
    # Decision 0 comes before the first row; the limit of all strategies is never exceeded.
    assert found.known.tolist() == [False, True, True, True, True]
    assert found.exposure.tolist() == [1, 0.5, 0.5, 0.25, 0.25]
    assert found.max_position.tolist() == [0.4, 0.4, 0.4, 0.1, 0.1]
    assert found.threshold.tolist() == [0, 0.01, 0.01, 0.02, 0.02]
    with pytest.raises(PortfolioError, match="no row of scope 'test'"):
        known_parameters(panel, np.array([0]), rows.filter(scope="other"), 0.4)
    assert not known_parameters(panel, np.array([0]), rows.clear(), 0.4).known.any()


def test_exposure_and_largest_position_by_hand():
    panel = panel_of(np.ones((4, 3)))
    base = np.tile([0.5, 0.3, 0.2], (3, 1))
    given = given_parameters([1.0, 0.5, 2.0], [0.4, 0.2, 0.4], [0, 0, 0])
    found = under_parameters(panel, np.array([0, 1, 2]), base, given, 1.0)
    # Capped at 0.4; halved, then capped at 0.2; doubled and capped, then shrunk from 1.2 to 1.
    np.testing.assert_allclose(found[0], [0.4, 0.3, 0.2])
    np.testing.assert_allclose(found[1], [0.2, 0.15, 0.1])
    np.testing.assert_allclose(found[2], np.array([0.4, 0.4, 0.4]) / 1.2)


def test_a_weight_close_to_what_is_held_is_left_alone():
    # A doubles after the fill: of 0.25 + 0.25 it becomes 0.5 / 1.25 = 0.4, B 0.2.
    prices = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 1.0], [2.0, 1.0]])
    base = np.full((2, 2), 0.25)

    def second(threshold: float, exposure: float = 1.0) -> list[float]:
        given = given_parameters([1.0, exposure], [0.9, 0.9], [0.0, threshold])
        return under_parameters(panel_of(prices), np.array([0, 2]), base, given, 1.0)[1].tolist()

    assert second(0.0) == pytest.approx([0.25, 0.25])
    assert second(0.1) == pytest.approx([0.25, 0.2])
    assert second(0.2) == pytest.approx([0.4, 0.2])
    # Another exposure is obeyed at once, however small the steps.
    assert second(0.2, exposure=0.8) == pytest.approx([0.2, 0.2])


def test_what_is_not_wanted_is_sold_and_kept_weights_obey_the_limits():
    prices = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    base = np.array([[0.25, 0.25], [0.25, 0.0]])
    given = given_parameters([1.0, 1.0], [0.3, 0.3], [0.5, 0.5])
    found = under_parameters(panel_of(prices), np.array([0, 2]), base, given, 1.0)
    # A is held at 0.4 and kept, but no larger than 0.3; B is wanted no more.
    np.testing.assert_allclose(found[1], [0.3, 0.0])


def test_too_much_is_taken_from_what_is_traded():
    # A is kept at 0.5 of a book fully invested, B is wanted at 0.7: B gets what is left.
    prices = np.ones((3, 2))
    base = np.array([[0.5, 0.5], [0.5, 0.7]])
    given = given_parameters([1.0, 1.0], [0.9, 0.9], [0.1, 0.1])
    found = under_parameters(panel_of(prices), np.array([0, 2]), base, given, 1.0)
    np.testing.assert_allclose(found[1], [0.5, 0.5])


def test_holdings_are_those_of_the_engine_without_costs():
    # Peer: the engine, which marks and fills the same weights. Symbol C misses some prices.
    random = np.random.default_rng(4)
    prices = np.exp(np.cumsum(random.normal(0, 0.02, (60, 3)), axis=0))
    prices[[11, 20, 21], 2] = np.nan
    targets = np.full(prices.shape, np.nan)
    decisions = np.arange(0, 60, 5)
    targets[decisions] = random.dirichlet([2, 2, 2, 2], len(decisions))[:, :3]
    marks = np.vstack([prices[0], prices[1:]])
    for t in range(1, 60):
        marks[t] = np.where(np.isfinite(prices[t]), prices[t], marks[t - 1])
    done = simulate(prices, marks, targets, CostModel(), initial_cash=1e6, on_short_cash="scale")
    holdings = Holdings(panel_of(prices))
    for row in decisions.tolist():
        expected = done.shares[row] * marks[row] / done.equity[row]
        np.testing.assert_allclose(holdings.weights_at(row), expected, atol=1e-9)
        holdings.order(targets[row])


def test_a_price_published_late_is_not_read():
    prices = np.array([[1.0], [1.0], [4.0], [4.0]])
    known = np.array([[0], [0], [2**62], [0]])
    late = Holdings(panel_of(prices, known))
    late.order(np.array([0.5]))
    late.weights_at(0)
    late.order(np.array([0.5]))
    # The price of session 2 is not known at its end: the last one known is 1.
    assert late.weights_at(2).tolist() == [0.5]
    assert late.weights_at(3).tolist() == pytest.approx([2 / 2.5])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0, 2), st.floats(0.05, 1), st.floats(0, 0.2))
def test_no_parameters_lead_beyond_their_limits(seed, exposure, cap, threshold):
    random = np.random.default_rng(seed)
    prices = np.exp(np.cumsum(random.normal(0, 0.05, (40, 4)), axis=0))
    rows = np.arange(0, 40, 4)
    base = random.dirichlet(np.ones(5), len(rows))[:, :4]
    given = given_parameters(*(np.full(len(rows), v) for v in (exposure, cap, threshold)))
    found = under_parameters(panel_of(prices), rows, base, given, 1.0)
    assert (found >= 0).all()
    assert found.max() <= cap + 1e-12
    assert found.sum(axis=1).max() <= min(exposure, 1) + 1e-12


def test_the_table_fits_its_contract_and_starts_as_the_strategies_themselves(case):
    tables = tables_of(case)
    frame = cast_to_contract(
        regime_targets(tables, case.parameters, case.bars, case.config), TARGETS_REGIME
    )
    assert violations(frame, TARGETS_REGIME).is_empty()
    wanted = [f"{name}_regime" for name in case.config.portfolio.regime_strategies]
    assert sorted(frame["strategy"].unique()) == sorted(wanted)
    early = frame.filter(pl.col("ts") < case.parameters["ts"][0])
    assert early["ts"].n_unique() == 3
    own = tables["baselines"].filter(strategy="one_over_n")
    same = early.filter(strategy="one_over_n_regime").join(own, on=["symbol", "ts"])
    assert same["weight"].to_list() == pytest.approx(same["weight_right"].to_list())
    crisis = case.parameters.filter(regime="crisis")["ts"]
    sums = (
        frame.filter(pl.col("ts").is_in(crisis.implode()))
        .group_by("strategy", "ts")
        .agg(pl.col("weight").sum())
    )
    assert sums.height > 4
    assert sums["weight"].max() <= 0.2 + 1e-12


def test_nothing_comes_from_later_at_any_decision_and_a_leak_is_caught(case):
    inputs = {**tables_of(case), "parameters": case.parameters, "bars": case.bars}
    bases = ("rank", "kelly", "hrp", "baselines")

    def compute(given, config):
        tables = {name: given[name] for name in bases}
        return regime_targets(tables, given["parameters"], given["bars"], config)

    def leaking(given, config):
        values = ["exposure_multiplier", "max_position", "rebalance_threshold"]
        ahead = given["parameters"].with_columns(
            pl.col(values).shift(-3).fill_null(strategy="forward")
        )
        return compute({**given, "parameters": ahead}, config)

    for function, passes in ((compute, True), (leaking, False)):
        check = truncation_check(TARGETS_REGIME, function, n_dates=10_000)
        frames = {TARGETS_REGIME.table: function(inputs, case.config)}
        (outcome,) = check.answer(CheckContext(frames, inputs, case.config))
        assert outcome.passed is passes, outcome.message


@pytest.mark.parametrize(
    "off",
    [
        {"regimes": {"enable": False}},
        {"regimes": {"parameters": {"enable": False}}},
        {"portfolio": {"regime_strategies": ()}},
    ],
)
def test_switched_off_there_are_no_rows(case, off):
    config = TradingConfig(universe={"main": "test"}, **off)
    assert regime_targets(tables_of(case), case.parameters, case.bars, config).is_empty()


def test_a_strategy_that_is_not_there_or_decides_once_is_named(case):
    def made_of(*names):
        config = TradingConfig(universe={"main": "test"}, portfolio={"regime_strategies": names})
        return regime_targets(tables_of(case), case.parameters, case.bars, config)

    with pytest.raises(PortfolioError, match=r"'nobody'.*'blend'"):
        made_of("nobody")
    with pytest.raises(PortfolioError, match="buy_and_hold decides 1 of"):
        made_of("buy_and_hold")
    with pytest.raises(ConfigError, match="twice"):
        made_of("hrp", "hrp")
