"""From the trial ledger to what choosing among its trials is worth.

Belongs here: which trials competed, on which days, and the tables of their joint tests. Does not
belong here: the statistics (`overfitting`, `superiority`, `independence`, `sharpe`) and the
conclusion (`verdict`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.contracts import evidence
from btq_assets.evidence.deflation import SAME_SHARPE, candidate_moments
from btq_assets.evidence.independence import effective_trials
from btq_assets.evidence.overfitting import (
    MINIMUM_BLOCK_LENGTH,
    Overfitting,
    probability_of_overfitting,
    rank_distribution,
)
from btq_assets.evidence.sharpe import (
    MINIMUM_TRIALS,
    SharpeMoments,
    expected_maximum_sharpe,
    minimum_backtest_length_years,
    probabilistic_sharpe,
    sharpe_moments,
)
from btq_assets.evidence.superiority import Superiority, false_discovery_q, superior_ability

REFERENCE = "one_over_n"

#: Return series of some trials, by their names: rows of ``evidence.trial_returns``.
ReadReturns = Callable[[Sequence[str]], pl.DataFrame]


@dataclass(frozen=True)
class SelectionSettings:
    """How the joint tests are made.

    Attributes
    ----------
    n_blocks
        Blocks of the cross-validation; fewer, still even, where returns are too few.
    mean_block, n_samples, seed
        Stationary bootstrap.
    periods_per_year
        Returns per year.
    """

    n_blocks: int = 16
    mean_block: float = 21
    n_samples: int = 1_000
    seed: int = 12_345
    periods_per_year: float = 252.0


@dataclass(frozen=True)
class Competition:
    """Candidates of one question, on the days all of them have.

    Attributes
    ----------
    question, universe
        What they compete for.
    trials
        Rows of ``evidence.trials``, one per strategy, configuration and seed: the present version
        of each, else the newest; sorted by strategy and name.
    returns
        Shape ``(n_returns, n_trials)``, columns as in `trials`.
    reference
        Returns of 1/N on those days, shape ``(n_returns,)``.
    n_counted
        Candidates of the question in the ledger, older versions and constant ones included.
    """

    question: str
    universe: str
    trials: pl.DataFrame
    returns: NDArray[np.float64]
    reference: NDArray[np.float64]
    n_counted: int

    @property
    def note(self) -> str:
        """Why it cannot be judged; empty when it can."""
        n_returns, n_trials = self.returns.shape
        if n_trials < MINIMUM_TRIALS:
            return f"{n_trials} candidates with comparable returns, {MINIMUM_TRIALS} are needed"
        if n_returns < 4 * MINIMUM_BLOCK_LENGTH:
            needed = 4 * MINIMUM_BLOCK_LENGTH
            return f"{n_returns} days that all candidates have, {needed} are needed"
        return ""


def competitions(
    runs: pl.DataFrame,
    equity: pl.DataFrame,
    trials: pl.DataFrame,
    returns: pl.DataFrame | ReadReturns,
) -> list[Competition]:
    """Every question that candidates of `runs` ask, with all trials of the ledger that asked it.

    Parameters
    ----------
    runs, equity
        Tables ``backtest.runs`` and ``backtest.equity``; 1/N is read from them.
    trials
        Ledger ``evidence.trials``.
    returns
        Ledger ``evidence.trial_returns``, or what reads the series of some trials from it: a ledger
        grows with every run, and only the newest version of each candidate is compared.
    """
    asked = runs.filter(pl.col("role") == "candidate").select("strategy", "universe")
    candidates = trials.filter(pl.col("purpose") == "candidate")
    # Dates of the present runs: a ledger also holds questions nobody asks any more.
    present = (
        candidates.sort("recorded_at", "trial_id")
        .join(asked, on=["strategy", "universe"], how="semi")
        .group_by("strategy", "universe")
        .agg(pl.col("question").last())
    )
    moments = candidate_moments(equity, runs)
    found = []
    for question in sorted(present["question"].unique()):
        rivals = candidates.filter(pl.col("question") == question)
        universe = rivals["universe"][0]
        reference = _reference(runs, equity, universe)
        if reference is not None:
            rivals = _mark_present(rivals, moments)
            found.append(_competition(question, universe, rivals, returns, reference))
    return found


def _reference(runs: pl.DataFrame, equity: pl.DataFrame, universe: str) -> pl.DataFrame | None:
    run = runs.filter((pl.col("strategy") == REFERENCE) & (pl.col("universe") == universe))
    if run.is_empty():
        return None
    own = equity.filter(pl.col("run_id") == run["run_id"][0]).drop_nulls("net_return")
    return own.select("ts", reference="net_return")


def _mark_present(rivals: pl.DataFrame, moments: dict[str, SharpeMoments]) -> pl.DataFrame:
    """Say of each trial whether it returned what the present run of its strategy did.

    A trial keeps the time it was first recorded at: after a return to older code the newest one is
    not the present one.
    """
    present = pl.DataFrame(
        [(name, one.n, one.sharpe) for name, one in moments.items()],
        schema={"strategy": pl.String, "_n": pl.Int64, "_sharpe": pl.Float64},
        orient="row",
    )
    same = (pl.col("n_returns") == pl.col("_n")) & (
        (pl.col("sharpe_per_period") - pl.col("_sharpe")).abs() <= SAME_SHARPE
    )
    return (
        rivals.join(present, on="strategy", how="left")
        .with_columns(present=same.fill_null(False))
        .drop("_n", "_sharpe")
    )


def _competition(
    question: str,
    universe: str,
    rivals: pl.DataFrame,
    returns: pl.DataFrame | ReadReturns,
    reference: pl.DataFrame,
) -> Competition:
    newest = (
        rivals.sort("present", "recorded_at", "trial_id")
        .drop("present")
        .unique(["strategy", "config_json", "seed"], keep="last", maintain_order=True)
        .filter(pl.col("sharpe_per_period").is_not_null())
        .sort("strategy", "trial_id")
    )
    names = newest["trial_id"].to_list()
    own = returns if isinstance(returns, pl.DataFrame) else returns(names)
    wide = (
        own.filter(pl.col("trial_id").is_in(names))
        .pivot(on="trial_id", index="ts", values="net_return")
        .join(reference, on="ts", how="inner")
        .sort("ts")
    )
    kept = [name for name in names if name in wide.columns]
    whole = wide.drop_nulls(kept)
    return Competition(
        question=question,
        universe=universe,
        trials=newest.filter(pl.col("trial_id").is_in(kept)),
        returns=whole.select(kept).to_numpy().reshape(whole.height, len(kept)),
        reference=whole["reference"].to_numpy(),
        n_counted=rivals["trial_id"].n_unique(),
    )


def overfittings(found: list[Competition], settings: SelectionSettings) -> dict[str, Overfitting]:
    """Cross-validation of the choice in each competition that can be judged, by question."""
    return {one.question: _overfitting(one, settings) for one in found if not one.note}


def _overfitting(one: Competition, settings: SelectionSettings) -> Overfitting:
    n_blocks = _blocks(len(one.returns), settings.n_blocks)
    return probability_of_overfitting(one.returns, n_blocks=n_blocks)


def overfitting_ranks(found: list[Competition], judged: Mapping[str, Overfitting]) -> pl.DataFrame:
    """Rows of ``evidence.overfitting_ranks`` of the competitions that could be judged."""
    rows = [
        {
            "question": one.question,
            "universe": one.universe,
            "rank": rank,
            "logit": logit,
            "n_splits": n_splits,
            "share": n_splits / judged[one.question].n_splits,
            "loss_share": loss_share,
        }
        for one in found
        if one.question in judged
        for rank, logit, n_splits, loss_share in rank_distribution(judged[one.question])
    ]
    return pl.DataFrame(rows, schema=evidence.OVERFITTING_RANKS.schema)


def selection_tables(
    found: list[Competition],
    settings: SelectionSettings,
    judged: Mapping[str, Overfitting] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Joint tests of each competition, and the standing of each trial in it.

    Fewer than ``MINIMUM_TRIALS`` trials, or too few returns, give nulls with a note.

    Parameters
    ----------
    found, settings
        Competitions, and how they are judged.
    judged
        `overfittings` of them where already made.

    Returns
    -------
    (selection, discoveries)
        Rows of ``evidence.selection`` and ``evidence.discoveries``.
    """
    judged = overfittings(found, settings) if judged is None else judged
    selection, discoveries = [], []
    for one in found:
        superiority = _superiority(one, settings)
        clusters = _clusters(one)
        selection.append(_selection_row(one, settings, superiority, judged.get(one.question)))
        discoveries += _discovery_rows(one, superiority, clusters)
    return (
        pl.DataFrame(selection, schema=evidence.SELECTION.schema),
        pl.DataFrame(discoveries, schema=evidence.DISCOVERIES.schema),
    )


def _selection_row(
    one: Competition,
    settings: SelectionSettings,
    superiority: Superiority | None,
    chosen: Overfitting | None,
) -> dict[str, object]:
    n_returns, n_trials = one.returns.shape
    years = n_returns / settings.periods_per_year
    row: dict[str, object] = dict.fromkeys(evidence.SELECTION.column_names)
    row |= {
        "question": one.question,
        "universe": one.universe,
        "n_trials": one.n_counted,
        "n_compared": n_trials,
        "n_returns": n_returns,
        "years": years,
        "note": one.note,
    }
    if chosen is None:
        return row
    effective = effective_trials(one.returns)
    return row | {
        "n_effective": effective.n_clusters,
        "n_effective_spectral": effective.spectral,
        "expected_maximum_sharpe_effective": _maximum_of_clusters(
            effective.n_clusters, effective.sharpe_variance
        ),
        "minimum_backtest_years": minimum_backtest_length_years(max(2, one.n_counted)),
        "overfitting_probability": chosen.probability,
        "overfitting_blocks": _blocks(n_returns, settings.n_blocks),
        "overfitting_splits": chosen.n_splits,
        "loss_probability": chosen.probability_of_loss,
        "degradation_slope": None
        if math.isnan(chosen.degradation_slope)
        else chosen.degradation_slope,
        "reality_check_p": superiority.reality_check if superiority else None,
        "spa_lower_p": superiority.spa_lower if superiority else None,
        "spa_consistent_p": superiority.spa_consistent if superiority else None,
        "spa_upper_p": superiority.spa_upper if superiority else None,
    }


def _discovery_rows(
    one: Competition, superiority: Superiority | None, clusters: list[int | None]
) -> list[dict[str, object]]:
    chances = [_chance(column, one.reference) for column in one.returns.T]
    adjusted = false_discovery_q(chances)
    superior = set(superiority.superior) if superiority else set()
    return [
        {
            "trial_id": trial["trial_id"],
            "question": one.question,
            "strategy": trial["strategy"],
            "cluster": cluster,
            "p_value": None if math.isnan(p) else p,
            "q_value": None if math.isnan(q) else q,
            "superior": k in superior if superiority else None,
        }
        for k, (trial, cluster, p, q) in enumerate(
            zip(one.trials.iter_rows(named=True), clusters, chances, adjusted, strict=True)
        )
    ]


def _chance(returns: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Probability of the Sharpe ratio of the difference to 1/N, were the true one zero."""
    moments = sharpe_moments(returns - reference)
    if math.isnan(moments.sharpe):
        return math.nan
    return 1 - probabilistic_sharpe(moments.sharpe, moments.n, moments.skewness, moments.kurtosis)


def _blocks(n_returns: int, wanted: int) -> int:
    possible = n_returns // MINIMUM_BLOCK_LENGTH
    return min(wanted, possible - possible % 2)


def _superiority(one: Competition, settings: SelectionSettings) -> Superiority | None:
    if one.note:
        return None
    # A candidate that held 1/N throughout differs from it by nothing and cannot be superior.
    spread = (one.returns - one.reference[:, None]).std(axis=0)
    differing = np.flatnonzero(spread > 1e-12)
    if differing.size == 0:
        return None
    tested = superior_ability(
        one.returns[:, differing],
        one.reference,
        mean_block=settings.mean_block,
        n_samples=settings.n_samples,
        seed=settings.seed,
    )
    places = tuple(int(differing[k]) for k in tested.superior)
    return Superiority(
        tested.reality_check,
        tested.spa_lower,
        tested.spa_consistent,
        tested.spa_upper,
        places,
        tested.n_trials,
        tested.n_returns,
    )


def _clusters(one: Competition) -> list[int | None]:
    if one.note:
        return [None] * one.returns.shape[1]
    return [int(cluster) for cluster in effective_trials(one.returns).clusters]


def _maximum_of_clusters(n_clusters: int, variance: float) -> float | None:
    if n_clusters < 2 or math.isnan(variance):
        return None
    return expected_maximum_sharpe(n_clusters, variance)
