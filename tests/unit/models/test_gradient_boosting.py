"""LightGBM: a planted effect is learned, the same seed gives the same trees, trees survive disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata

from btq_assets.config import TradingConfig
from btq_assets.models import design, scores
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import MissingFeatureError, ModelError
from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
from btq_assets.models.plans import plan_of

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


RANK = replace(SPEC, objective="rank")


@pytest.fixture(scope="module")
def ranked(planted_set: TrainingSet) -> LightGBMForecaster:
    return LightGBMForecaster(RANK).fit(planted_set)


def test_grades_are_fifths_of_a_date() -> None:
    """Seven labels in three grades by hand: ranks less one over 7, times 3, cut down."""
    rows = pl.DataFrame({"universe": "u", "ts": [1] * 7 + [2] * 2, "label": [*range(7), 5, 5]})
    assert design.grades(rows, 3).tolist() == [0, 0, 0, 1, 1, 2, 2, 0, 0]


def test_by_rank_trees_are_those_of_lightgbms_own_ranker(
    ranked: LightGBMForecaster, planted_set: TrainingSet
) -> None:
    """`LGBMRanker` on features, grades and dates laid out here; forecasts in proportion to its scores."""
    lightgbm = pytest.importorskip("lightgbm")
    sets = []
    for rows in (planted_set.train_rows(), planted_set.validation_rows()):
        rows = rows.filter(pl.col("label").is_not_null()).sort("ts", "symbol")
        parts = rows.partition_by("ts", maintain_order=True)
        x = [
            2 * rankdata(part[name], method="average") / (part.height + 1) - 1
            for part in parts
            for name in ("signal", "noise")
        ]
        x = np.concatenate([np.column_stack(x[i : i + 2]) for i in range(0, len(x), 2)])
        y = np.concatenate([(rankdata(p["label"]) - 1) * 5 // p.height for p in parts]).astype(int)
        sets.append((x, y, [part.height for part in parts]))
    (x, y, group), (x_validation, y_validation, group_validation) = sets
    ranker = lightgbm.LGBMRanker(
        n_estimators=40, num_leaves=15, learning_rate=0.03, min_child_samples=40,
        colsample_bytree=0.6, random_state=0, label_gain=[0, 1, 2, 3, 4], n_jobs=1,
        deterministic=True, force_row_wise=True, verbosity=-1, lambdarank_truncation_level=8,
    ).fit(
        x, y, group=group, eval_set=[(x_validation, y_validation)], eval_group=[group_validation],
        eval_at=[8], callbacks=[lightgbm.early_stopping(10, verbose=False)],
    )  # fmt: skip
    assert ranked.scores["n_trees"] == ranker.best_iteration_
    expected = ranker.predict(x_validation)
    panel = planted_set.panel.filter(pl.col("ts") >= planted_set.validation[0])
    found = ranked.predict(panel).join(
        planted_set.validation_rows().select("symbol", "ts"), on=["symbol", "ts"]
    )
    found = found.sort("ts", "symbol")["forecast"].to_numpy()
    np.testing.assert_allclose(found / found.std(), expected / expected.std(), rtol=1e-6)


def test_by_rank_the_size_of_labels_says_nothing(
    ranked: LightGBMForecaster, planted_set: TrainingSet, planted_test: pl.DataFrame
) -> None:
    """The cube keeps the order of every date: the same ranking; squared errors learn another."""
    panel = planted_set.panel.with_columns(label=pl.col("label") ** 3 * 1e4)
    cubed = LightGBMForecaster(RANK).fit(replace(planted_set, panel=panel))
    one, other = (model.predict(planted_test)["forecast"] for model in (ranked, cubed))
    np.testing.assert_allclose(one / one.std(), other / other.std(), rtol=1e-9)
    squared = [
        LightGBMForecaster(SPEC).fit(replace(planted_set, panel=p))
        for p in (planted_set.panel, panel)
    ]
    one, other = (model.predict(planted_test)["forecast"] for model in squared)
    assert not np.allclose(one / one.std(), other / other.std(), rtol=1e-2)


def test_by_rank_forecasts_are_in_label_units_and_survive_disk(
    ranked: LightGBMForecaster, planted_set: TrainingSet, planted_test: pl.DataFrame, tmp_path: Path
) -> None:
    found = ranked.predict(planted_test)
    assert scores.mean_rank_ic(found, planted_test) > 0.25
    rows = planted_set.train_rows()
    fitted = rows.select("symbol", "ts", "label").join(
        ranked.predict(planted_set.panel), on=["symbol", "ts"]
    )
    by_date = [part for part in fitted.partition_by("ts") if part["label"].std() > 0]
    unit = float(np.median([part["label"].std() for part in by_date]))
    x = np.concatenate([part["forecast"] - part["forecast"].mean() for part in by_date]) / unit
    z = [(part["label"] - part["label"].mean()) / part["label"].std() for part in by_date]
    assert np.polyfit(x, np.clip(np.concatenate(z), -3, 3), 1)[0] == pytest.approx(1)
    ranked.save(tmp_path)
    assert LightGBMForecaster.load(tmp_path).predict(planted_test).equals(found)


def test_by_rank_the_error_that_stops_is_one_less_ndcg(
    ranked: LightGBMForecaster, planted_set: TrainingSet
) -> None:
    """scikit-learn's NDCG of the kept trees on the validation dates; gains are the grades."""
    metrics = pytest.importorskip("sklearn.metrics")
    rows = planted_set.validation_rows().select("symbol", "ts", "label")
    panel = planted_set.panel.filter(pl.col("ts") >= planted_set.validation[0])
    both = rows.join(ranked.predict(panel), on=["symbol", "ts"])
    gains = [
        metrics.ndcg_score(
            [(rankdata(part["label"]) - 1) * 5 // part.height], [part["forecast"].to_numpy()],
            ignore_ties=True,
        )
        for part in both.partition_by("ts")
    ]  # fmt: skip
    best = ranked.scores["validation_error"][ranked.scores["n_trees"] - 1]
    assert best == pytest.approx(1 - np.mean(gains), abs=2e-3)


def test_an_objective_there_is_none_of_is_named() -> None:
    with pytest.raises(ModelError, match="no objective 'order'; there are regression, rank"):
        LightGBMSpec(objective="order")
    config = TradingConfig(models={"lightgbm": {"objective": "rank"}})
    made = plan_of("lightgbm", config, code_version="v").make("base", 0)
    assert made.spec.objective == "rank"
    assert LightGBMSpec().objective == TradingConfig().models.lightgbm.objective == "regression"
