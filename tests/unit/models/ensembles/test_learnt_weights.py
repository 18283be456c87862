"""Weights learnt from forecasts made out of sample, and refusals of those that were not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.models import design, scores
from btq_assets.models.ensemble import ModelEnsemble
from btq_assets.models.ensembles.evidence import InSampleError, evidence_of, out_of_fold
from btq_assets.models.ensembles.gating import gate
from btq_assets.models.ensembles.stacking import stack
from btq_assets.models.ensembles.weighting import (
    covariance_of_mean,
    shrinkage_of,
    skill_weights,
)
from btq_assets.models.forecaster import ModelError
from btq_assets.models.plans import ridge_plan
from btq_assets.models.walk_forward import Plan, fit_fold

T0 = dt.datetime(2015, 1, 5, 21, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)
N_DATES, N_ASSETS = 120, 10
END = T0 + 1000 * WEEK


def tidy(name: str, matrix: np.ndarray) -> pl.DataFrame:
    n_dates, n_assets = matrix.shape
    return pl.DataFrame(
        {
            "universe": "u",
            "symbol": [f"S{j}" for _ in range(n_dates) for j in range(n_assets)],
            "ts": [T0 + i * WEEK for i in range(n_dates) for _ in range(n_assets)],
            name: matrix.ravel(),
        },
        schema_overrides={"ts": pl.Datetime("us", "UTC")},
    )


def member(matrix: np.ndarray) -> pl.DataFrame:
    return tidy("forecast", matrix).with_columns(fitted_until=pl.col("ts"))


def market(skills: list[float], seed: int = 1) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """Labels, and members that are the label times a skill plus noise of their own."""
    random = np.random.default_rng(seed)
    label = random.normal(size=(N_DATES, N_ASSETS))
    found = [member(s * label + random.normal(size=label.shape)) for s in skills]
    ends = pl.col("ts") + dt.timedelta(days=6)
    return found, tidy("label", label).with_columns(label_end_ts=ends)


def rank_ics(members: list[pl.DataFrame], labels: pl.DataFrame) -> np.ndarray:
    return np.array([scores.rank_ic_by_date(m, labels)["rank_ic"].to_numpy() for m in members]).T


def test_weights_by_skill_are_the_stated_formula() -> None:
    members, labels = market([0.3, 0.2, 0.1])
    found = skill_weights(members, labels, until=END)
    series = rank_ics(members, labels)
    c = series.mean(axis=0)
    # Labels do not overlap: V is the covariance of the rows over their number.
    V = np.cov(series.T, bias=True) / len(series)
    v = (np.trace(V) - V.sum() / 3) / 2
    B = min(1.0, v / c.var(ddof=1))
    assert 0 < B < 1
    expected = B / 3 + (1 - B) * c / c.sum()
    np.testing.assert_allclose(found.weights, expected, rtol=1e-12)
    np.testing.assert_allclose(found.rank_ics, c, rtol=1e-12)
    assert found.shrinkage == pytest.approx(B)
    assert found.n_dates == N_DATES
    assert found.weights[0] > found.weights[1] > found.weights[2]


def test_sampling_noise_of_the_spread_is_what_the_formula_takes_off() -> None:
    """Equal skill: over many samples the mean of s2 is v (stated in `skill_weights`)."""
    random = np.random.default_rng(4)
    mixing = np.array([[1.0, 0.8, 0.0], [0.0, 0.6, 0.5], [0.0, 0.0, 1.2]])
    samples = random.normal(size=(4_000, 50, 3)) @ mixing
    spread = samples.mean(axis=1).var(axis=1, ddof=1)
    V = mixing.T @ mixing / 50
    v = (np.trace(V) - V.sum() / 3) / 2
    assert spread.mean() == pytest.approx(v, rel=4 * spread.std() / np.sqrt(4_000) / v)
    found = [covariance_of_mean(sample, 0) for sample in samples[:500]]
    np.testing.assert_allclose(np.mean(found, axis=0), V * 49 / 50, atol=0.002)


def test_members_that_cannot_be_told_apart_get_equal_weights() -> None:
    members, labels = market([0.3, 0.3, 0.3, 0.3])
    equal = skill_weights([members[0]] * 3, labels, until=END)
    np.testing.assert_allclose(equal.weights, [1 / 3] * 3)
    assert shrinkage_of(np.array([0.02, 0.03]), np.eye(2) * 1e-2) == 1.0
    assert shrinkage_of(np.array([0.02, 0.03]), np.zeros((2, 2))) == 0.0
    alone = skill_weights(members[:1], labels, until=END)
    assert alone.weights == (1.0,)


def test_a_member_worse_than_chance_gets_nothing_and_no_skill_is_an_error() -> None:
    members, labels = market([0.5, -0.5])
    assert skill_weights(members, labels, until=END).weights == (1.0, 0.0)
    against = [m.with_columns(-pl.col("forecast")) for m in (members[0], members[0])]
    with pytest.raises(ModelError, match="no skill to weigh by"):
        skill_weights(against, labels, until=END)
    with pytest.raises(ModelError, match="at least 10"):
        skill_weights(members, labels.filter(pl.col("ts") < T0 + 5 * WEEK), until=END)


def test_covariance_of_dependent_rows_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    random = np.random.default_rng(2)
    shocks = random.normal(size=203)
    series = shocks[3:] + shocks[2:-1] + shocks[1:-2]
    fit = sm.OLS(series, np.ones(200)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False}
    )
    found = covariance_of_mean(series[:, None], 4)
    np.testing.assert_allclose(found, fit.cov_params(), rtol=1e-10)


def test_lags_are_the_overlap_of_labels() -> None:
    members, labels = market([0.3, 0.2])
    assert evidence_of(members, labels, END).overlap == 0
    longer = labels.with_columns(label_end_ts=pl.col("ts") + 3 * WEEK)
    assert evidence_of(members, longer, END).overlap == 2


@pytest.fixture
def regression() -> tuple[list[pl.DataFrame], pl.DataFrame, np.ndarray, np.ndarray]:
    members, labels = market([0.6, 0.2, -0.3])
    x = np.column_stack(
        [
            m.with_columns(
                (pl.col("forecast") - pl.col("forecast").mean().over("ts"))
                / pl.col("forecast").std().over("ts")
            )["forecast"]
            for m in members
        ]
    )
    return members, labels, x, design.relative_target(labels)


def test_ridge_and_non_negative_stacking_are_those_of_scikit_learn(regression) -> None:
    from sklearn.linear_model import LinearRegression, Ridge

    members, labels, x, y = regression
    ridge = stack(members, labels, until=END, method="ridge", penalty=0.1)
    peer = Ridge(alpha=0.1 * len(y), fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(ridge.coefficients, peer.coef_, rtol=1e-9)
    assert ridge.coefficients[2] < 0
    positive = stack(members, labels, until=END)
    peer = LinearRegression(positive=True, fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(positive.coefficients, peer.coef_, atol=1e-10)
    assert positive.coefficients[2] == 0.0
    # Karush-Kuhn-Tucker: no gradient where a coefficient is free, none outwards where it is 0.
    gradient = x.T @ (y - x @ positive.coefficients)
    np.testing.assert_allclose(gradient[:2], 0, atol=1e-8)
    assert gradient[2] <= 0
    combined = positive.combine(members).sort("ts", "symbol")
    order = labels.select("universe", "symbol", "ts").with_columns(
        expected=pl.Series(x @ positive.coefficients)
    )
    np.testing.assert_allclose(
        combined["forecast"], order.sort("ts", "symbol")["expected"], rtol=1e-9
    )


def test_labels_filled_later_change_nothing() -> None:
    """A leak test: labels after `until`, and labels filled after it, are turned round."""
    members, labels = market([0.6, 0.1])
    until = T0 + 60 * WEEK
    turned = labels.with_columns(
        pl.when(pl.col("label_end_ts") > until).then(-pl.col("label")).otherwise("label")
    )
    assert not turned.equals(labels)
    for method in ("ridge", "non_negative"):
        one, other = (
            stack(members, frame, until=until, method=method) for frame in (labels, turned)
        )
        assert one == other
        assert one.fitted_until <= until
    assert skill_weights(members, labels, until=until) == skill_weights(
        members, turned, until=until
    )


def test_forecasts_that_saw_their_labels_are_refused() -> None:
    members, labels = market([0.6, 0.1])
    late = members[1].with_columns(fitted_until=pl.col("ts") + dt.timedelta(days=1))
    with pytest.raises(InSampleError, match="member 1 are not out of sample"):
        stack([members[0], late], labels, until=END)
    with pytest.raises(InSampleError, match="does not say"):
        skill_weights([members[0].drop("fitted_until"), members[1]], labels, until=END)
    with pytest.raises(InSampleError):
        gate([late], labels, calm_and_panic(), until=END)


def test_degenerate_stacking_is_named() -> None:
    members, labels = market([0.6, 0.1])
    against = [members[0].with_columns(-pl.col("forecast"))]
    with pytest.raises(ModelError, match="coefficient 0"):
        stack(against, labels, until=END)
    elsewhere = members[1].with_columns(symbol=pl.lit("other_") + pl.col("symbol"))
    with pytest.raises(ModelError, match="nothing to learn"):
        stack([members[0], elsewhere], labels, until=END)
    with pytest.raises(ModelError, match="unknown"):
        stack(members, labels, until=END, method="magic")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="penalty"):
        stack(members, labels, until=END, method="ridge", penalty=-1.0)
    # The same member twice: no unique solution, so they share.
    twice = stack([members[0]] * 2, labels, until=END, method="ridge", penalty=0.0)
    assert twice.coefficients[0] == pytest.approx(twice.coefficients[1])
    with pytest.raises(ModelError, match="2 model"):
        ModelEnsemble.stacked(members, members[:1], labels, until=END)


def calm_and_panic() -> pl.DataFrame:
    """Alternating halves of a year."""
    return pl.DataFrame(
        {
            "known_at": [T0 + i * 20 * WEEK for i in range(6)],
            "regime": ["calm", "panic"] * 3,
        },
        schema_overrides={"known_at": pl.Datetime("us", "UTC")},
    )


def test_the_gate_learns_who_is_good_in_which_regime() -> None:
    random = np.random.default_rng(3)
    label = random.normal(size=(N_DATES, N_ASSETS))
    calm = (np.arange(N_DATES) // 20 % 2 == 0)[:, None]
    noise = random.normal(size=(2, *label.shape))
    members = [member(np.where(calm, label, -0.3 * label) + noise[0]),
               member(np.where(calm, -0.3 * label, label) + noise[1])]  # fmt: skip
    labels = tidy("label", label).with_columns(label_end_ts=pl.col("ts") + dt.timedelta(days=6))
    rule = gate(members, labels, calm_and_panic(), until=END)
    assert rule.weights["calm"] == (1.0, 0.0)
    assert rule.weights["panic"] == (0.0, 1.0)
    blended = scores.mean_rank_ic(rule.combine(members), labels)
    equal = scores.mean_rank_ic(ModelEnsemble(members).rule.combine(members), labels)
    assert blended > equal + 0.1
    # Too rare a regime gets the weights of all dates.
    few = gate(members, labels, calm_and_panic(), until=T0 + 41 * WEEK, minimum_dates=21)
    assert set(few.weights) == {"calm"}
    assert few.otherwise == skill_weights(members, labels, until=T0 + 41 * WEEK).weights


def test_forecasts_of_purged_folds_stack_and_say_until_when_they_learnt(planted) -> None:
    from btq_assets.config import TradingConfig

    plan = ridge_plan(TradingConfig(), code_version="t")
    ts = planted["ts"].unique().sort()
    folds = [
        {"fold": k, "universe": "test", "train_start": ts[0], "train_end": ts[98 + 40 * k],
         "validation_start": ts[100 + 40 * k], "validation_end": ts[138 + 40 * k],
         "test_start": ts[140 + 40 * k], "test_end": ts[179 + 40 * k]}
        for k in range(3)
    ]  # fmt: skip
    frames = []
    for names in (("signal",), ("noise",)):
        own = Plan(plan.make, ("base",), (0,), names, ())
        frames.append(
            out_of_fold([fit_fold(planted, f, own, "base", 0, data_hash="d") for f in folds])
        )
    assert (frames[0]["fitted_until"] <= frames[0]["ts"]).all()
    found = stack(frames, planted, until=ts[260], method="ridge")
    assert found.coefficients[0] > 3 * abs(found.coefficients[1])
