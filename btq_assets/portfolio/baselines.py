"""Simple portfolios any strategy has to be compared with.

Belongs here: 1/N, buy and hold, 12-1 momentum, 60 % 1/N with 40 % cash, risk parity. Does not
belong here: anything that reads a forecast.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.portfolio.covariance import trailing_covariances
from btq_assets.portfolio.panel import (
    PortfolioError,
    PricePanel,
    decisions_in_test,
    rows_since,
    targets_frame,
)
from btq_assets.portfolio.risk_parity import equal_risk_weights
from btq_assets.risk.limits import cap_weights, limit_weights

MOMENTUM_SESSIONS = 252
MOMENTUM_SKIP_SESSIONS = 21
RISKY_SHARE = 0.6

BASELINES = (
    "one_over_n",
    "buy_and_hold",
    "momentum_12_1",
    "one_over_n_60_cash_40",
    "risk_parity",
)


def equal_weights(available: np.ndarray) -> np.ndarray:
    """1/N over the assets that are available (``bool[N]``); zeros when none is."""
    n = int(available.sum())
    return available / n if n else np.zeros(available.shape)


def momentum_scores(panel: PricePanel, row: int) -> np.ndarray:
    """12-1 momentum: return from 252 to 21 sessions before the decision.

    Jegadeesh and Titman (1993), the last month skipped as usual.

    Returns
    -------
    numpy.ndarray
        ``float64[N]``; NaN without both prices, or without one at the decision.
    """
    if row < MOMENTUM_SESSIONS:
        return np.full(panel.n_symbols, np.nan)
    window = panel.prices_until(row, MOMENTUM_SESSIONS + 1)
    scores = window[-1 - MOMENTUM_SKIP_SESSIONS] / window[0] - 1.0
    return np.where(np.isfinite(window[-1]), scores, np.nan)


def top_third_weights(scores: np.ndarray) -> np.ndarray:
    """Equal weight in the best third (rounded up) of the assets that have a score.

    Assets tied with the last one in share its place: all of them are held.
    """
    scored = np.isfinite(scores)
    n = int(scored.sum())
    if n == 0:
        return np.zeros(scores.shape)
    n_held = (n + 2) // 3
    bar = np.sort(scores[scored])[-n_held]
    return equal_weights(scored & (np.where(scored, scores, -np.inf) >= bar))


def baseline_targets(
    bars: pl.DataFrame,
    splits: pl.DataFrame,
    config: TradingConfig,
    *,
    since: datetime | None = None,
) -> pl.DataFrame:
    """Weights of every baseline at every test decision.

    ``buy_and_hold`` has rows at the first decision alone: it never orders again. Risk parity
    means equal risk contributions under the trailing Ledoit–Wolf covariance. All obey
    ``trading.max_position_size``; excess goes to the other assets held, and to cash where they
    are full too.

    Parameters
    ----------
    splits
        `models.splits`, for the test segments.
    since
        Only decisions at or after this time.

    Returns
    -------
    polars.DataFrame
        Rows of `portfolio.targets_baselines`.

    Raises
    ------
    PortfolioError
        No asset has a price, or enough history, at a decision.
    """
    panel = PricePanel.from_bars(bars, config.universe.main)
    decisions = decisions_in_test(panel, splits, config.models.decision_every)
    rows = decisions[rows_since(panel, decisions, since)]
    limit, gross = config.trading.max_position_size, config.portfolio.max_gross_exposure
    weights = {name: np.zeros((len(rows), panel.n_symbols)) for name in BASELINES}
    window = config.portfolio.covariance_window_sessions
    for place, (investable, covariance) in enumerate(trailing_covariances(panel, rows, window)):
        row = int(rows[place])
        equal = equal_weights(np.isfinite(panel.prices_until(row, 1)[-1]))
        momentum = top_third_weights(momentum_scores(panel, row))
        if not momentum.any():
            raise PortfolioError(
                f"{panel.universe} at {panel.stamps(np.array([row]))[0]}: no symbol has the "
                f"{MOMENTUM_SESSIONS} sessions momentum needs"
            )
        parity = np.zeros(panel.n_symbols)
        parity[investable] = equal_risk_weights(covariance)
        raw = {
            "one_over_n": equal,
            "buy_and_hold": equal,
            "momentum_12_1": momentum,
            "one_over_n_60_cash_40": RISKY_SHARE * equal,
            "risk_parity": parity,
        }
        for name, wanted in raw.items():
            weights[name][place] = limit_weights(cap_weights(wanted, limit), limit, gross)
    held = rows == decisions[0]
    return targets_frame(
        panel,
        {
            name: (rows[held], matrix[held]) if name == "buy_and_hold" else (rows, matrix)
            for name, matrix in weights.items()
        },
    )
