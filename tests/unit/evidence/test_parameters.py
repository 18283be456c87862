"""Fitted numbers against observations: by hand, closed forms, and the registry's own rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btq_assets.contracts import backtest, models
from btq_assets.contracts.portfolio import BLENDED, models_behind
from btq_assets.evidence.diagnosis import RunRecord, diagnose, findings_table
from btq_assets.evidence.parameters import FittedNumbers, fitted_numbers
from btq_assets.models.ridge import effective_parameters

START = datetime(2020, 1, 1, tzinfo=UTC)


def registry(*rows):
    """Rows of (model, variant, fold, parameters, observations, day of registration)."""
    empty = {name: "" for name, dtype in models.REGISTRY.schema.items() if dtype == pl.String}
    return pl.DataFrame(
        [
            empty | {
                "model_id": str(number), "model": model, "variant": variant, "fold": fold, "seed": 0,
                "fitted_from": START, "fitted_until": START,
                "metrics_json": json.dumps({"n_parameters": p, "n_observations": n} if p else {}),
                "registered_at": START + timedelta(days=day),
            }
            for number, (model, variant, fold, p, n, day) in enumerate(rows)
        ],
        schema=models.REGISTRY.schema,
    )  # fmt: skip


FITS = registry(
    ("ridge", "base", 0, 12.5, 10_000, 0),
    ("ridge", "base", 1, 30.0, 12_000, 0),
    ("ridge", "macro", 0, 40.0, 10_000, 0),
    ("transformer_gnn", "base", 0, 12_353, 10_420, 0),
    # an older version of the same fit, and one from before numbers were kept
    ("lightgbm", "base", 0, 9_000, 10_000, 0),
    ("lightgbm", "base", 0, 375, 10_000, 1),
    ("lightgbm", "base", 1, None, None, 0),
    ("ppo", "base", 0, 5_000, 20_000, 0),
)


def test_every_strategy_has_the_worst_of_its_newest_fits():
    """Ridge 12,000 / 30 = 400 is worse than 10,000 / 12.5 = 800; a blend is as bad as its worst."""
    found = fitted_numbers(
        ["ridge", "ridge_macro", "kelly_ridge", "lightgbm", "blend", "blend_regime", "ppo", "hrp",
         "one_over_n", "transformer_gnn_macro"], FITS,
    )  # fmt: skip
    assert found == {
        "ridge": FittedNumbers(30.0, 12_000),
        "kelly_ridge": FittedNumbers(30.0, 12_000),
        "ridge_macro": FittedNumbers(40.0, 10_000),
        "lightgbm": FittedNumbers(375.0, 10_000),
        "blend": FittedNumbers(12_353.0, 10_420),
        "blend_regime": FittedNumbers(12_353.0, 10_420),
        "ppo": FittedNumbers(5_000.0, 20_000),
    }
    assert fitted_numbers(["ridge"], models.REGISTRY.empty()) == {}


def test_the_portfolio_room_s_names_are_known():
    """Names of strategies are made in the portfolio room: each has a model behind it, or none."""
    from btq_assets.portfolio.assets import FORECASTS

    families = ("ridge", "lightgbm", "transformer_gnn", "ppo", "xlstm")
    assert sorted(BLENDED) == sorted(name.removeprefix("forecasts_") for name in FORECASTS)
    for model in families[:3]:
        assert models_behind(model, families) == ((model, "base"),)
        assert models_behind(f"{model}_macro", families) == ((model, "macro"),)
        assert models_behind(f"kelly_{model}_regime", families) == ((model, "base"),)
    assert models_behind("blend", families) == tuple((m, "base") for m in sorted(families[:3]))
    assert models_behind("ppo", families) == (("ppo", "base"),)
    assert models_behind("momentum_12_1", families) == ()


def tables(strategies):
    runs = pl.DataFrame(
        [{"run_id": name, "strategy": name, "universe": "u", "role": "candidate"} for name in
         strategies]
    )  # fmt: skip
    returns = np.random.default_rng(0).normal(0.0002, 0.01, 300)
    equity = pl.concat(
        pl.DataFrame({"run_id": name, "strategy": name, "net_return": returns}).with_columns(
            ts=pl.lit(START) + pl.duration(days=pl.int_range(300))
        )
        for name in strategies
    )
    return runs, equity, backtest.TRADES.empty(), backtest.POSITIONS.empty()


def test_the_finding_follows_the_fit_and_not_the_length_of_the_run():
    """10,420 observations for 12,353 weights: fewer than one each; 10,000 for 375 leaves: 27 each,
    more than Harrell's 15; of 1/N nothing is known and nothing is said."""
    names = ["transformer_gnn", "lightgbm", "one_over_n"]
    found = findings_table(*tables(names), fitted_numbers(names, FITS))
    (row,) = found.filter(pl.col("symptom") == "too_many_parameters").rows(named=True)
    assert row["strategy"] == "transformer_gnn"
    assert row["value"] == pytest.approx(10_420 / 12_353)
    assert row["threshold"] == 15
    assert row["detail"] == (
        "12,353 fitted numbers for 10,420 observations, fewer than one for each"
    )
    assert findings_table(*tables(names)).filter(
        pl.col("symptom") == "too_many_parameters"
    ).is_empty()  # fmt: skip


@pytest.mark.parametrize(("parameters", "asked"), [(100.0, False), (100.1, True)])
def test_fifteen_observations_each_are_enough(parameters, asked):
    _, equity, trades, _ = tables(["x"])
    closes = pl.DataFrame(schema={"symbol": pl.String, "ts": pl.Datetime("us", "UTC"),
                                  "close": pl.Float64})  # fmt: skip
    run = replace(RunRecord(equity, trades, closes), n_parameters=parameters, n_observations=1_500)
    assert ("too_many_parameters" in [f.symptom for f in diagnose(run)]) == asked


def test_ridge_uses_as_many_numbers_as_it_has_columns_without_a_penalty():
    """Orthonormal columns times d: d^2 / (d^2 + alpha) each. d = 1, 2, 3 and alpha = 4:
    1/5 + 4/8 + 9/13; alpha = 0: 3."""
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 3)))
    x = q * np.array([1.0, 2.0, 3.0])
    assert effective_parameters(x, 4.0) == pytest.approx(1 / 5 + 4 / 8 + 9 / 13, rel=1e-12)
    assert effective_parameters(x, 0.0) == pytest.approx(3.0)


@given(st.integers(0, 1_000), st.floats(0.01, 1e6), st.floats(1.01, 10))
def test_a_larger_penalty_leaves_fewer_numbers(seed, alpha, more):
    """The trace of the hat matrix, made directly."""
    x = np.random.default_rng(seed).normal(size=(30, 4))
    hat = x @ np.linalg.solve(x.T @ x + alpha * np.eye(4), x.T)
    assert effective_parameters(x, alpha) == pytest.approx(np.trace(hat), rel=1e-8)
    assert effective_parameters(x, alpha * more) < effective_parameters(x, alpha) <= 4
