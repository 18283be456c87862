"""Rows of `backtest.scenarios`, `backtest.crises` and `backtest.stresses`.

Belongs here: from the equity of finished runs, or from bars and targets, to tidy rows. Does not
belong here: the figures themselves (`scenarios`, `crises`, `stresses`) and what they must satisfy
(`checks`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.robustness import states, stresses
from btq_assets.backtest.robustness.crises import CRISES, passage
from btq_assets.backtest.run import costs_json, costs_of, simulate_weights
from btq_assets.backtest.tables import stack
from btq_assets.contracts import backtest as contracts
from btq_assets.engine import metrics
from btq_assets.evidence.bootstrap import stationary_bootstrap_indices

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

ONE_OVER_N = "one_over_n"

_SLICE_FIGURES = (
    "annual_return",
    "annual_volatility",
    "sharpe",
    "max_drawdown",
    "sortino",
    "win_rate",
    "profit_factor",
    "expectancy",
)


def scenario_table(
    equity: pl.DataFrame, market_states: pl.DataFrame, volatility_states: pl.DataFrame, scope: str
) -> pl.DataFrame:
    """Rows of `backtest.scenarios`: every run sliced by each kind of state and by both at once.

    Parameters
    ----------
    equity
        `backtest.equity`.
    market_states, volatility_states
        The tables of the regimes room.
    scope
        Universe whose states label the days of every run, the benchmark's included.
    """
    tables = {"market": market_states, "volatility": volatility_states}
    rows = []
    for (run_id, strategy), path in equity.sort("ts").group_by(
        "run_id", "strategy", maintain_order=True
    ):
        returns = path["net_return"].fill_null(np.nan).to_numpy()
        labels = states.state_labels(path["ts"], tables, scope)
        for dimension, known in labels.items():
            for found, growth in states.sliced(dimension, returns, known):
                rows.append(
                    {
                        "run_id": run_id,
                        "strategy": strategy,
                        "dimension": dimension,
                        "scenario": found.scenario,
                        "n_days": found.n_days,
                        "n_episodes": found.n_episodes,
                        "log_growth": _finite(growth),
                        **{name: _finite(found.metrics.get(name)) for name in _SLICE_FIGURES},
                        "note": found.note,
                    }
                )
    return stack(
        contracts.SCENARIOS, [pl.DataFrame(rows, infer_schema_length=None)] if rows else []
    )


def crisis_table(equity: pl.DataFrame) -> pl.DataFrame:
    """Rows of `backtest.crises`: every run through every window of the catalogue."""
    rows = []
    for (run_id, strategy), path in equity.sort("ts").group_by(
        "run_id", "strategy", maintain_order=True
    ):
        days = path["ts"].dt.date().to_numpy().astype("datetime64[D]")
        values = path["equity"].to_numpy()
        for crisis in CRISES:
            seen = passage(values, days, crisis)
            rows.append(
                {
                    "run_id": run_id,
                    "strategy": strategy,
                    "crisis": crisis.name,
                    "description": crisis.description,
                    "first_day": crisis.start,
                    "last_day": crisis.end,
                    "covered": seen.covered,
                    "n_days": seen.n_days,
                    "window_return": seen.window_return,
                    "max_drawdown": seen.max_drawdown,
                    "worst_day": seen.worst_day,
                    "note": seen.note,
                }
            )
    if not rows:
        return contracts.CRISES.empty()
    table = pl.DataFrame(rows, infer_schema_length=None)
    plain = table.filter(strategy=ONE_OVER_N).select("crisis", _plain="window_return")
    table = table.join(plain, on="crisis", how="left").with_columns(
        return_above_one_over_n=pl.col("window_return") - pl.col("_plain")
    )
    return stack(contracts.CRISES, [table])


@dataclass(frozen=True)
class StressedRun:
    """One strategy under one stress."""

    run_id: str
    strategy: str
    stress: stresses.Stress
    equity: np.ndarray
    turnover: np.ndarray
    data_hash: str
    note: str

    @property
    def returns(self) -> np.ndarray:
        """Simple net return over each bar but the first."""
        return self.equity[1:] / self.equity[:-1] - 1


def stressed_runs(
    market: Market, targets: pl.DataFrame, runs: pl.DataFrame, config: TradingConfig
) -> list[StressedRun]:
    """Candidates and 1/N of `runs` through the engine under every configured stress.

    Parameters
    ----------
    market
        The bars of the runs, from their first day on.
    targets
        Union of the portfolio tables.
    runs
        `backtest.runs`.
    """
    costs = costs_of(market, config)
    wanted = runs.filter((pl.col("role") == "candidate") | (pl.col("strategy") == ONE_OVER_N))
    if wanted.filter(strategy=ONE_OVER_N).is_empty():
        raise BacktestError(
            f"no run of {ONE_OVER_N}: a stressed strategy is compared with it under the same stress"
        )
    several = stresses.configured(config.backtest)
    if len(market.symbols) < 2:
        several = [stress for stress in several if stress.kind != "universe"]
    digest = market.digest().encode()
    done = []
    for run_id, strategy in wanted.sort("strategy").select("run_id", "strategy").iter_rows():
        weights = market.weights(targets.filter(pl.col("strategy") == strategy), strategy)
        data_hash = hashlib.sha256(digest + weights.tobytes()).hexdigest()[:20]
        for stress in several:
            changed = stresses.stressed(market, weights, costs, stress)
            simulation = simulate_weights(*changed, config)
            note = _note(stress, market)
            done.append(
                StressedRun(
                    run_id,
                    strategy,
                    stress,
                    simulation.equity,
                    simulation.turnover,
                    data_hash,
                    note,
                )
            )
    return done


def _note(stress: stresses.Stress, market: Market) -> str:
    if stress.kind == "liquidity" and market.volumes is None:
        return f"{stress.note}; there is no volume, so the spread alone changes"
    if stress.kind == "universe":
        gone = stresses.left_out(len(market.symbols), stress)
        return f"{stress.note}: {', '.join(market.symbols[i] for i in gone)}"
    return stress.note


def stress_trial_inputs(done: StressedRun, config: TradingConfig) -> dict[str, Any]:
    """What identifies a stressed run as a trial: arguments of `evidence.trials.trial_rows`."""
    return {
        "strategy": done.strategy,
        "universe": config.universe.main,
        "purpose": "stress",
        "config": {
            "stress": done.stress.kind,
            "case": done.stress.case,
            "share": done.stress.share,
            "costs": json.loads(costs_json(config)),
            "initial_cash": config.trading.initial_cash,
            "max_gross_exposure": config.portfolio.max_gross_exposure,
        },
        "data_hash": done.data_hash,
        "seed": done.stress.seed,
    }


def stress_table(
    done: list[StressedRun], trial_ids: Mapping[tuple[str, str], str], config: TradingConfig
) -> pl.DataFrame:
    """Rows of `backtest.stresses`: each stressed run, and quantiles over bootstrapped paths.

    Parameters
    ----------
    done
        What `stressed_runs` gave.
    trial_ids
        Trial by strategy and case.
    """
    returns = {(run.strategy, run.stress.case): run.returns for run in done}
    rows = []
    drawn = stationary_bootstrap_indices(
        done[0].returns.size,
        config.backtest.bootstrap_mean_block_sessions,
        config.backtest.bootstrap_samples,
        config.backtest.seed,
    )
    for run in done:
        own = returns[run.strategy, run.stress.case]
        plain = returns[ONE_OVER_N, run.stress.case]
        as_run = returns[run.strategy, stresses.AS_RUN.case]
        sharpe = metrics.calculate_sharpe(own)
        rows.append(
            {
                **_identity(run.run_id, run.strategy, run.stress.kind, run.stress.case),
                "parameter": run.stress.parameter,
                "n_returns": own.size,
                "annual_return": _finite(metrics.annual_return(own)),
                "annual_volatility": _finite(metrics.annual_volatility(own)),
                "sharpe": _finite(sharpe),
                "max_drawdown": _finite(metrics.max_drawdown(run.equity)),
                "turnover_annual": _finite(metrics.turnover_annual(run.turnover[1:])),
                "sharpe_change": _finite(sharpe - metrics.calculate_sharpe(as_run)),
                "mean_above_one_over_n_annual": None
                if run.strategy == ONE_OVER_N
                else float((own - plain).mean() * metrics.PERIODS_PER_YEAR),
                "trial_id": trial_ids.get((run.strategy, run.stress.case)),
                "note": run.note,
            }
        )
        if run.stress == stresses.AS_RUN:
            rows += _bootstrap_rows(run, own, plain, drawn, config)
    return stack(contracts.STRESSES, [pl.DataFrame(rows, infer_schema_length=None)])


def _bootstrap_rows(
    run: StressedRun,
    own: np.ndarray,
    plain: np.ndarray,
    drawn: np.ndarray,
    config: TradingConfig,
) -> list[dict[str, Any]]:
    settings = config.backtest
    against = None if run.strategy == ONE_OVER_N else plain
    figures = stresses.path_figures(own, against, drawn)
    return [
        {
            **_identity(run.run_id, run.strategy, "bootstrap", f"quantile_{quantile:g}"),
            "parameter": quantile,
            "n_returns": own.size,
            **{
                name: _quantile(getattr(figures, name), quantile)
                for name in ("annual_return", "annual_volatility", "sharpe", "max_drawdown")
            },
            "turnover_annual": None,
            "sharpe_change": None,
            "mean_above_one_over_n_annual": _quantile(figures.mean_above_annual, quantile),
            "trial_id": None,
            "note": f"of each figure by itself, over {settings.bootstrap_samples} paths of blocks "
            f"of {settings.bootstrap_mean_block_sessions} days on average",
        }
        for quantile in stresses.QUANTILES
    ]


def _identity(run_id: str, strategy: str, kind: str, case: str) -> dict[str, Any]:
    return {"run_id": run_id, "strategy": strategy, "kind": kind, "case": case}


def _quantile(values: np.ndarray | None, quantile: float) -> float | None:
    if values is None or not np.isfinite(values).all():
        return None
    return float(np.quantile(values, quantile))


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
