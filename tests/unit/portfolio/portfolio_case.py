"""A small universe with forecasts, states and splits."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import models, regimes
from btq_assets.timeline import decision_times

MODELS = ("ridge", "lightgbm", "transformer_gnn")
FIRST_TEST_SESSION = 260


def make_case(bars: pl.DataFrame, *, seed: int = 3) -> SimpleNamespace:
    """Config, splits, forecasts, states and parameters that fit `bars` (universe "test")."""
    random = np.random.default_rng(seed)
    sessions = bars["ts"].unique().sort()
    decisions = decision_times(sessions, "week")
    decisions = decisions.filter(decisions >= sessions[FIRST_TEST_SESSION])
    start, end = decisions[0], decisions[-1]
    before = start - dt.timedelta(days=1)
    splits = pl.DataFrame(
        [("test", 0, before, before, before, before, start, end, 0)],
        schema=models.SPLITS.schema,
        orient="row",
    )
    grid = bars.filter(pl.col("ts").is_in(decisions.implode())).select("universe", "symbol", "ts")

    def forecasts(variants: tuple[str, ...], seeds: tuple[int, ...]) -> pl.DataFrame:
        frames = [
            grid.with_columns(
                horizon_sessions=pl.lit(5, pl.Int64),
                variant=pl.lit(variant),
                seed=pl.lit(number, pl.Int64),
                fold=pl.lit(0, pl.Int64),
                forecast=pl.Series(random.normal(0, 0.01, grid.height)),
                model_id=pl.lit("m"),
            )
            for variant in variants
            for number in seeds
        ]
        return pl.concat(frames).sort(models.FORECASTS_RIDGE.key)

    states = pl.DataFrame(
        {
            "scope": "test",
            "ts": sessions,
            "p_calm": 0.5,
            "p_turbulent": 0.5,
            "state": np.where(random.random(len(sessions)) < 0.3, "turbulent", "calm"),
            "trend": "bull",
            "calm_volatility_annual": 0.1,
            "turbulent_volatility_annual": 0.3,
            "fitted_until": sessions,
            "converged": True,
        },
        schema=regimes.STATES.schema,
    )
    # Spells of 23 sessions; the first parameters come 12 sessions after the first decision.
    values = {"bull": (1.0, 0.5, 0.02), "bear": (0.5, 0.2, 0.02), "crisis": (0.2, 0.1, 0.01)}
    known = sessions[FIRST_TEST_SESSION + 12 :]
    words = np.array(["bull", "bear", "bull", "crisis"])[(np.arange(len(known)) // 23) % 4]
    parameters = pl.DataFrame(
        {
            "scope": "test",
            "ts": known,
            "regime": words,
            "sessions_in_regime": np.arange(len(known)) % 23 + 1,
            "exposure_multiplier": [values[word][0] for word in words],
            "max_position": [values[word][1] for word in words],
            "rebalance_threshold": [values[word][2] for word in words],
        },
        schema=regimes.PARAMETERS.schema,
    )
    return SimpleNamespace(
        config=TradingConfig(
            universe={"main": "test"},
            trading={"max_position_size": 0.5},
            portfolio={
                "covariance_window_sessions": 60,
                "regime_strategies": ("one_over_n", "hrp", "blend", "kelly_ridge"),
            },
        ),
        parameters=parameters,
        bars=bars,
        splits=splits,
        states=states,
        decisions=decisions,
        forecasts={
            "ridge": forecasts(("base", "macro"), (0,)),
            "lightgbm": forecasts(("base", "macro"), (0,)),
            "transformer_gnn": forecasts(("base",), (7, 11)),
        },
    )


@pytest.fixture
def case(close_only_bars) -> SimpleNamespace:
    return make_case(close_only_bars)
