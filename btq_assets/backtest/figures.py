"""Figures of each run, with intervals, and paired differences to the baselines.

Belongs here: which figure is shown with which interval and note. Does not belong here: formulas
(`engine.metrics`), resampling (`evidence.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.backtest.intervals import Interval, intervals
from btq_assets.backtest.standard_figures import daily, standard_figures
from btq_assets.contracts import backtest as contracts
from btq_assets.engine import metrics

if TYPE_CHECKING:
    from btq_assets.backtest.run import Run
    from btq_assets.config import BacktestSection

PERIODS_PER_YEAR = metrics.PERIODS_PER_YEAR

#: The baseline every strategy has to beat.
REFERENCE = "one_over_n"

_TAIL = (0.025, 0.975)
_DAYS = "daily net returns"


def metric_rows(
    runs: Sequence[Run], trips: Sequence[np.ndarray], settings: BacktestSection
) -> pl.DataFrame:
    """Rows of `backtest.metrics` of all runs.

    Intervals are 95 % percentile intervals of the stationary block bootstrap of daily returns
    (Politis and Romano, 1994); figures of holdings and round trips have none.

    Parameters
    ----------
    runs
        All runs, the reference among them.
    trips
        `engine.round_trips.round_trips` of each run.
    settings
        Bootstrap settings.
    """
    reference = next((run for run in runs if run.strategy == REFERENCE), None)
    days = [daily(run, reference) for run in runs]
    rows = []
    for run, own_trips, day, wide in zip(runs, trips, days, intervals(days, settings), strict=True):
        known = wide | mean_intervals(run.simulation.returns[1:], settings)
        if "capacity_multiple" in known:
            low, high = known["capacity_multiple"]
            cash = float(run.simulation.equity[0])
            known["capacity"] = (low * cash, high * cash)
        lead = "not comparable; " if run.role == "benchmark" else ""
        more = (
            (
                name,
                value,
                unit,
                lead + ("" if np.isfinite(value) else "undefined for this run; ") + note,
            )
            for name, value, unit, note in standard_figures(run, day, own_trips)
        )
        for name, value, unit, note in (*_figures(run, reference), *more):
            low, high = (
                known.get(name, (np.nan, np.nan)) if np.isfinite(value) else (np.nan, np.nan)
            )
            rows.append((run.run_id, run.strategy, name, value, low, high, unit, note))
    names = contracts.METRICS.column_names
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names) | {}, orient="row")
    numbers = ("value", "ci_low", "ci_high")
    return frame.with_columns(pl.col(numbers).cast(pl.Float64)).with_columns(
        pl.when(pl.col(number).is_finite()).then(pl.col(number)).alias(number) for number in numbers
    )


def _figures(run: Run, reference: Run | None) -> Iterator[tuple[str, float, str, str]]:
    """Name, value, unit and convention of each figure of one run."""
    simulation = run.simulation
    returns = simulation.returns[1:]
    lead = "not comparable; " if run.role == "benchmark" else ""
    for name, value, unit, note in (
        (
            "annual_return",
            metrics.annual_return(returns),
            "annualised",
            "compound growth, 252 sessions a year",
        ),
        (
            "annual_volatility",
            metrics.annual_volatility(returns),
            "annualised",
            "standard deviation times the square root of 252",
        ),
        ("sharpe", metrics.calculate_sharpe(returns), "annualised", "risk-free rate 0"),
        ("sortino", metrics.calculate_sortino(returns), "annualised", "target return 0"),
        (
            "calmar",
            metrics.calculate_calmar(returns),
            "ratio",
            "annual return over maximum drawdown, whole span",
        ),
        (
            "max_drawdown",
            metrics.max_drawdown(simulation.equity),
            "fraction",
            "largest fall from an earlier peak, daily closes",
        ),
        ("win_rate", metrics.win_rate(returns), "fraction", f"of {_DAYS} that are not zero"),
        ("profit_factor", metrics.calculate_profit_factor(returns), "ratio", f"of {_DAYS}"),
        ("expectancy", metrics.calculate_expectancy(returns), "per period", f"of {_DAYS}"),
        (
            "mae",
            _mean(metrics.adverse_excursions(simulation.shares, simulation.marks)),
            "fraction",
            "mean maximum adverse excursion over holding spells, daily closes",
        ),
        ("information_ratio", *_information_ratio(run, reference)),
        (
            "turnover_annual",
            metrics.turnover_annual(simulation.turnover[1:]),
            "annualised",
            "purchases and sales over equity",
        ),
        (
            "cost_annual",
            float((simulation.cost[1:] / simulation.equity[:-1]).mean() * PERIODS_PER_YEAR),
            "annualised",
            "all costs over equity",
        ),
        ("total_cost", float(simulation.cost.sum()), "currency", ""),
        ("final_equity", float(simulation.equity[-1]), "currency", ""),
        ("n_fills", float(simulation.fills.size), "count", ""),
        ("n_returns", float(returns.size), "count", "daily"),
    ):
        undefined = "" if np.isfinite(value) else "undefined for this run; "
        yield name, value, unit, lead + undefined + note


def _information_ratio(run: Run, reference: Run | None) -> tuple[float, str, str]:
    if reference is None:
        return np.nan, "annualised", f"there is no run of {REFERENCE}"
    if run.role == "benchmark" or run.strategy == REFERENCE:
        return np.nan, "annualised", f"active return over {REFERENCE}"
    value = metrics.calculate_information_ratio(
        run.simulation.returns[1:], reference.simulation.returns[1:]
    )
    return value, "annualised", f"active return over {REFERENCE}"


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def mean_intervals(returns: np.ndarray, settings: BacktestSection) -> dict[str, Interval]:
    """Percentile intervals of the figures that are functions of means of daily returns."""
    from btq_assets.evidence.bootstrap import resampled_means

    n = returns.size
    if n < 2 or not np.isfinite(returns).all() or returns.std() == 0.0:
        return {}
    centre = returns.mean()
    shifted = returns - centre
    columns = np.column_stack(
        [
            shifted,
            shifted**2,
            np.log1p(np.maximum(returns, -1 + 1e-12)),
            np.minimum(returns, 0.0) ** 2,
            returns > 0,
            returns != 0,
        ]
    )
    mean, square, log, downside, wins, moves = resampled_means(
        columns,
        mean_block=settings.bootstrap_mean_block_sessions,
        n_samples=settings.bootstrap_samples,
        seed=settings.seed,
    ).T
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0) * n / (n - 1))
    year = np.sqrt(PERIODS_PER_YEAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = {
            "annual_return": np.expm1(log * PERIODS_PER_YEAR),
            "annual_volatility": deviation * year,
            "sharpe": (mean + centre) / deviation * year,
            "sortino": (mean + centre) / np.sqrt(downside) * year,
            "win_rate": wins / moves,
            "expectancy": mean + centre,
        }
    found: dict[str, Interval] = {}
    for name, values in resampled.items():
        if np.isfinite(values).all():
            low, high = np.quantile(values, _TAIL)
            found[name] = (float(low), float(high))
    return found


def best_baseline(returns: Mapping[str, np.ndarray], baselines: Collection[str]) -> str | None:
    """Baseline with the highest realised Sharpe ratio over the run.

    It is chosen with hindsight, which is unkind to the candidates on purpose. ``None`` without a
    baseline that has a Sharpe ratio; ties go to the first name.
    """
    sharpes = {
        name: metrics.calculate_sharpe(values)
        for name, values in sorted(returns.items())
        if name in baselines
    }
    defined = {name: value for name, value in sharpes.items() if np.isfinite(value)}
    return max(defined, key=lambda name: defined[name]) if defined else None


def comparison_rows(
    returns: Mapping[str, np.ndarray], baselines: Collection[str], settings: BacktestSection
) -> pl.DataFrame:
    """Rows of `backtest.comparisons`: each run against 1/N and against the best baseline.

    Parameters
    ----------
    returns
        Daily net returns by strategy, all over the same days.
    baselines
        Which of them are baselines.
    settings
        Bootstrap settings.
    """
    from btq_assets.evidence.bootstrap import paired_block_bootstrap

    best = best_baseline(returns, baselines)
    roles: dict[str, list[str]] = {}
    if REFERENCE in returns:
        roles.setdefault(REFERENCE, []).append(REFERENCE)
    if best is not None:
        roles.setdefault(best, []).append("best_baseline")
    rows = []
    for strategy in sorted(returns):
        for against, role in roles.items():
            if strategy == against:
                continue
            difference = paired_block_bootstrap(
                returns[strategy],
                returns[against],
                mean_block=settings.bootstrap_mean_block_sessions,
                n_samples=settings.bootstrap_samples,
                seed=settings.seed,
                periods_per_year=PERIODS_PER_YEAR,
            )
            rows.append(
                {
                    "strategy": strategy,
                    "against": against,
                    "against_role": " and ".join(role),
                    **asdict(difference),
                }
            )
    frame = pl.DataFrame(rows, schema=contracts.COMPARISONS.schema)
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))
