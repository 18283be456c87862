"""Fractional Kelly weights from calibrated forecasts.

Belongs here: calibration of a forecast against its own filled past, and the growth-optimal
weights. Does not belong here: the forecasts themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.portfolio.covariance import trailing_covariances
from btq_assets.portfolio.panel import (
    PortfolioError,
    PricePanel,
    forecast_matrix,
    rows_since,
    targets_frame,
)
from btq_assets.risk.limits import limit_weights
from btq_assets.timeline import FILL_LAG_SESSIONS

#: Decisions of zero slope the calibration starts from; a year of weekly ones.
PRIOR_DECISIONS = 52


def kelly_weights(mean: np.ndarray, covariance: np.ndarray, fraction: float) -> np.ndarray:
    """Long-only fractional Kelly weights.

    `fraction` times the maximiser of ``mean' w - w' covariance w / 2`` over ``w >= 0``, the
    second-order growth rate (Kelly 1956; Thorp 2006, eq. 8.3; without the bound it is
    ``covariance^-1 mean``). Solved exactly as non-negative least squares on the Cholesky factor.

    Parameters
    ----------
    mean
        ``float64[N]``, expected return over cash, per period.
    covariance
        ``float64[N, N]``, of the same period.
    fraction
        Share of full Kelly, in (0, 1].

    Returns
    -------
    numpy.ndarray
        ``float64[N]``, >= 0; their sum is not bounded here.

    Raises
    ------
    PortfolioError
        `mean` is not finite, or `covariance` is singular.
    """
    from scipy.optimize import nnls

    if not np.isfinite(mean).all():
        raise PortfolioError("Kelly weights need a finite expected return of every asset")
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise PortfolioError(
            f"covariance of {len(mean)} assets is singular; shrink it (shrunk_covariance) or drop "
            "duplicated assets"
        ) from None
    # |L' w - L^-1 mean|^2 = w' C w - 2 mean' w + constant.
    weights, _ = nnls(factor.T, np.linalg.solve(factor, mean))
    return fraction * weights


def calibration_slopes(
    panel: PricePanel, rows: np.ndarray, scores: np.ndarray, horizon_sessions: int
) -> np.ndarray:
    """How much of each forecast to believe, from its filled past only.

    At each decision, the pooled regression slope through the origin of the label (return from
    fill to fill less the mean of the forecast assets) on the forecast (same mean removed), over
    earlier decisions whose label is filled by then, shrunk by ``PRIOR_DECISIONS`` decisions of
    zero slope and clipped to [0, 1]: a forecast is never amplified, and never reversed.

    Parameters
    ----------
    rows
        ``int64[D]``, decisions, ascending.
    scores
        ``float64[D, N]``, forecasts over `horizon_sessions`.

    Returns
    -------
    numpy.ndarray
        ``float64[D]``; zero until the first label is filled.
    """
    n_sessions = len(panel.ts_us)
    ends = rows + FILL_LAG_SESSIONS + horizon_sessions
    products, squares = np.zeros(len(rows)), np.zeros(len(rows))
    counts = np.zeros(len(rows))
    for decision, end in enumerate(ends):
        if end >= n_sessions:
            continue
        window = panel.prices_until(int(end), horizon_sessions + 1)
        label = window[-1] / window[0] - 1.0
        have = np.isfinite(label) & np.isfinite(scores[decision])
        if have.sum() < 2:
            continue
        x = scores[decision, have] - scores[decision, have].mean()
        y = label[have] - label[have].mean()
        products[decision], squares[decision], counts[decision] = x @ y, x @ x, 1.0
    filled = np.searchsorted(ends, rows, side="right")
    sums = [np.concatenate([[0.0], np.cumsum(v)])[filled] for v in (products, squares, counts)]
    xy, xx, count = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = xy / xx * count / (count + PRIOR_DECISIONS)
    return np.clip(np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)


def mean_universe_return(panel: PricePanel, rows: np.ndarray) -> np.ndarray:
    """Mean daily equal-weight return of the universe over all sessions known at each decision.

    Returns
    -------
    numpy.ndarray
        ``float64[D]``, per session; NaN where no return is known yet.
    """
    if panel.known_at_us is not None:
        return np.array(
            [
                np.nanmean(_row_mean(panel.returns_until(int(r), int(r)))) if r else np.nan
                for r in rows
            ]
        )
    daily = _row_mean(panel.prices[1:] / panel.prices[:-1] - 1.0)
    known = np.isfinite(daily)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, daily, 0.0))])[rows]
    count = np.concatenate([[0], np.cumsum(known)])[rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / count


def _row_mean(returns: np.ndarray) -> np.ndarray:
    have = np.isfinite(returns)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(have, returns, 0.0).sum(axis=1) / have.sum(axis=1)


def kelly_targets(
    forecasts: Mapping[str, pl.DataFrame],
    bars: pl.DataFrame,
    config: TradingConfig,
    *,
    since: datetime | None = None,
) -> pl.DataFrame:
    """Fractional Kelly weights of each model at each decision.

    Expected daily return of an asset = mean universe return so far + calibration slope ×
    forecast / horizon. The label is relative to the universe, so the first term carries the level
    that growth-optimal sizing needs; cash earns nothing in the engine, so no rate is subtracted.

    Parameters
    ----------
    forecasts
        Model → `models.forecasts_<model>`; the base variant is used, averaged over seeds.
    since
        Only decisions at or after this time; calibration still reads the whole past.

    Returns
    -------
    polars.DataFrame
        Rows of `portfolio.targets_kelly`, strategies ``kelly_<model>``.
    """
    panel = PricePanel.from_bars(bars, config.universe.main)
    settings, horizon = config.portfolio, config.models.horizon_sessions
    loaded = {
        model: forecast_matrix(frame, panel, variant="base", horizon_sessions=horizon)
        for model, frame in forecasts.items()
    }
    rows = next(iter(loaded.values()))[0]
    for model, (own, _) in loaded.items():
        if len(own) == 0 or not np.array_equal(own, rows):
            raise PortfolioError(
                f"{model} decides on {len(own)} dates of {panel.universe}, "
                f"{next(iter(loaded))} on {len(rows)}; strategies must decide on the same dates"
            )
    slopes = {m: calibration_slopes(panel, rows, s, horizon) for m, (_, s) in loaded.items()}
    level = mean_universe_return(panel, rows)
    chosen = np.flatnonzero(rows_since(panel, rows, since))
    weights = {model: np.zeros((len(chosen), panel.n_symbols)) for model in loaded}
    covariances = trailing_covariances(panel, rows[chosen], settings.covariance_window_sessions)
    for place, (investable, covariance) in enumerate(covariances):
        decision = chosen[place]
        for model, (_, scores) in loaded.items():
            usable = np.isfinite(scores[decision]) & investable
            inside = usable[investable]
            if not inside.any():
                continue
            forecast = scores[decision, usable] - scores[decision, usable].mean()
            mean = level[decision] + slopes[model][decision] * forecast / horizon
            sized = kelly_weights(mean, covariance[np.ix_(inside, inside)], settings.kelly_fraction)
            weights[model][place, usable] = limit_weights(
                sized, config.trading.max_position_size, settings.max_gross_exposure
            )
    return targets_frame(
        panel, {f"kelly_{model}": (rows[chosen], matrix) for model, matrix in weights.items()}
    )


def slope_summary(
    forecasts: Mapping[str, pl.DataFrame], bars: pl.DataFrame, config: TradingConfig
) -> dict[str, dict[str, float]]:
    """How much of each model's forecast the calibration believed.

    Returns
    -------
    dict
        Model → mean and last slope, and the share of decisions with a slope above zero.
    """
    panel = PricePanel.from_bars(bars, config.universe.main)
    horizon = config.models.horizon_sessions
    summary = {}
    for model, frame in forecasts.items():
        rows, scores = forecast_matrix(frame, panel, variant="base", horizon_sessions=horizon)
        slopes = calibration_slopes(panel, rows, scores, horizon)
        summary[model] = {
            "mean_slope": float(slopes.mean()),
            "last_slope": float(slopes[-1]),
            "share_above_zero": float((slopes > 0).mean()),
        }
    return summary
