"""What networks with heads say around their forecasts, in label units, alone and together."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from btq_assets.contracts import models as tables  # noqa: E402
from btq_assets.contracts.base import cast_to_contract, violations  # noqa: E402
from btq_assets.models import design  # noqa: E402
from btq_assets.models.deep.distributions import of_date  # noqa: E402
from btq_assets.models.deep.recurrent import PerceptronForecaster, PerceptronSpec  # noqa: E402
from btq_assets.models.ensemble import ModelEnsemble  # noqa: E402
from btq_assets.models.folds import TrainingSet  # noqa: E402
from btq_assets.models.forecaster import FORECAST_COLUMNS  # noqa: E402
from btq_assets.models.networks.heads import QUANTILES  # noqa: E402
from btq_assets.models.saved import load_forecaster  # noqa: E402
from btq_assets.models.walk_forward import Fit, forecasts_table  # noqa: E402

torch.set_num_threads(1)
COLUMNS = list(tables.QUANTILE_COLUMNS)


@pytest.fixture(scope="module")
def loud(panel_of: Any) -> pl.DataFrame:
    """8 assets, 420 sessions; ``volume`` says which half of the labels after it spreads wider."""
    random = np.random.default_rng(2)
    shape = (420, 8)
    volume = random.permuted(np.tile([-1.0, 1.0], (420, 4)), axis=1)
    returns = 1e-4 * random.normal(size=shape)
    returns[2:] += 0.01 * random.normal(size=(418, 8)) * np.where(volume[:-2] > 0, 3.0, 1.0)
    return panel_of(returns, {"volume": volume})


@pytest.fixture(scope="module")
def loud_set(loud: pl.DataFrame, training_set_of: Any) -> TrainingSet:
    return training_set_of(loud, ("volume",), 260, 60)


@pytest.fixture(scope="module")
def loud_test(loud: pl.DataFrame) -> pl.DataFrame:
    return loud.filter(pl.col("ts") >= loud["ts"].unique().sort()[320])


def fitted(data: TrainingSet, loss: str, seed: int = 0) -> PerceptronForecaster:
    spec = PerceptronSpec(
        model_dim=16, lookback_sessions=2, epochs=12, learning_rate=1e-2, dropout=0.0, loss=loss,
        patience=12, seed=seed,
    )  # fmt: skip
    return PerceptronForecaster(spec).fit(data)


@pytest.fixture(scope="module")
def gaussian(loud_set: TrainingSet) -> PerceptronForecaster:
    return fitted(loud_set, "gaussian")


def test_variances_follow_what_widens_the_label(
    gaussian: Any, loud_set: TrainingSet, loud_test: pl.DataFrame
) -> None:
    """Against mean squares of the targets themselves: deviations in those of their date."""
    rows = loud_test.drop_nulls("label")
    squares = pl.Series(design.relative_target(rows) ** 2)
    unit = design.dispersion(loud_set.train_rows())
    want = rows.with_columns(z=squares).group_by("volume").agg(pl.col("z").mean()).sort("volume")
    found = gaussian.predict(loud_test).join(
        loud_test.select("symbol", "ts", "volume"), on=["symbol", "ts"]
    )
    by = found.group_by("volume").agg(pl.col("variance").mean()).sort("volume")
    np.testing.assert_allclose(by["variance"], want["z"].to_numpy() * unit**2, rtol=0.35)
    assert by["variance"][1] > 3 * by["variance"][0]


def test_quantiles_do_not_cross_and_hold_their_share(
    loud_set: TrainingSet, loud_test: pl.DataFrame, tmp_path: Any
) -> None:
    model = fitted(loud_set, "quantile")
    found = model.predict(loud_test)
    values = found.select(COLUMNS).to_numpy()
    assert (np.diff(values, axis=1) > 0).all()
    np.testing.assert_allclose(found["quantile_50"], found["forecast"], rtol=1e-12)
    both = found.join(loud_test.select("symbol", "ts", "label"), on=["symbol", "ts"]).drop_nulls()
    for name, share in tables.QUANTILE_COLUMNS.items():
        assert (both["label"] <= both[name]).mean() == pytest.approx(share, abs=0.06), name
    model.save(tmp_path)
    assert load_forecaster(tmp_path).predict(loud_test).equals(found)


def test_units_and_centres_by_hand() -> None:
    """A date of two assets, in standard deviations; the label has one of 0.1."""
    said = {
        "mean": np.array([[1.0], [3.0]]),
        "log_variance": np.array([[0.0], [np.log(4.0)]]),
    }
    found = of_date(said, 0.1, relative=True)
    np.testing.assert_allclose(found["forecast"], [-0.1, 0.1])
    np.testing.assert_allclose(found["variance"], [0.01, 0.04])
    np.testing.assert_allclose(of_date(said, 0.1, relative=False)["forecast"], [0.1, 0.3])
    quantiles = np.array([[[0.0, 0.5, 1.0, 1.5, 2.0]], [[2.0, 2.5, 3.0, 3.5, 4.0]]])
    found = of_date({"mean": said["mean"], "quantiles": quantiles}, 0.1, relative=True)
    np.testing.assert_allclose(found["quantile_05"], [-0.2, 0.0])
    np.testing.assert_allclose(found["quantile_95"], [0.0, 0.2])
    # A mean alone stays where the network has put it.
    alone = of_date({"mean": said["mean"]}, 0.1, relative=True)
    assert list(alone) == ["forecast"]
    np.testing.assert_allclose(alone["forecast"], [0.1, 0.3])


def test_names_of_the_table_are_the_networks_probabilities() -> None:
    assert tuple(tables.QUANTILE_COLUMNS.values()) == QUANTILES


def test_an_ensemble_spreads_by_what_its_members_say(
    gaussian: Any, loud_set: TrainingSet, loud_test: pl.DataFrame
) -> None:
    """Lakshminarayanan et al. (2017): mean of the variances plus variance of the means."""
    other = fitted(loud_set, "gaussian", seed=1)
    spread = ModelEnsemble([gaussian, other]).spread(loud_test)
    frames = [m.predict(loud_test.sort("symbol", "ts")) for m in (gaussian, other)]
    means = np.stack([f.sort("symbol", "ts")["forecast"].to_numpy() for f in frames])
    own = np.stack([f.sort("symbol", "ts")["variance"].to_numpy() for f in frames])
    spread = spread.sort("symbol", "ts")
    np.testing.assert_allclose(spread["variance"], own.mean(axis=0) + means.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(spread["disagreement"], means.var(axis=0), rtol=1e-6)


def test_tables_hold_them_and_null_where_there_are_none(
    gaussian: Any, loud_set: TrainingSet, loud_test: pl.DataFrame
) -> None:
    plain = fitted(loud_set, "huber")
    rows = {}
    for name, model in (("gaussian", gaussian), ("plain", plain)):
        forecasts = model.predict(loud_test)
        fit = Fit(
            name, "base", 0, 0, model, forecasts, loud_test["ts"][0], loud_test["ts"][0], 0.0,
            tables.FeatureColumns(("volume",), ()),
        )  # fmt: skip
        table = cast_to_contract(
            forecasts_table([fit], tables.FORECASTS_MLP, 5), tables.FORECASTS_MLP
        )
        assert violations(table, tables.FORECASTS_MLP).is_empty()
        rows[name] = table
    assert plain.predict(loud_test).columns == list(FORECAST_COLUMNS)
    assert rows["gaussian"]["variance"].null_count() == 0
    assert rows["gaussian"].select(COLUMNS).null_count().row(0) == (rows["gaussian"].height,) * 5
    assert rows["plain"]["variance"].null_count() == rows["plain"].height
    crossed = rows["plain"].with_columns(quantile_05=pl.lit(0.2), quantile_25=pl.lit(0.1))
    assert set(violations(crossed, tables.FORECASTS_MLP)["reason"]) == {"quantiles_cross"}
