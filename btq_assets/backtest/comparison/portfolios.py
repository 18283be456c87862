"""Forecasts of every architecture and seed as the rank portfolio of the house, through the engine.

Belongs here: the path from forecasts to net returns and trials. Does not belong here: any rule of its
own; weights are those of `portfolio.ranks`, fills and costs those of every backtest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.run import costs_json, costs_of, simulate_weights
from btq_assets.config import TradingConfig
from btq_assets.contracts import comparison as tables


@dataclass(frozen=True)
class RankPortfolio:
    """What the rank portfolio of one architecture and seed did.

    Parameters
    ----------
    strategy, model, seed
        Which.
    returns
        ``ts``, ``net_return``, ``turnover``, ``cost``, by session after the first.
    data_hash
        Of the market and the weights.
    """

    strategy: str
    model: str
    seed: int
    returns: pl.DataFrame
    data_hash: str


def strategy_name(model: str, seed: int) -> str:
    """Name of an architecture's trial in the ledger."""
    return f"compared_{model}_{seed}"


def rank_portfolios(
    forecasts: Mapping[str, pl.DataFrame],
    bars: pl.DataFrame,
    states: pl.DataFrame | None,
    config: TradingConfig,
) -> list[RankPortfolio]:
    """The rank portfolio of every architecture and seed, over the same bars with the same costs.

    Parameters
    ----------
    forecasts
        ``models.compared_<architecture>`` by architecture.
    bars, states
        ``core.bars_1d`` and ``regimes.states`` (``None`` where regimes are switched off).
    config
        Sections ``portfolio``, ``trading``, ``backtest`` and ``universe``.

    Raises
    ------
    BacktestError
        A portfolio lost everything.
    PortfolioError
        Forecasts that do not decide on the same dates.
    """
    from btq_assets.portfolio.ranks import rank_targets

    by_seed = {
        (model, int(seed)): rows
        for model, frame in forecasts.items()
        for (seed,), rows in frame.group_by("seed", maintain_order=True)
    }
    named = {strategy_name(*key): rows for key, rows in by_seed.items()}
    targets = rank_targets(named, bars, states, config)
    first: datetime = targets["ts"].min()  # type: ignore[assignment]
    market = Market.from_bars(bars, config.universe.main).since(first)
    costs, digest = costs_of(market, config), market.digest()
    parts = targets.partition_by("strategy", as_dict=True)
    found = []
    for model, seed in by_seed:
        strategy = strategy_name(model, seed)
        weights = market.weights(parts[(strategy,)], strategy)
        done = simulate_weights(market, weights, costs, config)
        if not np.isfinite(done.returns[1:]).all():
            raise BacktestError(f"{strategy} lost everything; its returns are undefined")
        returns = pl.DataFrame(
            {
                "ts": market.ts.slice(1),
                "net_return": done.returns[1:],
                "turnover": done.turnover[1:],
                "cost": done.cost[1:] / done.equity[:-1],
            }
        )
        data_hash = hashlib.sha256(digest.encode() + weights.tobytes()).hexdigest()[:20]
        found.append(RankPortfolio(strategy, model, seed, returns, data_hash))
    return found


def returns_table(portfolios: list[RankPortfolio], universe: str) -> pl.DataFrame:
    """Rows of ``backtest.comparison_returns``."""
    return pl.concat(
        one.returns.select(
            pl.lit(one.strategy).alias("strategy"),
            pl.lit(universe).alias("universe"),
            pl.lit(one.model).alias("model"),
            pl.lit(one.seed, pl.Int64).alias("seed"),
            "ts",
            "net_return",
            "turnover",
            "cost",
        )
        for one in portfolios
    ).sort(tables.RETURNS.key)


def trials_of(
    portfolios: list[RankPortfolio],
    config: TradingConfig,
    *,
    code_version: str,
    run_id: str,
    recorded_at: datetime,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the two trial ledgers: every architecture and seed is a candidate and is counted."""
    from btq_assets.evidence.trials import trial_rows

    made = [
        trial_rows(
            one.returns.select("ts", "net_return"),
            strategy=one.strategy,
            universe=config.universe.main,
            purpose="candidate",
            config=_what_was_set(one, config),
            data_hash=one.data_hash,
            code_version=code_version,
            seed=one.seed,
            run_id=run_id,
            recorded_at=recorded_at,
        )
        for one in portfolios
    ]
    return pl.concat(trial for trial, _ in made), pl.concat(series for _, series in made)


def _what_was_set(one: RankPortfolio, config: TradingConfig) -> dict[str, Any]:
    return {
        "kind": "comparison",
        "model": one.model,
        "costs": json.loads(costs_json(config)),
        "initial_cash": config.trading.initial_cash,
        "max_gross_exposure": config.portfolio.max_gross_exposure,
    }
