"""Training from plain frames, as a notebook does it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.models.forecaster import ModelError
from btq_assets.models.frames import tidy_panel
from btq_assets.models.trainer import train_transformer_model


@pytest.fixture(scope="module")
def small() -> TradingConfig:
    return TradingConfig(
        features={"correlation_window_sessions": 40},
        models={"transformer": {"model_dim": 8, "num_heads": 2, "lookback_sessions": 4}},
    )


@pytest.fixture(scope="module")
def frames(bars_of) -> tuple[pl.DataFrame, pl.DataFrame]:
    bars = bars_of(n_symbols=3, n_sessions=160).with_columns(
        momentum=pl.col("adj_close").pct_change(5).over("symbol"),
        nothing=pl.lit(None, pl.Float64),
    )
    middle = bars["ts"].unique().sort()[110]
    bars = bars.select("symbol", "ts", "close", "momentum", "nothing")
    return bars.filter(pl.col("ts") <= middle), bars.filter(pl.col("ts") > middle)


def test_polars_and_pandas_give_the_same_model(
    small: TradingConfig, frames: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    train, later = frames
    names = ["momentum", "nothing"]
    epochs = []
    model = train_transformer_model(
        small, train, later, names, epochs=2, progress=lambda done, *_: epochs.append(done)
    )
    # Naive timestamps in the index, as pandas users have them.
    naive = [
        f.with_columns(pl.col("ts").dt.replace_time_zone(None)).to_pandas().set_index("ts")
        for f in frames
    ]
    again = train_transformer_model(small, *naive, names, epochs=2)
    assert model.provenance.feature_names == ("momentum",)
    assert epochs == [1, 2]
    panel = tidy_panel(later)
    found = model.predict(panel)
    assert found.height == later.height
    np.testing.assert_array_equal(found["forecast"], again.predict(panel)["forecast"])


def test_a_single_asset_learns_its_own_return(
    small: TradingConfig, frames: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    one = [f.filter(pl.col("symbol") == "S00").drop("symbol") for f in frames]
    model = train_transformer_model(small, *one, ["momentum"], epochs=1)
    assert not model.spec.relative
    assert not model.spec.use_graph
    assert model.predict(tidy_panel(one[1]))["forecast"].is_finite().all()


def test_training_labels_do_not_read_validation_prices(
    small: TradingConfig, frames: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    train, later = frames
    models = [
        train_transformer_model(small, train, frame, ["momentum"], epochs=1)
        for frame in (later, later.with_columns(close=pl.col("close") ** 2))
    ]
    assert models[0].scores["training_loss"] == models[1].scores["training_loss"]


def test_bad_frames_are_refused_by_name(
    small: TradingConfig, frames: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    train, later = frames
    fit = train_transformer_model
    with pytest.raises(ModelError, match=r"train_data.*\['volume_z'\]"):
        fit(small, train, later, ["volume_z"])
    with pytest.raises(ModelError, match="must be later"):
        fit(small, later, train, ["momentum"])
    with pytest.raises(ModelError, match="label, or adj_close or close"):
        bare = [f.with_columns(session_return=pl.lit(0.0)).drop("close") for f in frames]
        fit(small, *bare, ["momentum"])
    with pytest.raises(ModelError, match="not numeric"):
        fit(small, *[f.with_columns(name=pl.lit("x")) for f in frames], ["name"])
    with pytest.raises(ModelError, match="too few"):
        fit(small, train, later.group_by("symbol", maintain_order=True).head(3), ["momentum"])
    with pytest.raises(ModelError, match="no time column"):
        fit(small, train.drop("ts"), later, ["momentum"])
    with pytest.raises(ModelError, match="two rows"):
        fit(small, pl.concat([train, train]), later, ["momentum"])
    with pytest.raises(ModelError, match="not dict"):
        fit(small, {"ts": []}, later, ["momentum"])
