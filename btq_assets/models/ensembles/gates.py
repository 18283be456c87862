"""What tables of ensembles, distributions and intervals must survive before they are kept.

Belongs here: checks over their frames, and computing them again from the named inputs of a step. Does
not belong here: gates of one forecast table (`models.gates`), and who runs the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import ensembles as tables
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.evidence.truncation import truncation_check
from btq_assets.models.ensembles.member_tables import families_of, member_forecasts, members_of

if TYPE_CHECKING:
    from btq_assets.models.ensembles.walk_forward import Ensembled


def ensembled_from(
    inputs: Mapping[str, pl.DataFrame], config: TradingConfig, *, until: str = "test_start"
) -> Ensembled:
    """`ensembles.walk_forward.ensembles` from the named inputs of the asset."""
    from btq_assets.models.ensembles.walk_forward import ensembles

    given = {name: inputs[name] for name in members_of(config)}
    return ensembles(
        member_forecasts(given, inputs["splits"], config),
        inputs["validation"],
        inputs["training_set"],
        inputs["splits"],
        inputs["states"],
        config,
        until=until,
    )


def intervals_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """`intervals.intervals` from the named inputs of the asset."""
    from btq_assets.models.intervals import intervals

    return intervals(_all_forecasts(inputs), inputs["training_set"], config)


def _all_forecasts(inputs: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name: frame for name, frame in inputs.items() if name not in ("training_set", "splits")}


def _validation_answer(context: CheckContext) -> CheckOutcome:
    name = "out_of_sample"
    fold = context.inputs["splits"].sort("fold").row(0, named=True)
    frame = context.frames[tables.VALIDATION_FORECASTS.table]
    outside = frame.filter(
        ~pl.col("ts").is_between(fold["validation_start"], fold["validation_end"])
        | (pl.col("fitted_until") > fold["validation_start"])
    )
    if outside.height:
        row = outside.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"{outside.height} forecast(s) are not of the first validation segment, or by a fit that "
            f"saw it: {row['member']}, {row['symbol']} at {row['ts']}, fitted until "
            f"{row['fitted_until']}",
        )
    key = ["universe", "symbol", "ts"]
    wanted = context.inputs["training_set"].filter(
        pl.col("is_decision")
        & (pl.col("universe") == fold["universe"])
        & pl.col("ts").is_between(fold["validation_start"], fold["validation_end"])
    )
    for member in families_of(context.config):
        lacking = wanted.join(frame.filter(pl.col("member") == member), on=key, how="anti")
        if lacking.height:
            return CheckOutcome(name, False, f"{member} lacks {lacking.height} decision(s)")
    return CheckOutcome(name, True, f"{frame.height:,} forecasts")


out_of_sample_of_validation = frame_check(
    "out_of_sample",
    "Every decision of the first validation segment is forecast by each member, by fits on labels "
    "filled before it.",
    _validation_answer,
)


def every(check: Callable[[TableContract], CheckGroup]) -> CheckGroup:
    """A gate on one forecast table, as one on all ensembles."""
    groups = [check(contract) for contract in tables.ENSEMBLES.values()]
    (spec,) = groups[0].specs

    def run(context: CheckContext) -> CheckOutcome:
        answers = {
            rule: group.answer(context)[0]
            for rule, group in zip(tables.ENSEMBLES, groups, strict=True)
        }
        failed = [f"{rule}: {a.message}" for rule, a in answers.items() if not a.passed]
        metadata = {rule: dict(answer.metadata) for rule, answer in answers.items()}
        return CheckOutcome(spec.name, not failed, "; ".join(failed), metadata)

    return frame_check(spec.name, spec.description, run)


def ensembles_truncation(rule: str, contract: TableContract) -> CheckGroup:
    """Forecasts of one rule, computed again from inputs cut at a seeded date."""
    return truncation_check(
        contract,
        lambda inputs, config: ensembled_from(inputs, config).forecasts[rule],
        n_dates=1,
        name=f"truncation_{rule}",
        ignore=("model_id",),
    )


def _matches(context: CheckContext) -> CheckOutcome:
    name = "one_row_per_forecast"
    frame = context.frames[tables.FORECAST_DISTRIBUTIONS.table]
    key = ["universe", "symbol", "ts", "horizon_sessions", "variant"]
    for model in families_of(context.config):
        mean = context.inputs[model].group_by(key).agg(pl.col("forecast").mean().alias("again"))
        own = frame.filter(pl.col("model") == model)
        both = mean.join(own, on=key, how="full", coalesce=True)
        gap = (pl.col("forecast") - pl.col("again")).abs()
        wrong = both.filter(~(gap <= 1e-12 * (1 + pl.col("again").abs())).fill_null(False))
        if wrong.height:
            row = wrong.row(0, named=True)
            return CheckOutcome(
                name,
                False,
                f"{model}: {wrong.height} row(s) are missing, superfluous or not the mean of the "
                f"seeds, first {row['symbol']} at {row['ts']}",
            )
    return CheckOutcome(name, True, f"{frame.height:,} rows")


one_row_per_forecast = frame_check(
    "one_row_per_forecast",
    "Each forecast has one row, whose mean is that of the seeds.",
    _matches,
)


def _coverage(context: CheckContext) -> CheckOutcome:
    from btq_assets.models.intervals import coverage_by_fold, wrong_coverage

    name = "coverage"
    settings = context.config.models.intervals
    by_fold = coverage_by_fold(
        context.frames[tables.INTERVALS.table], context.inputs["training_set"]
    )
    if by_fold.is_empty():
        return CheckOutcome(
            name,
            False,
            f"no outcome has an interval: fewer than {settings.minimum_scores} errors were known at "
            "every decision; lower models.intervals.minimum_scores",
        )
    wrong = wrong_coverage(
        by_fold, miss_rate=settings.miss_rate, tolerance=settings.coverage_tolerance
    )
    return CheckOutcome(
        name,
        not wrong,
        f"promised {1 - settings.miss_rate:.0%} of the outcomes inside, found {wrong}: errors drift "
        "faster than models.intervals.step follows"
        if wrong
        else "",
        {"n_outcomes": int(by_fold["n_outcomes"].sum())},
    )


coverage = frame_check(
    "coverage",
    "The share of outcomes inside is what was promised, within a tolerance and chance.",
    _coverage,
)


intervals_truncation = truncation_check(tables.INTERVALS, intervals_from, n_dates=1)
