"""Tables of what the weights held last would have met: stress windows and simulated paths.

Belongs here: `risk.stress` and `risk.simulations`. Does not belong here: the catalogue
(`scenarios`) and the drawing of paths (`simulation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.contracts import risk
from btq_assets.risk.held import Holdings
from btq_assets.risk.scenarios import SCENARIOS, replay
from btq_assets.risk.simulation import METHODS, Simulated, draw, simulate_paths

if TYPE_CHECKING:
    from btq_assets.config import RiskSection


def stress_table(found: Sequence[Holdings]) -> pl.DataFrame:
    """Rows of ``risk.stress``: every window of the catalogue on the last weights.

    A window the data do not cover has ``covered`` false, its calendar dates at midnight UTC, null
    figures and a note.
    """
    rows: list[dict[str, Any]] = []
    for held in found:
        for strategy, weights in zip(held.strategies, held.last_weights, strict=True):
            for scenario in SCENARIOS:
                seen = replay(weights, held.prices, held.days, scenario, held.symbols)
                rows.append(
                    {
                        "strategy": strategy,
                        "scenario": scenario.name,
                        "window_start": _midnight(scenario.start)
                        if seen.first is None
                        else held.ts[seen.first],
                        "window_end": _midnight(scenario.end)
                        if seen.last is None
                        else held.ts[seen.last],
                        "covered": seen.covered,
                        "window_return": seen.window_return,
                        "max_drawdown": seen.max_drawdown,
                        "worst_day": seen.worst_day,
                        "note": seen.note,
                    }
                )
    return pl.DataFrame(rows, schema=risk.STRESS.schema).sort(risk.STRESS.key)


def simulations(
    found: Sequence[Holdings],
    settings: RiskSection,
    mean_block: float,
    *,
    with_fan: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, Simulated]]:
    """Simulated paths of each strategy's last weights, by both methods.

    All strategies see the same draws, so their rows differ by their weights alone. A strategy that
    holds nothing has a history of zeros, and paths that stay where they are.

    Parameters
    ----------
    found
        Holdings of each universe.
    settings
        Number of paths, horizon and seed.
    mean_block
        Mean block length of the bootstrap, in sessions.
    with_fan
        Strategies whose quantiles over time are kept.
    """
    size = (settings.monte_carlo_paths, settings.monte_carlo_horizon_sessions)
    for method in METHODS:
        shared: dict[int, np.ndarray] = {}
        for held in found:
            for s, strategy in enumerate(held.strategies):
                history = held.history(s)
                n = len(history)
                if n not in shared:
                    shared = {n: draw(method, n, *size, settings.seed, mean_block)}
                yield (
                    strategy,
                    simulate_paths(
                        history,
                        n_paths=size[0],
                        horizon_sessions=size[1],
                        seed=settings.seed,
                        method=method,
                        mean_block=mean_block,
                        with_fan=strategy in with_fan,
                        draws=shared[n],
                    ),
                )


def simulations_table(paths: Sequence[tuple[str, Simulated]]) -> pl.DataFrame:
    """Rows of ``risk.simulations``."""
    rows = [
        {
            "strategy": strategy,
            "method": simulated.method,
            "n_paths": simulated.n_paths,
            "horizon_sessions": simulated.horizon_sessions,
            "statistic": statistic,
            "value": value,
            "seed": simulated.seed,
        }
        for strategy, simulated in paths
        for statistic, value in simulated.statistics().items()
    ]
    return pl.DataFrame(rows, schema=risk.SIMULATIONS.schema).sort(risk.SIMULATIONS.key)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
