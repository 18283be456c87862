"""Columns of modalities: grouped by family, and where they have values."""

from __future__ import annotations

import numpy as np
import pytest

from btq_assets.contracts import features
from btq_assets.models.forecaster import ModelError
from btq_assets.models.windows.modalities import MODALITIES, available, columns_of, groups_of


def test_columns_are_those_of_the_families() -> None:
    news = features.columns_of(features.FAMILY_CONTRACTS["sentiment"])
    assert columns_of("sentiment")[: len(news)] == news
    everything = [column for name in MODALITIES for column in columns_of(name)]
    assert len(everything) == len(set(everything))


def test_a_modality_without_a_column_is_left_out() -> None:
    macro, news = columns_of("macro")[0], columns_of("sentiment")[:2]
    columns = ("return_1d", news[0], macro, news[1])
    assert groups_of(columns, ("sentiment", "macro", "options")) == {
        "sentiment": [1, 3],
        "macro": [2],
    }
    assert groups_of(columns, ()) == {}
    with pytest.raises(ModelError, match="'weather'; there are sentiment, macro, options, onchain"):
        groups_of(columns, ("weather",))


def test_any_value_makes_a_modality_available() -> None:
    values = np.full((1, 3, 4), np.nan)
    values[0, 0, 3], values[0, 1, 2] = 0.0, 5.0
    found = available(values, {"sentiment": [1, 3], "macro": [2]})
    assert found[0].tolist() == [[True, False], [False, True], [False, False]]
    assert available(values, {}).shape == (1, 3, 0)
