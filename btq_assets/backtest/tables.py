"""Rows of the backtest tables out of finished runs.

Belongs here: from the arrays of a simulation to tidy rows. Does not belong here: making a run
(`run`) and figures of merit (`figures`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from btq_assets.backtest.run import Run
    from btq_assets.config import TradingConfig
    from btq_assets.contracts.base import TableContract

#: Names of the reasons of `engine.kernel`, by number.
REASONS = ("rebalance", "delisted")


def stack(contract: TableContract, frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Frames under each other with the columns of `contract`, sorted by its key."""
    parts = [frame.select(contract.column_names).cast(contract.schema) for frame in frames]
    return pl.concat([contract.empty(), *parts]).sort(contract.key)


def runs_row(run: Run, config: TradingConfig) -> pl.DataFrame:
    """Row of `backtest.runs` of one run."""
    return pl.DataFrame(
        {
            "run_id": [run.run_id],
            "strategy": [run.strategy],
            "universe": [run.market.universe],
            "role": [run.role],
            "first_ts": [run.market.ts[0]],
            "last_ts": [run.market.ts[-1]],
            "initial_cash": [config.trading.initial_cash],
            "costs_json": [run.costs_json],
            "identity_error": [run.simulation.identity_error],
            "n_rejected_orders": [run.simulation.n_rejected],
            "notes": [run.notes],
        }
    )


def equity_rows(run: Run) -> pl.DataFrame:
    """Rows of `backtest.equity` of one run."""
    simulation = run.simulation
    values = simulation.position_values
    return pl.DataFrame(
        {
            "ts": run.market.ts,
            "equity": simulation.equity,
            "cash": simulation.cash,
            "gross_exposure": np.abs(values).sum(axis=1) / simulation.equity,
            "net_exposure": values.sum(axis=1) / simulation.equity,
            "turnover": simulation.turnover,
            "cost": simulation.cost,
            "net_return": simulation.returns,
        }
    ).with_columns(
        pl.col("net_return").fill_nan(None),
        run_id=pl.lit(run.run_id),
        strategy=pl.lit(run.strategy),
    )


def trade_rows(run: Run) -> pl.DataFrame:
    """Rows of `backtest.trades` of one run."""
    fills, ts = run.simulation.fills, run.market.ts
    names = np.array(run.market.symbols, dtype=object)
    return pl.DataFrame(
        {
            "symbol": pl.Series(names[fills["asset"]].tolist(), dtype=pl.String),
            "decided_at": ts.gather(fills["decided_bar"]),
            "filled_at": ts.gather(fills["bar"]),
            "shares": fills["shares"],
            "price": fills["price"],
            "commission": fills["commission"],
            "spread_cost": fills["spread_cost"],
            "impact_cost": fills["impact_cost"],
            "reason": pl.Series(
                np.array(REASONS, dtype=object)[fills["reason"]].tolist(), dtype=pl.String
            ),
        }
    ).with_columns(
        pl.col("impact_cost").fill_nan(None),
        run_id=pl.lit(run.run_id),
        strategy=pl.lit(run.strategy),
    )


def unfilled_rows(run: Run, missed: np.ndarray) -> pl.DataFrame:
    """Rows of `backtest.unfilled_orders` of one run, out of `engine.unfilled.unfilled_orders`."""
    from btq_assets.engine.unfilled import REASONS as WHY

    ts = run.market.ts
    names = np.array(run.market.symbols, dtype=object)
    return pl.DataFrame(
        {
            "symbol": pl.Series(names[missed["asset"]].tolist(), dtype=pl.String),
            "decided_at": ts.gather(missed["decided_bar"]),
            "ended_at": ts.gather(missed["bar"]),
            "horizon_at": ts.gather(missed["until_bar"]),
            "wanted_shares": missed["wanted"],
            "filled_shares": missed["filled"],
            "unfilled_shares": missed["wanted"] - missed["filled"],
            "reason": pl.Series(
                np.array(WHY, dtype=object)[missed["reason"]].tolist(), dtype=pl.String
            ),
        }
    ).with_columns(
        pl.col("wanted_shares", "unfilled_shares").fill_nan(None),
        run_id=pl.lit(run.run_id),
        strategy=pl.lit(run.strategy),
    )


def position_rows(run: Run) -> pl.DataFrame:
    """Holdings after each bar with a fill and at the last bar; a position just closed has a 0."""
    simulation = run.simulation
    n_bars, n_assets = simulation.shares.shape
    wanted = np.zeros((n_bars, n_assets), dtype=bool)
    wanted[simulation.fills["bar"], simulation.fills["asset"]] = True
    bars = np.zeros(n_bars, dtype=bool)
    bars[simulation.fills["bar"]] = True
    bars[-1] = True
    wanted |= bars[:, None] & (simulation.shares != 0)
    t, i = np.nonzero(wanted)
    values = simulation.position_values[t, i]
    return pl.DataFrame(
        {
            "symbol": pl.Series(
                np.array(run.market.symbols, dtype=object)[i].tolist(), dtype=pl.String
            ),
            "ts": run.market.ts.gather(t),
            "shares": simulation.shares[t, i],
            "value": values,
            "weight": values / simulation.equity[t],
        }
    ).with_columns(run_id=pl.lit(run.run_id), strategy=pl.lit(run.strategy))


def trip_rows(run: Run, trips: np.ndarray) -> pl.DataFrame:
    """Rows of `backtest.round_trips` of one run, out of `engine.round_trips.round_trips`."""
    names = np.array(run.market.symbols, dtype=object)
    value = trips["shares"] * trips["entry_price"]
    first = np.searchsorted(trips["asset"], trips["asset"])
    return pl.DataFrame(
        {
            "symbol": pl.Series(names[trips["asset"]].tolist(), dtype=pl.String),
            "number": np.arange(trips.size) - first,
            "side": pl.Series(
                np.where(trips["side"] > 0, "long", "short").tolist(), dtype=pl.String
            ),
            "is_open": trips["is_open"],
            "opened_at": run.market.ts.gather(trips["entry_bar"]),
            "closed_at": run.market.ts.gather(trips["exit_bar"]),
            "sessions": trips["exit_bar"] - trips["entry_bar"],
            **{name: trips[name] for name in ("shares", "entry_price", "exit_price")},
            **{name: trips[name] for name in ("cost", "profit")},
            "trip_return": trips["profit"] / value,
            **{name: trips[name] for name in ("mae", "mfe")},
        }
    ).with_columns(run_id=pl.lit(run.run_id), strategy=pl.lit(run.strategy))
