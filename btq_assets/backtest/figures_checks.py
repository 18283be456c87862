"""Blocking checks of metrics, round trips and slices, made on the rows about to be written.

Belongs here: what these tables must repeat of equity and fills. Does not belong here: the books
themselves (`checks`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from btq_assets.contracts import backtest as contracts
from btq_assets.contracts.backtest import DAY_STATES
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.engine import metrics

#: Largest relative gap to equity.
TOLERANCE = 1e-9

#: Figures that follow from `backtest.equity` alone, and are made again from it.
FROM_RETURNS: dict[str, Callable[..., float]] = {
    "sharpe": metrics.calculate_sharpe,
    "sortino": metrics.calculate_sortino,
    "calmar": metrics.calculate_calmar,
    "annual_return": metrics.annual_return,
    "omega": metrics.omega_ratio,
    "cvar_95": metrics.conditional_value_at_risk,
    "skewness": metrics.skewness,
    "ulcer_index": metrics.ulcer_index,
    "longest_underwater": metrics.longest_underwater,
    "stability": metrics.stability,
}
FROM_BOTH: dict[str, Callable[..., float]] = {
    "beta": metrics.beta,
    "alpha_annual": metrics.alpha_annual,
    "information_ratio": metrics.calculate_information_ratio,
    "up_capture": metrics.up_capture,
}

_REFERENCE = "one_over_n"


def _traded(context: CheckContext) -> pl.DataFrame:
    return context.frames[contracts.RUNS.table].filter(pl.col("role") != "benchmark")


def _outcome(name: str, problems: list[str], good: str) -> CheckOutcome:
    message = "; ".join(problems[:3]) + (" ..." if len(problems) > 3 else "")
    return CheckOutcome(name, not problems, message or good, {"n_problems": len(problems)})


def _returns(context: CheckContext) -> dict[str, np.ndarray]:
    equity = context.frames[contracts.EQUITY.table].sort("ts")
    return {
        run_id: own["net_return"].drop_nulls().to_numpy()
        for (run_id,), own in equity.partition_by("run_id", as_dict=True).items()
    }


def _metrics(context: CheckContext) -> CheckOutcome:
    """Make figures again from the equity table, and look at every interval."""
    table = context.frames[contracts.METRICS.table]
    stored = {(row[0], row[1]): row[2] for row in table.select("run_id", "metric", "value").rows()}
    runs, returns = context.frames[contracts.RUNS.table], _returns(context)
    reference = runs.filter(strategy=_REFERENCE)["run_id"]
    theirs = returns.get(reference[0]) if len(reference) else None
    problems = []
    for run in runs.iter_rows(named=True):
        own = returns[run["run_id"]]
        expected = {name: figure(own) for name, figure in FROM_RETURNS.items()}
        if theirs is not None and run["role"] != "benchmark" and run["strategy"] != _REFERENCE:
            expected |= {name: figure(own, theirs) for name, figure in FROM_BOTH.items()}
        for name, value in expected.items():
            found = stored.get((run["run_id"], name))
            if (found is None) != (not np.isfinite(value)) or (
                found is not None and not abs(found - value) <= TOLERANCE * max(1.0, abs(value))
            ):
                problems.append(f"{run['strategy']}: {name} is {found}, from equity {value:.6g}")
    counts = table.group_by("run_id").agg(pl.col("metric").n_unique())["metric"]
    if counts.n_unique() != 1 or len(counts) != runs.height:
        problems.append(f"runs have {sorted(counts.unique().to_list())} figures each")
    askew = table.filter(
        (pl.col("ci_low") > pl.col("ci_high"))
        | (pl.col("ci_low").is_null() != pl.col("ci_high").is_null())
        | (pl.col("value").is_null() & pl.col("ci_low").is_not_null())
    )
    problems += [
        f"{row['strategy']}: interval of {row['metric']} is {row['ci_low']} to {row['ci_high']}"
        for row in askew.head(3).iter_rows(named=True)
    ]
    silent = table.filter(pl.col("value").is_null() & (pl.col("note") == ""))
    problems += [
        f"{row[1]}: null without a reason" for row in silent.select("run_id", "metric").rows()
    ]
    return _outcome(
        "metrics_follow_from_equity",
        problems,
        f"{table.height} figures; those of equity come again",
    )


def _trips(context: CheckContext) -> CheckOutcome:
    """Profits of all round trips sum to the change of equity, their shares to the fills."""
    trips = context.frames[contracts.ROUND_TRIPS.table]
    trades = context.frames[contracts.TRADES.table]
    runs = _traded(context)
    last = (
        context.frames[contracts.EQUITY.table]
        .sort("ts")
        .group_by("run_id")
        .agg(pl.col("equity").last())
    )
    value = pl.col("shares") * pl.col("entry_price")
    sums = trips.group_by("run_id").agg(
        pl.col("profit").sum(),
        pl.col("cost").sum(),
        odd=(
            (pl.col("opened_at") > pl.col("closed_at"))
            | ((pl.col("trip_return") * value - pl.col("profit")).abs() > 1e-6 * value)
            | (pl.col("mae") > 1) & (pl.col("side") == "long")
            | (_move() < -pl.col("mae") - 1e-9)
            | (_move() > pl.col("mfe") + 1e-9)
        ).sum(),
    )
    paid = trades.group_by("run_id").agg(
        paid=pl.sum_horizontal("commission", "spread_cost", "impact_cost").sum()
    )
    both = (
        runs.join(last, on="run_id", how="left")
        .join(sums, on="run_id", how="left")
        .join(paid, on="run_id", how="left")
        .with_columns(pl.col("profit", "cost", "paid", "odd").fill_null(0))
        .with_columns(
            gap=(pl.col("equity") - pl.col("initial_cash") - pl.col("profit")).abs()
            / pl.max_horizontal(pl.col("equity").abs(), "initial_cash"),
            cost_gap=(pl.col("paid") - pl.col("cost")).abs() / pl.col("initial_cash"),
        )
    )
    bad = both.filter(
        ~(pl.col("gap") <= TOLERANCE) | ~(pl.col("cost_gap") <= TOLERANCE) | (pl.col("odd") > 0)
    )
    problems = [
        f"{row['strategy']}: profits of round trips miss the change of equity by {row['gap']:.2e} of "
        f"it, their costs those of the fills by {row['cost_gap']:.2e}; {row['odd']} impossible rows"
        for row in bad.iter_rows(named=True)
    ]
    return _outcome(
        "round_trips_are_equity",
        problems,
        f"profits of {trips.height} round trips are the equity's",
    )


def _move() -> pl.Expr:
    """Move of the price in favour of the trip, as a fraction of entry."""
    move = pl.col("exit_price") / pl.col("entry_price") - 1
    return pl.when(pl.col("side") == "long").then(move).otherwise(-move)


def _slices(context: CheckContext) -> CheckOutcome:
    """Days of each cut sum to all days, years compound to the whole, symbols sum to the profit."""
    table = context.frames[contracts.SLICES.table]
    returns, problems = _returns(context), []
    days = (
        table.filter(~pl.col("dimension").is_in(("symbol", "side")))
        .unique(("run_id", "dimension", "slice"))
        .group_by("run_id", "dimension")
        .agg(pl.col("n").sum())
    )
    counted = {(row[0], row[1]): row[2] for row in days.select("run_id", "dimension", "n").rows()}
    growth = (
        table.filter(metric="total_return")
        .group_by("run_id", "dimension")
        .agg(value=(1 + pl.col("value")).product())
    )
    grown = {
        (row[0], row[1]): row[2] for row in growth.select("run_id", "dimension", "value").rows()
    }
    profit = (
        table.filter(metric="profit").group_by("run_id", "dimension").agg(pl.col("value").sum())
    )
    earned = {
        (row[0], row[1]): row[2] for row in profit.select("run_id", "dimension", "value").rows()
    }
    dimensions = ["year", "month", "calendar_month"]
    if "market_states" in context.inputs:
        dimensions += list(DAY_STATES)
    for run in _traded(context).iter_rows(named=True):
        own = returns[run["run_id"]]
        whole = float(np.prod(1 + own))
        for dimension in dimensions:
            n = counted.get((run["run_id"], dimension), 0)
            if n != own.size:
                problems.append(f"{run['strategy']}: {dimension} has {n} days of {own.size}")
        for dimension in ("year", "month"):
            found = grown.get((run["run_id"], dimension), np.nan)
            if not abs(found - whole) <= TOLERANCE * whole:
                problems.append(
                    f"{run['strategy']}: by {dimension} it grows to {found:.9g}, as a whole to "
                    f"{whole:.9g}"
                )
        change = run["initial_cash"] * (whole - 1)
        for dimension in ("symbol", "side"):
            found = earned.get((run["run_id"], dimension), 0.0)
            if not abs(found - change) <= 1e-8 * max(run["initial_cash"], abs(change)):
                problems.append(
                    f"{run['strategy']}: by {dimension} it earns {found:.2f}, as a whole {change:.2f}"
                )
    return _outcome(
        "slices_add_up", problems, f"{table.height} figures of slices add up to the whole"
    )


METRICS_FOLLOW_FROM_EQUITY = frame_check(
    "metrics_follow_from_equity",
    "Figures of returns, made again from the equity table, are those stored; every run has every figure, and no null is without a reason.",
    _metrics,
)
ROUND_TRIPS_ARE_EQUITY = frame_check(
    "round_trips_are_equity",
    "Profits of a run's round trips sum to its change of equity and their costs to those of its fills; no trip ends outside its excursions.",
    _trips,
)
SLICES_ADD_UP = frame_check(
    "slices_add_up",
    "Days of every cut sum to all days, years and months compound to the whole return, symbols and sides sum to the whole profit.",
    _slices,
)

ALL = (METRICS_FOLLOW_FROM_EQUITY, ROUND_TRIPS_ARE_EQUITY, SLICES_ADD_UP)
