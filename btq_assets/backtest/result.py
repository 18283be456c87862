"""What one run through the engine gives: equity, fills, figures and notes.

Belongs here: the result of a backtest from a notebook, out of a simulation. Does not belong here: asking a
strategy (`asking`), tables of the asset graph (`run`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.backtest.market import Market
from btq_assets.engine import metrics

if TYPE_CHECKING:
    from btq_assets.engine.simulation import Simulation


@dataclass(frozen=True)
class BacktestResult:
    """What a backtest gave.

    Attributes
    ----------
    equity
        Per bar: ``ts``, ``equity``, ``cash``, ``net_return``, ``turnover``, ``cost``.
    trades
        Per fill: ``symbol``, ``decided_at``, ``filled_at``, ``shares``, ``price``, ``commission``,
        ``spread_cost``.
    metrics
        Figures by name, as in `engine.metrics`; NaN where undefined.
    n_rejected
        Orders refused for want of cash or price.
    notes
        What could not be modelled, and what was cut.
    """

    equity: pl.DataFrame
    trades: pl.DataFrame
    metrics: dict[str, float]
    n_rejected: int
    notes: tuple[str, ...]


def result_of(simulation: Simulation, market: Market) -> BacktestResult:
    """Tables and figures of a simulation over `market`."""
    fills = simulation.fills
    names = np.array(market.symbols, dtype=object)
    notes = list(simulation.notes)
    if simulation.n_scaled_bars:
        notes.append(f"buys scaled to the cash at hand on {simulation.n_scaled_bars} bar(s)")
    return BacktestResult(
        equity=pl.DataFrame(
            {
                "ts": market.ts,
                "equity": simulation.equity,
                "cash": simulation.cash,
                "net_return": simulation.returns,
                "turnover": simulation.turnover,
                "cost": simulation.cost,
            }
        ).with_columns(pl.col("net_return").fill_nan(None)),
        trades=pl.DataFrame(
            {
                "symbol": pl.Series(names[fills["asset"]].tolist(), dtype=pl.String),
                "decided_at": market.ts.gather(fills["decided_bar"]),
                "filled_at": market.ts.gather(fills["bar"]),
                "shares": fills["shares"],
                "price": fills["price"],
                "commission": fills["commission"],
                "spread_cost": fills["spread_cost"],
            }
        ),
        metrics=figures_of(simulation),
        n_rejected=simulation.n_rejected,
        notes=tuple(notes),
    )


def figures_of(simulation: Simulation) -> dict[str, float]:
    """Figures of a simulation by name, as in `engine.metrics`; NaN where undefined."""
    returns = simulation.returns[1:]
    return {
        "final_equity": float(simulation.equity[-1]),
        "annual_return": metrics.annual_return(returns),
        "annual_volatility": metrics.annual_volatility(returns),
        "sharpe": metrics.calculate_sharpe(returns),
        "sortino": metrics.calculate_sortino(returns),
        "calmar": metrics.calculate_calmar(returns),
        "max_drawdown": metrics.max_drawdown(simulation.equity),
        "win_rate": metrics.win_rate(returns),
        "profit_factor": metrics.calculate_profit_factor(returns),
        "expectancy": metrics.calculate_expectancy(returns),
        "turnover_annual": metrics.turnover_annual(simulation.turnover[1:]),
        "total_cost": float(simulation.cost.sum()),
    }
