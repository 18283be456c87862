"""Microstructure family: liquidity, spread and impact estimated from daily OHLCV bars.

Belongs here: what one symbol's ranges and volumes say about the cost of trading it. Does not
belong here: real quotes and trades. Symbols without open, high, low, close and volume have no rows.

Traded value is raw close times raw volume, so that a later split or dividend changes nothing;
spreads and returns use adjusted prices.
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
    OHLCV,
    Feature,
    evaluate,
    has_columns,
    prepare,
    ratio,
)

MILLION = 1e6
IMPACT_SHARE = 0.01
_CORWIN = 3 - 2 * math.sqrt(2)
_ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")

#: Without these a bar has no row.
ROWS_NEED = (*OHLCV, *_ADJUSTED)

_RETURN = pl.col("_r")
_HIGH, _LOW, _CLOSE = pl.col("adj_high"), pl.col("adj_low"), pl.col("adj_close")
_VALUE = pl.col("_value")


def _zero_floor(expression: pl.Expr) -> pl.Expr:
    """Negative estimates of a spread count as zero; missing ones stay missing."""
    return expression.clip(lower_bound=0.0)


_BEFORE = _CLOSE.shift(1)
#: Corwin and Schultz: a gap between yesterday's close and today's range is taken out of the range.
_GAP = (
    pl.when(_BEFORE < _LOW)
    .then(_LOW - _BEFORE)
    .when(_BEFORE > _HIGH)
    .then(_HIGH - _BEFORE)
    .otherwise(0.0)
)

_STAGES: tuple[dict[str, pl.Expr], ...] = (
    {
        "_value": pl.col("close") * pl.col("volume") / MILLION,
        "_lag": _RETURN.shift(1),
        "_location": pl.when(_HIGH > _LOW)
        .then((2 * _CLOSE - _HIGH - _LOW) / (_HIGH - _LOW))
        .when(_HIGH.is_not_null() & _LOW.is_not_null())
        .then(0.0),
        "_high": _HIGH - _GAP,
        "_low": _LOW - _GAP,
        "_middle": (_HIGH.log() + _LOW.log()) / 2,
        "_simple": _CLOSE / _BEFORE - 1,
    },
    {
        "_flow": pl.col("_location") * _VALUE,
        "_beta": (pl.col("_high") / pl.col("_low")).log().pow(2)
        + (_HIGH.shift(1) / _LOW.shift(1)).log().pow(2),
        "_gamma": (
            pl.max_horizontal(pl.col("_high"), _HIGH.shift(1))
            / pl.min_horizontal(pl.col("_low"), _LOW.shift(1))
        )
        .log()
        .pow(2),
        "_amihud": ratio(pl.col("_simple").abs(), _VALUE),
        "_ranaldo": _zero_floor(
            4 * (_BEFORE.log() - pl.col("_middle").shift(1)) * (_BEFORE.log() - pl.col("_middle"))
        ).sqrt(),
        "_log_value": pl.when(_VALUE > 0).then(_VALUE.log()),
    },
    {
        "_signed_root": pl.col("_flow").sign() * pl.col("_flow").abs().sqrt(),
        "_alpha": ((2 * pl.col("_beta")).sqrt() - pl.col("_beta").sqrt()) / _CORWIN
        - (pl.col("_gamma") / _CORWIN).sqrt(),
    },
    {
        "_kyle": ratio(
            (_RETURN * pl.col("_signed_root")).rolling_mean(63)
            - _RETURN.rolling_mean(63) * pl.col("_signed_root").rolling_mean(63),
            pl.col("_signed_root").rolling_var(63, ddof=0),
            1e-18,
        ),
        "_corwin": _zero_floor(2 * (pl.col("_alpha").exp() - 1) / (1 + pl.col("_alpha").exp())),
        "_autocovariance": (_RETURN * pl.col("_lag")).rolling_mean(63)
        - (_RETURN + 0 * pl.col("_lag")).rolling_mean(63) * pl.col("_lag").rolling_mean(63),
    },
)


def _feature(
    name: str,
    formula: str,
    source: str,
    unit: str,
    lookback: int,
    needs: tuple[str, ...],
    expression: pl.Expr,
) -> Feature:
    return Feature(name, "microstructure", formula, source, unit, lookback, needs, True, expression)


_RANGE = ("adj_high", "adj_low", "adj_close")
_TRADED = ("close", "volume")

FEATURES: tuple[Feature, ...] = (
    _feature(
        "amihud_21",
        "mean over the sessions with trades of the last 21 (at least 15) of |p[t]/p[t-1] - 1| / V, "
        "V = close volume / 1e6",
        "Amihud (2002), eq. 1",
        "return per million of currency",
        21,
        ("adj_close", *_TRADED),
        pl.col("_amihud").rolling_mean(21, min_samples=15),
    ),
    _feature(
        "roll_spread_63",
        "2 sqrt(max(-cov63(r[t], r[t-1]), 0)), divisor 63",
        "Roll (1984), eq. 2; zero for a positive covariance as in Goyenko, Holden and Trzcinka (2009)",
        "fraction of the price",
        64,
        ("adj_close",),
        2 * _zero_floor(-pl.col("_autocovariance")).sqrt(),
    ),
    _feature(
        "corwin_schultz_spread_21",
        "mean21 of max(2 (e^a - 1) / (1 + e^a), 0), "
        "a = (sqrt(2 b) - sqrt(b)) / (3 - 2 sqrt 2) - sqrt(g / (3 - 2 sqrt 2)), "
        "b = ln(H/L)^2 over two sessions, g = ln^2 of their joint range; overnight gap removed",
        "Corwin and Schultz (2012), eq. 14 and 18",
        "fraction of the price",
        21,
        _RANGE,
        pl.col("_corwin").rolling_mean(21),
    ),
    _feature(
        "abdi_ranaldo_spread_21",
        "mean21 of sqrt(max(4 (c[t-1] - m[t-1]) (c[t-1] - m[t]), 0)), c = ln C, m = (ln H + ln L)/2",
        "Abdi and Ranaldo (2017), eq. 11, two-day corrected",
        "fraction of the price",
        21,
        _RANGE,
        pl.col("_ranaldo").rolling_mean(21),
    ),
    _feature(
        "kyle_lambda_63",
        "cov63(r, x) / var63(x), x = sign(F) sqrt(|F|), F = V (2C - H - L) / (H - L) "
        "(0 where H = L)",
        "after Kyle (1985) and Hasbrouck (2009), signed volume by close location",
        "return per root million of currency",
        63,
        (*_RANGE, *_TRADED),
        pl.col("_kyle"),
    ),
    _feature(
        "price_impact_63",
        "kyle_lambda_63 sqrt(0.01 mean63(V))",
        "own definition, square-root impact of 1 % of the daily traded value",
        "fraction",
        63,
        (*_RANGE, *_TRADED),
        pl.col("_kyle") * (IMPACT_SHARE * _VALUE.rolling_mean(63)).sqrt(),
    ),
    _feature(
        "dollar_volume_z_63",
        "(ln V - mean63(ln V)) / std63(ln V), over sessions with trades (at least 42)",
        "own definition",
        "standard deviations",
        62,
        _TRADED,
        ratio(
            pl.col("_log_value") - pl.col("_log_value").rolling_mean(63, min_samples=42),
            pl.col("_log_value").rolling_std(63, min_samples=42),
            CONSTANT_BELOW,
        ),
    ),
    _feature(
        "distance_vwap_21",
        "p sum21(V / p) / sum21(V) - 1, the price over the value-weighted harmonic mean price",
        "own definition; equals price over VWAP in adjusted shares",
        "fraction",
        20,
        ("adj_close", *_TRADED),
        ratio(pl.col("_p") * (_VALUE / pl.col("_p")).rolling_sum(21), _VALUE.rolling_sum(21), 1e-18)
        - 1,
    ),
    _feature(
        "money_flow_21",
        "sum21(V (2C - H - L) / (H - L)) / sum21(V)",
        "Chaikin money flow, in traded value",
        "-1 to 1",
        20,
        (*_RANGE, *_TRADED),
        ratio(pl.col("_flow").rolling_sum(21), _VALUE.rolling_sum(21), 1e-18).clip(-1.0, 1.0),
    ),
)


def compute(bars: pl.DataFrame, features: FeaturesSection | None = None) -> pl.DataFrame:
    """Compute the microstructure family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    features
        Configuration; this family has no settings.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.microstructure``: one per bar with open, high, low, close and volume,
        sorted by universe, symbol and time.
    """
    frame = has_columns(prepare(bars), (*OHLCV, *_ADJUSTED))
    traded = pl.all_horizontal(pl.col(*ROWS_NEED).is_finite()).fill_null(False)
    # A symbol that never has volume is dropped before the windows run; this saves time only.
    with_volume = frame.with_columns(_traded=traded).filter(pl.col("_traded").any().over(HISTORY))
    rows = with_volume.filter("_traded").select(KEY)
    return rows.join(evaluate(with_volume, _STAGES, FEATURES), on=KEY, how="left").sort(KEY)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return FEATURES


def stages_of(config: TradingConfig) -> tuple[dict[str, pl.Expr], ...]:
    """Intermediate columns the expressions read, for the windows of `config`."""
    return _STAGES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], config.features)
