"""Each gate on a case it must pass and a case it must fail."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import models
from btq_assets.contracts.checks import CheckContext
from btq_assets.models import fit_gates, gates, registry, summary
from btq_assets.models import folds as folding
from btq_assets.models.forecaster import ModelError, Provenance
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec
from btq_assets.models.walk_forward import Plan, fit_all, forecasts_table

#: Names the contract knows, so that the folds offer them to the models.
SIGNAL, NOISE = "return_1d", "return_5d"


@pytest.fixture(scope="module")
def config() -> TradingConfig:
    return TradingConfig(
        models={
            "horizon_sessions": 1,
            "walk_forward": {
                "first_test": "2010-10-01",
                "test_months": 2,
                "max_folds": 2,
                "train_years": 1,
                "validation_months": 2,
            },
        }
    )


@pytest.fixture(scope="module")
def table(planted: pl.DataFrame) -> pl.DataFrame:
    return planted.rename({"signal": SIGNAL, "noise": NOISE})


@pytest.fixture(scope="module")
def folds(table: pl.DataFrame, config: TradingConfig) -> pl.DataFrame:
    return folding.splits(table, config)


def plan_of(make: Any) -> Plan:
    return Plan(make, variants=("base",), seeds=(0,), asset_features=(SIGNAL, NOISE))


def honest(variant: str, seed: int) -> RidgeForecaster:
    return RidgeForecaster(RidgeSpec(variant=variant, alphas=(10.0,), seed=seed))


@pytest.fixture(scope="module")
def fits(table: pl.DataFrame, folds: pl.DataFrame) -> list[Any]:
    return fit_all(table, folds, plan_of(honest), data_hash="d")


@pytest.fixture
def context(
    fits: list[Any], table: pl.DataFrame, folds: pl.DataFrame, config: TradingConfig
) -> CheckContext:
    frame = forecasts_table(fits, models.FORECASTS_RIDGE, 1)
    return CheckContext(
        {models.FORECASTS_RIDGE.table: frame}, {"training_set": table, "splits": folds}, config
    )


def of(context: CheckContext, frame: pl.DataFrame) -> CheckContext:
    return replace(context, frames={models.FORECASTS_RIDGE.table: frame})


def test_out_of_sample_catches_a_forecast_of_the_training_segment(context: CheckContext) -> None:
    gate = gates.out_of_sample(models.FORECASTS_RIDGE)
    assert gate.answer(context)[0].passed
    swapped = context.frame.with_columns(fold=1 - pl.col("fold"))
    answer = gate.answer(of(context, swapped))[0]
    assert not answer.passed
    assert "outside the test segment" in answer.message


def test_out_of_sample_catches_a_missing_forecast(context: CheckContext) -> None:
    answer = gates.out_of_sample(models.FORECASTS_RIDGE).answer(of(context, context.frame[1:]))[0]
    assert not answer.passed
    assert "1 decision(s) have no forecast" in answer.message


def test_plausible_ic_catches_a_forecast_that_is_the_label(
    context: CheckContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "MIN_DATES_FOR_IC", 20)
    gate = gates.plausible_ic(models.FORECASTS_RIDGE)
    random = np.random.default_rng(0)
    noise = context.frame.with_columns(forecast=pl.Series(random.normal(size=context.frame.height)))
    assert gate.answer(of(context, noise))[0].passed
    # The planted signal has an IC that no honest model has on real prices.
    answer = gate.answer(context)[0]
    assert not answer.passed
    assert "look for a leak" in answer.message


def test_truncation_refits_and_finds_the_same(
    fits: list[Any], table: pl.DataFrame, config: TradingConfig
) -> None:
    outcome = fit_gates.truncation_outcome(fits, table, config, plan=plan_of(honest), n_dates=3)
    assert outcome.passed, outcome.message
    assert outcome.metadata["forecasts_compared"] > 0


class Peeking:
    """Forecasts with the mean of the whole panel it is handed, its future included."""

    spec = RidgeSpec()
    history_sessions: int = 0
    scores: Any = None

    def fit(self, training_set: Any, progress: Any = None) -> Peeking:
        self.scores = {"validation_rank_ic": 0.0, "n_train": 1, "n_columns": 1}
        return self

    @property
    def provenance(self) -> Provenance:
        return Provenance("peeking", (SIGNAL,), "v", 0, {})

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        rows = panel.filter("is_decision").sort("universe", "symbol", "ts")
        own_mean = pl.col(SIGNAL).mean().over("symbol")
        return rows.select(
            "universe", "symbol", "ts", (pl.col(SIGNAL) - own_mean).alias("forecast")
        )


class Hollow(Peeking):
    """Ranks assets by name."""

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        rows = panel.filter("is_decision").sort("universe", "symbol", "ts")
        number = pl.col("symbol").str.slice(1).cast(pl.Float64)
        return rows.select("universe", "symbol", "ts", number.alias("forecast"))


class Constant(Peeking):
    """Has nothing to say."""

    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        rows = panel.filter("is_decision").sort("universe", "symbol", "ts")
        return rows.select("universe", "symbol", "ts", pl.lit(0.001).alias("forecast"))


def fits_of(make: Any, table: pl.DataFrame, folds: pl.DataFrame) -> tuple[list[Any], Plan]:
    plan = plan_of(lambda variant, seed: make())
    return fit_all(table, folds, plan, data_hash="d"), plan


@pytest.mark.parametrize("refit", [True, False])
def test_truncation_catches_a_forecaster_that_peeks(
    refit: bool, table: pl.DataFrame, folds: pl.DataFrame, config: TradingConfig
) -> None:
    fits, plan = fits_of(Peeking, table, folds)
    outcome = fit_gates.truncation_outcome(
        fits, table, config, plan=plan if refit else None, n_dates=3
    )
    assert not outcome.passed
    assert "when everything after" in outcome.message


def test_not_hollow_passes_ridge_and_fails_models_that_ignore_their_inputs(
    fits: list[Any], table: pl.DataFrame, folds: pl.DataFrame
) -> None:
    assert fit_gates.not_hollow_outcome(fits, table, linear=True).passed
    hollow = fit_gates.not_hollow_outcome(fits_of(Hollow, table, folds)[0], table)
    assert not hollow.passed
    assert "ignores its inputs" in hollow.message
    constant = fit_gates.not_hollow_outcome(fits_of(Constant, table, folds)[0], table)
    assert not constant.passed
    assert "same forecast on 100%" in constant.message


def test_model_ids_tell_fits_apart_and_repeat(
    fits: list[Any], table: pl.DataFrame, folds: pl.DataFrame
) -> None:
    again = fit_all(table, folds, plan_of(honest), data_hash="d")
    other = fit_all(table, folds, plan_of(honest), data_hash="e")
    assert [f.model_id for f in fits] == [f.model_id for f in again]
    assert len({f.model_id for f in (*fits, *other)}) == 4


def test_registry_finds_the_newest_model_known_at_a_time(
    fits: list[Any], folds: pl.DataFrame
) -> None:
    artifacts = {fit.model_id: (f"artifacts/{fit.fold}", "h") for fit in fits}
    rows = registry.registry_rows(fits, artifacts, folds["test_end"][1])
    assert rows["fitted_until"][0] <= folds["test_start"][0]
    for fold in (0, 1):
        found = registry.model_at(rows, "ridge", "base", 0, folds["test_start"][fold])
        assert found["fold"] == fold
    with pytest.raises(ModelError, match="no ridge"):
        registry.model_at(rows, "ridge", "base", 0, folds["train_start"][0])


def test_summary_of_fits(fits: list[Any]) -> None:
    frame = summary.scores_by_fold(fits)
    assert frame["chosen"].to_list() == ["alpha = 10", "alpha = 10"]
    assert summary.mean_rank_ic(fits) == pytest.approx(
        np.mean([fit.test_rank_ic for fit in fits]), abs=1e-4
    )
    assert summary.one_line(fits).startswith("mean rank IC out of sample: base +0.")
    ragged = [
        SimpleNamespace(forecaster=SimpleNamespace(scores={"training_loss": losses}))
        for losses in ([4.0, 2.0], [1.0])
    ]
    assert summary.training_curves(ragged) == {"training_loss": [2.5, 1.5]}
