"""Assets of the evidence room: deflated Sharpe ratios, the worth of selection, what is suspicious.

The trial and gate ledgers are written by many steps and are no assets of this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.contracts import backtest, evidence, models
from btq_assets.contracts.checks import (
    CheckContext,
    CheckGroup,
    CheckOutcome,
    frame_check,
    in_step_check,
)
from btq_assets.warehouse import Step, TableOutput, table_asset

if TYPE_CHECKING:
    from btq_assets.evidence.controls import PlantedEdge


def _every_candidate_is_counted(context: CheckContext) -> CheckOutcome:
    from btq_assets.evidence.deflation import missing_trials

    name = "every_candidate_is_counted"
    table, runs = context.frames[evidence.DEFLATED_SHARPE.table], context.inputs["runs"]
    missing = missing_trials(table, runs)
    if missing:
        return CheckOutcome(
            name,
            False,
            f"no trial with the returns of {missing} is in the ledger; the step that ran them must "
            "record `trial_rows` with purpose 'candidate'",
        )
    n_candidates = runs.filter(pl.col("role") == "candidate").height
    short = table.filter(pl.col("n_trials") < n_candidates)
    if short.height:
        row = short.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"{row['strategy']} counts {row['n_trials']} trials, but {n_candidates} candidates ran; "
            "they were recorded under different questions (universe, dates or frequency)",
        )
    return CheckOutcome(
        name, True, f"{n_candidates} candidates, all counted", {"n_candidates": n_candidates}
    )


def _not_hollow(context: CheckContext) -> CheckOutcome:
    """Demeaned returns must be a coin toss: their probabilistic Sharpe ratio is one half."""
    from btq_assets.evidence.deflation import candidate_moments
    from btq_assets.evidence.sharpe import probabilistic_sharpe

    name = "not_hollow"
    equity, runs = context.inputs["equity"], context.inputs["runs"]
    demeaned = equity.with_columns(
        pl.col("net_return") - pl.col("net_return").mean().over("run_id")
    )
    again = candidate_moments(demeaned, runs)
    table = context.frames[evidence.DEFLATED_SHARPE.table].drop_nulls("sharpe_per_period")
    for row in table.iter_rows(named=True):
        m = again[row["strategy"]]
        without_mean = probabilistic_sharpe(m.sharpe, m.n, m.skewness, m.kurtosis)
        stored = row["probabilistic_sharpe"]
        moved = (stored > without_mean) == (row["sharpe_per_period"] > 0)
        if abs(without_mean - 0.5) > 1e-6 or not moved:
            return CheckOutcome(
                name,
                False,
                f"{row['strategy']}: probabilistic Sharpe {stored:.4f}, after removing the mean "
                f"{without_mean:.4f}; the latter must be 0.5 and the former on the side of the "
                f"Sharpe ratio {row['sharpe_per_period']:+.5f}",
            )
    return CheckOutcome(name, True, "removing the mean return gives one half everywhere")


DEFLATED_SHARPE_CHECKS: tuple[CheckGroup, ...] = (
    frame_check(
        "every_candidate_is_counted",
        "Each candidate run has its trial in the ledger, and counts at least all candidates.",
        _every_candidate_is_counted,
    ),
    frame_check(
        "not_hollow",
        "With its mean return removed, each candidate has a probabilistic Sharpe ratio of 0.5.",
        _not_hollow,
    ),
)


@table_asset(
    outputs=(evidence.DEFLATED_SHARPE, evidence.DEFLATION_CURVES),
    inputs={"equity": backtest.EQUITY, "runs": backtest.RUNS},
    code=("btq_assets.evidence", "btq_assets.contracts.evidence"),
    checks=DEFLATED_SHARPE_CHECKS,
    group="evidence",
    ledgers=(evidence.TRIALS,),
)
def deflated_sharpe(step: Step, equity: pl.DataFrame, runs: pl.DataFrame) -> TableOutput:
    """Deflate each candidate's Sharpe ratio by the number of trials counted in the ledger."""
    from btq_assets import plots
    from btq_assets.evidence.deflation import deflated_sharpe_table, deflation_curves
    from btq_assets.evidence.gates import deflated_sharpe_answers, gate_rows

    trials = step.read_ledger(evidence.TRIALS)
    table = deflated_sharpe_table(equity, runs, trials)
    curves = deflation_curves(table, trials)
    answers = deflated_sharpe_answers(table)
    passed = [answer.subject for answer in answers if answer.passed]
    return TableOutput(
        {evidence.DEFLATED_SHARPE.table: table, evidence.DEFLATION_CURVES.table: curves},
        metadata={
            "n_trials_at_least": int(table["n_trials"].max() or 0),  # type: ignore[arg-type]
            "passed": ", ".join(passed) or "none",
        },
        plots={
            "Deflated Sharpe ratio": plots.bars(
                table["strategy"].to_list(),
                table["deflated_sharpe"].to_list(),
                "Probability that the true Sharpe ratio beats luck (deflated)",
                "probability",
            )
        }
        | _deflation(curves, plots)
        if table.height
        else {},
        ledgers={
            evidence.GATES: gate_rows(answers, run_id=step.run_id, recorded_at=step.now),
        },
    )


def _deflation(curves: pl.DataFrame, plots: Any) -> dict[str, bytes]:
    if curves.is_empty():
        return {}
    wide = curves.pivot(on="strategy", index="n_trials", values="deflated_sharpe").sort("n_trials")
    names = [name for name in wide.columns if name != "n_trials"]
    title = "Deflated Sharpe ratio against the number of trials"
    # Equally spaced in the logarithm, as the numbers are.
    return {
        title: plots.lines(
            wide["n_trials"].log10(),
            {name: wide[name] for name in names},
            title,
            "probability",
            xlabel="number of trials, log10",
        )
    }


def _every_candidate_is_compared(context: CheckContext) -> CheckOutcome:
    name = "every_candidate_is_compared"
    candidates = context.inputs["runs"].filter(pl.col("role") == "candidate")
    equity = context.inputs["equity"]
    varying = (
        equity.join(candidates.select("run_id"), on="run_id", how="semi")
        .group_by("strategy")
        .agg(pl.col("net_return").std())
        .filter(pl.col("net_return") > 1e-14)
    )
    compared = context.frames[evidence.DISCOVERIES.table]["strategy"]
    missing = sorted(set(varying["strategy"]) - set(compared))
    if missing:
        return CheckOutcome(
            name,
            False,
            f"{missing} ran as candidates and are in no comparison; the step that ran them must "
            "record `trial_rows` with purpose 'candidate', and 1/N of their universe must run too",
        )
    return CheckOutcome(name, True, f"{varying.height} candidates compared")


SELECTION_CHECKS: tuple[CheckGroup, ...] = (
    frame_check(
        "every_candidate_is_compared",
        "Each candidate run whose returns vary stands in a comparison.",
        _every_candidate_is_compared,
    ),
    in_step_check(
        "planted_edge_is_found",
        "The worst candidate, given an edge over 1/N, is found superior by every test.",
    ),
)


@table_asset(
    outputs=(
        evidence.SELECTION,
        evidence.OVERFITTING_RANKS,
        evidence.DISCOVERIES,
        evidence.FINDINGS,
    ),
    inputs={
        "equity": backtest.EQUITY,
        "runs": backtest.RUNS,
        "trades": backtest.TRADES,
        "positions": backtest.POSITIONS,
    },
    config=(
        "backtest.bootstrap_samples",
        "backtest.bootstrap_mean_block_sessions",
        "backtest.overfitting_blocks",
        "backtest.seed",
    ),
    code=("btq_assets.evidence", "btq_assets.contracts.evidence"),
    checks=SELECTION_CHECKS,
    group="evidence",
    ledgers=(evidence.TRIALS, evidence.TRIAL_RETURNS, models.REGISTRY),
)
def selection(
    step: Step,
    equity: pl.DataFrame,
    runs: pl.DataFrame,
    trades: pl.DataFrame,
    positions: pl.DataFrame,
) -> TableOutput:
    """Ask what choosing among all candidates ever tried is worth, and what is suspicious of each."""
    from btq_assets import plots
    from btq_assets.evidence.controls import planted_edges
    from btq_assets.evidence.diagnosis import findings_table
    from btq_assets.evidence.parameters import fitted_numbers
    from btq_assets.evidence.selection import (
        SelectionSettings,
        competitions,
        overfitting_ranks,
        overfittings,
        selection_tables,
    )

    settings = SelectionSettings(
        n_blocks=step.config.backtest.overfitting_blocks,
        mean_block=step.config.backtest.bootstrap_mean_block_sessions,
        n_samples=step.config.backtest.bootstrap_samples,
        seed=step.config.backtest.seed,
    )

    def returns_of(names: Sequence[str]) -> pl.DataFrame:
        wanted = pl.DataFrame({"trial_id": names}, schema={"trial_id": pl.String})
        return step.read_ledger(evidence.TRIAL_RETURNS, beside=wanted)

    found = competitions(runs, equity, step.read_ledger(evidence.TRIALS), returns_of)
    judged = overfittings(found, settings)
    table, standing = selection_tables(found, settings, judged)
    ranks = overfitting_ranks(found, judged)
    fitted = fitted_numbers(runs["strategy"], step.read_ledger(models.REGISTRY))
    findings = findings_table(runs, equity, trades, positions, fitted)
    return TableOutput(
        {
            evidence.SELECTION.table: table,
            evidence.OVERFITTING_RANKS.table: ranks,
            evidence.DISCOVERIES.table: standing,
            evidence.FINDINGS.table: findings,
        },
        metadata={
            "selection": table.select(
                "universe",
                "n_trials",
                "n_effective",
                "overfitting_probability",
                "reality_check_p",
                "spa_consistent_p",
                "note",
            ),
            "superior": ", ".join(standing.filter("superior")["strategy"]) or "none",
            "n_findings": findings.height,
        },
        plots=_drawn(standing, plots) | _overfitting(ranks, plots),
        answers=[_planted_edge_answer(planted_edges(found, settings))],
    )


def _planted_edge_answer(answers: list[PlantedEdge]) -> CheckOutcome:
    name = "planted_edge_is_found"
    blind = [answer for answer in answers if not answer.found]
    if blind:
        return CheckOutcome(
            name,
            False,
            f"universe {blind[0].universe}: {blind[0].strategy} was given an edge of "
            f"{blind[0].edge_annual:+.1%} a year and the tests do not see it",
        )
    return CheckOutcome(
        name, True, f"{len(answers)} edge(s) planted, all found", {"n_planted": len(answers)}
    )


def _overfitting(ranks: pl.DataFrame, plots: Any) -> dict[str, bytes]:
    drawn = {}
    for (universe,), rows in ranks.sort("rank").group_by("universe", maintain_order=True):
        title = f"Rank of the chosen candidate in the other half of the days, {universe}"
        drawn[title] = plots.bars(
            [f"{rank:g}" for rank in rows["rank"]], 100 * rows["share"], title, "% of splits"
        )
    return drawn


def _drawn(standing: pl.DataFrame, plots: Any) -> dict[str, bytes]:
    shown = standing.drop_nulls("p_value").sort("p_value", "strategy").head(30)
    if shown.is_empty():
        return {}
    return {
        "Chance of such a difference to 1/N": plots.bars(
            shown["strategy"].to_list(),
            shown["p_value"].to_list(),
            "Chance of such a difference to 1/N, were the true one zero",
            "probability",
        )
    }
