"""Agents from a plain table, for use without Dagster.

Belongs here: turning a pandas or polars frame into a market, and one call that trains on it.
Does not belong here: folds and assets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from btq_assets.agents.agent import TrainedAgent
from btq_assets.agents.market import AgentError, TradingMarket
from btq_assets.config import TradingConfig

_PRICE_NAMES = ("adj_close", "close")
_TIME_NAMES = ("ts", "date", "datetime", "timestamp", "index")
#: Symbol given to a frame that holds one instrument and does not name it.
SINGLE_SYMBOL = "ASSET"


def train_rl_agent(
    env_data: Any,
    feature_columns: Sequence[str],
    total_timesteps: int,
    config: TradingConfig | None = None,
) -> TrainedAgent:
    """Train a PPO agent on a table of prices and features.

    Parameters
    ----------
    env_data
        pandas or polars frame, see `market_from_frame`. All of it is used for training: keep the
        test period out.
    feature_columns
        Columns the agent observes; each row's values must be known at that row's time.
    total_timesteps
        Environment steps, rounded up to whole rollouts of ``models.rl.n_steps``.
    config
        Default ``TradingConfig()``; the first of ``models.seeds`` is used.

    Returns
    -------
    TrainedAgent
    """
    from btq_assets.agents.environment import AdvancedTradingEnv
    from btq_assets.agents.ppo import EPISODE_DECISIONS, train_agent

    if total_timesteps < 1:
        raise AgentError(f"total_timesteps = {total_timesteps}: must be at least 1")
    config = config or TradingConfig()
    environment = AdvancedTradingEnv(
        market_from_frame(env_data, feature_columns, config),
        config,
        episode_decisions=EPISODE_DECISIONS,
        random_start=True,
    )
    return train_agent(environment, total_timesteps=total_timesteps, seed=config.models.seeds[0])


def market_from_frame(
    frame: Any, feature_columns: Sequence[str], config: TradingConfig
) -> TradingMarket:
    """Market of a tidy table: one row per symbol and session.

    Parameters
    ----------
    frame
        pandas or polars; a price (``adj_close``, else ``close``), a time (``ts``, ``date``,
        ``datetime``, ``timestamp``, or a pandas index), optionally ``symbol``, and the features.
    feature_columns
        Columns observed.

    Returns
    -------
    TradingMarket
        Decisions are the first session of each week (``models.decision_every``) at which some
        symbol has a price and all features; the last session is left out, for nothing could fill
        after it.

    Raises
    ------
    AgentError
        A column is missing, a price is not positive, a key repeats, or too few decisions remain.
    """
    from btq_assets.engine.costs import BPS, half_spread_by_era
    from btq_assets.timeline import decision_times

    tidy = _tidy(frame, list(feature_columns))
    symbols = tuple(tidy["symbol"].unique().sort().to_list())
    sessions = tidy["ts"].unique().sort()
    at = (
        sessions.search_sorted(tidy["ts"]).to_numpy(),
        pl.Series(symbols).search_sorted(tidy["symbol"]).to_numpy(),
    )
    prices = np.full((sessions.len(), len(symbols)), np.nan)
    prices[at] = tidy["price"].to_numpy()
    values = np.full((*prices.shape, len(feature_columns)), np.nan)
    values[at] = tidy.select(feature_columns).to_numpy()
    usable = (np.isfinite(values).all(axis=2) & np.isfinite(prices)).any(axis=1)
    decisions = sessions.search_sorted(
        decision_times(sessions, config.models.decision_every)
    ).to_numpy()
    rows = np.array([r for r in decisions if usable[r] and r < sessions.len() - 1], dtype=np.int64)
    return TradingMarket(
        symbols=symbols,
        prices=prices,
        decision_rows=rows,
        features=values[rows],
        half_spread=half_spread_by_era(sessions, config.backtest.spread_eras) * BPS,
        commission=config.backtest.commission_bps * BPS,
        feature_names=tuple(feature_columns),
    )


def _tidy(frame: Any, features: list[str]) -> pl.DataFrame:
    """``symbol``, ``ts``, ``price`` and the features, out of pandas or polars."""
    if not isinstance(frame, pl.DataFrame):
        frame = pl.from_pandas(frame.reset_index(names="index"))
    price = next((name for name in _PRICE_NAMES if name in frame.columns), None)
    time = next(
        (n for n in _TIME_NAMES if n in frame.columns and frame.schema[n].is_temporal()), None
    )
    missing = [name for name in features if name not in frame.columns]
    if not features or missing or price is None or time is None:
        raise AgentError(
            f"feature columns missing: {missing or 'none'}; price column: {price} (one of "
            f"{_PRICE_NAMES}); time column: {time} (one of {_TIME_NAMES}, of a date or time "
            f"type); {len(features)} feature column(s) named; the table has {frame.columns}"
        )
    symbol = pl.col("symbol") if "symbol" in frame.columns else pl.lit(SINGLE_SYMBOL)
    tidy = frame.select(
        symbol.cast(pl.String).alias("symbol"),
        pl.col(time).cast(pl.Datetime("us")).alias("ts"),
        pl.col(price).cast(pl.Float64).alias("price"),
        *(pl.col(name).cast(pl.Float64) for name in features),
    )
    bad = tidy.filter(~(pl.col("price") > 0) & pl.col("price").is_not_null())
    if not bad.is_empty():
        raise AgentError(f"{price} is not positive at {bad.row(0)[:3]}")
    if tidy.select("symbol", "ts").is_duplicated().any():
        raise AgentError("a symbol has several rows at the same time; name the symbols apart")
    return tidy
