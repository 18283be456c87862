"""Figures of a run by year, month, state, symbol and side.

Belongs here: which days or round trips make a slice and which figures it gets. Does not belong
here: formulas (`engine.metrics`), labels of states (`robustness.states`, which `backtest.scenarios` reads too).

A day belongs to the state that was known the day before. Slices whose days follow one another
(year, month) get figures of paths; the others get figures of single days only, because days that are
apart make no path. Below 60 days there are
no figures of single days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.backtest.robustness.states import state_labels
from btq_assets.backtest.scenarios import MIN_DAYS
from btq_assets.engine import metrics

if TYPE_CHECKING:
    from btq_assets.backtest.run import Run

_REFERENCE = "one_over_n"
_YEAR = metrics.PERIODS_PER_YEAR

_TRIP_FIGURES = {
    "profit": pl.col("profit").sum(),
    "cost": pl.col("cost").sum(),
    "return_on_initial_cash": pl.col("profit").sum() / pl.col("_cash").first(),
    "trip_win_rate": (pl.col("profit") > 0).sum() / (pl.col("profit") != 0).sum(),
    "trip_profit_factor": pl.col("profit").filter(pl.col("profit") > 0).sum()
    / -pl.col("profit").filter(pl.col("profit") < 0).sum(),
    "trip_expectancy": pl.col("profit").mean(),
    "trip_mae": (pl.col("mae") * pl.col("_value")).sum() / pl.col("_value").sum(),
    "trip_mfe": (pl.col("mfe") * pl.col("_value")).sum() / pl.col("_value").sum(),
    "holding_sessions": (pl.col("sessions") * pl.col("_value")).sum() / pl.col("_value").sum(),
}


def slice_rows(
    runs: Sequence[Run],
    trips: Sequence[pl.DataFrame],
    states: Mapping[str, pl.DataFrame] | None,
) -> list[pl.DataFrame]:
    """Rows of `backtest.slices`, one frame per run.

    Parameters
    ----------
    runs
        Runs over the same days.
    trips
        Rows of `backtest.round_trips` of each, in the same order.
    states
        Tables by dimension as `state_labels` takes them; without them no slice by state.
    """
    if not runs:
        return []
    ts = runs[0].market.ts
    labels = day_labels(ts, states, runs[0].market.universe)
    groups = {name: _positions(values) for name, values in labels.items()}
    reference = next((run for run in runs if run.strategy == _REFERENCE), None)
    theirs = None if reference is None else reference.simulation.returns[1:]
    done = []
    for run, own in zip(runs, trips, strict=False):
        benchmark = None if run is reference else theirs
        rows = [
            (dimension, label, metric, value, chosen.size, note)
            for dimension, parts in groups.items()
            for label, chosen in parts.items()
            for metric, value, note in _day_figures(run, benchmark, dimension, chosen)
        ]
        frame = pl.DataFrame(
            rows,
            schema={
                "dimension": pl.String,
                "slice": pl.String,
                "metric": pl.String,
                "value": pl.Float64,
                "n": pl.Int64,
                "note": pl.String,
            },
            orient="row",
        )
        cash = float(run.simulation.equity[0])
        frame = pl.concat([frame, *(_trip_figures(own, by, cash) for by in ("symbol", "side"))])
        done.append(
            frame.with_columns(
                pl.when(pl.col("value").is_finite()).then("value").alias("value"),
                run_id=pl.lit(run.run_id),
                strategy=pl.lit(run.strategy),
            ).with_columns(
                note=pl.when(pl.col("value").is_null() & (pl.col("note") == ""))
                .then(pl.lit("undefined in this slice"))
                .otherwise("note")
            )
        )
    return done


def day_labels(
    ts: pl.Series, states: Mapping[str, pl.DataFrame] | None, scope: str
) -> dict[str, pl.Series]:
    """Slice of each return by dimension, length ``T - 1``: the first bar has no return.

    States are those of the bar before, so that a return never names its own slice.
    """
    days = ts[1:]
    labels = {
        "year": days.dt.strftime("%Y"),
        "month": days.dt.strftime("%Y-%m"),
        "calendar_month": days.dt.strftime("%m"),
    }
    for dimension, known in state_labels(ts, states or {}, scope).items():
        labels[dimension] = known[1:]
    return labels


def _positions(labels: pl.Series) -> dict[str, np.ndarray]:
    found = pl.DataFrame({"label": labels}).with_row_index("at").group_by("label").agg("at")
    return {label: np.array(at, dtype=np.int64) for label, at in found.sort("label").iter_rows()}


def _day_figures(
    run: Run, benchmark: np.ndarray | None, dimension: str, chosen: np.ndarray
) -> Iterator[tuple[str, float, str]]:
    simulation = run.simulation
    r = simulation.returns[1:][chosen]
    is_path = dimension in ("year", "month")
    figures: Mapping[str, float] = {}
    if is_path:
        growth = float(np.prod(1 + r))
        figures = {"total_return": growth - 1}
        if benchmark is not None:
            figures |= {"excess_return": growth - float(np.prod(1 + benchmark[chosen]))}
        figures |= {"max_drawdown": float(metrics.drawdown_path(r).max(initial=0.0))}
    for name, value in figures.items():
        yield name, value, ""
    if dimension == "month":
        return
    small = r.size < MIN_DAYS
    note = f"too few days: {r.size}, at least {MIN_DAYS} are needed" if small else ""
    start = simulation.equity[:-1][chosen]
    single = {
        "mean_annual": lambda: float(r.mean() * _YEAR),
        "annual_volatility": lambda: metrics.annual_volatility(r),
        "sharpe": lambda: metrics.calculate_sharpe(r),
        "win_rate": lambda: metrics.win_rate(r),
        "turnover_annual": lambda: metrics.turnover_annual(simulation.turnover[1:][chosen]),
        "cost_annual": lambda: float((simulation.cost[1:][chosen] / start).mean() * _YEAR),
    }
    if benchmark is not None:
        single["active_mean_annual"] = lambda: float((r - benchmark[chosen]).mean() * _YEAR)
    for name, figure in single.items():
        yield name, float("nan") if small else figure(), note


def _trip_figures(trips: pl.DataFrame, by: str, initial_cash: float) -> pl.DataFrame:
    """Figures of the round trips of each symbol or side, open ones valued at the last bar."""
    return (
        trips.with_columns(
            _cash=pl.lit(initial_cash), _value=pl.col("shares") * pl.col("entry_price")
        )
        .group_by(by)
        .agg(n=pl.len(), **_TRIP_FIGURES)
        .rename({by: "slice"})
        .with_columns(pl.col(list(_TRIP_FIGURES)).cast(pl.Float64))
        .unpivot(index=("slice", "n"), variable_name="metric", value_name="value")
        .select(
            pl.lit(by).alias("dimension"),
            "slice",
            "metric",
            "value",
            pl.col("n").cast(pl.Int64),
            pl.lit("").alias("note"),
        )
    )
