"""From the trial ledger to the deflated Sharpe ratio of each candidate.

Belongs here: matching runs to their trials, counting who competed, and deflating. Does not belong
here: the formulas (`sharpe`) and the conclusion (`verdict`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from btq_assets.contracts import evidence
from btq_assets.evidence.sharpe import (
    MINIMUM_TRIALS,
    SharpeMoments,
    deflated_sharpe,
    expected_maximum_sharpe,
    probabilistic_sharpe,
    sharpe_moments,
)

#: Per-period Sharpe ratios closer than this are those of the same returns.
SAME_SHARPE = 1e-9
#: Numbers of trials a deflation curve supposes.
SUPPOSED_TRIALS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


def candidate_moments(equity: pl.DataFrame, runs: pl.DataFrame) -> dict[str, SharpeMoments]:
    """Sharpe moments of the net returns of each candidate run, by strategy."""
    candidates = runs.filter(pl.col("role") == "candidate")
    returns = (
        equity.join(candidates.select("run_id"), on="run_id", how="semi")
        .drop_nulls("net_return")
        .group_by("strategy", maintain_order=True)
        .agg("net_return")
    )
    return {
        strategy: sharpe_moments(np.asarray(values))
        for strategy, values in sorted(returns.iter_rows())
    }


def deflated_sharpe_table(
    equity: pl.DataFrame, runs: pl.DataFrame, trials: pl.DataFrame
) -> pl.DataFrame:
    """Probabilistic and deflated Sharpe ratio of each candidate run.

    The number of trials and the variance of their per-period Sharpe ratios (ddof 1) are those of
    all candidates of the same question in the ledger, this run's included. Versions of the same
    strategy under changed code count as trials: the number is a lower bound of what was tried,
    never an upper one. Fewer than ``MINIMUM_TRIALS`` give nulls with a note.

    Parameters
    ----------
    equity, runs
        Tables ``backtest.equity`` and ``backtest.runs``.
    trials
        Ledger ``evidence.trials``.

    Returns
    -------
    polars.DataFrame
        Rows of ``evidence.deflated_sharpe``, sorted by strategy. A candidate whose trial is not
        in the ledger has no row: `missing_trials` names it.
    """
    rows = []
    for strategy, moments in candidate_moments(equity, runs).items():
        own = _own_trial(strategy, moments, runs, trials)
        if own is not None:
            rows.append(_row(strategy, moments, own, trials))
    return pl.DataFrame(rows, schema=evidence.DEFLATED_SHARPE.schema)


def deflation_curves(
    table: pl.DataFrame, trials: pl.DataFrame, numbers: Sequence[int] = SUPPOSED_TRIALS
) -> pl.DataFrame:
    """What is left of each deflated Sharpe ratio as the number of trials grows.

    The variance of the trials' Sharpe ratios stays that of the ledger, so each point differs from
    the stored figure by the number alone.

    Parameters
    ----------
    table
        Rows of ``evidence.deflated_sharpe``; those without a deflated figure are left out.
    trials
        Ledger ``evidence.trials``: moments of each candidate, and variance among its rivals.
    numbers
        Numbers of trials supposed, each at least ``MINIMUM_TRIALS``; the counted one is added.

    Returns
    -------
    polars.DataFrame
        Rows of ``evidence.deflation_curves``.
    """
    moments = {row["trial_id"]: row for row in trials.unique("trial_id").iter_rows(named=True)}
    rows: list[dict[str, Any]] = []
    for found in table.drop_nulls("deflated_sharpe").iter_rows(named=True):
        own, counted = moments[found["trial_id"]], found["n_trials"]
        variance = _variance(_rivals(trials, found["question"]))
        shape = (found["sharpe_per_period"], found["n_returns"], own["skewness"], own["kurtosis"])
        rows.extend(
            {
                "strategy": found["strategy"],
                "trial_id": found["trial_id"],
                "n_trials": n_trials,
                "counted": n_trials == counted,
                "expected_maximum_sharpe": expected_maximum_sharpe(n_trials, variance),
                "deflated_sharpe": deflated_sharpe(*shape, n_trials, variance),
            }
            for n_trials in sorted({*numbers, counted})
        )
    return pl.DataFrame(rows, schema=evidence.DEFLATION_CURVES.schema)


def missing_trials(table: pl.DataFrame, runs: pl.DataFrame) -> list[str]:
    """Candidates of `runs` that have no row in `table`."""
    candidates = runs.filter(pl.col("role") == "candidate")["strategy"].to_list()
    return sorted(set(candidates) - set(table["strategy"].to_list()))


def _own_trial(
    strategy: str, moments: SharpeMoments, runs: pl.DataFrame, trials: pl.DataFrame
) -> dict[str, Any] | None:
    sharpe = pl.col("sharpe_per_period")
    undefined = math.isnan(moments.sharpe)
    same_sharpe = sharpe.is_null() if undefined else (sharpe - moments.sharpe).abs() <= SAME_SHARPE
    universe = runs.filter(pl.col("strategy") == strategy)["universe"][0]
    # By what it returned, so that a run cannot borrow the trial of another version of itself.
    same = trials.filter(
        (pl.col("strategy") == strategy)
        & (pl.col("universe") == universe)
        & (pl.col("purpose") == "candidate")
        & (pl.col("n_returns") == moments.n)
        & same_sharpe
    ).sort("recorded_at", "trial_id")
    return None if same.is_empty() else same.row(-1, named=True)


def _rivals(trials: pl.DataFrame, question: str) -> pl.DataFrame:
    """Candidates of a question, sorted: no figure may depend, even by rounding, on their order."""
    chosen = (pl.col("question") == question) & (pl.col("purpose") == "candidate")
    return trials.filter(chosen).unique("trial_id").sort("trial_id")


def _variance(rivals: pl.DataFrame) -> float:
    return float(rivals["sharpe_per_period"].drop_nulls().var())  # type: ignore[arg-type]


def _row(
    strategy: str, moments: SharpeMoments, own: dict[str, Any], trials: pl.DataFrame
) -> dict[str, Any]:
    rivals = _rivals(trials, own["question"])
    n_trials = rivals.height
    sharpes = rivals["sharpe_per_period"].drop_nulls()
    enough = sharpes.len() >= MINIMUM_TRIALS
    variance = _variance(rivals) if enough else math.nan
    probability = maximum = deflated = None
    note = ""
    if enough:
        maximum = expected_maximum_sharpe(n_trials, variance)
    else:
        note = (
            f"{sharpes.len()} counted candidates with a Sharpe ratio, deflation needs at least "
            f"{MINIMUM_TRIALS}"
        )
    if math.isnan(moments.sharpe):
        note = "constant returns have no Sharpe ratio"
    else:
        shape = (moments.sharpe, moments.n, moments.skewness, moments.kurtosis)
        probability = probabilistic_sharpe(*shape)
        if enough:
            deflated = deflated_sharpe(*shape, n_trials, variance)
    return {
        "strategy": strategy,
        "trial_id": own["trial_id"],
        "question": own["question"],
        "n_trials": n_trials,
        "n_returns": moments.n,
        "sharpe_per_period": None if math.isnan(moments.sharpe) else moments.sharpe,
        "expected_maximum_sharpe": maximum,
        "probabilistic_sharpe": probability,
        "deflated_sharpe": deflated,
        "note": note,
    }
