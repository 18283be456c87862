"""Blocking checks of the tables of scenarios, crises and stresses.

Belongs here: what must hold between these tables and the runs they describe. Does not belong
here: structure (the contracts).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.backtest.robustness.crises import CRISES
from btq_assets.backtest.robustness.states import STATES
from btq_assets.backtest.robustness.tables import ONE_OVER_N, scenario_table
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.engine.costs import BPS

#: Between a sum of log returns and the log of the ratio of equities.
GROWTH_TOLERANCE = 1e-9

#: Return that the not-hollow check gives the last day of each run.
PLANTED_RETURN = 0.5

#: Share by which the loss to costs may differ from turnover times their rate.
COST_EFFECT_TOLERANCE = 0.5

#: Cost effects on growth below this, a year, are not judged: too little is traded.
LEAST_COST_EFFECT = 1e-4


def _outcome(name: str, problems: list[str], good: str) -> CheckOutcome:
    message = "; ".join(problems[:3]) + (" ..." if len(problems) > 3 else "")
    return CheckOutcome(name, not problems, message or good, {"n_problems": len(problems)})


def _partition(context: CheckContext) -> CheckOutcome:
    equity = context.inputs["equity"]
    runs = equity.sort("ts").group_by("run_id").agg(
        _n=pl.col("net_return").count(),
        _growth=(pl.col("equity").last() / pl.col("equity").first()).log(),
    )  # fmt: skip
    whole = (
        context.frames[contracts.SCENARIOS.table]
        .group_by("run_id", "strategy", "dimension")
        .agg(
            pl.col("n_days").sum(),
            pl.col("log_growth").sum(),
            unknown_growth=pl.col("log_growth").null_count(),
        )
    )
    pairs = runs.join(whole, on="run_id", how="full", coalesce=True)
    n_dimensions = whole.group_by("run_id").len().filter(pl.col("len") != len(STATES)).height
    wrong = pairs.filter(
        pl.col("n_days").is_null()
        | pl.col("_n").is_null()
        | (pl.col("n_days") != pl.col("_n"))
        | (
            pl.col("_growth").is_finite()
            & (pl.col("unknown_growth") == 0)
            & ((pl.col("log_growth") - pl.col("_growth")).abs() > GROWTH_TOLERANCE)
        )
    )
    problems = [
        f"{row['strategy']} by {row['dimension']}: {row['n_days']} days growing "
        f"{row['log_growth']}, the run has {row['_n']} growing {row['_growth']}"
        for row in wrong.iter_rows(named=True)
    ]
    if n_dimensions:
        problems.append(f"{n_dimensions} run(s) are not sliced by each of {', '.join(STATES)}")
    return _outcome(
        "slices_partition_the_days",
        problems,
        f"{runs.height} runs: the slices hold every day once and grow as the run does",
    )


def _label_is_known_before(context: CheckContext) -> CheckOutcome:
    """Change each table's last state: nothing may move, for no day began in it."""
    last = context.inputs["equity"]["ts"].max()
    moved = {}
    for name, state in (("market_states", "bull"), ("volatility_states", "low")):
        other = "bear" if state == "bull" else "high"
        at_end = pl.col("ts") >= pl.lit(last)
        moved[name] = context.inputs[name].with_columns(
            state=pl.when(at_end & (pl.col("state") == state))
            .then(pl.lit(other))
            .when(at_end)
            .then(pl.lit(state))
            .otherwise("state")
        )
    again = scenario_table(
        context.inputs["equity"], **moved, scope=context.config.universe.main
    ).select("run_id", "dimension", "scenario", "n_days")
    table = context.frames[contracts.SCENARIOS.table].select(again.columns).sort(again.columns)
    problems = (
        []
        if again.sort(again.columns).equals(table)
        else ["a day's slice changes with the state of the same day, which was not known before it"]
    )
    return _outcome("state_known_before_the_day", problems, "the last state chooses no slice")


def _slices_not_hollow(context: CheckContext) -> CheckOutcome:
    """Another return on the last day moves exactly the slices that day is in."""
    equity = context.inputs["equity"]
    is_last = pl.col("ts") == pl.col("ts").max().over("run_id")
    moved = equity.with_columns(
        net_return=pl.when(is_last).then(PLANTED_RETURN).otherwise("net_return")
    )
    again = scenario_table(
        moved,
        context.inputs["market_states"],
        context.inputs["volatility_states"],
        context.config.universe.main,
    )
    was = equity.filter(is_last).select("run_id", _was=pl.col("net_return").log1p())
    keys = ["run_id", "strategy", "dimension", "scenario"]
    change = (
        context.frames[contracts.SCENARIOS.table]
        .select(*keys, "log_growth")
        .join(again.select(*keys, _again="log_growth"), on=keys)
        .with_columns(change=pl.col("_again") - pl.col("log_growth"))
        .filter(pl.col("change").abs() > GROWTH_TOLERANCE)
        .group_by("run_id", "strategy", "dimension")
        .agg(pl.len(), pl.col("change").sum())
    )
    expected = was.with_columns(expected=np.log1p(PLANTED_RETURN) - pl.col("_was"))
    pairs = expected.join(pl.DataFrame({"dimension": list(STATES)}), how="cross").join(
        change, on=["run_id", "dimension"], how="left"
    )
    wrong = pairs.filter(
        (pl.col("len").fill_null(0) != 1)
        | ((pl.col("change") - pl.col("expected")).abs() > GROWTH_TOLERANCE)
    ).filter(pl.col("expected").abs() > GROWTH_TOLERANCE)
    problems = [
        f"run {row['run_id']} by {row['dimension']}: {row['len'] or 0} slice(s) moved by "
        f"{row['change']}, expected one by {row['expected']:.6g}"
        for row in wrong.iter_rows(named=True)
    ]
    return _outcome(
        "not_hollow", problems, "another return on the last day moves the slice it is in alone"
    )


def _every_crisis(context: CheckContext) -> CheckOutcome:
    table = context.frames[contracts.CRISES.table]
    equity = context.inputs["equity"]
    spans = equity.group_by("run_id").agg(
        _first=pl.col("ts").min().dt.date(), _last=pl.col("ts").max().dt.date()
    )
    wanted = spans.join(
        pl.DataFrame(
            {
                "crisis": [crisis.name for crisis in CRISES],
                "_start": [crisis.start for crisis in CRISES],
                "_end": [crisis.end for crisis in CRISES],
            }
        ),
        how="cross",
    )
    pairs = wanted.join(table, on=["run_id", "crisis"], how="full", coalesce=True)
    inside = (pl.col("_first") <= pl.col("_start")) & (pl.col("_last") >= pl.col("_end"))
    outside = (pl.col("_last") < pl.col("_start")) | (pl.col("_first") > pl.col("_end"))
    wrong = pairs.filter(
        pl.col("covered").is_null()
        | pl.col("_start").is_null()
        | (outside & pl.col("covered"))
        | (inside & ~pl.col("covered") & pl.col("note").str.starts_with("not covered"))
    )
    problems = [
        f"run {row['run_id']} {row['crisis']}: covered is {row['covered']}, the run has "
        f"{row['_first']} to {row['_last']}"
        for row in wrong.iter_rows(named=True)
    ]
    n = table.filter("covered")["crisis"].n_unique()
    return _outcome("every_window_is_listed", problems, f"{n} of {len(CRISES)} windows are covered")


def _unstressed_is_the_run(context: CheckContext) -> CheckOutcome:
    """Without a stress the engine gives the stored run: same growth, same number of days."""
    equity = context.inputs["equity"]
    stored = equity.sort("ts").group_by("run_id").agg(
        _n=pl.col("net_return").count(),
        _ratio=pl.col("equity").last() / pl.col("equity").first(),
    )  # fmt: skip
    runs = context.inputs["runs"].filter(
        (pl.col("role") == "candidate") | (pl.col("strategy") == ONE_OVER_N)
    )
    found = context.frames[contracts.STRESSES.table].filter(kind="none")
    pairs = runs.select("run_id", "strategy").join(stored, on="run_id", how="left")
    pairs = pairs.join(found, on="run_id", how="left")
    growth = (1 + pl.col("annual_return")).log() * pl.col("n_returns") / 252
    wrong = pairs.filter(
        pl.col("n_returns").is_null()
        | (pl.col("n_returns") != pl.col("_n"))
        | ((growth - pl.col("_ratio").log()).abs() > GROWTH_TOLERANCE).fill_null(True)
    )
    problems = [
        f"{row['strategy']}: as it was run it returns {row['annual_return']} a year over "
        f"{row['n_returns']} days; the stored run multiplied its equity by {row['_ratio']} over "
        f"{row['_n']}"
        for row in wrong.iter_rows(named=True)
    ]
    return _outcome(
        "unstressed_is_the_run", problems, f"{runs.height} runs are those of backtest.equity"
    )


def _costs_bite(context: CheckContext) -> CheckOutcome:
    """Growth lost between the cheapest and the dearest case is turnover times the difference."""
    table = context.frames[contracts.STRESSES.table].filter(kind="cost").sort("parameter")
    problems, n_judged = [], 0
    for (strategy,), rows in table.group_by("strategy", maintain_order=True):
        growth = np.log1p(rows["annual_return"].to_numpy())
        rate = rows["parameter"].to_numpy() * BPS
        expected = rows["turnover_annual"].to_numpy()[0] * (rate[-1] - rate[0])
        if not expected > LEAST_COST_EFFECT:
            continue
        n_judged += 1
        if np.any(np.diff(growth) > 0):
            problems.append(f"{strategy}: dearer trades leave it with more")
        elif not abs(growth[0] - growth[-1] - expected) <= COST_EFFECT_TOLERANCE * expected:
            problems.append(
                f"{strategy}: {growth[0] - growth[-1]:.4%} a year is lost to costs, turnover says "
                f"{expected:.4%}"
            )
    return _outcome(
        "costs_bite", problems, f"{n_judged} strategies lose what their turnover says they must"
    )


SCENARIO_CHECKS = (
    frame_check(
        "slices_partition_the_days",
        "The slices of each run hold every day once, by market, by volatility and by both, and their "
        "log returns add up to the growth of the run.",
        _partition,
    ),
    frame_check(
        "state_known_before_the_day",
        "The state of the last day, known only after it, chooses no slice.",
        _label_is_known_before,
    ),
    frame_check(
        "not_hollow",
        "Another return on the last day moves the slice that day is in, by that return, and no "
        "other.",
        _slices_not_hollow,
    ),
    frame_check(
        "every_window_is_listed",
        "Each run has every crisis of the catalogue, covered if and only if its days cover it.",
        _every_crisis,
    ),
)

STRESS_CHECKS = (
    frame_check(
        "unstressed_is_the_run",
        "Every candidate and 1/N are stressed, and without a stress each is the stored run.",
        _unstressed_is_the_run,
    ),
    frame_check(
        "costs_bite",
        "Dearer trades never leave a strategy with more, and take what its turnover says.",
        _costs_bite,
    ),
)
