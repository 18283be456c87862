"""Labels, horizons and weights of a training set: what they are, when they end, who reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import ConfigError, TradingConfig
from btq_assets.contracts import models, regimes
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.features.labels.table import labels as label_table
from btq_assets.models import design, gates, training_set
from btq_assets.models.assets import training_set_asset
from btq_assets.models.chosen import training_set_table
from btq_assets.models.folds import for_fold, panel_between, purge_violations, splits, truncate
from btq_assets.models.forecaster import ModelError
from btq_assets.models.labels import for_horizon, labels_of
from btq_assets.models.plans import lightgbm_plan, ridge_plan
from btq_assets.models.registry import model_at, registry_rows
from btq_assets.models.walk_forward import fit_all, forecasts_table
from btq_assets.timeline import forward_returns

KEY = ["universe", "symbol", "ts"]
WALK = {
    "first_test": "2011-03-01",
    "test_months": 3,
    "max_folds": 1,
    "train_years": 1,
    "validation_months": 3,
}


def configured(**settings: Any) -> TradingConfig:
    return TradingConfig(
        universe={"main": "test"},
        features={"truncation_dates": 3, "labels": {"volatility_span_sessions": 20}},
        models={
            "feature_families": ("technical",),
            "walk_forward": WALK,
            "lightgbm": {"min_child_samples": 20, "n_estimators": 10},
            **settings,
        },
    )


@pytest.fixture(scope="module")
def bars(bars_of: Any) -> pl.DataFrame:
    return bars_of(n_symbols=4, n_sessions=380)


def built(bars: pl.DataFrame, config: TradingConfig) -> pl.DataFrame:
    """The training set, its features two columns that need no family."""
    table = label_table(bars, config)
    frame = training_set.build(bars, {}, regimes.STATES.empty(), config, labels=table)
    random = np.random.default_rng(0)
    return frame.with_columns(
        return_1d=pl.Series(random.normal(size=frame.height)),
        return_5d=pl.Series(random.normal(size=frame.height)),
    )


def test_by_default_labels_are_those_there_were(bars: pl.DataFrame) -> None:
    config = configured()
    assert config.models.further_horizons == ()
    expected = training_set.relative_labels(bars, 5)
    assert_frame_equal(labels_of(bars, config), expected.select(labels_of(bars, config).columns))
    assert not set(training_set_table(config).column_names) & {"sample_weight", "label_21"}
    assert "labels" not in training_set_asset(config).inputs


def test_a_row_ends_with_its_longest_horizon(bars: pl.DataFrame) -> None:
    """Each horizon against `timeline.forward_returns`, less the mean of the date."""
    config = configured(horizons_sessions=(1, 5, 21))
    found = labels_of(bars, config)
    longest = forward_returns(bars, 21)
    assert_frame_equal(
        found.select(*KEY, "label_end_ts").sort(KEY),
        longest.select(*KEY, "label_end_ts").sort(KEY),
    )
    for horizon, name in ((5, "label"), (1, "label_1"), (21, "label_21")):
        own = forward_returns(bars, horizon).join(longest.select(*KEY, end="label_end_ts"), on=KEY)
        relative = (pl.col("label") - pl.col("label").mean().over("ts")).alias("want")
        both = found.join(own.select(*KEY, relative, "end"), on=KEY)
        over = both.filter(pl.col("end").is_not_null())
        np.testing.assert_allclose(over[name], over["want"], atol=1e-15)
        # Not before the longest is over, though this one may be known by then.
        assert both.filter(pl.col("end").is_null())[name].null_count() == 22 * 4


def test_folds_are_purged_by_the_longest_horizon(bars: pl.DataFrame) -> None:
    config = configured(horizons_sessions=(5, 21))
    frame = built(bars, config)
    fold = splits(frame, config).row(0, named=True)
    own = splits(built(bars, configured()), configured()).row(0, named=True)
    assert fold["validation_start"] == own["validation_start"]
    assert fold["train_end"] < own["train_end"]
    ends = forward_returns(bars, 21).filter(pl.col("ts") <= fold["train_end"])["label_end_ts"]
    assert ends.max() <= fold["validation_start"]
    assert purge_violations(frame, splits(frame, config)).is_empty()
    # A split that is purged by the shorter horizon alone is caught.
    late = pl.DataFrame([{**fold, "train_end": own["train_end"]}], schema=models.SPLITS.schema)
    assert purge_violations(frame, late).height > 0


def test_every_horizon_is_forecast_and_known_by_its_own_name(bars: pl.DataFrame) -> None:
    config = configured(horizons_sessions=(5, 21))
    frame = built(bars, config)
    folds = splits(frame, config)
    plan = replace(
        ridge_plan(config, code_version="t"),
        variants=("base",),
        asset_features=("return_1d", "return_5d"),
    )
    fits = fit_all(frame, folds, plan, data_hash="d")
    assert [fit.horizon for fit in fits] == [None, 21]
    table = forecasts_table(fits, models.FORECASTS_RIDGE, config.models.horizon_sessions)
    assert violations(
        cast_to_contract(table, models.FORECASTS_RIDGE), models.FORECASTS_RIDGE
    ).is_empty()
    assert set(table["horizon_sessions"]) == {5, 21}
    assert table.group_by("horizon_sessions").len()["len"].n_unique() == 1
    # The further one is the fit of a training set whose only label is that one.
    alone = fit_all(
        for_horizon(frame, 21), folds, replace(plan, further_horizons=()), data_hash="d"
    )
    further = table.filter(pl.col("horizon_sessions") == 21)
    assert further["forecast"].to_list() == alone[0].forecasts["forecast"].to_list()
    # Ids differ, and who asks the registry for a model gets the one strategies read.
    assert table["model_id"].n_unique() == 2
    now = frame["ts"].max()
    registry = registry_rows(fits, {f.model_id: ("p", "h") for f in fits}, now)
    assert model_at(registry, "ridge", "base", 0, now)["model_id"] == fits[0].model_id
    with pytest.raises(ModelError, match="no labels over 10 sessions"):
        for_horizon(frame, 10)


@pytest.mark.parametrize("kind", ["triple_barrier", "trend_scanning"])
def test_labels_of_the_features_room_are_relative_and_end_when_their_path_may(
    kind: str, bars: pl.DataFrame
) -> None:
    config = configured(label=kind)
    table = label_table(bars, config)
    found = labels_of(bars, config, table).join(
        table.filter(pl.col("label") == kind).select(*KEY, "value", "horizon_sessions"), on=KEY
    )
    longest = int(found["horizon_sessions"].max())
    assert longest == {"triple_barrier": 10, "trend_scanning": 21}[kind]
    end = forward_returns(bars, longest).select(*KEY, end="label_end_ts")
    both = found.join(end, on=KEY)
    assert both["label_end_ts"].equals(both["end"])
    over = both.filter(pl.col("end").is_not_null())
    want = over.select(pl.col("value") - pl.col("value").mean().over("ts")).to_series()
    np.testing.assert_allclose(over["label"].to_numpy(), want.to_numpy(), atol=1e-15)
    raw = forward_returns(bars, 5).select(*KEY, want="label")
    assert (
        over.join(raw, on=KEY).select((pl.col("label_raw") - pl.col("want")).abs().max()).item()
        == 0
    )
    asset = training_set_asset(config)
    assert "labels" in asset.inputs
    with pytest.raises(ModelError, match="was not given"):
        labels_of(bars, config)


def test_scaled_returns_are_over_the_volatility_known_at_the_decision(bars: pl.DataFrame) -> None:
    """Against pandas' exponentially weighted deviation, row by row."""
    config = configured(label="volatility_scaled")
    found = labels_of(bars, config)
    frames = []
    for (symbol,), rows in bars.sort("ts").group_by("symbol", maintain_order=True):
        returns = rows["adj_close"].to_pandas().pct_change()
        sigma = returns.ewm(span=20, min_periods=20).std().to_numpy()
        raw = forward_returns(rows, 5)["label"].fill_null(np.nan).to_numpy()
        frames.append(rows.select("ts", symbol=pl.lit(symbol), x=pl.Series(raw / (sigma * 5**0.5))))
    want = pl.concat(frames).with_columns(pl.col("x").fill_nan(None))
    want = want.with_columns(pl.col("x") - pl.col("x").mean().over("ts"))
    both = found.join(want, on=["symbol", "ts"]).drop_nulls("label")
    assert both.height > 1_000
    np.testing.assert_allclose(both["label"], both["x"], rtol=1e-9)


def test_weights_are_the_uniqueness_of_each_horizons_label(bars: pl.DataFrame) -> None:
    config = configured(horizons_sessions=(5, 21), sample_weights="uniqueness")
    table = label_table(bars, config)
    frame = built(bars, config)
    assert {"sample_weight", "sample_weight_21"} <= set(training_set_table(config).column_names)
    for name, kind in (
        ("sample_weight", "forward_return_5"),
        ("sample_weight_21", "forward_return_21"),
    ):
        own = table.filter(pl.col("label") == kind).select(*KEY, "average_uniqueness")
        both = frame.drop_nulls("label").filter("is_decision").join(own, on=KEY)
        assert both[name].equals(both["average_uniqueness"].alias(name))
    # Weekly labels over five sessions overlap little, those over 21 by three of four.
    means = frame.select("sample_weight", "sample_weight_21").mean().row(0)
    assert means[0] > 0.9
    assert 0.2 < means[1] < 0.35
    fewer = TradingConfig(
        **{
            **config.model_dump(exclude={"features"}),
            "features": {"labels": {"horizons_sessions": (21,)}},
        }
    )
    with pytest.raises(ModelError, match=r"no labels 'forward_return_5'.*horizons_sessions"):
        labels_of(bars, fewer, label_table(bars, fewer))


@pytest.mark.parametrize(
    "settings",
    [
        {"label": "triple_barrier"},
        {"label": "volatility_scaled", "horizons_sessions": (5, 10)},
        {"horizons_sessions": (5, 21), "sample_weights": "uniqueness"},
    ],
    ids=["barriers", "scaled", "weighted"],
)
def test_labels_need_nothing_after_their_own_end(settings: dict, bars: pl.DataFrame) -> None:
    """The gate recomputes them from bars cut at dates; a label that reads on is refused."""
    config = configured(**settings)
    frame = built(bars, config)
    context = CheckContext({models.TRAINING_SET.table: frame}, {"bars": bars}, config)
    (outcome,) = gates.label_horizon.answer(context)
    assert outcome.passed, outcome.message
    name = frame.columns[frame.columns.index("label")]
    for column in [c for c in frame.columns if c.startswith(("label_2", "label_1", "sample_w"))] + [
        name
    ]:
        leaking = frame.with_columns(pl.col(column).shift(-3).over("symbol"))
        context = CheckContext({models.TRAINING_SET.table: leaking}, {"bars": bars}, config)
        (outcome,) = gates.label_horizon.answer(context)
        assert not outcome.passed, column
        assert column in outcome.message


def test_nothing_unknown_is_left_when_a_table_is_cut(bars: pl.DataFrame) -> None:
    config = configured(horizons_sessions=(5, 21), sample_weights="uniqueness")
    frame = built(bars, config)
    until = frame["ts"].unique().sort()[200]
    cut = truncate(frame, until)
    late = cut.filter(pl.col("label_end_ts") > until)
    values = [
        "label", "label_raw", "label_21", "label_raw_21", "sample_weight", "sample_weight_21"
    ]  # fmt: skip
    assert late.height == 22 * 4
    assert late.select(values).null_count().row(0) == (late.height,) * 6
    panel = panel_between(frame, until, frame["ts"].max(), 0)
    assert not [c for c in panel.columns if c.startswith(("label", "sample_weight"))]


def weighted(bars: pl.DataFrame, weights: np.ndarray | None) -> tuple[pl.DataFrame, Any]:
    config = configured()
    frame = built(bars, config)
    fold = splits(frame, config).row(0, named=True)
    if weights is not None:
        frame = frame.with_columns(sample_weight=pl.Series(np.resize(weights, frame.height)))
    data = for_fold(
        frame, fold, market=False, asset_features=("return_1d", "return_5d"), market_features=()
    )
    return frame, data


def test_ridge_weighs_rows_as_the_normal_equations_do(bars: pl.DataFrame) -> None:
    """Coefficients of (X'WX + aI) b = X'Wy in numpy; equal weights are none; their scale says nothing."""
    plan = ridge_plan(configured(), code_version="t")
    random = np.random.default_rng(5)
    given = random.uniform(0.1, 2.0, size=4_000)
    plain, equal, scaled, own = (
        plan.make("base", 0).fit(weighted(bars, w)[1])
        for w in (None, np.full(9, 3.0), 10 * given, given)
    )
    np.testing.assert_allclose(equal.coefficients, plain.coefficients, rtol=1e-12)
    np.testing.assert_allclose(scaled.coefficients, own.coefficients, rtol=1e-10)
    _, data = weighted(bars, given)
    rows = pl.concat([data.train_rows(), data.validation_rows()])
    y, w = design.relative_target(rows), design.sample_weights(rows)
    fitted = own._scaler.apply(own._design(data.panel, rows))
    known = np.isfinite(y)
    x, y, w = fitted[known], y[known], w[known]
    alpha = own.scores["alpha"]
    want = np.linalg.solve(x.T @ (w[:, None] * x) + alpha * np.eye(x.shape[1]), x.T @ (w * y))
    np.testing.assert_allclose(own.coefficients, want, rtol=1e-9)
    assert np.abs(own.coefficients - plain.coefficients).max() > 1e-6


def test_trees_weigh_rows(bars: pl.DataFrame) -> None:
    """Rows of weight zero might as well not be there, but for the number of rows in a leaf."""
    plan = lightgbm_plan(configured(), code_version="t")
    plain, equal = (plan.make("base", 0).fit(weighted(bars, w)[1]) for w in (None, np.full(9, 3.0)))
    frame, _ = weighted(bars, None)
    assert plain.predict(frame).equals(equal.predict(frame))
    other = plan.make("base", 0).fit(weighted(bars, np.array([0.01, 2.0, 1.0]))[1])
    assert not other.predict(frame).equals(plain.predict(frame))


def test_networks_weigh_rows(planted: pl.DataFrame, training_set_of: Any) -> None:
    """Half of the assets have labels turned round: who counts decides what is learnt."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from btq_assets.models import scores
    from btq_assets.models.deep.recurrent import PerceptronForecaster, PerceptronSpec

    turned = planted.with_columns(
        label=pl.when(pl.col("symbol") >= "S04").then(-pl.col("label")).otherwise("label")
    )
    spec = PerceptronSpec(
        model_dim=8, lookback_sessions=2, epochs=4, learning_rate=1e-2, dropout=0.0
    )
    test = planted.filter(pl.col("ts") >= planted["ts"].unique().sort()[230])
    for first, sign in ((1.0, 1), (0.0, -1)):
        table = turned.with_columns(
            sample_weight=pl.when(pl.col("symbol") < "S04").then(first).otherwise(1 - first)
        )
        model = PerceptronForecaster(spec).fit(training_set_of(table, ("signal",), 180, 50))
        assert sign * scores.mean_rank_ic(model.predict(test), test) > 0.3
    with pytest.raises(ModelError, match="rank_ic judges a date as a whole and weighs no row"):
        PerceptronForecaster(replace(spec, loss="rank_ic")).fit(
            training_set_of(table, ("signal",), 180, 50)
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizons_sessions": (1, 21)}, "horizon_sessions = 5 among them"),
        ({"horizons_sessions": (21, 5)}, "ascending"),
        ({"horizons_sessions": (5, 300)}, "1 to 252"),
        ({"label": "triple_barrier", "horizons_sessions": (5, 21)}, "no second horizon"),
        ({"label": "tripple_barrier"}, "triple_barrier"),
        ({"sample_weights": "unique"}, "uniqueness"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(**settings)


def test_weights_that_cannot_be_are_refused(bars: pl.DataFrame) -> None:
    plan = ridge_plan(configured(), code_version="t")
    for weights in (np.array([1.0, np.nan]), np.array([1.0, -1.0]), np.zeros(3)):
        with pytest.raises(ModelError, match="sample weights are missing, negative or all 0"):
            plan.make("base", 0).fit(weighted(bars, weights)[1])
