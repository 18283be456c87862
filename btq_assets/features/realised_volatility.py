"""Realised volatility: from closes, from ranges, from five-minute bars; HAR on each of them.

Belongs here: estimators and regressions of one symbol's own volatility. Does not belong here: the
measures of one session (`realised_intraday`), models of returns (`volatility_models`), the
estimators that models were first built on (`volatility`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts.features.realised_volatility import EWMA_DECAYS
from btq_assets.features import realised_intraday
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
    undefined_to_null,
)

_YEAR = math.sqrt(SESSIONS_PER_YEAR)
_R = pl.col("_r")
_O, _H, _L, _C = (pl.col(f"adj_{name}") for name in ("open", "high", "low", "close"))
_CLOSE = ("adj_close",)
_OHLC = ("adj_open", "adj_high", "adj_low", "adj_close")
_INTRADAY = ("5m open", "5m close")
_ANNUAL = "fraction per root year"

#: A session's parts in logarithms, then its variances; null where a price is missing.
_STAGES: tuple[dict[str, pl.Expr], ...] = (
    {
        "_gap": (_O / _C.shift(1)).log(),
        "_body": (_C / _O).log(),
        "_up": (_H / _O).log(),
        "_down": (_L / _O).log(),
    },
    {
        "_rogers": pl.col("_up") * (pl.col("_up") - pl.col("_body"))
        + pl.col("_down") * (pl.col("_down") - pl.col("_body")),
        "_garman": 0.511 * (pl.col("_up") - pl.col("_down")).pow(2)
        - 0.019
        * (
            pl.col("_body") * (pl.col("_up") + pl.col("_down"))
            - 2 * pl.col("_up") * pl.col("_down")
        )
        - 0.383 * pl.col("_body").pow(2),
    },
    {"_range": clipped_root(pl.col("_gap").pow(2) + pl.col("_rogers"))},
)


def _mean_root(squares: pl.Expr, window: int) -> pl.Expr:
    return clipped_root(squares.rolling_mean(window)) * _YEAR


def _yang_zhang(window: int) -> pl.Expr:
    weight = 0.34 / (1.34 + (window + 1) / (window - 1))
    variance = (
        pl.col("_gap").rolling_var(window)
        + weight * pl.col("_body").rolling_var(window)
        + (1 - weight) * pl.col("_rogers").rolling_mean(window)
    )
    return clipped_root(variance) * _YEAR


def _feature(
    name: str,
    formula: str,
    source: str,
    lookback: int,
    expression: pl.Expr | None = None,
    needs: tuple[str, ...] = _CLOSE,
    *,
    unit: str = _ANNUAL,
    recursive: bool = False,
) -> Feature:
    return Feature(
        name, "realised_volatility", formula, source, unit, lookback, needs,
        expression=expression, recursive=recursive,
    )  # fmt: skip


_CORSI = "Corsi (2009), eq. 9"
_RANGE = "s = sqrt(ln(O/C[t-1])^2 + ln(H/C) ln(H/O) + ln(L/C) ln(L/O)), the gap and Rogers-Satchell"
_SESSION = "r the five-minute log returns of the session, the first from its open, n of them"


def _har(series: str, horizon: int, window: int) -> str:
    return (
        f"sqrt(252) (a + b s + c mean5(s) + d mean22(s)), least squares of mean of s[t+1] to "
        f"s[t+{horizon}] on the last {window} complete pairs; {series}; null unless positive"
    )


def features_for(window: int) -> tuple[Feature, ...]:
    """Definitions for HAR regressions on `window` pairs."""
    closes = "s = sqrt(pi/2) |r|"
    upside, downside = _R.clip(lower_bound=0.0), _R.clip(upper_bound=0.0)
    both = pl.col("_gap").pow(2).rolling_mean(21) + pl.col("_body").pow(2).rolling_mean(21)
    return (
        *(
            _feature(
                f"ewma_volatility_{decay}_annual",
                f"sqrt(252 sum(0.{decay}^i r[t-i]^2) / sum(0.{decay}^i)), i from 0 over the whole "
                "history, from 21 returns on",
                "J.P. Morgan/Reuters RiskMetrics (1996), section 5.2, weights normalised",
                21,
                _R.pow(2).ewm_mean(alpha=1 - decay / 100, adjust=True, min_samples=21).sqrt()
                * _YEAR,
                recursive=True,
            )
            for decay in EWMA_DECAYS
        ),
        _feature(
            "upside_volatility_63_annual",
            "sqrt(252 mean63(max(r, 0)^2))",
            "Barndorff-Nielsen, Kinnebrock and Shephard (2010), daily returns",
            63,
            _mean_root(upside.pow(2), 63),
        ),
        _feature(
            "semivariance_balance_63",
            "mean63(max(r, 0)^2 - min(r, 0)^2) / mean63(r^2)",
            "Patton and Sheppard (2015), signed jump variation, daily returns",
            63,
            ratio(
                upside.pow(2).rolling_mean(63) - downside.pow(2).rolling_mean(63),
                _R.pow(2).rolling_mean(63),
                CONSTANT_BELOW**2,
            ).clip(-1.0, 1.0),
            unit="-1 to 1",
        ),
        _feature("har_close_forecast_1_annual", _har(closes, 1, window), _CORSI, window + 22),
        _feature("har_close_forecast_21_annual", _har(closes, 21, window), _CORSI, window + 42),
        *(
            _feature(
                f"yang_zhang_{n}_annual",
                f"sqrt(252 (var{n}(ln(O/C[t-1])) + k var{n}(ln(C/O)) + (1-k) mean{n}(ln(H/C) "
                f"ln(H/O) + ln(L/C) ln(L/O)))), k = 0.34 / (1.34 + {n + 1}/{n - 1})",
                "Yang and Zhang (2000), eq. 7 and 10",
                n,
                _yang_zhang(n),
                _OHLC,
            )
            for n in (21, 63)
        ),
        _feature(
            "garman_klass_cross_21_annual",
            "sqrt(252 mean21(0.511 (u-d)^2 - 0.019 (c (u+d) - 2 u d) - 0.383 c^2)), u = ln(H/O), "
            "d = ln(L/O), c = ln(C/O)",
            "Garman and Klass (1980), eq. 19",
            20,
            _mean_root(pl.col("_garman"), 21),
            _OHLC,
        ),
        _feature(
            "overnight_volatility_21_annual",
            "sqrt(252 mean21(ln(O/C[t-1])^2))",
            "own definition",
            21,
            _mean_root(pl.col("_gap").pow(2), 21),
            ("adj_open", "adj_close"),
        ),
        _feature(
            "intraday_volatility_21_annual",
            "sqrt(252 mean21(ln(C/O)^2))",
            "own definition",
            20,
            _mean_root(pl.col("_body").pow(2), 21),
            ("adj_open", "adj_close"),
        ),
        _feature(
            "overnight_share_21",
            "mean21(ln(O/C[t-1])^2) / (mean21(ln(O/C[t-1])^2) + mean21(ln(C/O)^2))",
            "own definition",
            21,
            ratio(pl.col("_gap").pow(2).rolling_mean(21), both, CONSTANT_BELOW**2).clip(0.0, 1.0),
            ("adj_open", "adj_close"),
            unit="0 to 1",
        ),
        _feature(
            "har_range_daily_annual", f"sqrt(252) s, {_RANGE}", _CORSI, 1,
            pl.col("_range") * _YEAR, _OHLC,
        ),
        _feature(
            "har_range_weekly_annual", "sqrt(252) mean5(s), the same s", _CORSI, 5,
            pl.col("_range").rolling_mean(5) * _YEAR, _OHLC,
        ),
        _feature(
            "har_range_monthly_annual", "sqrt(252) mean22(s), the same s", _CORSI, 22,
            pl.col("_range").rolling_mean(22) * _YEAR, _OHLC,
        ),
        _feature(
            "har_range_forecast_1_annual", _har(_RANGE, 1, window), _CORSI, window + 22,
            needs=_OHLC,
        ),
        _feature(
            "har_range_forecast_21_annual", _har(_RANGE, 21, window), _CORSI, window + 42,
            needs=_OHLC,
        ),
        _feature(
            "range_volatility_of_volatility_63",
            "std63(s) / mean63(s), the same s",
            "own definition",
            63,
            ratio(
                pl.col("_range").rolling_std(63), pl.col("_range").rolling_mean(63), CONSTANT_BELOW
            ),
            _OHLC,
            unit="ratio",
        ),
        _feature(
            "rv_5m_daily_annual", f"sqrt(252 RV), RV = sum(r^2), {_SESSION}",
            "Andersen, Bollerslev, Diebold and Labys (2003)", 0,
            pl.col("_s5") * _YEAR, _INTRADAY,
        ),
        _feature(
            "rv_5m_weekly_annual", "sqrt(252) mean5(sqrt(RV)), all five present", _CORSI, 4,
            pl.col("_s5").rolling_mean(5) * _YEAR, _INTRADAY,
        ),
        _feature(
            "rv_5m_monthly_annual", "sqrt(252) mean22(sqrt(RV)), all 22 present", _CORSI, 21,
            pl.col("_s5").rolling_mean(22) * _YEAR, _INTRADAY,
        ),
        _feature(
            "bipower_5m_annual",
            f"sqrt(252 BV), BV = pi/2 n/(n-1) sum(|r[i]| |r[i-1]|), {_SESSION}",
            "Barndorff-Nielsen and Shephard (2004), eq. 5",
            0,
            pl.col("_bv").sqrt() * _YEAR,
            _INTRADAY,
        ),
        _feature(
            "jump_z_5m",
            "(1 - BV/RV) / sqrt((pi^2/4 + pi - 5) / n max(1, TQ/BV^2)), TQ = n^2/(n-2) "
            "sum(|r[i] r[i-1] r[i-2]|^(4/3)) / 0.8309^3",
            "Barndorff-Nielsen and Shephard (2006), adjusted ratio statistic; TQ of Andersen, "
            "Bollerslev and Diebold (2007)",
            0,
            pl.col("_z"),
            _INTRADAY,
            unit="standard deviations",
        ),
        _feature(
            "jump_share_5m",
            "1 - BV/RV where jump_z_5m is above 3.09, the 0.999 quantile, else 0",
            "Andersen, Bollerslev and Diebold (2007), eq. 15",
            0,
            pl.col("_jump_share"),
            _INTRADAY,
            unit="0 to 1",
        ),
        _feature(
            "semivariance_balance_5m",
            f"sum(r |r|) / RV, {_SESSION}",
            "Patton and Sheppard (2015), signed jump variation",
            0,
            pl.col("_balance"),
            _INTRADAY,
            unit="-1 to 1",
        ),
        _feature(
            "overnight_share_5m",
            "ln(O/C[t-1])^2 / (ln(O/C[t-1])^2 + RV)",
            "own definition",
            1,
            pl.col("_gap_square") / (pl.col("_gap_square") + pl.col("_rv")),
            ("adj_open", "adj_close", *_INTRADAY),
            unit="0 to 1",
        ),
        _feature(
            "har_rv_5m_forecast_1_annual", _har("s = sqrt(RV), sessions that have one", 1, window),
            _CORSI, window + 21, needs=_INTRADAY,
        ),
    )  # fmt: skip


def compute(
    bars: pl.DataFrame,
    five_minutes: pl.DataFrame | None = None,
    *,
    har_window: int = 1000,
    since: datetime | None = None,
) -> pl.DataFrame:
    """Compute the family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`. Without open, high and low, what is made of ranges is null.
    five_minutes
        Rows of `core.bars_5m`; without any, columns named for them are null.
    har_window
        Pairs a HAR regression is fitted on.
    since
        Sessions before it are left without regressions, for those who will not read them.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.realised_volatility``: one per bar, sorted by universe, symbol and time.
    """
    frame = has_columns(prepare(bars), _OHLC)
    for stage in _STAGES:
        frame = frame.with_columns(e.over(HISTORY).alias(name) for name, e in stage.items())
    intraday = core.BARS_5M.empty() if five_minutes is None else five_minutes
    measured = realised_intraday.sessions(frame, intraday)
    frame = frame.join(measured, on=list(KEY), how="left", maintain_order="left").with_columns(
        _s5=pl.col("_rv").sqrt(), _s1=pl.col("_r").abs() * math.sqrt(math.pi / 2)
    )
    features = features_for(har_window)
    found = evaluate(frame, (), features)
    forecasts = {
        "har_close_forecast_1_annual": ("_s1", 1),
        "har_close_forecast_21_annual": ("_s1", 21),
        "har_range_forecast_1_annual": ("_range", 1),
        "har_range_forecast_21_annual": ("_range", 21),
        "har_rv_5m_forecast_1_annual": ("_s5", 1),
    }
    found = found.with_columns(
        pl.Series(name, _forecast(frame, column, har_window, horizon, since))
        for name, (column, horizon) in forecasts.items()
    )
    return undefined_to_null(found.select(*KEY, *(feature.name for feature in features)))


def _forecast(
    frame: pl.DataFrame, column: str, window: int, horizon: int, since: datetime | None = None
) -> np.ndarray:
    """Annualised HAR forecasts of a session's volatility, NaN where there is none.

    Sessions without a value are left out, so that one missing range does not undo a window.
    """
    from btq_assets.features.kernels.regression import MONTH, har

    out = np.full(frame.height, np.nan)
    values = frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    histories = frame[HISTORY].to_numpy()
    places = np.flatnonzero(np.isfinite(values))
    starts = np.flatnonzero(np.diff(histories[places], prepend=-1)) if places.size else places
    new = np.ones(frame.height, bool) if since is None else (frame["ts"] >= since).to_numpy()
    for rows in np.split(places, starts[1:]):
        # A regression reads so many values, and each is made of its own.
        rows = rows[-(int(new[rows].sum()) + MONTH + window + horizon) :]
        out[rows] = _YEAR * har(values[rows], window, horizon)
    return out


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return features_for(config.features.har_window_sessions)


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(
        inputs["bars"], inputs.get("bars_5m"), har_window=config.features.har_window_sessions
    )


def compute_since(
    inputs: Mapping[str, pl.DataFrame], config: TradingConfig, since: datetime
) -> pl.DataFrame:
    """The same, for those who will read rows at or after `since` only."""
    window = config.features.har_window_sessions
    return compute(inputs["bars"], inputs.get("bars_5m"), har_window=window, since=since)
