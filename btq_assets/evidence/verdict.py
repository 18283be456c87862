"""The verdict: what is claimed, after how many trials, and what survives.

Belongs here: the rule that makes a champion and the sentence that says so. Does not belong here:
any statistic.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from btq_assets.evidence.gates import DEFLATED_SHARPE_THRESHOLD

REFERENCE = "one_over_n"
BEST_BASELINE = "best_baseline"


@dataclass(frozen=True)
class CandidateVerdict:
    """Whether one candidate survives, and why not."""

    strategy: str
    survives: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What may be claimed of a set of candidates.

    Attributes
    ----------
    sentence
        What a reader should take home.
    survivors
        Candidates that pass every demand, best deflated Sharpe ratio first.
    n_trials
        At least so many trials competed; ``None`` when none was counted.
    candidates
        Each candidate with its reasons.
    """

    sentence: str
    survivors: tuple[str, ...]
    n_trials: int | None
    candidates: tuple[CandidateVerdict, ...]


def verdict(
    comparisons: pl.DataFrame,
    deflated: pl.DataFrame,
    runs: pl.DataFrame,
    discoveries: pl.DataFrame,
) -> Verdict:
    """Judge the candidates.

    A candidate survives when all hold: the 95 % interval of its paired mean difference to 1/N
    lies above zero; it is above 1/N also with the search among all candidates counted, at a
    family-wise error of 5 %; its mean return and its Sharpe ratio are above those of every baseline
    it was compared with, the best one among them; its deflated Sharpe ratio exceeds 0.95. What was
    not computed counts as not shown.

    The second demand is there because deflation compares with luck around zero, which a long-only
    portfolio passes by holding the market; on markets without anything to find, the others alone
    let the best of ten candidates through too often (docs/evidence.md, controls).

    Parameters
    ----------
    comparisons
        Rows of ``backtest.comparisons``.
    deflated
        Rows of ``evidence.deflated_sharpe``.
    runs
        Rows of ``backtest.runs``; its candidates are judged.
    discoveries
        Rows of ``evidence.discoveries``, matched by the trial in `deflated`.
    """
    trial = dict(deflated.select("strategy", "trial_id").iter_rows())
    superior = dict(discoveries.select("trial_id", "superior").iter_rows())
    score = dict(deflated.select("strategy", "deflated_sharpe").iter_rows())
    notes = dict(deflated.select("strategy", "note").iter_rows())
    judged = []
    for strategy in runs.filter(pl.col("role") == "candidate")["strategy"].sort():
        against = {
            row["against"]: row
            for row in comparisons.filter(pl.col("strategy") == strategy).iter_rows(named=True)
        }
        reasons = (
            *_against_reference(against),
            *_with_the_search_counted(superior.get(trial.get(strategy, ""))),
            *_against_baselines(against),
            *_after_deflation(score.get(strategy), notes.get(strategy)),
        )
        judged.append(CandidateVerdict(strategy, not reasons, reasons))
    survivors = tuple(
        sorted((c.strategy for c in judged if c.survives), key=lambda s: (-(score[s] or 0.0), s))
    )
    n_trials = int(deflated["n_trials"].max()) if deflated.height else None  # type: ignore[arg-type]
    return Verdict(_sentence(survivors, len(judged), n_trials), survivors, n_trials, tuple(judged))


def _against_reference(against: dict[str, dict]) -> tuple[str, ...]:
    row = against.get(REFERENCE)
    if row is None:
        return (f"was not compared with {REFERENCE}",)
    if row["significant"]:
        return ()
    return (
        f"mean difference to {REFERENCE} {row['mean_difference_annual']:+.2%} a year, "
        f"95 % interval {row['ci_low_annual']:+.2%} to {row['ci_high_annual']:+.2%}",
    )


def _with_the_search_counted(superior: bool | None) -> tuple[str, ...]:
    if superior is None:
        return (f"was not compared with {REFERENCE} jointly with the other candidates",)
    if superior:
        return ()
    return (f"is not above {REFERENCE} once the search among all candidates is counted",)


def _against_baselines(against: dict[str, dict]) -> tuple[str, ...]:
    reasons = []
    if not any(BEST_BASELINE in row["against_role"] for row in against.values()):
        reasons.append("was not compared with the best baseline")
    for name, row in sorted(against.items()):
        # A Sharpe ratio that is undefined is null, and null is not above anything.
        if not row["mean_difference_annual"] > 0:
            reasons.append(f"mean return is not above {name}")
        elif not (row["sharpe_difference"] or 0.0) > 0:
            reasons.append(f"Sharpe ratio is not above {name}")
    return tuple(reasons)


def _after_deflation(score: float | None, note: str | None) -> tuple[str, ...]:
    if note is None:
        return ("has no counted trial",)
    if score is None:
        return (f"deflated Sharpe ratio unknown: {note}",)
    if score > DEFLATED_SHARPE_THRESHOLD:
        return ()
    return (f"deflated Sharpe ratio {score:.3f}, demanded above {DEFLATED_SHARPE_THRESHOLD}",)


def _sentence(survivors: tuple[str, ...], n_candidates: int, n_trials: int | None) -> str:
    tried = "No trial was counted" if n_trials is None else f"At least {n_trials} trials were made"
    judged = f"{n_candidates} candidate{'' if n_candidates == 1 else 's'} judged"
    if not survivors:
        return f"{tried}, {judged}: nothing beats 1/N."
    names = ", ".join(survivors)
    return (
        f"{tried}, {judged}: {names} beat{'s' if len(survivors) == 1 else ''} 1/N and every simple "
        "baseline after costs, deflation for selection included."
    )


def selection_sentences(selection: pl.DataFrame, discoveries: pl.DataFrame) -> tuple[str, ...]:
    """What the joint tests say of each question, a sentence a figure.

    Parameters
    ----------
    selection, discoveries
        Rows of ``evidence.selection`` and ``evidence.discoveries``.

    Returns
    -------
    tuple of str
        In the order of universes; a question that was not judged says why.
    """
    said: list[str] = []
    for row in selection.sort("universe", "question").iter_rows(named=True):
        where = f"{row['universe']}: "
        if row["note"]:
            said.append(f"{where}the choice among candidates was not judged: {row['note']}.")
            continue
        own = discoveries.filter(pl.col("question") == row["question"])
        superior = own.filter("superior")["strategy"].sort().to_list()
        said += [
            f"{where}{row['n_compared']} candidates amount to {row['n_effective']} independent "
            f"attempt{'' if row['n_effective'] == 1 else 's'}, by the correlation of their returns.",
            f"{where}the best candidate of one half of the days ranked at or below the middle in the "
            f"other half in {row['overfitting_probability']:.0%} of "
            f"{row['overfitting_splits']:,} splits (probability of backtest overfitting).",
        ]
        if row["spa_consistent_p"] is not None:
            said.append(
                f"{where}were no candidate better than 1/N, the best would look as good as it does "
                f"with a probability of {row['spa_consistent_p']:.2f} (Hansen), "
                f"{row['reality_check_p']:.2f} (White); superior with the search counted: "
                f"{', '.join(superior) or 'none'}."
            )
        if row["years"] < row["minimum_backtest_years"]:
            said.append(
                f"{where}{row['years']:.1f} years of data are fewer than the "
                f"{row['minimum_backtest_years']:.1f} below which luck alone shows a Sharpe ratio "
                "of 1."
            )
    return tuple(said)
