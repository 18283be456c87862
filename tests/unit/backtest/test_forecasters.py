"""Forecasters of the house in a notebook's walk-forward: equal to the models room, purged, no leaks."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest

from btq_assets import WalkForwardOptimizer
from btq_assets.backtest import forecasters
from btq_assets.backtest.market import BacktestError
from btq_assets.backtest.samples import LeakError
from btq_assets.config import TradingConfig
from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster, TransformerGNNSpec
from btq_assets.models.folds import PurgeError, purge_violations, splits
from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec
from btq_assets.models.saved import families, family_class
from btq_assets.models.walk_forward import Plan, fit_all

from .test_walk_forward import make_data

#: Small settings of each family: parameters of the walk-forward, and the same as a specification.
SMALL = {
    "ridge": ({"alphas": [10.0, 100.0]}, RidgeForecaster, RidgeSpec(alphas=(10.0, 100.0))),
    "lightgbm": (
        {"n_estimators": 20, "min_child_samples": 10},
        LightGBMForecaster,
        LightGBMSpec(n_estimators=20, min_child_samples=10),
    ),
    "transformer_gnn": (
        {"model_dim": 8, "num_heads": 2, "epochs": 1, "lookback_sessions": 5},
        TransformerGNNForecaster,
        TransformerGNNSpec(
            model_dim=8, num_heads=2, epochs=1, lookback_sessions=5, horizon_sessions=5
        ),
    ),
}


def walker_of(data: pl.DataFrame, **more) -> WalkForwardOptimizer:
    """15 months of training, the last 3 of them validation."""
    lengths = {"train_period_months": 15, "test_period_months": 3, "step_months": 3}
    return WalkForwardOptimizer(data, **lengths, validation_months=3, **more)


def splits_of(walker: WalkForwardOptimizer, panel: pl.DataFrame) -> pl.DataFrame:
    """The models room's own layout of the same months."""
    first = walker.windows[0].test_from
    settings = {"first_test": f"{first}", "test_months": 3, "max_folds": 100}
    settings |= {"train_years": 1, "validation_months": 3}
    return splits(panel, TradingConfig(models={"walk_forward": settings}))


@pytest.mark.parametrize(
    "family", ["ridge", "lightgbm", pytest.param("transformer_gnn", marks=pytest.mark.slow)]
)
def test_forecasts_are_those_of_the_models_room_on_the_same_folds(family):
    given, made_by, spec = SMALL[family]
    walker = walker_of(make_data(480 if family == "transformer_gnn" else 700, edge=0.002))
    found = walker.optimize(family, [given])
    panel = walker.panel()
    folds = splits_of(walker, panel)
    assert purge_violations(panel, folds).is_empty()
    assert folds.height == len(walker.windows) >= 2
    plan = Plan(lambda *_: made_by(spec), ("base",), (0,), ("signal",), ())
    fits = fit_all(panel, folds, plan, data_hash="any")
    theirs = pl.concat(
        [fit.forecasts.select(pl.lit(fit.fold).alias("fold"), "symbol", "ts", "forecast") for fit in fits]
    ).sort("ts", "symbol")  # fmt: skip
    assert found.forecasts.height == theirs.height
    assert found.forecasts.drop("fold").equals(theirs.drop("fold"))
    assert found.folds["fold"].to_list() == folds["fold"].to_list()
    assert found.path.equity.height > 100
    assert set(found.trials["strategy"]) == {family}


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(set(families()) - set(SMALL)))
def test_every_other_family_walks_forward_by_name(family):
    walker = walker_of(make_data(420, edge=0.002))
    given = {"model_dim": 8, "epochs": 1, "lookback_sessions": 5}
    found = walker.optimize(family, [given])
    spec = replace(family_class(family)().spec, **given, horizon_sessions=5)
    plan = Plan(lambda *_: family_class(family)(spec), ("base",), (0,), ("signal",), ())
    panel = walker.panel()
    fits = fit_all(panel, splits_of(walker, panel), plan, data_hash="any")
    theirs = pl.concat([fit.forecasts for fit in fits]).sort("ts", "symbol")
    assert found.forecasts.drop("fold").equals(theirs.select("symbol", "ts", "forecast"))


def test_labels_are_relative_and_purged_by_the_horizon():
    """Five sessions from the fill after a decision, above the mean of the symbols."""
    data = make_data(600)
    walker = walker_of(data)
    panel = walker.panel()
    closes = data.pivot(on="symbol", index="date", values="close").sort("date")
    prices = closes.drop("date").to_numpy()
    sessions = panel["ts"].unique().sort()
    for at in (50, 133):
        row = panel.filter(pl.col("ts") == sessions[at]).sort("symbol")
        moves = prices[at + 6] / prices[at + 1] - 1
        assert row["label"].to_numpy() == pytest.approx(moves - moves.mean())
        assert set(row["label_end_ts"]) == {sessions[at + 6]}
    window = walker.windows[0]
    learner = forecasters.ForecasterLearner(
        RidgeForecaster, panel, walker.samples,
        horizon_sessions=5, validation_months=3, n_blocks=4, data_hash="x",
    )  # fmt: skip
    fold = learner.fold_of(window.train, window.test)
    decisions = panel.filter("is_decision").unique("ts").sort("ts")
    for segment, following in (("train", "validation"), ("validation", "test")):
        own = decisions.filter(
            pl.col("ts").is_between(fold[f"{segment}_start"], fold[f"{segment}_end"])
        )
        assert own["label_end_ts"].max() <= fold[f"{following}_start"]
        assert fold[f"{segment}_end"] < fold[f"{following}_start"]
    learnt = {tuple(learn): judge for learn, judge in learner.blocks(window)}
    for learn, judge in learnt.items():
        assert max(learn) < judge.min() <= judge.max() <= window.train.max()
    assert len(learnt) == 2


def test_a_label_that_is_not_purged_is_caught(monkeypatch):
    """The purge switched off: the models room refuses to fit.

    What reaches into the test has no label at all there, so that a longer validation teaches
    nothing.
    """
    walker = walker_of(make_data(600), horizon_sessions=10)
    walker.optimize("ridge")
    monkeypatch.setattr(
        forecasters.ForecasterLearner, "_filled", lambda self, decisions, following: decisions
    )
    with pytest.raises(PurgeError, match=r"train label\(s\) end after the next segment starts"):
        walker.optimize("ridge")
    monkeypatch.undo()
    window = walker.windows[0]
    first = int(window.test[0])
    unpurged = np.arange(window.train[0], first)
    panel, data = walker.panel(), walker.samples
    learner = forecasters.ForecasterLearner(
        RidgeForecaster, panel, data,
        horizon_sessions=10, validation_months=3, n_blocks=4, data_hash="x",
    )  # fmt: skip
    fold = learner.fold_of(unpurged, window.test)
    assert fold["validation_end"] == data.decided_at[int(window.train[-1])]  # purged here again
    late = fold | {"validation_end": data.decided_at[first - 1]}
    honest = learner.forecast({}, learner.outer(window))
    monkeypatch.setattr(learner, "fold_of", lambda train, test: late)
    assert learner.forecast({}, (unpurged, window.test)).equals(honest)


def test_what_comes_after_a_test_begins_moves_none_of_its_first_forecasts():
    data = make_data(600, edge=0.002)
    plain = walker_of(data)
    first = plain.samples.decided_at[int(plain.windows[0].test[0])]
    after = pl.col("date") > first.date()
    moved = data.with_columns(
        close=pl.when(after).then(pl.col("close") * 3).otherwise("close"),
        signal=pl.when(after).then(-pl.col("signal")).otherwise("signal"),
    )
    one, other = (w.optimize("ridge").forecasts.filter(ts=first) for w in (plain, walker_of(moved)))
    assert one.height == 4
    assert one.equals(other)


def test_parameters_are_chosen_inside_the_training_and_every_trial_is_recorded():
    """A penalty that leaves nothing of the forecast loses against one that does not."""

    class Turned(RidgeForecaster):
        """Forecasts with the sign of its seed."""

        def predict(self, panel):
            sign = 1.0 if self.spec.seed == 0 else -1.0
            return super().predict(panel).with_columns(pl.col("forecast") * sign)

    walker = walker_of(make_data(600, edge=0.004))
    found = walker.optimize(Turned, {"seed": [1, 0]})
    assert {json.loads(p)["seed"] for p in found.folds["parameters"]} == {0}
    assert found.folds["inner_score"].min() > 0.2
    assert found.folds["test_score"].mean() > 0.2
    assert found.trials.height == 2 * len(walker.windows) + 1
    assert found.path.metrics["sharpe"] > 2


@pytest.mark.slow
def test_one_symbol_learns_its_own_return():
    given, *_ = SMALL["transformer_gnn"]
    data = make_data(500, n_symbols=1)
    found = walker_of(data).optimize("transformer_gnn", [given])
    assert found.forecasts["symbol"].unique().to_list() == ["S0"]


def test_one_symbol_has_no_ranks():
    with pytest.raises(BacktestError, match="who does better than whom, and there is one symbol"):
        walker_of(make_data(500, n_symbols=1)).optimize("ridge")


class Peeking(RidgeForecaster):
    """Forecasts of a decision read the newest row of the panel."""

    def predict(self, panel):
        newest = panel.filter(pl.col("ts") == pl.col("ts").max())["signal"].sum()
        return super().predict(panel).with_columns(pl.col("forecast") + newest)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: w.optimize("prophet"), BacktestError, "the house has ridge, lightgbm"),
        (lambda w: w.optimize("ridge", {"depth": [1]}), BacktestError, r"no parameter\(s\) \['depth'"),
        (lambda w: w.optimize(Peeking), LeakError, "it reads what comes later"),
        (lambda w: w.cross_validate("ridge"), BacktestError, "stops early on the end of it"),
        (lambda w: w.cross_validate(RidgeForecaster), BacktestError, "reads an unbroken history"),
    ],
)  # fmt: skip
def test_bad_requests_and_leaks_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(walker_of(make_data(600)))


def test_a_validation_that_leaves_nothing_to_learn_from_is_named():
    with pytest.raises(BacktestError, match="validation_months = 15: from 1 to less than the 15"):
        WalkForwardOptimizer(make_data(600), 15, 3, 3, validation_months=15)
    with pytest.raises(BacktestError, match="needs 3 at least"):
        walker_of(make_data(600), n_inner_blocks=2).optimize("ridge", {"seed": [0, 1]})


def test_classes_and_partials_of_the_house_are_recognised_and_others_are_not():
    from sklearn.linear_model import Ridge

    made = partial(TransformerGNNForecaster, device="cpu")
    assert forecasters.forecaster_class("ridge") is RidgeForecaster
    assert forecasters.forecaster_class(made) is made
    assert forecasters.forecaster_class(Ridge) is None
