"""Explanations in the asset graph: why the newest fits forecast what they do, and what they lean on.

Belongs here: naming inputs, reading weights back, metadata and plots. Does not belong here: any
computation. Heavy libraries are imported inside the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from btq_assets.contracts import models
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.models.catalogue import FAMILIES
from btq_assets.models.fingerprint import FAMILIES_CONFIG
from btq_assets.warehouse import Step, TableAsset, TableOutput

#: Families explained by the job `research`; the others by the job `networks`.
_IN_RESEARCH = ("ridge", "lightgbm", "transformer_gnn")


def explanations_asset(
    families: Mapping[str, TableContract],
    explanations: TableContract,
    importance: TableContract,
    group: str,
) -> TableAsset:
    """The asset of the explanations of some families.

    Parameters
    ----------
    families
        Model → table of its forecasts.
    explanations, importance
        Its tables.
    group
        Its group in the graph.
    """
    return TableAsset(
        compute=_explain(tuple(families), explanations, importance),
        outputs=(explanations, importance),
        inputs={"training_set": models.TRAINING_SET, **families},
        config=(
            *FAMILIES_CONFIG,
            "models.explanation",
            "models.horizon_sessions",
            "universe.main",
        ),
        # What the fits are is in the forecasts they made: their ids hash code and configuration. The
        # registry is read for where the weights of those ids lie, and says nothing else.
        code=(
            "btq_assets.models.explanation",
            "btq_assets.models.saved",
            "btq_assets.models.scores",
        ),
        checks=(_sums_to_forecast(explanations),),
        group=group,
    )


def _sums_to_forecast(explanations: TableContract) -> CheckGroup:
    def run(context: CheckContext) -> CheckOutcome:
        from btq_assets.models.explanation.newest import sums_outcome

        networks = [name for name, family in FAMILIES.items() if family.is_deep]
        return sums_outcome(context.frames[explanations.table], networks)

    return frame_check(
        "sums_to_forecast",
        "What features, sources and sessions add sums with the baseline to the stored forecast.",
        run,
    )


def _explain(
    families: tuple[str, ...], explanations: TableContract, importance: TableContract
) -> Callable[..., TableOutput]:
    def compute(step: Step, training_set: pl.DataFrame, **forecasts: pl.DataFrame) -> TableOutput:
        from btq_assets.models.chosen import chosen_families, columns_of_family
        from btq_assets.models.explanation import newest
        from btq_assets.models.explanation.pictures import pictures
        from btq_assets.models.explanation.why import NotExplainedError
        from btq_assets.models.forecaster import Forecaster, ModelError
        from btq_assets.models.saved import load_forecaster

        config = step.config
        settings = config.models.explanation
        registry = {
            row["model_id"]: row for row in step.read_ledger(models.REGISTRY).iter_rows(named=True)
        }

        def load(model_id: str) -> Forecaster:
            if model_id not in registry:
                raise ModelError(
                    f"models.registry has no {model_id}, whose forecasts are stored; materialize them again"
                )
            row = registry[model_id]
            return load_forecaster(
                step.artifacts.path(row["artifact_path"], sha256=row["artifact_hash"])
            )

        own = pl.col("horizon_sessions") == config.models.horizon_sessions
        main = pl.col("universe") == config.universe.main
        fits = newest.newest_fits(
            {name: forecasts[name].filter(own & main) for name in families}, load
        )
        read = {
            family.name: columns_of_family(config, family.name)
            for family in chosen_families(config)
        }
        whys, weights, without = [explanations.empty()], [importance.empty()], []
        for fit in fits:
            try:
                why = newest.explanation_rows(training_set, fit, settings.decisions)
                whole = newest.importance_rows(
                    training_set,
                    fit,
                    read,
                    n_decisions=settings.importance_decisions,
                    n_gradient_decisions=settings.gradient_decisions,
                    repeats=settings.repeats,
                    seed=settings.seed,
                )
            except NotExplainedError as error:
                without.append(f"{fit.label}: {error}")
                step.log(f"warning: not explained: {without[-1]}")
                continue
            whys.append(why)
            weights.append(whole)
            step.log(f"{fit.label} explained")
        frames = {
            explanations.table: pl.concat(whys),
            importance.table: pl.concat(weights),
        }
        return TableOutput(
            frames,
            metadata={
                "n_fits": len(fits) - len(without),
                "n_forecasts": frames[explanations.table]
                .select("model", "variant", "seed", "symbol", "ts")
                .n_unique(),
                "not_explained": "; ".join(without) or "none",
            },
            plots=pictures(frames[explanations.table], frames[importance.table]),
        )

    compute.__name__ = explanations.name
    compute.__doc__ = (
        "Why the newest fits forecast what they did at their last decisions, and what they lean on."
    )
    return compute


def _tables(names: tuple[str, ...]) -> dict[str, TableContract]:
    from btq_assets.contracts import all_contracts

    written = {contract.table: contract for contract in all_contracts()}
    return {name: written[f"models.forecasts_{name}"] for name in names}


explanations = explanations_asset(
    _tables(_IN_RESEARCH), models.EXPLANATIONS, models.IMPORTANCE, "models"
)
explanations_networks = explanations_asset(
    _tables(tuple(name for name in FAMILIES if name not in _IN_RESEARCH)),
    models.EXPLANATIONS_NETWORKS,
    models.IMPORTANCE_NETWORKS,
    "networks",
)
