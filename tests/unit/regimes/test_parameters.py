"""Which regime is in force, by hand, and its configured values."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from pydantic import ValidationError

from btq_assets.config import RegimesSection
from btq_assets.config.regimes import RegimeParametersSection
from btq_assets.regimes.parameters import in_force, regime_parameters

SECTION = RegimeParametersSection(enter_probability=0.7, exit_probability=0.4, min_dwell_sessions=3)


def _bear(*probabilities: float) -> list[dict[str, float]]:
    return [{"bull": 1 - p, "bear": p} for p in probabilities]


def test_between_the_thresholds_nothing_changes():
    # 0.65 does not enter; 0.75 does, after three sessions; then 0.5 does not leave and 0.2 does.
    found = in_force(_bear(0.1, 0.1, 0.1, 0.65, 0.75, 0.5, 0.5, 0.2, 0.2), SECTION)
    assert found == ["bull"] * 4 + ["bear"] * 3 + ["bull"] * 2


def test_a_regime_lasts_its_shortest_stay():
    # Probabilities flip each session; a regime stays three sessions at least.
    found = in_force(_bear(0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9), SECTION)
    assert found == ["bull"] * 3 + ["bear"] * 3 + ["bull"] + ["bear"] * 0 + ["bull"]


def test_missing_probabilities_keep_the_regime_and_a_state_that_is_gone_is_left():
    given = [{}, *_bear(0.1, 0.1, 0.1), {}, {"sideways": 0.9, "bear": 0.1}]
    assert in_force(given, SECTION) == [None, *["bull"] * 4, "sideways"]


def test_a_crisis_goes_before_the_state_and_values_are_those_configured():
    start = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)
    stamps = [start + dt.timedelta(days=k) for k in range(5)]
    states = pl.DataFrame(
        {
            "scope": "us20",
            "ts": stamps,
            "p_bull": [0.9] * 5,
            "p_bear": [0.1] * 5,
            "p_sideways": pl.Series([None] * 5, dtype=pl.Float64),
            "p_volatile": pl.Series([None] * 5, dtype=pl.Float64),
        }
    )
    # The stress index knows nothing of the last session: no crisis there.
    stress = pl.DataFrame(
        {"scope": "us20", "ts": stamps[:4], "is_crisis": [False, True, True, False]}
    )
    settings = RegimesSection(
        parameters={"crisis": {"exposure_multiplier": 0.1, "max_position": 0.05}}
    )
    rows = regime_parameters(states, stress, settings)
    assert rows["regime"].to_list() == ["bull", "crisis", "crisis", "bull", "bull"]
    assert rows["sessions_in_regime"].to_list() == [1, 1, 2, 1, 2]
    assert rows["exposure_multiplier"].to_list() == [1.0, 0.1, 0.1, 1.0, 1.0]
    assert rows["max_position"].to_list() == [0.25, 0.05, 0.05, 0.25, 0.25]


def test_thresholds_the_wrong_way_round_are_refused():
    with pytest.raises(ValidationError, match="must not exceed enter_probability"):
        RegimeParametersSection(enter_probability=0.5, exit_probability=0.6)
    with pytest.raises(ValidationError, match="must not exceed crisis_enter"):
        RegimesSection(stress={"crisis_enter": 0.5, "crisis_exit": 1.0})
    with pytest.raises(ValidationError, match="must be below high_quantile"):
        RegimesSection(volatility_states={"low_quantile": 0.9, "high_quantile": 0.5})


def test_a_regime_still_probable_enough_is_not_left():
    # Bear reaches 0.5 twice, but only the second time is bull below 0.3.
    section = RegimeParametersSection(
        enter_probability=0.5, exit_probability=0.3, min_dwell_sessions=1
    )
    given = [
        {"bull": 0.9, "bear": 0.1, "sideways": 0.0},
        {"bull": 0.4, "bear": 0.55, "sideways": 0.05},
        {"bull": 0.2, "bear": 0.55, "sideways": 0.25},
    ]
    assert in_force(given, section) == ["bull", "bull", "bear"]
