"""Checks of strategies that read the parameters of regimes.

Belongs here: that those parameters are obeyed, and that they and the strategy behind matter. Does not
belong here: making weights obey them (`regime_aware`), checks of every table of targets (`gates`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl

from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, CheckSpec
from btq_assets.portfolio.gates import (
    NOT_HOLLOW_DECISIONS,
    WEIGHT_TOLERANCE,
    known_at,
    spread_times,
)

Recompute = Callable[[Mapping[str, pl.DataFrame], Any], pl.DataFrame]


def regime_limits_check() -> CheckGroup:
    """Blocking check ``regime_limits``: each weight and each sum within those of its regime."""
    spec = CheckSpec(
        "regime_limits",
        "No weight is above the largest position, and no sum above the exposure times the gross "
        "limit, of the newest regime known at the decision.",
    )

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        parameters = context.inputs["parameters"].select(
            pl.col("scope").alias("universe"), "ts", "regime", "exposure_multiplier", "max_position"
        )
        gross = context.config.portfolio.max_gross_exposure
        book = (
            context.frame.group_by("strategy", "universe", "ts")
            .agg(largest=pl.col("weight").max(), sum=pl.col("weight").sum())
            .sort("ts")
            .join_asof(parameters.sort("ts"), on="ts", by="universe", check_sortedness=False)
            .with_columns(allowed=gross * pl.min_horizontal("exposure_multiplier", 1.0))
        )
        over = book.filter(
            (pl.col("largest") > pl.col("max_position") + WEIGHT_TOLERANCE)
            | (pl.col("sum") > pl.col("allowed") + WEIGHT_TOLERANCE)
        ).sort("strategy", "ts")
        under_a_regime = book["regime"].count()
        message = f"{under_a_regime} of {book.height} decisions under a regime, all within it"
        if not over.is_empty():
            row = over.row(0, named=True)
            message = (
                f"{row['strategy']} at {row['ts']} in regime {row['regime']}: largest weight "
                f"{row['largest']:.6g} of {row['max_position']:g}, sum {row['sum']:.6g} of "
                f"{row['allowed']:g} ({over.height} decision(s))"
            )
        yield CheckOutcome(
            spec.name, over.is_empty(), message, {"decisions_under_a_regime": under_a_regime}
        )

    return CheckGroup((spec,), run)


def parameters_matter_check(recompute: Recompute, targets: tuple[str, ...]) -> CheckGroup:
    """Blocking check ``not_hollow``: half the exposure, and half the base weight, hold less.

    At spread-out decisions the exposure of every row of parameters known by then is halved, and
    the weight of each strategy's largest holding in the table it comes from. The sum of weights,
    and that weight, must fall. Decisions in cash, and before the first parameters, say nothing.

    Parameters
    ----------
    recompute
        The step's own computation.
    targets
        Input names that hold target weights.
    """
    spec = CheckSpec(
        "not_hollow",
        "Half the exposure of the regimes lowers what is held; half the weight of an asset in the "
        "strategy behind lowers its weight.",
    )

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        idle: list[str] = []
        seen = 0
        for ts in spread_times(context.frame, NOT_HOLLOW_DECISIONS):
            inputs = {name: known_at(frame, ts) for name, frame in context.inputs.items()}
            held = _at(context.frame, ts).filter(pl.col("weight") > WEIGHT_TOLERANCE)
            if held.is_empty():
                continue
            parameters = inputs["parameters"]
            if not parameters.is_empty():
                seen += 1
                less = parameters.with_columns(pl.col("exposure_multiplier") / 2)
                again = _at(recompute({**inputs, "parameters": less}, context.config), ts)
                idle += [f"exposure of {name}" for name in _not_less(held, again, "strategy")]
            seen += 1
            largest = held.sort("weight", "symbol").group_by("strategy").last()
            halved = {name: _halved(inputs[name], largest) for name in targets}
            again = _at(recompute({**inputs, **halved}, context.config), ts)
            again = again.join(largest, on=["strategy", "symbol"], how="semi")
            idle += [f"base weight of {name}" for name in _not_less(largest, again, "strategy")]
        message = f"nothing falls with the {sorted(set(idle))}" if idle else f"{seen} changes tried"
        yield CheckOutcome(spec.name, not idle, message, {"changes_tried": seen})

    return CheckGroup((spec,), run)


def _at(frame: pl.DataFrame, ts: Any) -> pl.DataFrame:
    return frame.filter(pl.col("ts") == ts)


def _halved(targets: pl.DataFrame, largest: pl.DataFrame) -> pl.DataFrame:
    """Targets with the weights of each strategy's largest holding halved, at all decisions."""
    from btq_assets.portfolio.regime_aware import SUFFIX

    chosen = largest.select(pl.col("strategy").str.strip_suffix(SUFFIX), "symbol", less=True)
    return targets.join(
        chosen, on=["strategy", "symbol"], how="left", maintain_order="left"
    ).select(
        *(name for name in targets.columns if name != "weight"),
        weight=pl.when(pl.col("less")).then(pl.col("weight") / 2).otherwise("weight"),
    )


def _not_less(before: pl.DataFrame, after: pl.DataFrame, by: str) -> list[str]:
    """Groups whose sum of weights did not fall."""
    sums = (
        before.group_by(by)
        .agg(before=pl.col("weight").sum())
        .join(after.group_by(by).agg(after=pl.col("weight").sum()), on=by, how="left")
    )
    kept = sums.filter(pl.col("after").fill_null(0.0) >= pl.col("before") - WEIGHT_TOLERANCE)
    return kept[by].sort().to_list()
