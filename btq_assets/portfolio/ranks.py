"""Volatility-targeted, long-only ranks of forecasts.

Belongs here: ranks to weights, the volatility target, and the turbulent-state scale. Does not
belong here: how a forecast or a state is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.portfolio import VARIANT_SUFFIX
from btq_assets.portfolio.covariance import SESSIONS_PER_YEAR, trailing_covariances
from btq_assets.portfolio.panel import (
    PortfolioError,
    PricePanel,
    forecast_matrix,
    microseconds,
    rows_since,
    targets_frame,
)
from btq_assets.risk.limits import cap_weights, limit_weights


def average_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks ``1 .. N`` from worst to best; equal scores share the mean of their ranks."""
    ordered = np.sort(scores)
    below = np.searchsorted(ordered, scores, side="left")
    up_to = np.searchsorted(ordered, scores, side="right")
    return (below + up_to + 1) / 2.0


def rank_weights(scores: np.ndarray, tilt: float) -> np.ndarray:
    """Long-only weights from the cross-sectional ranks of `scores`.

    ``w_i = (1 - tilt) / n + tilt * 2 (r_i - 1) / (n (n - 1))`` over the ``n`` assets that have a
    score, ``r_i`` from 1 (worst) to ``n``.

    Parameters
    ----------
    scores
        ``float64[N]``. NaN means "no forecast": the asset gets no weight.
    tilt
        0 gives 1/N; 1 gives weight in proportion to rank, and the worst none.

    Returns
    -------
    numpy.ndarray
        ``float64[N]``, >= 0, summing to one (to zero when nothing has a score).

    Raises
    ------
    PortfolioError
        A score is infinite.

    Examples
    --------
    >>> rank_weights(np.array([0.3, -0.1, 0.2]), 1.0).round(4).tolist()
    [0.6667, 0.0, 0.3333]
    """
    if np.isinf(scores).any():
        raise PortfolioError("infinite score; a forecast must be finite, or NaN for none")
    scored = np.isfinite(scores)
    n = int(scored.sum())
    weights = np.zeros(scores.shape)
    if n == 1:
        weights[scored] = 1.0
    elif n > 1:
        tilted = 2.0 * (average_ranks(scores[scored]) - 1.0) / (n * (n - 1))
        weights[scored] = (1.0 - tilt) / n + tilt * tilted
    return weights


def volatility_target(
    weights: np.ndarray, covariance: np.ndarray, target_annual: float, max_gross: float
) -> np.ndarray:
    """Scale weights to a volatility, as far as the gross limit lets.

    Parameters
    ----------
    weights
        ``float64[N]``.
    covariance
        ``float64[N, N]``, daily.
    target_annual
        Standard deviation of a year's return aimed at (252 sessions).
    max_gross
        Largest ``sum(|w|)``.

    Returns
    -------
    numpy.ndarray
        ``float64[N]``; the rest is cash. All-zero weights stay zero.
    """
    gross = np.abs(weights).sum()
    if gross == 0:
        return weights
    volatility = float(np.sqrt(SESSIONS_PER_YEAR * weights @ covariance @ weights))
    wanted = target_annual / volatility if volatility > 0 else np.inf
    return weights * min(wanted, max_gross / gross)


def blend_scores(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean over models of the cross-sectional rank, scaled to 0 (worst) .. 1 (best).

    Parameters
    ----------
    scores
        Model → ``float64[D, N]``, the same decisions in each.

    Returns
    -------
    numpy.ndarray
        ``float64[D, N]``; NaN unless every model has a forecast.
    """
    stacked = np.stack(list(scores.values()))
    complete = np.isfinite(stacked).all(axis=0)
    blended = np.full(complete.shape, np.nan)
    for decision in range(complete.shape[0]):
        have = complete[decision]
        if have.sum() > 0:
            ranks = [average_ranks(model[decision, have]) for model in stacked]
            blended[decision, have] = (np.mean(ranks, axis=0) - 1) / max(have.sum() - 1, 1)
    return blended


def turbulence_scale(
    panel: PricePanel, rows: np.ndarray, states: pl.DataFrame | None, turbulent_scale: float
) -> np.ndarray:
    """Exposure factor at each decision from the newest state known by then.

    Parameters
    ----------
    states
        `regimes.states`; ``None`` where regimes are switched off.

    Returns
    -------
    numpy.ndarray
        ``float64[D]``: `turbulent_scale` in the turbulent state, one otherwise and before the
        first state.

    Raises
    ------
    PortfolioError
        There are states, and none of this universe.
    """
    if states is None:
        return np.ones(len(rows))
    own = states.filter(pl.col("scope") == panel.universe).sort("ts")
    if own.is_empty():
        raise PortfolioError(f"regimes.states holds no state of scope {panel.universe!r}")
    newest = np.searchsorted(microseconds(own["ts"]), panel.ts_us[rows], side="right") - 1
    turbulent = (own["state"] == "turbulent").to_numpy()
    return np.where((newest >= 0) & turbulent[np.maximum(newest, 0)], turbulent_scale, 1.0)


def strategy_scores(
    panel: PricePanel, forecasts: Mapping[str, pl.DataFrame], config: TradingConfig
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Scores of every rank strategy on common decisions.

    Returns
    -------
    rows : numpy.ndarray
        ``int64[D]``, decisions.
    scores : dict of numpy.ndarray
        Strategy → ``float64[D, N]``: each model's base forecast, ``<model>_macro`` where the
        model has that variant, and ``blend`` over the base forecasts of all models.

    Raises
    ------
    PortfolioError
        A model has no base forecast, or lacks decisions that another one has.
    """
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for model, frame in forecasts.items():
        for variant, suffix in VARIANT_SUFFIX.items():
            rows, scores = forecast_matrix(
                frame, panel, variant=variant, horizon_sessions=config.models.horizon_sessions
            )
            if len(rows):
                found[model + suffix] = rows, scores
            elif variant == "base":
                raise PortfolioError(f"{model} has no base forecast of {panel.universe}")
    rows = np.unique(np.concatenate([rows for rows, _ in found.values()]))
    for strategy, (own, _) in found.items():
        absent = np.setdiff1d(rows, own)
        if len(absent):
            raise PortfolioError(
                f"{strategy} has no forecast at {len(absent)} of {len(rows)} decisions, the first "
                f"at {panel.stamps(absent[:1])[0]}; strategies must decide on the same dates"
            )
    scores_by_strategy = {strategy: scores for strategy, (_, scores) in found.items()}
    scores_by_strategy["blend"] = blend_scores({m: scores_by_strategy[m] for m in forecasts})
    return rows, scores_by_strategy


@dataclass(frozen=True)
class WeightSteps:
    """Investable assets of one decision on their way from score to weight, ``float64[n]`` each.

    Parameters
    ----------
    score
        NaN where there is no forecast.
    rank
        1 (worst) to the number of scored assets; NaN without a score.
    ranked, capped, targeted, limited
        Weights by rank, under the position limit, at the volatility aimed at, and within the limits
        again.
    weight
        The last times the exposure factor.
    """

    score: np.ndarray
    rank: np.ndarray
    ranked: np.ndarray
    capped: np.ndarray
    targeted: np.ndarray
    limited: np.ndarray
    weight: np.ndarray


def weight_steps(
    score: np.ndarray, covariance: np.ndarray, scale: float, config: TradingConfig
) -> WeightSteps:
    """From the scores of one decision to weights: ranks, volatility target, limits, exposure.

    Parameters
    ----------
    score
        ``float64[n]``, of the investable assets; NaN for no forecast.
    covariance
        ``float64[n, n]``, daily.
    scale
        Exposure factor (see `turbulence_scale`).
    """
    settings, limit = config.portfolio, config.trading.max_position_size
    scored = np.isfinite(score)
    rank = np.full(score.shape, np.nan)
    rank[scored] = average_ranks(score[scored])
    ranked = rank_weights(score, settings.rank_tilt)
    capped = cap_weights(ranked, limit)
    targeted = volatility_target(
        capped, covariance, settings.target_volatility_annual, settings.max_gross_exposure
    )
    limited = limit_weights(targeted, limit, settings.max_gross_exposure)
    return WeightSteps(score, rank, ranked, capped, targeted, limited, scale * limited)


def decision_weights(
    panel: PricePanel,
    rows: np.ndarray,
    scores: Mapping[str, np.ndarray],
    scale: np.ndarray,
    config: TradingConfig,
) -> dict[str, np.ndarray]:
    """Weights at each decision from scores: ranks, volatility target, limits, exposure.

    Parameters
    ----------
    rows
        ``int64[D]``, decisions.
    scores
        Strategy → ``float64[D, N]``; NaN for no forecast.
    scale
        ``float64[D]``, exposure factor (see `turbulence_scale`).

    Returns
    -------
    dict of numpy.ndarray
        Strategy → ``float64[D, N]``.
    """
    weights = {name: np.zeros(matrix.shape) for name, matrix in scores.items()}
    window = config.portfolio.covariance_window_sessions
    for decision, (investable, covariance) in enumerate(trailing_covariances(panel, rows, window)):
        for name, matrix in scores.items():
            steps = weight_steps(
                matrix[decision, investable], covariance, float(scale[decision]), config
            )
            weights[name][decision, investable] = steps.weight
    return weights


def rank_targets(
    forecasts: Mapping[str, pl.DataFrame],
    bars: pl.DataFrame,
    states: pl.DataFrame | None,
    config: TradingConfig,
    *,
    since: datetime | None = None,
) -> pl.DataFrame:
    """Target weights of every rank strategy at every decision.

    Parameters
    ----------
    forecasts
        Model → `models.forecasts_<model>`.
    bars, states
        `core.bars_1d` and `regimes.states`.
    since
        Only decisions at or after this time (UTC); nothing else changes.

    Returns
    -------
    polars.DataFrame
        Rows of `portfolio.targets_rank`.
    """
    panel = PricePanel.from_bars(bars, config.universe.main)
    rows, scores = strategy_scores(panel, forecasts, config)
    chosen = rows_since(panel, rows, since)
    rows, scores = rows[chosen], {name: matrix[chosen] for name, matrix in scores.items()}
    scale = turbulence_scale(panel, rows, states, config.portfolio.turbulent_scale)
    weights = decision_weights(panel, rows, scores, scale, config)
    return targets_frame(panel, {name: (rows, matrix) for name, matrix in weights.items()})
