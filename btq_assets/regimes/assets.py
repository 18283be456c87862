"""Dagster side of the regimes room.

Belongs here: upstream tables, one call of a pure function, metadata. Does not belong here: logic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from btq_assets.contracts import core
from btq_assets.contracts import regimes as contracts
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.evidence.truncation import truncation_check
from btq_assets.warehouse import Step, TableOutput, table_asset

#: Rows compared before each cut: they need one or two of the fits, not all of them.
_LAST_SESSIONS = 10


def _recompute(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.regimes.states import market_states

    return market_states(
        inputs["bars"], config.universe.main, config.regimes, last_sessions=_LAST_SESSIONS
    )


_TRUNCATION = truncation_check(contracts.STATES, _recompute, last_sessions=_LAST_SESSIONS)


def _truncation(context: CheckContext) -> Iterable[CheckOutcome]:
    if context.frame.is_empty():
        name = _TRUNCATION.specs[0].name
        return [CheckOutcome(name, True, "regimes are switched off or the history is too short")]
    return _TRUNCATION.run(context)


def _probabilities_sum_to_one(context: CheckContext) -> CheckOutcome:
    off = context.frame.filter((pl.col("p_calm") + pl.col("p_turbulent") - 1).abs() > 1e-9)
    message = "" if off.is_empty() else f"{off.height} rows, first at {off['ts'][0]}"
    return CheckOutcome("probabilities", off.is_empty(), message)


def _most_fits_converged(context: CheckContext) -> CheckOutcome:
    rows = context.frame.height
    if not rows:
        return CheckOutcome("convergence", True, "no session has a state: nothing was fitted")
    share = context.frame["converged"].sum() / rows
    return CheckOutcome(
        "convergence",
        share >= 0.5,
        f"{share:.0%} of the sessions are under a fit that converged on schedule",
        {"converged_share": share},
    )


@table_asset(
    outputs=(contracts.STATES,),
    inputs={"bars": core.BARS_1D},
    config=("regimes", "universe"),
    code=("btq_assets.regimes",),
    checks=(
        CheckGroup(_TRUNCATION.specs, _truncation),
        frame_check(
            "probabilities",
            "The probabilities of the two states sum to 1.",
            _probabilities_sum_to_one,
        ),
        frame_check(
            "convergence",
            "At least half of the sessions are under a fit that converged on schedule.",
            _most_fits_converged,
            blocking=False,
        ),
    ),
    group="regimes",
)
def states(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Fit the Markov-switching model on past windows and filter the state of the market."""
    from btq_assets import plots
    from btq_assets.regimes.states import market_states

    universe = step.config.universe.main
    frame = market_states(bars, universe, step.config.regimes)
    if frame.is_empty():
        step.log("no market states: regimes are switched off or the history is too short")
        return TableOutput(frame)
    fits = (
        frame.group_by("fitted_until", "converged")
        .agg(
            sessions=pl.len(),
            calm_volatility=pl.col("calm_volatility_annual").first(),
            turbulent_volatility=pl.col("turbulent_volatility_annual").first(),
            share_turbulent=(pl.col("state") == "turbulent").mean(),
        )
        .sort("fitted_until")
        .with_columns(pl.col("fitted_until").dt.date())
    )
    title = f"Filtered probability of the turbulent state, {universe}"
    return TableOutput(
        frame,
        metadata={
            "n_fits": fits.height,
            "share_turbulent": frame.filter(state="turbulent").height / frame.height,
            "fits": fits,
        },
        plots={
            title: plots.lines(
                frame["ts"], {"": frame["p_turbulent"]}, title, "probability", fill=True
            )
        },
    )
