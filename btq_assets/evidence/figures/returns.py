"""The promised table of returns: one strategy beside the S&P 500 and a traditional strategy.

Belongs here: rows of ``mart.figures`` that come from a run of the backtests. Does not belong here:
computing a metric (the engine's), benchmarks (`promised`).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from btq_assets.contracts.figures import FIGURES
from btq_assets.evidence.figures.promised import verdict
from btq_assets.evidence.figures.promises import Direction

#: The strategy that stands for the system: the mean rank of all models, named before any run. To take
#: the best of a run would be to choose with hindsight.
SUBJECT = "blend"

#: Rival's name in the figure → strategy of the run, in words.
RIVALS = {
    "sp500": (
        "sp500_price_index",
        "the S&P 500's price index, which has no dividends and no costs",
    ),
    "momentum": (
        "momentum_12_1",
        "12-1 momentum, the traditional strategy, same universe and costs",
    ),
}

#: Metric → words, unit, on which side of the rival it is better.
METRICS: dict[str, tuple[str, str, Direction]] = {
    "annual_return": ("Compound growth a year", "fraction", "at least"),
    "sharpe": ("Annual Sharpe ratio", "ratio", "at least"),
    "max_drawdown": ("Largest drawdown", "fraction", "at most"),
    "win_rate": ("Share of winning days", "fraction", "at least"),
    "calmar": ("Annual return over largest drawdown", "ratio", "at least"),
}

COMMAND = "make run"


def figures_of_returns(runs: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """One row per metric and rival; promised is what the rival has.

    Parameters
    ----------
    runs, metrics
        ``backtest.runs`` and ``backtest.metrics``.

    Returns
    -------
    polars.DataFrame
        Rows of ``mart.figures``. Where the run has no such strategy, or its spans differ, nothing is
        measured, and the note says which.
    """
    by_strategy = {run["strategy"]: run for run in runs.iter_rows(named=True)}
    values = {
        (run_id, metric): value
        for run_id, metric, value in metrics.select("run_id", "metric", "value").iter_rows()
    }
    own = by_strategy.get(SUBJECT)
    rows = [
        _row(metric, rival, own, by_strategy.get(RIVALS[rival][0]), values)
        for rival in RIVALS
        for metric in METRICS
    ]
    return pl.DataFrame(rows, schema=FIGURES.schema).sort(FIGURES.key)


def _row(
    metric: str,
    rival: str,
    own: dict[str, Any] | None,
    other: dict[str, Any] | None,
    values: dict[tuple[str, str], float | None],
) -> dict[str, Any]:
    words, unit, direction = METRICS[metric]
    strategy, told = RIVALS[rival]
    row = {
        "figure": f"{metric}_to_{rival}",
        "description": f"{words} of {SUBJECT}, after costs, against that of {told}.",
        "unit": unit,
        "direction": direction,
        "verdict": "not measured",
        "command": COMMAND,
    }
    for name, run in ((SUBJECT, own), (strategy, other)):
        if run is None:
            return row | {"note": f"the run has no strategy {name}"}
    assert own is not None
    assert other is not None
    if (own["first_ts"], own["last_ts"]) != (other["first_ts"], other["last_ts"]):
        return row | {"note": f"{SUBJECT} and {strategy} have other first or last bars"}
    promised, measured = (values.get((run["run_id"], metric)) for run in (other, own))
    if promised is None or measured is None:
        lacks = strategy if promised is None else SUBJECT
        return row | {"promised": promised, "note": f"{metric} of {lacks} is undefined"}
    return row | {
        "promised": promised,
        "measured": measured,
        "verdict": verdict(direction, promised, measured),
        "run_id": own["run_id"],
    }
