"""The fair comparison in the asset graph: one step per architecture, whole and without components.

Belongs here: naming inputs, calling pure functions, metadata and plots. Does not belong here: any
computation. Heavy libraries are imported inside the steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import comparison as tables
from btq_assets.contracts import models
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import (
    CheckContext,
    CheckGroup,
    CheckOutcome,
    frame_check,
    in_step_check,
)
from btq_assets.models import gates
from btq_assets.models.catalogue import FAMILIES, ModelFamily
from btq_assets.models.fingerprint import FAMILIES_CONFIG, FOLD_CONFIG, SHARED_CODE, network_code
from btq_assets.models.progress import with_eta
from btq_assets.warehouse import Step, TableAsset, TableOutput

if TYPE_CHECKING:
    from btq_assets.models.comparison.fits import TimedFit

GROUP = "comparison"

#: Code behind the judgement of forecasts.
JUDGING_CODE = (
    "btq_assets.models.comparison",
    "btq_assets.evidence.bootstrap",
    "btq_assets.contracts.comparison",
)

_INPUTS = {"training_set": models.TRAINING_SET, "splits": models.SPLITS}

fitted_before = in_step_check(
    "fitted_before", "No fit had seen a label that was filled after its first forecast."
)
_left_out = in_step_check(
    "left_out", "No fit without a family of features was given a feature of it."
)


def _is_compared(name: str) -> Callable[[TradingConfig], bool]:
    def asked(config: TradingConfig) -> bool:
        from btq_assets.models.comparison.architectures import is_compared

        return is_compared(name, config)

    return asked


def _has_components(name: str) -> Callable[[TradingConfig], bool]:
    def asked(config: TradingConfig) -> bool:
        from btq_assets.models.comparison.architectures import is_compared, nothing_to_leave_out

        return is_compared(name, config) and any(
            not nothing_to_leave_out(name, config, component)
            for component in config.models.comparison.components
        )

    return asked


def _config_of(family: ModelFamily) -> tuple[str, ...]:
    from btq_assets.models.comparison.architectures import has_randomness

    return (
        *FOLD_CONFIG,
        f"models.{family.section}",
        *(("models.comparison.seeds",) if has_randomness(family.name) else ()),
        *(
            ("models.comparison.epochs", "features.correlation_window_sessions")
            if family.is_deep
            else ()
        ),
        *FAMILIES_CONFIG,
    )


def _code_of(family: ModelFamily) -> tuple[str, ...]:
    own = ("catalogue", "comparison.architectures", "comparison.fits", family.module)
    return (
        *SHARED_CODE,
        *(f"btq_assets.models.{name}" for name in own),
        *(network_code(family) if family.is_deep else ()),
        __name__,
    )


def compared_asset(name: str) -> TableAsset:
    """The step that fits one architecture with every seed on every fold."""
    family, contract = FAMILIES[name], tables.COMPARED[name]
    return TableAsset(
        compute=_compared(name),
        outputs=(contract,),
        inputs=_INPUTS,
        config=_config_of(family),
        code=_code_of(family),
        checks=(gates.out_of_sample(contract), gates.plausible_ic(contract), fitted_before),
        group=GROUP,
        pool="gpu" if family.is_deep else None,
        needs_device=family.is_deep,
        optional=_is_compared(name),
    )


def ablated_asset(name: str) -> TableAsset:
    """The step that fits one architecture again without each of its components."""
    family, contract = FAMILIES[name], tables.ABLATED[name]
    return TableAsset(
        compute=_ablated(name),
        outputs=(contract,),
        inputs=_INPUTS,
        config=(
            *_config_of(family),
            "models.comparison.components",
            "models.comparison.ablation_seeds",
        ),
        code=_code_of(family),
        checks=(
            _by_component(gates.out_of_sample(contract), contract),
            _by_component(gates.plausible_ic(contract), contract),
            fitted_before,
            _left_out,
        ),
        group=GROUP,
        pool="gpu" if family.is_deep else None,
        needs_device=family.is_deep,
        optional=_has_components(name),
    )


def _by_component(group: CheckGroup, contract: TableContract) -> CheckGroup:
    """The check asked of the rows of each component by themselves."""

    def run(context: CheckContext) -> Sequence[CheckOutcome]:
        frame = context.frames[contract.table]
        said = [CheckOutcome(spec.name, True, "nothing was left out") for spec in group.specs]
        for (without,), rows in frame.group_by("without", maintain_order=True):
            said = group.answer(replace(context, frames={contract.table: rows}))
            wrong = [outcome for outcome in said if not outcome.passed]
            if wrong:
                return [
                    replace(outcome, message=f"without {without}: {outcome.message}")
                    for outcome in said
                ]
        return said

    return CheckGroup(group.specs, run)


def _compared(name: str) -> Callable[..., TableOutput]:
    def compute(step: Step, training_set: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
        from btq_assets.models.comparison.architectures import NOTHING

        fits = _fitted(step, name, NOTHING, training_set, splits)
        return _output(step, name, {NOTHING: fits})

    compute.__name__ = f"compared_{name}"
    compute.__doc__ = f"{_sentence(FAMILIES[name])}, every seed on the folds of all."
    return compute


def _ablated(name: str) -> Callable[..., TableOutput]:
    def compute(step: Step, training_set: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
        from btq_assets.models.comparison.architectures import components_of, features_left_in

        found = {
            component: _fitted(step, name, component, training_set, splits)
            for component in components_of(name, step.config, training_set)
        }
        still = sorted(
            {
                column
                for component, fits in found.items()
                for one in fits
                for column in features_left_in(
                    one.fit.forecaster.provenance.feature_names, component, step.config
                )
            }
        )
        said = f"still given: {still}" if still else f"without {', '.join(found) or 'nothing'}"
        return _output(step, name, found, CheckOutcome("left_out", not still, said))

    compute.__name__ = f"ablated_{name}"
    compute.__doc__ = f"{_sentence(FAMILIES[name])}, without each of its components."
    return compute


def _sentence(family: ModelFamily) -> str:
    return f"{family.description[0].upper()}{family.description[1:]}"


def _fitted(
    step: Step, name: str, without: str, training_set: pl.DataFrame, splits: pl.DataFrame
) -> list[TimedFit]:
    from btq_assets.models.comparison.architectures import compared_plan
    from btq_assets.models.comparison.fits import timed_fits

    plan = compared_plan(
        name, step.config, code_version=step.code_version, device=step.device, without=without
    )
    total = len(plan.seeds) * splits.height
    told = with_eta(step, name)
    found = []
    for one in timed_fits(
        training_set,
        splits,
        plan,
        data_hash=step.data_versions["training_set"],
        clocks=(time.monotonic, time.process_time),
    ):
        found.append(one)
        told(len(found), total, {"seed": one.fit.seed, "rank_ic": one.fit.test_rank_ic})
    return found


def _output(
    step: Step, name: str, found: dict[str, list[TimedFit]], *answers: CheckOutcome
) -> TableOutput:
    from btq_assets import plots
    from btq_assets.models.comparison import fits as room

    contract = tables.COMPARED[name] if "nothing" in found else tables.ABLATED[name]
    horizon = step.config.models.horizon_sessions
    frames, told = [contract.empty()], []
    lines: list[dict[str, Any]] = []
    for without, fits in found.items():
        rows = room.forecast_rows(fits, horizon).with_columns(without=pl.lit(without))
        frames.append(rows.select(contract.column_names))
        told.append(
            room.fit_rows(
                fits,
                name,
                without,
                device=step.device,
                code_version=step.code_version,
                recorded_at=step.now,
            )
        )
        for seed in dict.fromkeys(one.fit.seed for one in fits):
            own = [one for one in fits if one.fit.seed == seed]
            ics = [one.fit.test_rank_ic for one in own]
            lines.append(
                {
                    "without": without,
                    "seed": seed,
                    "mean_rank_ic_of_folds": sum(ics) / len(ics),
                    "seconds": round(sum(one.seconds for one in own), 1),
                }
            )
    late = [text for fits in found.values() for text in room.fitted_too_late(fits)]
    n_fits = sum(map(len, found.values()))
    summary = pl.DataFrame(lines)
    drawn = {}
    if lines:
        drawn["Rank IC by seed"] = plots.bars(
            [f"{line['without']} s{line['seed']}" for line in lines],
            [line["mean_rank_ic_of_folds"] for line in lines],
            f"{name}: mean rank IC of the folds, out of sample",
            "rank IC",
        )
        step.log(f"{name}: {n_fits} fits, {summary['seconds'].sum():.0f} s")
    return TableOutput(
        pl.concat(frames),
        metadata={"n_fits": n_fits, "by_seed": summary},
        plots=drawn,
        ledgers={tables.FITS: pl.concat(told)} if told else {},
        answers=(
            CheckOutcome("fitted_before", not late, "; ".join(late) or f"{n_fits} fits"),
            *answers,
        ),
    )


def _every_component(context: CheckContext) -> CheckOutcome:
    from btq_assets.models.comparison.architectures import compared_families

    name = "every_component_is_there"
    config: TradingConfig = context.config
    wanted = {
        (family.name, component)
        for family in compared_families(config)
        for component in config.models.comparison.components
    }
    have = set(context.frame.select("model", "without").iter_rows())
    lacking = sorted(wanted - have)
    return CheckOutcome(
        name,
        wanted == have,
        f"no row of {lacking[0][0]} without {lacking[0][1]}"
        if lacking
        else f"{len(have)} rows of {len(wanted)} asked for",
    )


def _inputs_of_ablations() -> dict[str, TableContract]:
    return {
        "training_set": models.TRAINING_SET,
        **{f"compared_{name}": tables.COMPARED[name] for name in FAMILIES},
        **{f"ablated_{name}": tables.ABLATED[name] for name in FAMILIES},
    }


def _comparison_ablations(
    step: Step, training_set: pl.DataFrame, **frames: pl.DataFrame
) -> TableOutput:
    """Every architecture against itself without a component, decisions resampled in pairs."""
    from btq_assets import plots
    from btq_assets.models.comparison.architectures import compared_families
    from btq_assets.models.comparison.components import ablations_table

    names = [family.name for family in compared_families(step.config)]
    table = ablations_table(
        {name: frames[f"compared_{name}"] for name in names},
        {name: frames[f"ablated_{name}"] for name in names},
        training_set,
        step.config,
    )
    shown = table.drop_nulls("difference")
    drawn = {}
    if shown.height:
        drawn["What a component is worth"] = plots.bars(
            [f"{model} without {what}" for model, what in shown.select("model", "without").rows()],
            shown["difference"].to_list(),
            "Mean rank IC of the whole less that without",
            "rank IC",
        )
    return TableOutput(table, metadata={"ablations": table}, plots=drawn)


#: One step each, so that they run side by side and are re-used singly.
compared = tuple(compared_asset(name) for name in FAMILIES)
ablated = tuple(ablated_asset(name) for name in FAMILIES)

comparison_ablations = TableAsset(
    compute=_comparison_ablations,
    outputs=(tables.ABLATIONS,),
    inputs=_inputs_of_ablations(),
    config=("models", "features.correlation_window_sessions"),
    code=(*JUDGING_CODE, "btq_assets.models.chosen", "btq_assets.models.plans", __name__),
    checks=(
        frame_check(
            "every_component_is_there",
            "Every architecture has a row for every component, also where there is nothing to leave out.",
            _every_component,
        ),
    ),
    group=GROUP,
    absent_as_empty=True,
)
