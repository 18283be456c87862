"""A fitted network trained further, by universe and by regime: what it gains, keeps and refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

torch = pytest.importorskip("torch")

from btq_assets.models import ModelEnsemble, scores  # noqa: E402
from btq_assets.models.deep.fine_tuning import fine_tuned, of_regime  # noqa: E402
from btq_assets.models.deep.recurrent import (  # noqa: E402
    PerceptronForecaster,
    PerceptronSpec,
    XLSTMForecaster,
    XLSTMSpec,
)
from btq_assets.models.folds import TrainingSet  # noqa: E402
from btq_assets.models.forecaster import MissingFeatureError, ModelError  # noqa: E402
from btq_assets.models.saved import load_forecaster  # noqa: E402

torch.set_num_threads(1)

FEATURES = tuple(f"x{number}" for number in range(6))
SPEC = PerceptronSpec(
    model_dim=24, num_layers=1, lookback_sessions=2, epochs=8, patience=4, learning_rate=1e-2,
    batch_dates=16, dropout=0.0, horizon_sessions=1, seed=2,
)  # fmt: skip


def market(
    panel_of: Any, n_sessions: int, seed: int, signs: np.ndarray | float, third: float = 0.0
) -> pl.DataFrame:
    """What is earned after a decision: the first feature by the sign of the second, times `signs`.

    The `third` feature adds so many times as much by itself.
    """
    random = np.random.default_rng(seed)
    x = random.normal(size=(n_sessions, 8, len(FEATURES)))
    returns = 0.004 * random.normal(size=(n_sessions, 8))
    said = 0.01 * (np.reshape(signs, (-1, 1)) * x[..., 0] * np.sign(x[..., 1]) + third * x[..., 2])
    returns[2:] += said[:-2]
    return panel_of(returns, {name: x[..., n] for n, name in enumerate(FEATURES)})


def later(panel: pl.DataFrame, data: TrainingSet) -> pl.DataFrame:
    return panel.filter(pl.col("ts") >= data.cutoff)


def rank_ic(model: Any, panel: pl.DataFrame) -> float:
    return scores.mean_rank_ic(model.predict(panel), panel)


@pytest.fixture(scope="module")
def home(panel_of, training_set_of) -> TrainingSet:
    return training_set_of(market(panel_of, 340, 1, 1.0), FEATURES, 280, 40)


@pytest.fixture(scope="module")
def fitted(home: TrainingSet) -> PerceptronForecaster:
    return PerceptronForecaster(SPEC).fit(home)


def test_another_universe_with_few_labels_learns_from_the_first(
    fitted, panel_of, training_set_of, tmp_path: Path
) -> None:
    """There the third feature says as much besides. Two dozen dates teach that, and not which of 15
    pairs of features counts; the first universe taught the pair, and knows nothing of the third.

    What one of the two explains is half of what both do: a correlation of at most sqrt(1 / 2.16).
    """
    abroad = market(panel_of, 200, 2, 1.0, third=1.0)
    data = training_set_of(abroad, FEATURES, 24, 12)
    test = later(abroad, data)
    before = fitted.predict(test)
    tuned = fine_tuned(fitted, data, epochs=25)
    alone = PerceptronForecaster(replace(SPEC, epochs=25)).fit(data)
    assert rank_ic(tuned, test) > 0.1 + max(rank_ic(fitted, test), rank_ic(alone, test))
    assert_frame_equal(fitted.predict(test), before)
    tuned.save(tmp_path)
    assert_frame_equal(load_forecaster(tmp_path).predict(test), tuned.predict(test))
    assert tuned.scores["fine_tuned"] is True
    assert tuned.provenance.feature_names == FEATURES
    assert min(tuned.scores["validation_loss"]) < tuned.scores["validation_loss_before"]


def test_each_regime_gets_a_network_of_its_own_and_the_gate_chooses(
    panel_of, training_set_of
) -> None:
    """The sign turns with the regime, 30 sessions each: one network for all can know nothing."""
    calm = np.arange(480) // 30 % 2 == 0
    panel = market(panel_of, 480, 3, np.where(calm, 1.0, -1.0))
    data = training_set_of(panel, FEATURES, 300, 60)
    ts = panel["ts"].unique().sort()
    regimes = pl.DataFrame({"known_at": ts, "regime": np.where(calm, "calm", "panic")})
    pooled = PerceptronForecaster(SPEC).fit(data)
    own = [
        fine_tuned(pooled, of_regime(data, regimes, name), epochs=12) for name in ("calm", "panic")
    ]
    test = later(panel, data)
    gated = ModelEnsemble.gated(own, {"calm": [1, 0], "panic": [0, 1]}, regimes)
    turned = ModelEnsemble.gated(own, {"calm": [0, 1], "panic": [1, 0]}, regimes)
    assert abs(rank_ic(pooled, test)) < 0.2
    assert rank_ic(gated, test) > 0.5
    assert rank_ic(turned, test) < -0.5


def test_decisions_are_of_the_regime_known_at_them(home: TrainingSet) -> None:
    ts = home.panel["ts"].unique().sort()
    late = ts[100] + (ts[101] - ts[100]) / 2
    regimes = pl.DataFrame({"known_at": [ts[0], late], "regime": ["calm", "panic"]})
    for name, expected in (("calm", ts[:101]), ("panic", ts[101:])):
        found = of_regime(home, regimes, name).panel.filter("is_decision")["ts"].unique().sort()
        assert found.to_list() == expected.to_list()
    # A likelier regime rules; nothing is known before the first row.
    both = pl.DataFrame(
        {"known_at": [ts[5]] * 2, "regime": ["calm", "panic"], "probability": [0.4, 0.6]}
    )
    found = of_regime(home, both, "panic").panel.filter("is_decision")["ts"].min()
    assert found == ts[5]
    with pytest.raises(ModelError, match=r"in the regime 'mania'; there are \['calm', 'panic'\]"):
        of_regime(home, regimes, "mania")


def test_a_fit_that_gains_nothing_stays_as_it_was(fitted, home: TrainingSet) -> None:
    """Labels of noise: whatever is learnt is worse on the validation segment."""
    random = np.random.default_rng(5)
    noise = pl.Series(random.normal(size=home.panel.height))
    ts = home.panel["ts"].unique().sort()
    spoilt = home.panel.with_columns(
        label=pl.when(pl.col("ts") <= ts[200]).then(0.01 * noise).otherwise("label")
    )
    data = TrainingSet(spoilt, FEATURES, (), (ts[0], ts[200]), home.validation, home.cutoff)
    tuned = fine_tuned(fitted, data, epochs=3)
    assert tuned.scores["fine_tuned"] is False
    weights = fitted._network.state_dict()
    for name, value in tuned._network.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_a_frozen_encoder_stays_and_the_rest_moves(panel_of, training_set_of) -> None:
    panel = market(panel_of, 120, 4, 1.0)
    data = training_set_of(panel, FEATURES, 70, 30)
    spec = XLSTMSpec(
        model_dim=8, num_heads=2, num_layers=1, lookback_sessions=3, epochs=1, dropout=0.0
    )
    fitted = XLSTMForecaster(spec).fit(data)
    turned = data.panel.with_columns(label=-pl.col("label"))
    tuned = fine_tuned(
        fitted, replace(data, panel=turned), epochs=3, learning_rate=1e-2, frozen=True
    )
    assert tuned.scores["fine_tuned"] is True
    weights = fitted._network.state_dict()
    moved = {n for n, v in tuned._network.state_dict().items() if not torch.equal(v, weights[n])}
    assert moved
    assert not any(name.startswith(("embed", "blocks")) for name in moved)


def test_what_cannot_be_fine_tuned_is_refused(fitted, home: TrainingSet) -> None:
    with pytest.raises(ModelError, match="mlp is not fitted"):
        fine_tuned(PerceptronForecaster(SPEC), home)
    with pytest.raises(MissingFeatureError, match="x3"):
        fine_tuned(fitted, replace(home, panel=home.panel.drop("x3")))
    with pytest.raises(ModelError, match="mlp has no encoder of single sessions that could stay"):
        fine_tuned(fitted, home, frozen=True)
    alone = PerceptronForecaster(replace(SPEC, relative=False, epochs=1)).fit(home)
    with pytest.raises(ModelError, match="fitted on a single asset"):
        fine_tuned(alone, home)
