"""Curves of several fits as one, for a person to look at."""

from __future__ import annotations

from types import SimpleNamespace

from btq_assets.models.summary import STEP_CURVES, training_curves


def fit(**scores: list[float]) -> SimpleNamespace:
    return SimpleNamespace(forecaster=SimpleNamespace(scores=scores))


def test_a_fit_that_stopped_early_keeps_its_last_value() -> None:
    """Means of (3, 1, 1) and (5, 3, 1); a model without epochs has no curves."""
    fits = [
        fit(gradient_norm=[3.0, 1.0], learning_rate=[0.2, 0.1]),
        fit(gradient_norm=[5.0, 3.0, 1.0], learning_rate=[0.2, 0.1, 0.0]),
        fit(),
    ]
    found = training_curves(fits, STEP_CURVES)
    assert found["gradient_norm"] == [4.0, 2.0, 1.0]
    assert list(found) == ["learning_rate", "gradient_norm"]
    assert training_curves(fits) == {}
