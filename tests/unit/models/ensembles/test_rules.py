"""Rules of combination against hand arithmetic, scipy and scikit-learn."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata

from btq_assets.models.ensemble import ModelEnsemble
from btq_assets.models.ensembles.rules import MeanRank, RegimeGated, SignVote, Weighted
from btq_assets.models.forecaster import ModelError

T0 = dt.datetime(2020, 1, 2, 21, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def frame(*values: float, ts: dt.datetime = T0, first: int = 0) -> pl.DataFrame:
    symbols = [f"S{i + first}" for i in range(len(values))]
    return pl.DataFrame(
        {"universe": "u", "symbol": symbols, "ts": ts, "forecast": [float(v) for v in values]},
        schema_overrides={"ts": pl.Datetime("us", "UTC")},
    )


def values(found: pl.DataFrame) -> list[float]:
    return found["forecast"].to_list()


def test_majority_of_signs_by_hand() -> None:
    # Deviations from the mean of each date: (+,-,0), (+,-,0), (-,+,0) -> +1, -1, 0.
    members = [frame(3, 1, 2), frame(30, 10, 20), frame(-1, 1, 0)]
    assert values(SignVote().combine(members)) == [1.0, -1.0, 0.0]
    # Three votes of the last one turn it round; two make a tie with the other two.
    assert values(SignVote((1, 1, 3)).combine(members)) == [-1.0, 1.0, 0.0]
    assert values(SignVote((0.1, 0.2, 0.3)).combine(members)) == [0.0, 0.0, 0.0]


def test_majority_of_signs_is_hard_voting_of_scikit_learn() -> None:
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import VotingClassifier

    random = np.random.default_rng(0)
    forecasts = random.normal(size=(3, 40))
    forecasts -= forecasts.mean(axis=1, keepdims=True)
    found = values(SignVote().combine([frame(*row) for row in forecasts]))
    order = np.argsort([f"S{i}" for i in range(40)])
    for position, asset in enumerate(order):
        above = (forecasts[:, asset] > 0).astype(int)
        members = [
            (str(k), DummyClassifier(strategy="constant", constant=int(up)))
            for k, up in enumerate(above)
        ]
        vote = VotingClassifier(members, voting="hard").fit(np.zeros((2, 1)), [0, 1])
        assert 2 * vote.predict(np.zeros((1, 1)))[0] - 1 == found[position]


def test_mean_rank_is_that_of_scipy() -> None:
    one, other = [0.3, 0.3, -1.0, 2.0], [5.0, 1.0, 4.0, 3.0]
    expected = [(rankdata(row) - 0.5) / 4 - 0.5 for row in (one, other)]
    found = MeanRank((3, 1)).combine([frame(*one), frame(*other)])
    np.testing.assert_allclose(values(found), 0.75 * expected[0] + 0.25 * expected[1])


def test_members_with_different_assets_speak_of_those_they_know() -> None:
    # First: S0 S1 S2, second: S2 S3. Ranks of three: -1/3, 0, 1/3; of two: -1/4, 1/4.
    members = [frame(1, 2, 3), frame(1, 2, first=2)]
    np.testing.assert_allclose(
        values(MeanRank().combine(members)), [-1 / 3, 0.0, (1 / 3 - 1 / 4) / 2, 1 / 4]
    )
    assert values(SignVote().combine(members)) == [-1.0, 0.0, 0.0, 1.0]


def test_missing_and_infinite_forecasts_count_as_absent() -> None:
    holed = frame(1, float("nan"), 3).vstack(frame(float("inf"), first=3))
    assert values(SignVote().combine([holed, frame(2, 1)])) == [0.0, -1.0, 1.0]


def test_one_member_is_itself_and_one_asset_keeps_its_unit() -> None:
    np.testing.assert_allclose(values(Weighted().combine([frame(5, 6, 7)])), [-1, 0, 1])
    one = [frame(0.02), frame(-0.01)]
    np.testing.assert_allclose(values(Weighted((0.75, 0.25)).combine(one)), [0.0125])
    assert values(SignVote((1, 2)).combine(one)) == [-1.0]
    with pytest.raises(ModelError, match="two assets"):
        MeanRank().combine(one)


def regimes(*rows: tuple[dt.datetime, str, float]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={
            "known_at": pl.Datetime("us", "UTC"),
            "regime": pl.String,
            "probability": pl.Float64,
        },
        orient="row",
    )


def test_the_gate_uses_the_regime_known_at_the_decision() -> None:
    up, down = frame(-1, 0, 1), frame(1, 0, -1)
    days = [T0, T0 + DAY, T0 + 2 * DAY]
    members = [pl.concat([m.with_columns(ts=pl.lit(day)) for day in days]) for m in (up, down)]
    members = [m.cast({"ts": pl.Datetime("us", "UTC")}) for m in members]
    weights = {"calm": (1.0, 0.0), "panic": (0.0, 1.0)}
    # Calm from the second day; panic known one microsecond after the third decision.
    late = T0 + 2 * DAY + dt.timedelta(microseconds=1)
    gate = regimes((T0 + DAY, "calm", 1.0), (late, "panic", 1.0))
    found = RegimeGated(weights, gate).combine(members)
    by_day = [values(found.filter(pl.col("ts") == day)) for day in days]
    assert by_day == [[0, 0, 0], [-1, 0, 1], [-1, 0, 1]]
    known = regimes((T0 + DAY, "calm", 1.0), (T0 + 2 * DAY, "panic", 1.0))
    found = RegimeGated(weights, known).combine(members)
    assert values(found.filter(pl.col("ts") == days[2])) == [1, 0, -1]
    # 0.75 of (1, 0) and 0.25 of (0, 1): (0.75 - 0.25) times the first member.
    mixed = regimes((T0, "calm", 0.75), (T0, "panic", 0.25))
    found = RegimeGated(weights, mixed).combine(members)
    np.testing.assert_allclose(values(found.filter(pl.col("ts") == T0)), [-0.5, 0, 0.5])


def test_a_regime_without_weights_gets_the_others() -> None:
    gate = regimes((T0, "new", 1.0))
    rule = RegimeGated({"calm": (1.0, 0.0)}, gate, (0.25, 0.75))
    assert rule.shares_at(pl.Series([T0]), 2)["shares"].to_list() == [[0.25, 0.75]]
    assert rule.shares_at(pl.Series([T0]), 2)["regime"].to_list() == ["new"]


def test_impossible_gates_are_refused() -> None:
    members = [frame(1, 2), frame(2, 1)]
    with pytest.raises(ModelError, match="known_at"):
        RegimeGated({}, pl.DataFrame({"regime": ["calm"]})).combine(members)
    with pytest.raises(ModelError, match="between 0 and 1"):
        RegimeGated({}, regimes((T0, "calm", 1.5))).combine(members)
    doubled = regimes((T0, "calm", 1.0), (T0, "panic", 1.0)).drop("probability")
    with pytest.raises(ModelError, match="same time"):
        RegimeGated({}, doubled).combine(members)
    with pytest.raises(ModelError, match="all 0"):
        RegimeGated({"calm": (0.0, 0.0)}, regimes((T0, "calm", 1.0))).combine(members)


class Fixed:
    def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
        return frame(1, 2, 3)


def test_forecasts_of_an_agent_join_as_a_frame() -> None:
    weights = frame(0.6, 0.4, 0.0, 0.0).vstack(frame(0.1, ts=T0 + DAY))
    panel = frame(1, 2, 3).drop("forecast").with_columns(close=pl.lit(1.0))
    ensemble = ModelEnsemble.voting([Fixed(), weights], by="rank")
    # Of the agent only what the panel asks for: ranks of 0.6, 0.4, 0.0 against those of 1, 2, 3.
    np.testing.assert_allclose(values(ensemble.predict(panel)), [0.0, 0.0, 0.0], atol=1e-12)
    assert ensemble.member_forecasts(panel)[1].height == 3


def test_no_members_are_refused_by_name() -> None:
    with pytest.raises(ModelError, match="not str"):
        ModelEnsemble(["ridge"])  # type: ignore[list-item]
    with pytest.raises(ModelError, match=r"lack column\(s\) \['forecast'\]"):
        ModelEnsemble([frame(1).drop("forecast")])
    with pytest.raises(ModelError, match="twice"):
        ModelEnsemble([frame(1).vstack(frame(2))])
    with pytest.raises(ModelError, match="not both"):
        ModelEnsemble([Fixed()], [1.0], rule=SignVote())
    with pytest.raises(ModelError, match="by sign or by rank"):
        ModelEnsemble.voting([Fixed()], by="mood")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="all 0"):
        ModelEnsemble.voting([Fixed()], weights=[0.0])
