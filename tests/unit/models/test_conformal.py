"""Coverage of intervals on simulated data, exchangeable and drifting, within binomial bounds."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from btq_assets.models.conformal import (
    SplitConformal,
    adaptive_intervals,
    conformal_quantile,
    coverage,
)
from btq_assets.models.forecaster import ModelError

T0 = dt.datetime(2015, 1, 5, 21, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def series(errors: np.ndarray, days_until_filled: int = 1, n_assets: int = 1) -> pl.DataFrame:
    """Forecasts of 0 whose labels are the errors; dates follow one another."""
    n_dates = len(errors) // n_assets
    ts = pl.Series([T0 + i * DAY for i in range(n_dates) for _ in range(n_assets)])
    return pl.DataFrame(
        {
            "universe": "u",
            "symbol": [f"S{j}" for _ in range(n_dates) for j in range(n_assets)],
            "ts": ts,
            "forecast": 0.0,
            "label": errors,
            "label_end_ts": ts + days_until_filled * DAY,
        }
    )


def test_quantile_is_the_order_statistic_of_the_paper() -> None:
    scores = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.0, 7.0, 6.0])
    # ceil(10 * 0.9) = 9th, ceil(10 * 0.85) = 9th, ceil(10 * 0.8) = 8th, ceil(10 * 0.95) = 10th.
    found = [conformal_quantile(scores, rate) for rate in (0.1, 0.15, 0.2, 0.05, 0.0, 1.0)]
    assert found == [9.0, 9.0, 8.0, math.inf, math.inf, -math.inf]


def test_exchangeable_data_are_covered_as_promised() -> None:
    """39 errors, miss rate 0.1: the 36th of 40 places, so coverage is 0.9 exactly."""
    random = np.random.default_rng(0)
    n = 4_000
    inside = 0
    for _ in range(n):
        errors = random.standard_t(3, 40)
        inside += abs(errors[39]) <= conformal_quantile(np.abs(errors[:39]), 0.1)
    assert binom.ppf(0.0005, n, 0.9) <= inside <= binom.ppf(0.9995, n, 0.9)
    fitted = SplitConformal.fit(series(errors[:39]), 0.1)
    assert fitted.half_width == conformal_quantile(np.abs(errors[:39]), 0.1)


def test_scaled_intervals_cover_noisy_and_quiet_forecasts_alike() -> None:
    random = np.random.default_rng(1)
    scale = np.tile([0.5, 2.0], 4_000)
    rows = series(random.normal(size=8_000) * scale).with_columns(scale=pl.Series(scale))
    first, later = rows[:4_000], rows[4_000:]
    parts = {}
    for name, frame in (("scaled", first), ("plain", first.drop("scale"))):
        found = SplitConformal.fit(frame, 0.2).intervals(later)
        parts[name] = [coverage(found.filter(pl.col("scale") == s), later) for s in (0.5, 2.0)]
    # Two normal quantiles of 0.1; the width itself is random, hence the double bound.
    bound = 3.5 * math.sqrt(0.2 * 0.8 * (1 / 2_000 + 1 / 4_000))
    assert parts["scaled"] == pytest.approx([0.8, 0.8], abs=bound)
    assert parts["plain"][0] > 0.95
    assert parts["plain"][1] < 0.7


def test_drifting_errors_stay_covered_by_the_adaptive_form_only() -> None:
    """Errors grow tenfold over the sample. The bound is proposition 4.1; the split form fails."""
    random = np.random.default_rng(2)
    n = 3_000
    rows = series(random.normal(size=n) * np.linspace(1, 10, n))
    found = adaptive_intervals(rows, miss_rate=0.1, step=0.03, window=500, minimum_scores=50)
    answered = found.drop_nulls("lower").height
    assert answered == n - 50
    share = coverage(found, rows)
    bound = (0.9 + 0.03) / (answered * 0.03)
    assert abs(share - 0.9) <= bound
    # Any third of the sample too, as far as chance allows.
    for third in range(3):
        part = found.sort("ts")[50 + third * 980 : 50 + (third + 1) * 980]
        inside = round(coverage(part, rows) * 980)
        assert binom.ppf(0.0005, 980, 0.9) <= inside <= binom.ppf(0.9995, 980, 0.9)
    split = SplitConformal.fit(rows[:500], 0.1).intervals(rows[500:])
    assert coverage(split, rows) < 0.6


def test_the_bound_holds_whatever_the_errors_are() -> None:
    """An adversary: the error leaves every interval for as long as it can, then none."""
    errors = np.concatenate([np.geomspace(1, 1e6, 300), np.full(700, 1e-9)])
    found = adaptive_intervals(series(errors), miss_rate=0.2, step=0.1, minimum_scores=1)
    answers = found.sort("ts").drop_nulls("lower")
    missed = np.abs(errors[1:]) > answers["upper"].to_numpy()
    # The empty interval is shown as a point, and misses.
    missed |= answers["miss_rate"].to_numpy() >= 1
    n = len(missed)
    assert abs(missed.mean() - 0.2) <= (0.8 + 0.1) / (n * 0.1)


def test_the_miss_rate_moves_as_in_the_paper() -> None:
    """Eq. 2 by hand: 10 known errors of 1; then 2 (outside), 0.5 (inside)."""
    errors = np.array([1.0] * 10 + [2.0, 0.5, 0.5])
    found = adaptive_intervals(series(errors), miss_rate=0.2, step=0.05, minimum_scores=10)
    rates = found.sort("ts")["miss_rate"].to_list()
    np.testing.assert_allclose(rates[10:], [0.2, 0.2 - 0.05 * 0.8, 0.16 + 0.05 * 0.2])
    assert found.sort("ts")["upper"].to_list()[:11] == [None] * 10 + [1.0]


def test_an_outcome_counts_once_its_label_is_filled() -> None:
    """A leak test: labels filled after a decision, turned into giants, do not move its interval."""
    random = np.random.default_rng(3)
    rows = series(random.normal(size=600), days_until_filled=5, n_assets=3)
    cut = T0 + 150 * DAY
    shifted = rows.with_columns(
        pl.when(pl.col("label_end_ts") > cut).then(1e6).otherwise("label").alias("label")
    )
    before = pl.col("ts") <= cut
    one, other = (adaptive_intervals(frame, minimum_scores=20) for frame in (rows, shifted))
    assert one.filter(before).equals(other.filter(before))
    assert not one.equals(other)
    unlabelled = rows.with_columns(
        pl.when(pl.col("label_end_ts") <= cut).then("label").alias("label")
    )
    asked = adaptive_intervals(unlabelled, minimum_scores=20)
    assert asked.filter(before).equals(one.filter(before))


def test_what_cannot_be_promised_is_refused() -> None:
    rows = series(np.arange(1.0, 9.0))
    with pytest.raises(ModelError, match=r"8 error\(s\) are too few .* at least 9"):
        SplitConformal.fit(rows, 0.1)
    assert SplitConformal.fit(rows, 0.2).half_width == 8.0
    with pytest.raises(ModelError, match="between 0 and 1"):
        SplitConformal.fit(rows, 1.0)
    with pytest.raises(ModelError, match="scale is not positive"):
        SplitConformal.fit(rows.with_columns(scale=pl.lit(0.0)), 0.2)
    with pytest.raises(ModelError, match="have none"):
        SplitConformal.fit(rows.with_columns(scale=pl.lit(1.0)), 0.2).intervals(rows)
    with pytest.raises(ModelError, match="lack"):
        SplitConformal.fit(rows.drop("label"), 0.2)
    with pytest.raises(ModelError, match="decision or before"):
        adaptive_intervals(rows.with_columns(label_end_ts=pl.col("ts")))
    with pytest.raises(ModelError, match="step"):
        adaptive_intervals(rows, step=0.0)
    with pytest.raises(ModelError, match="window"):
        adaptive_intervals(rows, window=5)
