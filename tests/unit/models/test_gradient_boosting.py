"""LightGBM: a planted effect is learned, the same seed gives the same trees, trees survive disk."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from btq_assets.models import scores
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import MissingFeatureError
from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec

SPEC = LightGBMSpec(n_estimators=40, min_child_samples=40, early_stopping_rounds=10)


@pytest.fixture(scope="module")
def fitted(planted_set: TrainingSet) -> LightGBMForecaster:
    return LightGBMForecaster(SPEC).fit(planted_set)


def test_learns_the_planted_signal(fitted: LightGBMForecaster, planted_test: pl.DataFrame) -> None:
    assert scores.mean_rank_ic(fitted.predict(planted_test), planted_test) > 0.25
    assert 1 <= fitted.scores["n_trees"] <= 40


def test_its_fitted_numbers_are_the_leaves_of_the_trees_it_keeps(
    fitted: LightGBMForecaster, tmp_path: Path
) -> None:
    """LightGBM's own text says of each tree how many leaves it has."""
    fitted.save(tmp_path)
    lines = (tmp_path / "trees.txt").read_text().splitlines()
    leaves = [int(line.split("=")[1]) for line in lines if line.startswith("num_leaves=")]
    assert len(leaves) == fitted.scores["n_trees"]
    assert fitted.scores["n_parameters"] == sum(leaves) >= 2 * len(leaves)
    assert fitted.scores["n_observations"] <= fitted.scores["n_train"]


def test_stops_early_when_the_validation_error_rises(planted_set: TrainingSet) -> None:
    from dataclasses import replace

    noise = replace(planted_set, asset_features=("noise",))
    eager = replace(SPEC, learning_rate=0.5, early_stopping_rounds=3)
    model = LightGBMForecaster(eager).fit(noise)
    assert model.scores["n_trees"] < 40
    errors = model.scores["validation_error"]
    assert len(errors) <= model.scores["n_trees"] + 3


def test_same_seed_same_numbers(
    planted_set: TrainingSet, fitted: LightGBMForecaster, planted_test: pl.DataFrame
) -> None:
    again = LightGBMForecaster(SPEC).fit(planted_set)
    assert again.predict(planted_test).equals(fitted.predict(planted_test))


def test_importances_are_shares_of_the_gain_and_name_the_signal(
    fitted: LightGBMForecaster,
) -> None:
    found = fitted.importances()
    assert sum(found.values()) == pytest.approx(1)
    assert found["signal"] > 0.8


def test_round_trip_is_exact(
    fitted: LightGBMForecaster, planted_test: pl.DataFrame, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    again = LightGBMForecaster.load(tmp_path)
    assert again.predict(planted_test).equals(fitted.predict(planted_test))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "trees.txt"]


def test_missing_feature_is_named(fitted: LightGBMForecaster, planted_test: pl.DataFrame) -> None:
    with pytest.raises(MissingFeatureError, match="signal"):
        fitted.predict(planted_test.drop("signal"))
