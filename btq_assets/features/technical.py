"""Technical family: trend, momentum and mean reversion from the adjusted close alone.

Belongs here: indicators of one symbol's own close. Does not belong here: ranges and volumes
(`volatility`, `microstructure`) and other symbols (`cross_asset`). Where TA-Lib has the indicator
its convention and start-up rule are used.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import polars_talib as talib

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.features.definitions import CONSTANT_BELOW, Feature, evaluate, prepare, ratio

_PRICE = pl.col("_p")
_STAGES: tuple[dict[str, pl.Expr], ...] = ()


def _return(sessions: int) -> pl.Expr:
    return _PRICE / _PRICE.shift(sessions) - 1


def _feature(
    name: str,
    formula: str,
    source: str,
    unit: str,
    lookback: int,
    expression: pl.Expr,
    recursive: bool = False,
) -> Feature:
    return Feature(
        name,
        "technical",
        formula,
        source,
        unit,
        lookback,
        ("adj_close",),
        expression=expression,
        recursive=recursive,
    )


_MOVED = (_PRICE.diff().abs().cum_sum() > 0).fill_null(False)
_MEAN_20 = _PRICE.rolling_mean(20)
_STD_20 = _PRICE.rolling_std(20, ddof=0)

FEATURES: tuple[Feature, ...] = (
    *(
        _feature(f"return_{n}d", f"p[t] / p[t-{n}] - 1", "simple return", "fraction", n, _return(n))
        for n in (1, 5, 21, 63)
    ),
    _feature(
        "momentum_12_1",
        "p[t-21] / p[t-252] - 1",
        "Jegadeesh and Titman (1993), skipping the last month",
        "fraction",
        252,
        _PRICE.shift(21) / _PRICE.shift(252) - 1,
    ),
    _feature(
        "rsi_14",
        "100 G / (G + L); G, L Wilder averages (14) of gains and losses of p; null before p moves",
        "Wilder (1978); TA-Lib RSI",
        "0 to 100",
        14,
        pl.when(_MOVED).then(talib.rsi(_PRICE, 14)),
        recursive=True,
    ),
    _feature(
        "macd_histogram_to_price",
        "(M - EMA9(M)) / p with M = EMA12(p) - EMA26(p)",
        "Appel (1979); TA-Lib MACD",
        "fraction",
        33,
        talib.macd(_PRICE, 12, 26, 9).struct.field("macdhist") / _PRICE,
        recursive=True,
    ),
    _feature(
        "bollinger_z_20",
        "(p - mean20(p)) / std20(p), std with divisor 20; null for a constant price",
        "Bollinger (2001); TA-Lib BBANDS",
        "standard deviations",
        19,
        pl.when(_STD_20 > CONSTANT_BELOW * _MEAN_20).then((_PRICE - _MEAN_20) / _STD_20),
    ),
    *(
        _feature(
            f"distance_sma_{n}",
            f"p / mean{n}(p) - 1",
            "Brock, Lakonishok and LeBaron (1992); TA-Lib SMA",
            "fraction",
            n - 1,
            ratio(_PRICE, _PRICE.rolling_mean(n)) - 1,
        )
        for n in (50, 200)
    ),
    _feature(
        "distance_high_252",
        "p / max252(p) - 1",
        "George and Hwang (2004)",
        "fraction",
        251,
        _PRICE / _PRICE.rolling_max(252) - 1,
    ),
)


def compute(bars: pl.DataFrame, features: FeaturesSection | None = None) -> pl.DataFrame:
    """Compute the technical family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only ``adj_close`` is read.
    features
        Configuration; this family has no settings.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.technical``: one per bar, sorted by universe, symbol and time.
    """
    return evaluate(prepare(bars), _STAGES, FEATURES)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return FEATURES


def stages_of(config: TradingConfig) -> tuple[dict[str, pl.Expr], ...]:
    """Intermediate columns the expressions read, for the windows of `config`."""
    return _STAGES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], config.features)
