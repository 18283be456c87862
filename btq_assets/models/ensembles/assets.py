"""The job `ensembles`: members on their first validation segment, ensembles, distributions, intervals.

Belongs here: naming inputs, calling one pure function, metadata and plots. Does not belong here: any
computation. Heavy libraries are imported inside the steps.
"""

from __future__ import annotations

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import ensembles as tables
from btq_assets.contracts import models, regimes
from btq_assets.models import gates
from btq_assets.models.catalogue import family_named
from btq_assets.models.chosen import training_set_table
from btq_assets.models.ensembles.gates import (
    coverage,
    ensembled_from,
    ensembles_truncation,
    every,
    intervals_from,
    intervals_truncation,
    one_row_per_forecast,
    out_of_sample_of_validation,
)
from btq_assets.models.ensembles.member_tables import families_of, members_of
from btq_assets.models.fingerprint import FAMILIES_CONFIG, FOLD_CONFIG, SHARED_CODE
from btq_assets.warehouse import Step, TableAsset, TableOutput

#: What reads members and judges tables, in every step of the room.
_GATES = ("btq_assets.models.ensembles.gates", "btq_assets.models.ensembles.member_tables")

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


def validation_asset(config: TradingConfig) -> TableAsset:
    """The asset of the members' forecasts of the first validation segment."""
    families = [family_named(name) for name in families_of(config)]
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
            *_GATES,
            "btq_assets.models.ensembles.validation",
            *(
                f"btq_assets.models.{module}"
                for module in ("arrays", "deep", "graph", "networks", "training", "windows")
                if deep
            ),
        ),
        checks=(out_of_sample_of_validation,),
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
        for name in families_of(step.config)
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
            every(gates.out_of_sample),
            every(gates.plausible_ic),
            *(ensembles_truncation(rule, contract) for rule, contract in tables.ENSEMBLES.items()),
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


def distributions_asset(config: TradingConfig) -> TableAsset:
    """The asset of deep ensembles over the seeds of each member."""
    return TableAsset(
        compute=_distributions,
        outputs=(tables.FORECAST_DISTRIBUTIONS,),
        inputs=families_of(config),
        config=("models.ensembles.members",),
        code=(*_GATES, "btq_assets.models.ensembles.seeds", __name__),
        checks=(one_row_per_forecast,),
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


def intervals_asset(config: TradingConfig) -> TableAsset:
    """The asset of intervals around members and ensembles."""
    ensembled = {f"ensemble_{rule}": table for rule, table in tables.ENSEMBLES.items()}
    return TableAsset(
        compute=_intervals,
        outputs=(tables.INTERVALS,),
        inputs={"training_set": training_set_table(config), **families_of(config), **ensembled},
        config=("models.intervals", "models.horizon_sessions", "features.truncation_dates"),
        code=(
            *_GATES,
            "btq_assets.models.conformal",
            "btq_assets.models.intervals",
            __name__,
        ),
        checks=(coverage, intervals_truncation),
        group="ensembles",
    )


def _intervals(step: Step, **inputs: pl.DataFrame) -> TableOutput:
    """Adaptive conformal intervals around the forecasts of members and ensembles."""
    from btq_assets import plots
    from btq_assets.models.intervals import coverage_by_fold

    frame = intervals_from(inputs, step.config)
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
