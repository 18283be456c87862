"""Caveats of features, of the evaluation and of risk measures.

Belongs here: what a figure may not be read as. Does not belong here: data it rests on (`data`).
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from btq_assets.contracts import features
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames, label
from btq_assets.reports.view import Caveat

_FEATURES, _EVALUATION, _RISK = "Features and models", "Evaluation", "Risk"


def null_families(frames: ReportFrames, universe: str) -> list[tuple[str, int, int]]:
    """Families of which features are entirely missing on the traded universe.

    Returns
    -------
    list of (family, missing features, features)
        Read from the training set: what no model could use.
    """
    rows = frames["training_set"].filter(pl.col("universe") == universe)
    if rows.is_empty():
        return []
    known = set(rows.columns)
    empty = {name for name in rows.columns if rows[name].null_count() == rows.height}
    found = []
    for family in features.FAMILIES:
        names = [name for name in features.feature_names(family) if name in known]
        missing = [name for name in names if name in empty]
        if missing:
            found.append((family, len(missing), len(names)))
    return found


def of_the_features(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    """Features nobody could use, and fits of the regimes that did not converge."""
    universe = context.config.universe.main
    for family, missing, total in null_families(frames, universe):
        what = "all" if missing == total else f"{missing} of its {total}"
        why = (
            "documents are all SYNTHETIC and are kept from every model"
            if family == "sentiment" and _all_synthetic(frames)
            else "the inputs they need are missing there, so no model saw them"
        )
        yield Caveat(
            _FEATURES, f"Family {family}: {what} features are null on {universe}; {why}.", family
        )
    states = frames["states"]
    bad = states.filter(~pl.col("converged"))
    if bad.height:
        yield Caveat(
            _FEATURES,
            f"Regimes: on {bad.height:,} of {states.height:,} sessions the latest scheduled fit had "
            "not converged, and an earlier one is in force.",
            "Regimes",
        )


def _all_synthetic(frames: ReportFrames) -> bool:
    return frames["documents"]["label"].unique().to_list() == ["SYNTHETIC"]


def of_the_evaluation(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    """Conventions, hindsight, and what could not be modelled."""
    yield Caveat(
        _EVALUATION,
        "Sharpe ratios use a risk-free rate of 0 throughout; cash earns nothing.",
        "risk-free rate",
    )
    for strategy in frames.strategies("benchmark"):
        yield Caveat(
            _EVALUATION,
            f"{strategy} is not comparable: a price index without dividends and without costs.",
            strategy,
        )
    if frames.best_baseline is not None:
        yield Caveat(
            _EVALUATION,
            f"The best simple baseline ({label(frames.best_baseline)}) is chosen with hindsight, by "
            "realised Sharpe ratio over the whole span; the same hindsight picks the strategy shown "
            "in the charts.",
            label(frames.best_baseline),
        )
    yield from _of_the_runs(frames)
    for (note,), rows in (
        frames["deflated_sharpe"].filter(pl.col("note") != "").group_by("note", maintain_order=True)
    ):
        who = fmt.some(rows["strategy"].to_list())
        yield Caveat(_EVALUATION, f"Deflated Sharpe ratio of {who}: {note}.", "Deflated Sharpe")
    rejected = frames["runs"].filter(pl.col("n_rejected_orders") > 0)
    for strategy, n in rejected.select("strategy", "n_rejected_orders").iter_rows():
        yield Caveat(_EVALUATION, f"{strategy}: {n:,} orders refused for want of cash or price.")


def _of_the_runs(frames: ReportFrames) -> Iterator[Caveat]:
    """What could not be modelled; runs that share a remark are named together."""
    runs = frames["runs"].filter(pl.col("role") != "benchmark")
    remarks = [
        (strategy, remark)
        for strategy, notes in runs.select("strategy", "notes").iter_rows()
        for remark in notes.split("; ")
        if remark
    ]
    for remark, places in fmt.merged(remark for _, remark in remarks).items():
        names = [remarks[place][0] for place in places]
        who = "All runs" if len(names) == runs.height else fmt.some(names)
        yield Caveat(_EVALUATION, f"{who}: {remark}.", who)


def of_the_risk(frames: ReportFrames) -> Iterator[Caveat]:
    """Risk measures that are void, and stress windows that are not covered."""
    measures = frames["measures"]
    for (method,), rows in measures.group_by("method", maintain_order=True):
        invalid = rows.filter(~pl.col("valid")).height
        if invalid:
            share = fmt.percent(invalid / rows.height, 1)
            why = (
                "outside the monotone domain of the Cornish–Fisher expansion, or before the minimum "
                "window"
                if method == "cornish_fisher"
                else "before the minimum window"
            )
            yield Caveat(
                _RISK, f"VaR and CVaR, {method}: {share} of the values are void, {why}.", "VaR"
            )
    missing = frames["stress"].filter(~pl.col("covered"))
    for scenario, note in missing.select("scenario", "note").unique().sort("scenario").iter_rows():
        why = note.removeprefix("not covered: ")
        yield Caveat(_RISK, f"Stress window {scenario} is not covered: {why}.", scenario)
