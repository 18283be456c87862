"""Tables in, a view out: everything the report says, in the order it says it.

Belongs here: the order of the parts, the verdict box, the heading. Does not belong here: what a
part says (`parts/`), how it looks (`render.py`, `charts.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import polars as pl

from btq_assets.evidence.gates import DEFLATED_SHARPE_THRESHOLD
from btq_assets.evidence.verdict import selection_sentences
from btq_assets.reports import formatting as fmt
from btq_assets.reports.caveats import banner, caveats
from btq_assets.reports.frames import REFERENCE, ReportContext, ReportFrames, label
from btq_assets.reports.parts import (
    comparison,
    costs,
    data,
    evidence,
    features,
    forecasts,
    market_states,
    performance,
    provenance,
    regimes,
    risk,
    slices,
    why,
)
from btq_assets.reports.view import ReportView, VerdictBox


class ReportError(ValueError):
    """There is nothing to report on."""


def assemble(frames: ReportFrames, context: ReportContext) -> ReportView:
    """Everything the report says.

    Parameters
    ----------
    frames
        Tables; those that are missing leave their part out and are named among the caveats.
    context
        Facts of the run, verdict included.

    Returns
    -------
    ReportView

    Raises
    ------
    ReportError
        ``backtest.runs`` or ``backtest.equity`` is empty.
    """
    for name in ("runs", "equity"):
        if frames[name].is_empty():
            raise ReportError(
                f"backtest.{name} is empty, there is nothing to report on; run the job `backtest`"
            )
    first, last = frames.span
    config = context.config
    parts = (
        performance.strategies_section(frames, context),
        evidence.section(frames, context),
        performance.charts_section(frames, context),
        slices.section(frames, context),
        market_states.section(frames, context),
        costs.section(frames, context),
        risk.section(frames, context),
        forecasts.section(frames, context),
        why.section(frames, context),
        comparison.section(frames, context),
        regimes.section(frames, context),
        features.section(frames, context),
        data.section(frames, context),
        provenance.section(frames, context),
    )
    n_assets = frames["instruments"].filter(pl.col("universe") == config.universe.main).height
    return ReportView(
        title=f"What {len(frames.strategies('candidate'))} strategies did on {config.universe.main}",
        subtitle="Simulated trading after costs, out of sample, against simple baselines on the "
        "same days.",
        banner=banner(config),
        verdict=verdict_box(frames, context),
        caveats=caveats(frames, context),
        sections=tuple(part for part in parts if part is not None),
        facts={
            "Span": f"{fmt.day(first)} to {fmt.day(last)}",
            "Universe": f"{config.universe.main}, {n_assets} assets",
            "Profile": config.profile,
            "Generated": f"{context.generated_at:%Y-%m-%d %H:%M} UTC",
            "Results hash": context.results_hash[:16],
        },
    )


def verdict_box(frames: ReportFrames, context: ReportContext) -> VerdictBox:
    """What is claimed, what survives, and what the best-looking candidate really shows."""
    verdict = context.verdict
    first, last = frames.span
    statements = [
        f"Claim examined: a strategy earns more than 1/N of {context.config.universe.main} after "
        f"costs, {fmt.day(first)} to {fmt.day(last)}, "
        "by a margin that luck and the number of trials do not explain.",
        f"What survives: {', '.join(verdict.survivors)}."
        if verdict.survivors
        else "What survives: no strategy.",
    ]
    if frames.leader is not None:
        statements.append(_of_the_leader(frames, frames.leader))
    deflated = frames["deflated_sharpe"].drop_nulls("deflated_sharpe").sort("deflated_sharpe")
    if deflated.height:
        statements.append(_of_deflation(deflated.row(-1, named=True), bool(verdict.survivors)))
    statements += _of_the_choice(frames, context)
    return VerdictBox(
        headline=verdict.sentence,
        positive=bool(verdict.survivors),
        statements=tuple(statements),
        n_trials=verdict.n_trials or 0,
    )


def _of_the_choice(frames: ReportFrames, context: ReportContext) -> list[str]:
    """What the joint tests say of the main universe; other ones are in the part on evidence."""
    main = frames["selection"].filter(pl.col("universe") == context.config.universe.main)
    said = selection_sentences(main, frames["discoveries"])
    own = [text.removeprefix(f"{context.config.universe.main}: ") for text in said]
    found = [text[0].upper() + text[1:] for text in own]
    return [*found, *filter(None, [evidence.suspicious(frames)])]


def _of_the_leader(frames: ReportFrames, name: str) -> str:
    sharpe = frames.figures.get((name, "sharpe"), {})
    text = (
        f"Best Sharpe ratio among the strategies: {fmt.number(sharpe.get('value'))} "
        f"{fmt.range_of(sharpe.get('ci_low'), sharpe.get('ci_high'), as_percent=False, digits=2)} "
        f"({name}); {label(REFERENCE)} has {fmt.number(frames.figure(REFERENCE, 'sharpe'))}."
    )
    row = next(
        frames["comparisons"]
        .filter((pl.col("strategy") == name) & (pl.col("against") == REFERENCE))
        .iter_rows(named=True),
        None,
    )
    if row is None:
        return text
    span = " to ".join(fmt.percent(row[end]) for end in ("ci_low_annual", "ci_high_annual"))
    return (
        f"{text} Its mean difference to 1/N is {fmt.percent(row['mean_difference_annual'])} a year, "
        f"95 % interval {span}."
    )


def _of_deflation(best: dict[str, Any], survived: bool) -> str:
    value = best["deflated_sharpe"]
    text = (
        f"Highest deflated Sharpe ratio: {fmt.probability(value)} ({best['strategy']}), where above "
        f"{DEFLATED_SHARPE_THRESHOLD} is demanded."
    )
    if value > DEFLATED_SHARPE_THRESHOLD and not survived:
        text += (
            " That speaks against luck being the source of its returns above cash; it is no "
            "comparison with 1/N, which earned such returns too."
        )
    return text


def results_hash(data_versions: Mapping[str, str]) -> str:
    """One hash over what the platform computed: forecasts, targets, equity and metrics.

    Parameters
    ----------
    data_versions
        ``schema.table`` → hash of its content; other tables than those four kinds are ignored.

    Returns
    -------
    str
        sha256, hexadecimal. Two clones that computed the same things have the same.
    """
    chosen = {
        table: version
        for table, version in data_versions.items()
        if table.startswith(("models.forecasts_", "portfolio.targets_"))
        or table in ("backtest.equity", "backtest.metrics")
    }
    text = "\n".join(f"{table}={version}" for table, version in sorted(chosen.items()))
    return hashlib.sha256(text.encode()).hexdigest()
