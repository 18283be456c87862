"""Ranks, targets and standardisation against hand arithmetic and numpy."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.models import design, scores
from btq_assets.models.forecaster import ModelError

T0 = dt.datetime(2020, 1, 2, 21, tzinfo=dt.UTC)


def one_date(**columns: list[float | None]) -> pl.DataFrame:
    n = len(next(iter(columns.values())))
    return pl.DataFrame(
        {"universe": "u", "symbol": [f"S{i}" for i in range(n)], "ts": T0, **columns}
    )


def test_ranks_by_hand() -> None:
    # n = 4 with a value: 2 r / 5 - 1; ties share the average rank; null stays null.
    frame = one_date(x=[3.0, 1.0, None, 1.0, 9.0])
    found = design.cross_sectional_ranks(frame, ["x"])["x"].to_list()
    np.testing.assert_allclose([v for v in found if v is not None], [0.2, -0.4, -0.4, 0.6])
    assert found[2] is None


def test_an_asset_alone_has_rank_zero() -> None:
    assert design.cross_sectional_ranks(one_date(x=[5.0]), ["x"])["x"].to_list() == [0.0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=12))
def test_ranks_know_only_order(values: list[int]) -> None:
    """Any increasing transformation leaves them; negation negates them."""
    x = [float(v) for v in values]
    frame = one_date(x=x, grown=[v**3 + 7 for v in x], negated=[-v for v in x])
    found = design.cross_sectional_ranks(frame, ["x", "grown", "negated"])
    np.testing.assert_allclose(found["x"], found["grown"])
    np.testing.assert_allclose(found["x"], -found["negated"].to_numpy(), atol=1e-12)


def test_target_is_the_z_score_of_the_date() -> None:
    label = [0.01, 0.02, -0.03, 0.04]
    expected = (np.array(label) - np.mean(label)) / np.std(label, ddof=1)
    np.testing.assert_allclose(design.relative_target(one_date(label=label)), expected, atol=1e-15)
    assert np.isnan(design.relative_target(one_date(label=[0.01, 0.01]))).all()
    assert np.isnan(design.relative_target(one_date(label=[0.01]))).all()


def test_dispersion_is_the_median_over_dates_and_none_is_an_error() -> None:
    # Standard deviations (n - 1): of (0, 2) sqrt 2, of (0, 4) sqrt 8; a date without any is left out.
    dates = [
        one_date(label=labels).with_columns(ts=pl.lit(T0 + dt.timedelta(days=n)))
        for n, labels in enumerate([[0.0, 2.0], [0.0, 4.0], [1.0, 1.0]])
    ]
    np.testing.assert_allclose(design.dispersion(pl.concat(dates)), (2**0.5 + 8**0.5) / 2)
    with pytest.raises(ModelError, match="2 rows"):
        design.dispersion(dates[2])


def test_standardiser_leaves_missing_values_at_the_mean() -> None:
    values = np.array([[1.0, 5.0], [3.0, np.nan], [5.0, 5.0]])
    scaler = design.Standardiser.fit(values)
    np.testing.assert_allclose(scaler.mean, [3.0, 5.0])
    np.testing.assert_allclose(scaler.scale, [np.std([1, 3, 5]), 1.0])
    assert scaler.apply(np.array([[np.nan, np.nan]])).tolist() == [[0.0, 0.0]]
    assert scaler.apply(np.array([[1e9, 5.0]])).tolist() == [[5.0, 0.0]]


def test_interactions() -> None:
    found = design.interactions(np.array([[2.0, 3.0]]), np.array([[10.0, 100.0]]))
    assert found.tolist() == [[20.0, 200.0, 30.0, 300.0]]


def test_rank_ic_by_hand() -> None:
    # Ranks 1..4 against 1, 2, 4, 3: 1 - 6 * 2 / (4 * 15) = 0.8 (Spearman 1904).
    frame = one_date(forecast=[0.1, 0.2, 0.3, 0.4], label=[-1.0, 0.0, 2.0, 1.0])
    np.testing.assert_allclose(scores.mean_rank_ic(frame.drop("label"), frame), 0.8)
    constant = frame.with_columns(forecast=pl.lit(1.0))
    assert np.isnan(scores.mean_rank_ic(constant.drop("label"), frame))
