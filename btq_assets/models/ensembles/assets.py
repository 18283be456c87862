"""The job `ensembles`: members on their first validation segment, ensembles, distributions, intervals.

Belongs here: naming inputs, calling one pure function, metadata and plots. Does not belong here: any
computation. Heavy libraries are imported inside the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import ensembles as tables
from btq_assets.contracts import models, portfolio, regimes
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.evidence.truncation import truncation_check
from btq_assets.models import gates
from btq_assets.models.assets import FAMILIES_CONFIG, FOLD_CONFIG, SHARED_CODE
from btq_assets.models.catalogue import family_named
from btq_assets.models.chosen import training_set_table
from btq_assets.models.forecaster import ModelError
from btq_assets.warehouse import Step, TableAsset, TableOutput

#: Member that is no family: weights of the agents.
_AGENTS = "ppo"

_CODE = (
    "btq_assets.models.catalogue",
    "btq_assets.models.conformal",
    "btq_assets.models.design",
    "btq_assets.models.ensembles",
    "btq_assets.models.forecaster",
    "btq_assets.models.scores",
    "btq_assets.timeline",
    __name__,
)


def members_of(config: TradingConfig) -> dict[str, TableContract]:
    """Tables of the members, by name.

    Raises
    ------
    ModelError
        A member is neither a family nor ``ppo``, or none of them is a family.
    """
    found = {}
    for name in config.models.ensembles.members:
        if name == _AGENTS:
            found[name] = portfolio.TARGETS_PPO
        else:
            found[name] = tables.FAMILY_FORECASTS[family_named(name).name]
    if set(found) <= {_AGENTS}:
        raise ModelError("models.ensembles.members names no model family")
    return found


def _families(config: TradingConfig) -> dict[str, TableContract]:
    return {name: table for name, table in members_of(config).items() if name != _AGENTS}


def validation_asset(config: TradingConfig) -> TableAsset:
    """The asset of the members' forecasts of the first validation segment."""
    families = [family_named(name) for name in _families(config)]
    modules = dict.fromkeys(family.module for family in families)
    deep = any(family.is_deep for family in families)
    return TableAsset(
        compute=_validation,
        outputs=(tables.VALIDATION_FORECASTS,),
        inputs={"training_set": training_set_table(config), "splits": models.SPLITS},
        config=(
            *FOLD_CONFIG,
            *FAMILIES_CONFIG,
            *(f"models.{family.section}" for family in families),
            "models.ensembles.members",
            "models.pretraining",
            "models.seeds",
            "features.correlation_window_sessions",
        ),
        code=(
            *SHARED_CODE,
            *(f"btq_assets.models.{module}" for module in modules),
            "btq_assets.models.ensembles.validation",
            *(
                f"btq_assets.models.{module}"
                for module in ("arrays", "deep", "graph", "networks", "training", "windows")
                if deep
            ),
        ),
        checks=(_out_of_sample_of_validation,),
        group="ensembles",
        pool="gpu" if deep else None,
        needs_device=deep,
    )


def _validation(step: Step, training_set: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
    """Fit each member on the first fold's training segment and forecast its validation segment."""
    from btq_assets import plots
    from btq_assets.models import scores
    from btq_assets.models.ensembles.validation import validation_forecasts
    from btq_assets.models.plans import plan_of

    plans = {
        name: plan_of(name, step.config, code_version=step.code_version, device=step.device)
        for name in _families(step.config)
    }
    frame = validation_forecasts(training_set, splits, plans, told=step.log)
    ics = {
        str(member): scores.mean_rank_ic(rows, training_set)
        for (member,), rows in frame.group_by("member", maintain_order=True)
    }
    return TableOutput(
        frame,
        metadata={"mean_rank_ic": ics, "n_decisions": frame["ts"].n_unique()},
        plots={
            "Rank IC of the validation segment": plots.bars(
                list(ics), list(ics.values()), "Mean rank IC, first validation segment", "rank IC"
            )
        },
    )


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
    for member in _families(context.config):
        lacking = wanted.join(frame.filter(pl.col("member") == member), on=key, how="anti")
        if lacking.height:
            return CheckOutcome(name, False, f"{member} lacks {lacking.height} decision(s)")
    return CheckOutcome(name, True, f"{frame.height:,} forecasts")


_out_of_sample_of_validation = frame_check(
    "out_of_sample",
    "Every decision of the first validation segment is forecast by each member, by fits on labels "
    "filled before it.",
    _validation_answer,
)


def ensembled_from(
    inputs: Mapping[str, pl.DataFrame], config: TradingConfig, *, until: str = "test_start"
) -> Any:
    """`ensembles.walk_forward.ensembles` from the named inputs of the asset."""
    from btq_assets.models.ensembles.walk_forward import ensembles, member_forecasts

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


def _every(check: Any) -> CheckGroup:
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


def _truncation(rule: str, contract: TableContract) -> CheckGroup:
    return truncation_check(
        contract,
        lambda inputs, config: ensembled_from(inputs, config).forecasts[rule],
        n_dates=1,
        name=f"truncation_{rule}",
        ignore=("model_id",),
    )


def ensembles_asset(config: TradingConfig) -> TableAsset:
    """The asset of all ensembles, of the members a configuration names."""
    return TableAsset(
        compute=_ensembles,
        outputs=(*tables.ENSEMBLES.values(), tables.ENSEMBLE_WEIGHTS),
        inputs={
            "training_set": training_set_table(config),
            "splits": models.SPLITS,
            "validation": tables.VALIDATION_FORECASTS,
            "states": regimes.STATES,
            **members_of(config),
        },
        config=(*FOLD_CONFIG, "models.ensembles"),
        code=_CODE,
        checks=(
            _every(gates.out_of_sample),
            _every(gates.plausible_ic),
            *(_truncation(rule, contract) for rule, contract in tables.ENSEMBLES.items()),
        ),
        group="ensembles",
    )


def _ensembles(step: Step, **inputs: pl.DataFrame) -> TableOutput:
    """Voting, weights by skill, stacking and a gate by regime, learnt before each test segment."""
    from btq_assets import plots
    from btq_assets.models import scores

    found = ensembled_from(inputs, step.config)
    ics = {
        rule: scores.mean_rank_ic(frame, inputs["training_set"])
        for rule, frame in found.forecasts.items()
    }
    for rule, ic in ics.items():
        step.log(f"{rule}: mean rank IC out of sample {ic:+.4f}")
    pictures = {
        "Rank IC out of sample": plots.bars(
            list(ics), list(ics.values()), "Mean rank IC out of sample", "rank IC"
        )
    }
    pooled = found.weights.filter(pl.col("regime") == "")
    names = list(members_of(step.config))
    for (rule,), rows in pooled.group_by("rule", maintain_order=True):
        wide = rows.pivot(on="member", index="fold", values="weight").sort("fold")
        pictures[f"Weights: {rule}"] = plots.heatmap(
            wide.select(names).to_numpy(),
            names,
            [f"fold {fold}" for fold in wide["fold"]],
            f"Weight of each member, {rule}",
        )
    frames = {tables.ENSEMBLES[rule].table: frame for rule, frame in found.forecasts.items()}
    return TableOutput(
        {**frames, tables.ENSEMBLE_WEIGHTS.table: found.weights},
        metadata={"mean_rank_ic": ics, "weights": pooled.drop("universe", "regime", "model_id")},
        plots=pictures,
    )


def _matches(context: CheckContext) -> CheckOutcome:
    name = "one_row_per_forecast"
    frame = context.frames[tables.FORECAST_DISTRIBUTIONS.table]
    key = ["universe", "symbol", "ts", "horizon_sessions", "variant"]
    for model in _families(context.config):
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


def distributions_asset(config: TradingConfig) -> TableAsset:
    """The asset of deep ensembles over the seeds of each member."""
    return TableAsset(
        compute=_distributions,
        outputs=(tables.FORECAST_DISTRIBUTIONS,),
        inputs=_families(config),
        config=("models.ensembles.members",),
        code=("btq_assets.models.ensembles.seeds", __name__),
        checks=(
            frame_check(
                "one_row_per_forecast",
                "Each forecast has one row, whose mean is that of the seeds.",
                _matches,
            ),
        ),
        group="ensembles",
    )


def _distributions(step: Step, **forecasts: pl.DataFrame) -> TableOutput:
    """What the seeds of each model say together of mean, variance and quantiles."""
    from btq_assets import plots
    from btq_assets.models.ensembles.seeds import over_seeds

    frame = over_seeds(forecasts)
    seeded = frame.filter(pl.col("n_seeds") > 1)
    root = pl.col("disagreement").sqrt().mean()
    by_date = seeded.group_by("model", "ts").agg(root.alias("root")).sort("ts")
    wide = by_date.pivot(on="model", index="ts", values="root").sort("ts")
    title = "Disagreement of seeds"
    pictures = {}
    if wide.height:
        pictures[title] = plots.lines(
            wide["ts"],
            {name: wide[name] for name in wide.columns if name != "ts"},
            "Mean over assets of the deviation of forecasts over seeds",
            "label units",
        )
    return TableOutput(
        frame,
        metadata={
            "n_models": frame["model"].n_unique(),
            "with_variance": sorted(frame.drop_nulls("variance")["model"].unique()),
            "with_quantiles": sorted(frame.drop_nulls("quantile_50")["model"].unique()),
        },
        plots=pictures,
    )


def _all_forecasts(inputs: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name: frame for name, frame in inputs.items() if name not in ("training_set", "splits")}


def _intervals_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    from btq_assets.models.intervals import intervals

    return intervals(_all_forecasts(inputs), inputs["training_set"], config)


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


def intervals_asset(config: TradingConfig) -> TableAsset:
    """The asset of intervals around members and ensembles."""
    ensembled = {f"ensemble_{rule}": table for rule, table in tables.ENSEMBLES.items()}
    return TableAsset(
        compute=_intervals,
        outputs=(tables.INTERVALS,),
        inputs={"training_set": training_set_table(config), **_families(config), **ensembled},
        config=("models.intervals", "models.horizon_sessions", "features.truncation_dates"),
        code=("btq_assets.models.intervals", "btq_assets.models.conformal", __name__),
        checks=(
            frame_check(
                "coverage",
                "The share of outcomes inside is what was promised, within a tolerance and chance.",
                _coverage,
            ),
            truncation_check(tables.INTERVALS, _intervals_from, n_dates=1),
        ),
        group="ensembles",
    )


def _intervals(step: Step, **inputs: pl.DataFrame) -> TableOutput:
    """Adaptive conformal intervals around the forecasts of members and ensembles."""
    from btq_assets import plots
    from btq_assets.models.intervals import coverage_by_fold

    frame = _intervals_from(inputs, step.config)
    by_fold = coverage_by_fold(frame, inputs["training_set"])
    shown = by_fold.with_columns(pl.format("{} f{}", pl.col("model"), pl.col("fold")).alias("name"))
    promised = 1 - step.config.models.intervals.miss_rate
    total = by_fold.group_by("model").agg(
        (pl.col("coverage") * pl.col("n_outcomes")).sum() / pl.col("n_outcomes").sum()
    )
    for model, share in total.sort("model").iter_rows():
        step.log(f"{model}: {share:.1%} of the outcomes inside, promised {promised:.0%}")
    return TableOutput(
        frame,
        metadata={"promised": promised, "coverage_by_fold": by_fold},
        plots={
            "Coverage by fold": plots.bars(
                shown["name"].to_list(),
                shown["coverage"].to_list(),
                f"Share of outcomes inside their interval, {promised:.0%} promised",
                "share",
            )
        },
    )


_MAKERS = {
    tables.VALIDATION_FORECASTS.table: validation_asset,
    tables.ENSEMBLE_WEIGHTS.table: ensembles_asset,
    tables.FORECAST_DISTRIBUTIONS.table: distributions_asset,
    tables.INTERVALS.table: intervals_asset,
}

validation_forecasts, ensembles, forecast_distributions, intervals = (
    make(TradingConfig()) for make in _MAKERS.values()
)


def configured(asset: TableAsset, config: TradingConfig) -> TableAsset:
    """The asset with the members a configuration names in place of the default ones."""
    maker = _MAKERS.get(asset.outputs[-1].table)
    return asset if maker is None else maker(config)
