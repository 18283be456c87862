"""The Transformer-GNN as a forecaster: what it may see, and what it can learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.models import scores
from btq_assets.models.chosen import chosen_columns
from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster, TransformerGNNSpec
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import (
    Forecaster,
    MissingFeatureError,
    ModelError,
    TrainingDivergedError,
)
from btq_assets.models.plans import deep_plan
from btq_assets.models.windows.modalities import columns_of

SMALL = TransformerGNNSpec(
    model_dim=12,
    num_heads=2,
    lookback_sessions=5,
    epochs=4,
    learning_rate=1e-2,
    graph_neighbours=2,
    graph_window_sessions=40,
    horizon_sessions=1,
    seed=3,
)


@pytest.fixture(scope="module")
def fitted(planted_set: TrainingSet) -> TransformerGNNForecaster:
    return TransformerGNNForecaster(SMALL, code_version="v1").fit(planted_set)


def values(frame: pl.DataFrame) -> np.ndarray:
    return frame.sort("symbol", "ts")["forecast"].to_numpy()


def test_learns_the_planted_signal(
    fitted: TransformerGNNForecaster, planted_test: pl.DataFrame
) -> None:
    assert isinstance(fitted, Forecaster)
    assert scores.mean_rank_ic(fitted.predict(planted_test), planted_test) > 0.3
    losses = fitted.scores["validation_loss"]
    assert fitted.scores["best_epoch"] == int(np.argmin(losses)) + 1


def test_a_future_bar_changes_no_past_output(
    fitted: TransformerGNNForecaster, planted_test: pl.DataFrame
) -> None:
    ts = planted_test["ts"].unique().sort()
    later = pl.col("ts") > ts[40]
    spoilt = planted_test.with_columns(
        pl.when(later).then(5.0).otherwise(pl.col(name)).alias(name)
        for name in ("signal", "noise", "session_return")
    )
    first, second = fitted.predict(planted_test), fitted.predict(spoilt)
    past = pl.col("ts") <= ts[40]
    np.testing.assert_array_equal(values(first.filter(past)), values(second.filter(past)))
    assert not np.allclose(values(first.filter(~past)), values(second.filter(~past)))
    cut = fitted.predict(planted_test.filter(past))
    np.testing.assert_allclose(values(cut), values(first.filter(past)), rtol=1e-4, atol=1e-7)


def test_permuting_assets_permutes_outputs(
    fitted: TransformerGNNForecaster, planted_test: pl.DataFrame
) -> None:
    names = sorted(planted_test["symbol"].unique())
    renaming = dict(zip(names, reversed(names), strict=True))
    renamed = planted_test.with_columns(pl.col("symbol").replace(renaming))
    back = fitted.predict(renamed).with_columns(pl.col("symbol").replace(renaming))
    np.testing.assert_allclose(
        values(back), values(fitted.predict(planted_test)), rtol=1e-4, atol=1e-7
    )


def test_an_asset_that_stops_trading_is_left_out(
    fitted: TransformerGNNForecaster, planted_test: pl.DataFrame
) -> None:
    ts = planted_test["ts"].unique().sort()
    ragged = planted_test.filter(~((pl.col("symbol") == "S03") & (pl.col("ts") > ts[30])))
    found = fitted.predict(ragged)
    assert found.height == ragged.height
    assert found["forecast"].is_finite().all()


def test_planted_lead_lag_is_learned_through_the_graph_only(panel_of, training_set_of) -> None:
    """S01's return follows S00's by two sessions, the first a decision can trade on.

    Correlation of planted return and leader 0.9 / sqrt(0.9^2 + 0.5^2) = 0.87, so an
    out-of-sample correlation above 0.3 is far below what perfect knowledge would give.
    """
    random = np.random.default_rng(8)
    returns = 0.01 * random.normal(size=(1300, 5))
    noise = 0.005 * random.normal(size=1298)
    returns[2:, 1] = 0.9 * returns[:-2, 0] + noise
    panel = panel_of(returns, {"return_1d": returns})
    data = training_set_of(panel, ("return_1d",), 600, 150)
    test = panel.filter(pl.col("ts") >= data.cutoff)
    ics = {}
    for use_graph in (True, False):
        spec = replace(SMALL, model_dim=16, epochs=6, lookback_sessions=3, use_graph=use_graph)
        spec = replace(spec, graph_window_sessions=100, dropout=0.0, batch_dates=32)
        forecast = TransformerGNNForecaster(spec).fit(data).predict(test)
        follower = forecast.join(test.select("symbol", "ts", "label"), on=["symbol", "ts"]).filter(
            (pl.col("symbol") == "S01") & pl.col("label").is_not_null()
        )
        ics[use_graph] = np.corrcoef(follower["forecast"].rank(), follower["label"].rank())[0, 1]
    assert ics[True] > 0.3
    assert abs(ics[False]) < 0.1


def test_same_seed_same_numbers_and_another_seed_others(
    planted_set: TrainingSet, fitted: TransformerGNNForecaster, planted_test: pl.DataFrame
) -> None:
    import torch

    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = TransformerGNNForecaster(SMALL).fit(planted_set)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(
        values(again.predict(planted_test)), values(fitted.predict(planted_test))
    )
    other = TransformerGNNForecaster(replace(SMALL, seed=4, epochs=1)).fit(planted_set)
    assert not np.allclose(
        values(other.predict(planted_test)), values(fitted.predict(planted_test))
    )


def test_round_trip_is_exact(
    fitted: TransformerGNNForecaster, planted_test: pl.DataFrame, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    again = TransformerGNNForecaster.load(
        tmp_path, feature_names=("signal", "noise"), code_version="v1"
    )
    np.testing.assert_array_equal(
        values(again.predict(planted_test)), values(fitted.predict(planted_test))
    )
    assert sorted(f.name for f in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    with pytest.raises(ModelError, match="expected 'v2'"):
        TransformerGNNForecaster.load(tmp_path, code_version="v2")


def test_diverging_loss_names_epoch_and_batch(planted_set: TrainingSet) -> None:
    wild = replace(SMALL, learning_rate=1.0, weight_decay=1e30)
    with pytest.raises(TrainingDivergedError, match=r"epoch \d+, training batch \d+ of \d+"):
        TransformerGNNForecaster(wild).fit(planted_set)


def test_missing_feature_and_several_universes_are_named(
    fitted: TransformerGNNForecaster, planted_test: pl.DataFrame
) -> None:
    with pytest.raises(MissingFeatureError, match="signal"):
        fitted.predict(planted_test.drop("signal"))
    with pytest.raises(MissingFeatureError, match="session_return"):
        fitted.predict(planted_test.drop("session_return"))
    other = planted_test.with_columns(universe=pl.lit("second"))
    with pytest.raises(ModelError, match="one universe"):
        fitted.predict(pl.concat([planted_test, other]))


def test_modalities_bring_their_columns_to_the_network() -> None:
    usual = deep_plan("transformer_gnn", TradingConfig(), code_version="v")
    settings = {"modalities": ("sentiment", "macro", "options"), "positions": "rotary"}
    config = TradingConfig(models={"transformer": settings})
    plan = deep_plan("transformer_gnn", config, code_version="v")
    # No options: `models.feature_families` does not name their family.
    brought = (*columns_of("sentiment"), *columns_of("macro"))
    chosen = set(chosen_columns(config).asset) | set(chosen_columns(config).market)
    fused = tuple(column for column in brought if column in chosen)
    assert plan.asset_features == (*usual.asset_features, *fused)
    assert len(fused) > 5
    spec = plan.make("base", 7).spec
    assert (spec.modalities, spec.positions, spec.seed) == (*settings.values(), 7)
