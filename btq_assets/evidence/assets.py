"""Assets of the evidence room: the deflated Sharpe ratios.

The trial and gate ledgers are written by many steps and are no assets of this room.
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import backtest, evidence
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.warehouse import Step, TableOutput, table_asset


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
    outputs=(evidence.DEFLATED_SHARPE,),
    inputs={"equity": backtest.EQUITY, "runs": backtest.RUNS},
    code=("btq_assets.evidence", "btq_assets.contracts.evidence"),
    checks=DEFLATED_SHARPE_CHECKS,
    group="evidence",
    ledgers=(evidence.TRIALS,),
)
def deflated_sharpe(step: Step, equity: pl.DataFrame, runs: pl.DataFrame) -> TableOutput:
    """Deflate each candidate's Sharpe ratio by the number of trials counted in the ledger."""
    from btq_assets import plots
    from btq_assets.evidence.deflation import deflated_sharpe_table
    from btq_assets.evidence.gates import deflated_sharpe_answers, gate_rows

    table = deflated_sharpe_table(equity, runs, step.read_ledger(evidence.TRIALS))
    answers = deflated_sharpe_answers(table)
    passed = [answer.subject for answer in answers if answer.passed]
    return TableOutput(
        table,
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
        if table.height
        else {},
        ledgers={
            evidence.GATES: gate_rows(answers, run_id=step.run_id, recorded_at=step.now),
        },
    )
