"""The gates on controls pass what they must and refuse what they must, to the count."""

from __future__ import annotations

import polars as pl
import pytest
from scipy.stats import binom

from btq_assets.backtest.controls.answers import (
    control_markets,
    leak_outcome,
    null_limit,
    null_outcome,
    planted_outcome,
)
from btq_assets.backtest.controls.assets import CONTROL_CHECKS
from btq_assets.backtest.controls.settings import NULLS, ControlSettings
from btq_assets.contracts import controls as contracts
from btq_assets.contracts.checks import CheckContext


def rows(control: str, champions: int, n: int, model: str = "ridge") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "control": NULLS[seed % 4] if control == "null" else control,
                "model": model,
                "seed": seed,
                "universe": "u",
                "planted_sharpe": 3.0 if control == "planted" else 0.0,
                "champion": seed < champions,
                "best": "a",
                "mean_difference_annual": 0.0,
                "ci_low_annual": 0.0,
                "ci_high_annual": 0.0,
                "n_candidates": 10,
                "n_returns": 1000,
            }
            for seed in range(n)
        ],
        schema=contracts.CONTROLS.schema,
    )


def test_the_limit_is_that_of_the_binomial_law():
    # 17 of 200 at 5 % by the specification of this control; P(X <= 17) = 0.988, P(X <= 18) = 0.994.
    assert null_limit(200) == 17
    for n in (20, 50, 200, 1000):
        k = null_limit(n)
        assert binom.cdf(k, n, 0.05) < 0.99 <= binom.cdf(k + 1, n, 0.05)


@pytest.mark.parametrize(("champions", "passes"), [(0, True), (17, True), (18, False)])
def test_too_many_champions_on_nulls_are_refused(champions, passes):
    table = pl.concat([rows("null", champions, 200), rows("null", 3, 200, "lightgbm")])
    found = null_outcome(table)
    assert found.passed == passes
    assert f"ridge: {champions} of 200 (limit 17)" in found.message
    assert found.metadata == {"lightgbm_champions": 3, "ridge_champions": champions}


@pytest.mark.parametrize(("champions", "passes"), [(79, False), (80, True), (100, True)])
def test_an_edge_that_is_missed_too_often_is_refused(champions, passes):
    table = pl.concat([rows("planted", champions, 100), rows("planted", 90, 100, "lightgbm")])
    assert planted_outcome(table).passed == passes


def test_a_leak_must_be_refused_for_each_model():
    # 20 markets allow 3 champions: a leak that shows in 4 is seen, one that shows in 3 is not
    assert null_limit(20) == 3
    assert leak_outcome(rows("leak", 4, 20)).passed
    blind = leak_outcome(pl.concat([rows("leak", 20, 20), rows("leak", 3, 20, "lightgbm")]))
    assert not blind.passed
    assert "lightgbm" in blind.message
    assert "ridge" not in blind.message


def test_what_was_not_run_does_not_pass():
    empty = contracts.CONTROLS.empty()
    answers = [
        outcome
        for group in CONTROL_CHECKS
        for outcome in group.answer(CheckContext({"evidence.controls": empty}, {}, None))
    ]
    assert len(answers) == 3
    assert not any(answer.passed for answer in answers)


def test_nulls_take_turns():
    markets = list(control_markets(ControlSettings(null_seeds=8, planted_seeds=2, leak_seeds=1)))
    assert [control for control, _ in markets] == [*NULLS, *NULLS, "planted", "planted", "leak"]
    assert len(set(markets)) == 11
