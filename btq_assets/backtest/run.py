"""Every strategy over the same bars with the same costs, as tables.

Belongs here: from bars and target weights to the tables of `contracts.backtest`. Does not belong
here: accounting (the engine), figures of merit (`figures`), anything that chooses weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.backtest import figures, slices
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.tables import (
    equity_rows,
    position_rows,
    runs_row,
    stack,
    trade_rows,
    trip_rows,
    unfilled_rows,
)
from btq_assets.contracts import backtest as contracts
from btq_assets.engine.costs import CostModel, half_spread_by_era

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig
    from btq_assets.engine.simulation import Simulation

#: Name under which the benchmark index is shown.
BENCHMARK_STRATEGY = "sp500_price_index"

BENCHMARK_NOTE = (
    "not comparable: a price index without dividends, not tradable, no costs; "
    "left out of trades, positions, comparisons and trials"
)


@dataclass(frozen=True)
class Run:
    """One strategy taken through the engine."""

    run_id: str
    strategy: str
    role: str
    market: Market
    simulation: Simulation
    costs_json: str
    data_hash: str
    notes: str


@dataclass(frozen=True)
class BacktestTables:
    """The tables of the backtest layer, and the runs behind them."""

    runs: pl.DataFrame
    equity: pl.DataFrame
    trades: pl.DataFrame
    unfilled_orders: pl.DataFrame
    positions: pl.DataFrame
    metrics: pl.DataFrame
    comparisons: pl.DataFrame
    round_trips: pl.DataFrame
    slices: pl.DataFrame
    details: tuple[Run, ...]

    def by_table(self) -> dict[str, pl.DataFrame]:
        """Frames by ``schema.table``."""
        return {
            contracts.RUNS.table: self.runs,
            contracts.EQUITY.table: self.equity,
            contracts.TRADES.table: self.trades,
            contracts.UNFILLED_ORDERS.table: self.unfilled_orders,
            contracts.POSITIONS.table: self.positions,
            contracts.METRICS.table: self.metrics,
            contracts.COMPARISONS.table: self.comparisons,
            contracts.ROUND_TRIPS.table: self.round_trips,
            contracts.SLICES.table: self.slices,
        }


def run_strategies(
    bars: pl.DataFrame,
    targets: pl.DataFrame,
    config: TradingConfig,
    *,
    baselines: Collection[str],
    states: Mapping[str, pl.DataFrame] | None = None,
    code_version: str = "notebook",
) -> BacktestTables:
    """Run all strategies and baselines over the same bars with the same costs.

    Every run starts at the first decision any of them takes, in cash, and ends at the last bar.

    Parameters
    ----------
    bars
        `core.bars_1d`; the main universe is traded, the benchmark index is shown where present.
    targets
        Union of the portfolio tables: ``strategy``, ``universe``, ``symbol``, ``ts``, ``weight``.
    config
        Sections ``backtest``, ``trading``, ``portfolio`` and ``universe`` are read.
    baselines
        Which strategies are baselines.
    states
        ``market`` → `regimes.market_states`, ``volatility`` → `regimes.volatility_states`, for the
        slices by state; without them there are none.
    code_version
        Hash of the code, part of each run's name.

    Returns
    -------
    BacktestTables

    Raises
    ------
    BacktestError
        No targets, targets of another universe, or weights that do not fit the bars.
    """
    from btq_assets.engine.round_trips import round_trips
    from btq_assets.engine.unfilled import unfilled_orders

    universe = config.universe.main
    if targets.is_empty():
        raise BacktestError("there are no targets: nothing to run")
    others = sorted(set(targets["universe"].unique().to_list()) - {universe})
    if others:
        raise BacktestError(f"targets of universe(s) {others}; only {universe!r} is traded")
    first_ts: datetime = targets["ts"].sort()[0]
    market = Market.from_bars(bars, universe).since(first_ts)
    costs = costs_of(market, config)
    digest = market.digest()
    runs, unfilled = [], []
    for strategy in sorted(targets["strategy"].unique().to_list()):
        own = targets.filter(pl.col("strategy") == strategy)
        weights = market.weights(own, strategy)
        data_hash = _hash(digest, hashlib.sha256(weights.tobytes()).hexdigest())
        simulation = simulate_weights(market, weights, costs, config)
        first: datetime = own["ts"].sort()[0]
        runs.append(
            _run(
                strategy,
                "baseline" if strategy in baselines else "candidate",
                market,
                simulation,
                costs_json(config),
                data_hash,
                code_version,
                (f"in cash until its first decision at {first:%Y-%m-%d}",)
                if first > market.ts[0]
                else (),
            )
        )
        missed = unfilled_orders(simulation, weights, market.fill_prices)
        unfilled.append(unfilled_rows(runs[-1], missed))
    benchmark = _benchmark_run(bars, market, config, code_version)
    shown = (*runs, benchmark) if benchmark else tuple(runs)
    traded = [run for run in shown if run.role != "benchmark"]
    returns = {run.strategy: run.simulation.returns[1:] for run in traded}
    trips = [round_trips(run.simulation) for run in shown]
    trip_frames = [trip_rows(run, own) for run, own in zip(shown, trips, strict=True)]
    return BacktestTables(
        runs=stack(contracts.RUNS, [runs_row(run, config) for run in shown]),
        equity=stack(contracts.EQUITY, [equity_rows(run) for run in shown]),
        trades=stack(contracts.TRADES, [trade_rows(run) for run in traded]),
        unfilled_orders=stack(contracts.UNFILLED_ORDERS, unfilled),
        positions=stack(contracts.POSITIONS, [position_rows(run) for run in traded]),
        metrics=stack(contracts.METRICS, [figures.metric_rows(shown, trips, config.backtest)]),
        comparisons=stack(
            contracts.COMPARISONS,
            [figures.comparison_rows(returns, baselines, config.backtest)],
        ),
        round_trips=stack(contracts.ROUND_TRIPS, trip_frames[: len(traded)]),
        slices=stack(contracts.SLICES, slices.slice_rows(traded, trip_frames, states)),
        details=shown,
    )


def costs_of(market: Market, config: TradingConfig) -> CostModel:
    """Cost model of the configuration, with the half-spread of each bar's era."""
    settings = config.backtest
    return CostModel(
        commission_bps=settings.commission_bps,
        half_spread_bps=half_spread_by_era(market.ts, settings.spread_eras),
        commission_per_share=settings.commission_per_share,
        impact_coefficient=settings.impact_coefficient,
    )


def costs_json(config: TradingConfig) -> str:
    """Cost settings of a run as JSON with sorted keys."""
    names = {"commission_bps", "commission_per_share", "impact_coefficient", "spread_eras"}
    return json.dumps(config.backtest.model_dump(mode="json", include=names), sort_keys=True)


def simulate_weights(
    market: Market, weights: np.ndarray, costs: CostModel, config: TradingConfig
) -> Simulation:
    """Take one matrix of target weights through the engine on the house's terms.

    Shares are sized at the decision, filled at the next bar, and buys are scaled to the cash.
    """
    from btq_assets.engine.simulation import simulate

    return simulate(
        market.fill_prices,
        market.mark_prices,
        weights,
        costs,
        initial_cash=config.trading.initial_cash,
        volumes=market.volumes,
        raw_prices=market.raw_prices,
        volatility=market.volatility,
        sizing="decision",
        on_short_cash="scale",
        max_gross=config.portfolio.max_gross_exposure,
    )


def trial_inputs(run: Run, config: TradingConfig) -> dict[str, Any]:
    """What identifies a run as a trial: arguments of `evidence.trials.trial_rows`."""
    return {
        "strategy": run.strategy,
        "universe": run.market.universe,
        "purpose": run.role,
        "config": {
            "costs": json.loads(run.costs_json),
            "initial_cash": config.trading.initial_cash,
            "max_gross_exposure": config.portfolio.max_gross_exposure,
        },
        "data_hash": run.data_hash,
        "seed": config.models.seeds[0],
    }


def _benchmark_run(
    bars: pl.DataFrame, market: Market, config: TradingConfig, code_version: str
) -> Run | None:
    """The index bought at the first fill and held, without costs; ``None`` if it has no bars."""
    from btq_assets.engine.simulation import simulate

    symbol = config.universe.benchmark
    own = bars.filter((pl.col("symbol") == symbol) & pl.col("ts").is_in(market.ts.implode()))
    if own.is_empty():
        return None
    index = Market.from_bars(own, own["universe"][0])
    if len(index.ts) < 3:
        return None
    weights = np.full(index.mark_prices.shape, np.nan)
    weights[0] = 1.0
    # sized at the fill, so that nothing of it stays in cash
    simulation = simulate(
        index.mark_prices,
        index.mark_prices,
        weights,
        CostModel(),
        initial_cash=config.trading.initial_cash,
        sizing="fill",
    )
    return _run(
        BENCHMARK_STRATEGY,
        "benchmark",
        index,
        simulation,
        "{}",
        index.digest()[:20],
        code_version,
        (BENCHMARK_NOTE,),
    )


def _run(
    strategy: str,
    role: str,
    market: Market,
    simulation: Simulation,
    costs: str,
    data_hash: str,
    code_version: str,
    extra_notes: tuple[str, ...],
) -> Run:
    notes = [*extra_notes, *simulation.notes]
    if simulation.n_scaled_bars:
        notes.append(f"buys scaled to the cash at hand on {simulation.n_scaled_bars} bar(s)")
    if oldest := int(simulation.oldest_mark.max()):
        notes.append(f"a holding was valued at a price up to {oldest} bar(s) old")
    return Run(
        run_id=_hash(strategy, data_hash, costs, code_version),
        strategy=strategy,
        role=role,
        market=market,
        simulation=simulation,
        costs_json=costs,
        data_hash=data_hash,
        notes="; ".join(notes),
    )


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


def union_of_targets(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """All targets tables under each other.

    Raises
    ------
    BacktestError
        One strategy is written by two tables.
    """
    parts = [
        frame.select("strategy", "universe", "symbol", "ts", "weight") for frame in tables.values()
    ]
    names = [name for part in parts for name in part["strategy"].unique().to_list()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise BacktestError(f"strategy(ies) {repeated} are in two of {sorted(tables)}")
    return pl.concat(parts)
