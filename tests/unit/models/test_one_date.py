"""Asking for one date without a frame gives what `predict` gives for the frame of that date."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata

from btq_assets.models import (
    LightGBMForecaster,
    LightGBMSpec,
    MissingFeatureError,
    RidgeForecaster,
    TrainingSet,
)
from btq_assets.models.design import ranks_of_date
from btq_assets.models.forecaster import OneDate

ASSET = ("universe_beta", "momentum_12_1", "other")
MARKET = ("rate", "slope")


@pytest.fixture(scope="module")
def training_set() -> TrainingSet:
    """Labels follow one feature and the product of two; ties and missing values among features."""
    random = np.random.default_rng(3)
    n_dates, n_assets = 120, 12
    start = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)
    stamps = [start + dt.timedelta(days=day) for day in range(n_dates)]
    x = np.round(random.normal(size=(n_dates, n_assets, len(ASSET))), 1)
    market = np.repeat(random.normal(size=(n_dates, 1, len(MARKET))), n_assets, axis=1)
    label = 0.02 * x[..., 0] + 0.01 * x[..., 1] * market[..., 0]
    label += random.normal(0, 0.01, label.shape)
    x[random.random(x.shape) < 0.1] = np.nan
    panel = pl.DataFrame(
        {
            "universe": "test",
            "symbol": [f"S{k:02d}" for _ in stamps for k in range(n_assets)],
            "ts": np.repeat(np.array(stamps, dtype=object), n_assets).tolist(),
            "is_decision": True,
            "label": label.ravel(),
            **{n: pl.Series(x[..., k].ravel(), nan_to_null=True) for k, n in enumerate(ASSET)},
            **{n: market[..., k].ravel() for k, n in enumerate(MARKET)},
        },
        schema_overrides={"ts": pl.Datetime("us", "UTC")},
    ).with_columns(label_end_ts=pl.col("ts"))
    return TrainingSet(
        panel=panel.sort("universe", "symbol", "ts"),
        asset_features=ASSET,
        market_features=MARKET,
        train=(stamps[0], stamps[70]),
        validation=(stamps[71], stamps[110]),
        cutoff=stamps[112],
    )


@pytest.fixture(scope="module", params=["ridge", "lightgbm"])
def model(request, training_set):
    if request.param == "ridge":
        return RidgeForecaster().fit(training_set)
    return LightGBMForecaster(LightGBMSpec(min_child_samples=10, n_estimators=30)).fit(training_set)


def test_a_date_by_itself_has_the_forecasts_of_its_frame(model, training_set) -> None:
    """Peer: `predict`, the way every forecast of a backtest is made."""
    assert isinstance(model, OneDate)
    for rows in training_set.panel.partition_by("ts")[::10]:
        columns = {
            name: rows[name].fill_null(float("nan")).to_numpy() for name in (*ASSET, *MARKET)
        }
        expected = model.predict(rows)
        assert expected["symbol"].to_list() == rows["symbol"].to_list()
        np.testing.assert_allclose(
            model.predict_date(columns), expected["forecast"], rtol=1e-13, atol=1e-16
        )
        assert expected["forecast"].n_unique() > 3
    with pytest.raises(MissingFeatureError, match="other"):
        model.predict_date({name: columns[name] for name in columns if name != "other"})
    assert model.predict_date({name: np.empty(0) for name in columns}).shape == (0,)


def test_ranks_of_a_date_are_average_ranks_scaled() -> None:
    """Peer: scipy's average ranks, ties and missing values among them."""
    random = np.random.default_rng(1)
    values = np.round(random.normal(size=(40, 30)), 1)
    values[random.random(values.shape) < 0.2] = np.nan
    values[:, 3], values[1:, 4] = np.nan, np.nan
    ranks = rankdata(values, axis=0, nan_policy="omit")
    expected = 2 * ranks / (np.isfinite(values).sum(axis=0) + 1) - 1
    np.testing.assert_array_equal(ranks_of_date(values), expected)
