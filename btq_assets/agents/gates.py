"""Checks on fitted agents that a table of weights does not show.

Belongs here: whether what an agent observes matters. Does not belong here: limits of weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from btq_assets.agents.walk_forward import FoldAgent, apply_fold_agents
from btq_assets.config import TradingConfig
from btq_assets.contracts.checks import CheckOutcome
from btq_assets.portfolio.gates import perturb_history

#: Smallest change of a weight, and spread of one in time, that counts as any.
SMALLEST_EFFECT = 1e-4


def agents_matter(
    agents: Sequence[FoldAgent], frame: pl.DataFrame, bars: pl.DataFrame, config: TradingConfig
) -> CheckOutcome:
    """Answer of ``not_hollow``: observations move actions, and weights are not constant.

    The price history of the symbol with the largest mean weight is mirrored (every rise becomes
    as large a fall); the agents' weights must change. Weights must also vary from decision to
    decision beyond 1/N.
    """
    name = "not_hollow"
    spread = float(frame.group_by("symbol").agg(pl.col("weight").std())["weight"].max() or 0.0)  # type: ignore[arg-type]
    symbol = (
        frame.group_by("symbol").agg(pl.col("weight").mean()).sort("weight", "symbol")["symbol"][-1]
    )
    again = apply_fold_agents(agents, perturb_history(bars, symbol, "trend"), config)
    moved = frame.join(again, on=["strategy", "universe", "symbol", "ts"], suffix="_again")
    change = float((moved["weight"] - moved["weight_again"]).abs().max() or 0.0)  # type: ignore[arg-type]
    numbers = {"largest_change": change, "largest_weight_std": spread, "symbol": symbol}
    if change < SMALLEST_EFFECT:
        return CheckOutcome(
            name, False, f"mirroring the history of {symbol} changes no weight", numbers
        )
    if spread < SMALLEST_EFFECT:
        return CheckOutcome(name, False, "weights are the same at every decision", numbers)
    return CheckOutcome(
        name, True, f"mirroring {symbol} moves a weight by up to {change:.3g}", numbers
    )
