"""Volatility family: how much one symbol's price moves, from returns and from ranges.

Belongs here: estimators of one symbol's own volatility. Does not belong here: volatility explained
by other assets (`cross_asset`) and fitted models (GARCH). Range estimators need real highs and
lows; close-only symbols have null there, never an invented range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.features.definitions import (
    CONSTANT_BELOW,
    HISTORY,
    KEY,
    SESSIONS_PER_YEAR,
    Feature,
    clipped_root,
    evaluate,
    has_columns,
    prepare,
    ratio,
)

EWMA_DECAY = 0.94
_YEAR = math.sqrt(SESSIONS_PER_YEAR)
_RETURN = pl.col("_r")
_OPEN, _HIGH, _LOW, _CLOSE = (pl.col(f"adj_{name}") for name in ("open", "high", "low", "close"))

_RETURN_STAGES: tuple[dict[str, pl.Expr], ...] = (
    {
        "_std_21": _RETURN.rolling_std(21),
        "_std_252": _RETURN.rolling_std(252),
        "_abs": _RETURN.abs(),
    },
    {"_abs_lag": pl.col("_abs").shift(1)},
)
_RANGE_STAGE: dict[str, pl.Expr] = {
    "_range": (_HIGH / _LOW).log(),
    "_body": (_CLOSE / _OPEN).log(),
    "_rogers": (_HIGH / _CLOSE).log() * (_HIGH / _OPEN).log()
    + (_LOW / _CLOSE).log() * (_LOW / _OPEN).log(),
}


def _correlation(left: pl.Expr, right: pl.Expr, window: int) -> pl.Expr:
    """Rolling correlation of two return-sized series; null where either is constant."""
    covariance = (left * right).rolling_mean(window) - left.rolling_mean(
        window
    ) * right.rolling_mean(window)
    spreads = [side.rolling_std(window, ddof=0) for side in (left, right)]
    moving = (spreads[0] > CONSTANT_BELOW) & (spreads[1] > CONSTANT_BELOW)
    return pl.when(moving).then((covariance / (spreads[0] * spreads[1])).clip(-1.0, 1.0))


_PAIR_LEFT = pl.when(pl.col("_abs_lag").is_not_null()).then(pl.col("_abs"))
_CLOSE_NEEDS = ("adj_close",)
_OHLC_NEEDS = ("adj_open", "adj_high", "adj_low", "adj_close")


def _feature(
    name: str,
    formula: str,
    source: str,
    unit: str,
    lookback: int,
    expression: pl.Expr,
    needs: tuple[str, ...] = _CLOSE_NEEDS,
    *,
    recursive: bool = False,
) -> Feature:
    return Feature(
        name,
        "volatility",
        formula,
        source,
        unit,
        lookback,
        needs,
        expression=expression,
        recursive=recursive,
    )


_ANNUAL = "fraction per root year"

FEATURES: tuple[Feature, ...] = (
    _feature(
        "volatility_21_annual",
        "sqrt(252) std21(r), divisor 20",
        "sample standard deviation",
        _ANNUAL,
        21,
        pl.col("_std_21") * _YEAR,
    ),
    _feature(
        "volatility_63_annual",
        "sqrt(252) std63(r), divisor 62",
        "sample standard deviation",
        _ANNUAL,
        63,
        _RETURN.rolling_std(63) * _YEAR,
    ),
    _feature(
        "volatility_ewma_annual",
        "sqrt(252 sum(0.94^i r[t-i]^2) / sum(0.94^i)), i from 0 over the whole history, "
        "from 21 returns on",
        "J.P. Morgan/Reuters RiskMetrics (1996), section 5.2, weights normalised",
        _ANNUAL,
        21,
        _RETURN.pow(2).ewm_mean(alpha=1 - EWMA_DECAY, adjust=True, min_samples=21).sqrt() * _YEAR,
        recursive=True,
    ),
    _feature(
        "downside_volatility_63_annual",
        "sqrt(252 mean63(min(r, 0)^2))",
        "Sortino and van der Meer (1991), target 0",
        _ANNUAL,
        63,
        clipped_root(_RETURN.clip(upper_bound=0.0).pow(2).rolling_mean(63)) * _YEAR,
    ),
    _feature(
        "volatility_ratio_21_252",
        "std21(r) / std252(r); null for constant returns",
        "own definition",
        "ratio",
        252,
        ratio(pl.col("_std_21"), pl.col("_std_252"), CONSTANT_BELOW),
    ),
    _feature(
        "volatility_of_volatility_63",
        "std63(s) / mean63(s) with s = std21(r)",
        "own definition",
        "ratio",
        83,
        ratio(
            pl.col("_std_21").rolling_std(63), pl.col("_std_21").rolling_mean(63), CONSTANT_BELOW
        ),
    ),
    _feature(
        "absolute_return_autocorrelation_63",
        "correlation of |r[t]| and |r[t-1]| over 63 pairs; null for constant returns",
        "volatility clustering, Ding, Granger and Engle (1993)",
        "-1 to 1",
        64,
        _correlation(_PAIR_LEFT, pl.col("_abs_lag"), 63),
    ),
    _feature(
        "parkinson_21_annual",
        "sqrt(252 mean21(ln(H/L)^2) / (4 ln 2))",
        "Parkinson (1980)",
        _ANNUAL,
        20,
        clipped_root(pl.col("_range").pow(2).rolling_mean(21) / (4 * math.log(2))) * _YEAR,
        ("adj_high", "adj_low"),
    ),
    _feature(
        "garman_klass_21_annual",
        "sqrt(252 mean21(ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2))",
        "Garman and Klass (1980), eq. 20 without the cross term",
        _ANNUAL,
        20,
        clipped_root(
            (
                0.5 * pl.col("_range").pow(2) - (2 * math.log(2) - 1) * pl.col("_body").pow(2)
            ).rolling_mean(21)
        )
        * _YEAR,
        _OHLC_NEEDS,
    ),
    _feature(
        "rogers_satchell_21_annual",
        "sqrt(252 mean21(ln(H/C) ln(H/O) + ln(L/C) ln(L/O)))",
        "Rogers and Satchell (1991)",
        _ANNUAL,
        20,
        clipped_root(pl.col("_rogers").rolling_mean(21)) * _YEAR,
        _OHLC_NEEDS,
    ),
)


def compute(bars: pl.DataFrame, features: FeaturesSection | None = None) -> pl.DataFrame:
    """Compute the volatility family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`. Missing open, high or low leave the range estimators null.
    features
        Configuration; this family has no settings.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.volatility``: one per bar, sorted by universe, symbol and time.
    """
    frame = has_columns(prepare(bars), _OHLC_NEEDS)
    ranged = frame.select(pl.col("adj_high").is_not_null().any().over(HISTORY)).to_series()
    with_ranges = evaluate(frame.filter(ranged), (*_RETURN_STAGES, _RANGE_STAGE), FEATURES)
    # Windows over nothing but nulls would give nulls too, only later.
    close_only = [feature for feature in FEATURES if feature.needs == _CLOSE_NEEDS]
    without = evaluate(frame.filter(~ranged), _RETURN_STAGES, close_only)
    return pl.concat([with_ranges, without], how="diagonal").sort(KEY)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return FEATURES


def stages_of(config: TradingConfig) -> tuple[dict[str, pl.Expr], ...]:
    """Intermediate columns the expressions read, for the windows of `config`."""
    return (*_RETURN_STAGES, _RANGE_STAGE)


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], config.features)
