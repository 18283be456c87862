"""Ridge against its closed form, and the refusals every saved model shares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from btq_assets.models import design, scores
from btq_assets.models.folds import PurgeError, TrainingSet
from btq_assets.models.forecaster import (
    Forecaster,
    MismatchError,
    MissingFeatureError,
    ModelError,
)
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec


@pytest.fixture(scope="module")
def fitted(planted_set: TrainingSet) -> RidgeForecaster:
    return RidgeForecaster(RidgeSpec(alphas=(10.0, 1_000.0)), code_version="v1").fit(planted_set)


def test_coefficients_are_the_closed_form(
    planted_set: TrainingSet, fitted: RidgeForecaster
) -> None:
    """(X'X + alpha I)^-1 X'y (Hoerl and Kennard 1970, eq. 2.1) on train plus validation."""
    parts = [planted_set.train_rows(), planted_set.validation_rows()]
    ranks = [
        design.matrix(
            design.ranked_rows(planted_set.panel, rows, ("signal", "noise"), ()),
            ("signal", "noise"),
        )
        for rows in parts
    ]
    mean, scale = ranks[0].mean(axis=0), ranks[0].std(axis=0)
    x = (np.vstack(ranks) - mean) / scale
    y = np.concatenate([design.relative_target(rows) for rows in parts])
    alpha = fitted.scores["alpha"]
    expected = np.linalg.solve(x.T @ x + alpha * np.eye(2), x.T @ y)
    np.testing.assert_allclose(fitted.coefficients, expected, rtol=1e-9)


def test_learns_the_planted_signal_out_of_sample(
    fitted: RidgeForecaster, planted_test: pl.DataFrame
) -> None:
    assert scores.mean_rank_ic(fitted.predict(planted_test), planted_test) > 0.3
    assert abs(fitted.coefficients[0]) > 5 * abs(fitted.coefficients[1])


def test_importances_are_shares_of_the_coefficients(fitted: RidgeForecaster) -> None:
    size = np.abs(fitted.coefficients)
    assert fitted.importances() == pytest.approx(
        {"signal": size[0] / size.sum(), "noise": size[1] / size.sum()}
    )


def test_negated_features_negate_the_ranking(
    fitted: RidgeForecaster, planted_test: pl.DataFrame
) -> None:
    straight = fitted.predict(planted_test)["forecast"].to_numpy()
    turned = fitted.predict(planted_test.with_columns(-pl.col("signal", "noise")))
    assert np.corrcoef(straight, turned["forecast"])[0, 1] < -0.999


def test_market_columns_are_interacted_and_scaled_in_fold(
    planted: pl.DataFrame, training_set_of
) -> None:
    """A market column changes the ranking through beta and momentum only."""
    random = np.random.default_rng(1)
    level = pl.DataFrame({"ts": planted["ts"].unique().sort(), "vix": random.normal(20, 5, 300)})
    panel = planted.rename({"signal": "universe_beta", "noise": "other"}).join(level, on="ts")
    data = training_set_of(panel, ("universe_beta", "other"), 180, 50, market=("vix",))
    model = RidgeForecaster(RidgeSpec(variant="macro", alphas=(10.0,))).fit(data)
    assert len(model.coefficients) == 3
    assert model.provenance.feature_names == ("universe_beta", "other", "vix")
    # The interaction of beta and VIX is shared by the two.
    size = np.abs(model.coefficients) / np.abs(model.coefficients).sum()
    assert model.importances() == pytest.approx(
        {"universe_beta": size[0] + size[2] / 2, "other": size[1], "vix": size[2] / 2}
    )
    low = model.predict(panel.with_columns(vix=pl.lit(10.0)))
    high = model.predict(panel.with_columns(vix=pl.lit(40.0)))
    assert not low.equals(high)


def test_satisfies_the_protocol(fitted: RidgeForecaster) -> None:
    assert isinstance(fitted, Forecaster)


def test_missing_feature_is_named(fitted: RidgeForecaster, planted_test: pl.DataFrame) -> None:
    with pytest.raises(MissingFeatureError, match=r"\['noise'\]"):
        fitted.predict(planted_test.drop("noise"))


def test_unfitted_model_refuses(planted_test: pl.DataFrame) -> None:
    with pytest.raises(ModelError, match="not fitted"):
        RidgeForecaster().predict(planted_test)


def test_overlapping_label_is_refused(planted_set: TrainingSet) -> None:
    from dataclasses import replace

    late = replace(planted_set, train=(planted_set.train[0], planted_set.validation[0]))
    with pytest.raises(PurgeError, match="train label"):
        RidgeForecaster().fit(late)


def test_round_trip_is_exact(
    fitted: RidgeForecaster, planted_test: pl.DataFrame, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    again = RidgeForecaster.load(tmp_path, feature_names=("signal", "noise"), code_version="v1")
    assert again.predict(planted_test).equals(fitted.predict(planted_test))
    assert again.spec == fitted.spec
    assert not [file for file in tmp_path.iterdir() if file.suffix in {".pkl", ".pt"}]


def test_mismatches_are_refused_by_name(fitted: RidgeForecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    with pytest.raises(MismatchError, match="code version is 'v1', expected 'v2'"):
        RidgeForecaster.load(tmp_path, code_version="v2")
    with pytest.raises(MismatchError, match=r"lacks \['other'\], has unexpected \['noise'\]"):
        RidgeForecaster.load(tmp_path, feature_names=("signal", "other"))
    with pytest.raises(MismatchError, match="another order"):
        RidgeForecaster.load(tmp_path, feature_names=("noise", "signal"))
    content = json.loads((tmp_path / "model.json").read_text())
    content["provenance"]["feature_names"] = ["signal", "swapped"]
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(MismatchError, match="feature hash"):
        RidgeForecaster.load(tmp_path)
    content["provenance"]["model"] = "lightgbm"
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(MismatchError, match="model is 'lightgbm', expected 'ridge'"):
        RidgeForecaster.load(tmp_path)
    with pytest.raises(MismatchError, match="not a saved model"):
        RidgeForecaster.load(tmp_path / "nowhere")


def test_progress_is_called_with_done_and_total(planted_set: TrainingSet) -> None:
    calls = []
    RidgeForecaster(RidgeSpec(alphas=(1.0, 2.0))).fit(
        planted_set, lambda done, total, found: calls.append((done, total, set(found)))
    )
    assert calls == [(1, 2, {"alpha", "rank_ic"}), (2, 2, {"alpha", "rank_ic"})]
