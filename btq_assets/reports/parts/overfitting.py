"""How the choice among candidates holds out of sample, and what more trials would leave of it.

Belongs here: the two pictures behind the figures of the part on evidence. Does not belong here:
cross-validation and deflation (`btq_assets.evidence`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from btq_assets.evidence.gates import DEFLATED_SHARPE_THRESHOLD
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames, label
from btq_assets.reports.view import Block, CurveChart, Line

#: Coloured lines; the others stay faint until the pointer is on their name.
_EMPHASISED = 5


def pictures(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    """Distribution of the chosen one's rank, and deflated Sharpe ratios by number of trials."""
    ranks = frames["overfitting_ranks"].sort("question", "rank")
    for (universe, question), rows in ranks.group_by(["universe", "question"], maintain_order=True):
        yield _logits(str(universe), str(question), rows, context)
    if ranks.is_empty() and frames["selection"].height:
        yield "No distribution of ranks is stored: no question could be judged."
    yield from _deflation(frames, context)


def _logits(universe: str, question: str, rows: pl.DataFrame, context: ReportContext) -> Block:
    """Columns over the logit; on the left the splits in which the choice was overfitted."""
    n_splits = int(rows["n_splits"].sum())
    if rows.height < 2:
        return (
            f"{universe}: in all {fmt.whole(n_splits)} splits the chosen candidate has "
            f"rank {rows['rank'][0]:g} in the other half."
        )
    share, logit = rows["share"].to_numpy(), rows["logit"].to_numpy()
    overfitted = float(share[logit <= 0].sum())
    sides = (
        (f"above the middle: {fmt.percent(float(share[logit > 0].sum()))} of splits", logit > 0),
        (f"at or below it: {fmt.percent(overfitted)}", logit <= 0),
    )
    return CurveChart(
        f"logits-{question}",
        f"Where the best of one half of the days stands in the other, {universe}",
        logit.tolist(),
        "logit of its rank",
        tuple(Line(text, np.where(side, share, np.nan)) for text, side in sides),
        unit="percent",
        columns=True,
        ticks=tuple(float(tick) for tick in range(-9, 10)),
        marks={"middle of the candidates": 0.0},
        note=f"Share of the {fmt.whole(n_splits)} splits by logit of the relative rank: "
        "the worst candidate is at the left end, the best at the right end. What lies at or below 0 "
        "is the probability of overfitting.",
        source=context.source("overfitting_ranks"),
    )


def _deflation(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    curves = frames["deflation_curves"]
    if curves.is_empty():
        if frames["deflated_sharpe"].height:
            yield "No curve of deflation is stored: no candidate has a deflated Sharpe ratio."
        return
    questions = frames["deflated_sharpe"].select("trial_id", "question")
    universes = dict(frames["selection"].select("question", "universe").iter_rows())
    found = curves.join(questions, on="trial_id", how="left").sort("question", "n_trials")
    for (question,), rows in found.group_by(["question"], maintain_order=True):
        numbers = rows["n_trials"].unique().sort()
        names = rows.sort("deflated_sharpe", descending=True)["strategy"].unique(
            maintain_order=True
        )
        lines = [
            Line(
                label(name),
                pl.DataFrame({"n_trials": numbers})
                .join(rows.filter(pl.col("strategy") == name), on="n_trials", how="left")[
                    "deflated_sharpe"
                ]
                .fill_null(float("nan"))
                .to_numpy(),
                emphasis=place < _EMPHASISED,
            )
            for place, name in enumerate(names)
        ]
        demanded = np.full(numbers.len(), DEFLATED_SHARPE_THRESHOLD)
        counted = rows.filter("counted")["n_trials"]
        named = universes.get(str(question), "")
        yield CurveChart(
            f"deflation-{question}",
            f"Deflated Sharpe ratio against the number of trials{', ' + named if named else ''}",
            [float(number) for number in numbers],
            "number of trials",
            (
                *lines,
                Line(f"demanded: {DEFLATED_SHARPE_THRESHOLD}", demanded, dashed=True, ink=True),
            ),
            x_log=True,
            marks={f"counted: {counted[0]}": float(counted[0])} if counted.len() else {},
            note="Probability that the true Sharpe ratio exceeds what the best of so many trials shows "
            "by luck, had they varied as those in the ledger do. It speaks of luck around zero, not of "
            "1/N.",
            source=context.source("deflation_curves"),
        )
