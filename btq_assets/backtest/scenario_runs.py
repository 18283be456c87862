"""Answers of one path to scenarios: which days are of which kind of market, crises, bootstrapped paths.

Belongs here: slicing and resampling a path that was run. Does not belong here: what a request means
(`requested`), definitions of kinds of market (`scenarios`), runs on worse terms (`robustness.stresses`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from btq_assets.backtest import requested, scenarios
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.robustness import crises, stresses
from btq_assets.backtest.robustness.states import COMBINED, combined_labels, known_states
from btq_assets.evidence.bootstrap import stationary_bootstrap_indices
from btq_assets.risk.scenarios import Scenario

#: Paths of the bootstrap, and the mean length of their blocks in bars.
BOOTSTRAP_PATHS, BOOTSTRAP_BLOCK = 1_000, 21


def one_scope(states: pl.DataFrame, dimension: str) -> pl.DataFrame:
    """The table, refused where it lacks columns or holds several scopes."""
    missing = sorted({"ts", "state"} - set(states.columns))
    if missing:
        raise BacktestError(f"{dimension}_states has no column(s) {missing}")
    if "scope" in states.columns and states["scope"].n_unique() > 1:
        raise BacktestError(
            f"{dimension}_states holds scopes {sorted(states['scope'].unique())}; filter it to one"
        )
    return states.select("ts", "state")


def scenario_days(
    market: Market, states: Mapping[str, pl.DataFrame]
) -> dict[str, tuple[str, np.ndarray]]:
    """Meaning and days of each kind of market: states handed over, else trailing figures.

    Parameters
    ----------
    market
        Bars of the run.
    states
        ``ts`` and ``state`` of one scope, by dimension (``market``, ``volatility``).
    """
    returns = scenarios.market_returns(market.mark_prices)
    labels = scenarios.trailing_labels(returns) | {
        dimension: known_states(market.ts, table) for dimension, table in states.items()
    }
    labels[COMBINED] = combined_labels(labels["market"], labels["volatility"])
    found: dict[str, tuple[str, np.ndarray]] = {}
    for name, (dimension, state) in requested.OF_STATES.items():
        if dimension == COMBINED:
            parts = state.split("_", 1)
            if not set(parts) <= set(found):
                continue
            meaning = " and ".join(parts).replace("_", " ") + " at once"
        elif dimension in states:
            meaning = f"{dimension} state of the regimes room at the bar before: {state}"
        elif name in scenarios.DEFINITIONS:
            meaning = scenarios.DEFINITIONS[name]
        else:
            continue
        found[name] = (meaning, (labels[dimension] == state).to_numpy())
    return found


def in_crisis(equity: pl.DataFrame, crisis: Scenario) -> scenarios.ScenarioResult:
    """A path through one dated crisis; ``ts`` and ``equity`` per bar."""
    days = equity["ts"].dt.date().to_numpy().astype("datetime64[D]")
    seen = crises.passage(equity["equity"].to_numpy(), days, crisis)
    figures = {
        name: value
        for name in ("window_return", "max_drawdown", "worst_day")
        if (value := getattr(seen, name)) is not None
    }
    meaning = f"{crisis.description}, {crisis.start} to {crisis.end}"
    return scenarios.ScenarioResult(
        crisis.name, meaning, seen.n_days, int(seen.covered), figures, seen.note, "crisis"
    )


def bootstrapped(returns: np.ndarray) -> dict[str, scenarios.ScenarioResult]:
    """Quantiles of figures over resampled paths of a run's returns, by name."""
    drawn = stationary_bootstrap_indices(
        returns.size, BOOTSTRAP_BLOCK, BOOTSTRAP_PATHS, requested.DRAW_SEED
    )
    figures = stresses.path_figures(returns, None, drawn)
    found = {}
    for quantile in stresses.QUANTILES:
        name = f"{requested.BOOTSTRAP}_quantile_{quantile:g}"
        values = {
            column: float(np.quantile(getattr(figures, column), quantile))
            for column in ("annual_return", "annual_volatility", "sharpe", "max_drawdown")
        }
        meaning = (
            f"quantile {quantile:g} of each figure by itself over {BOOTSTRAP_PATHS} paths of "
            f"blocks of {BOOTSTRAP_BLOCK} bars on average"
        )
        found[name] = scenarios.ScenarioResult(
            name, meaning, returns.size, BOOTSTRAP_PATHS, values, "", "bootstrap"
        )
    return found
