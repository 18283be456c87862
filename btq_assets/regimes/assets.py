"""Dagster side of the regimes room.

Belongs here: upstream tables, one call of a pure function, metadata. Does not belong here: logic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import polars as pl

from btq_assets.contracts import core, features
from btq_assets.contracts import regimes as contracts
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.evidence.truncation import Recompute, truncation_check
from btq_assets.warehouse import Step, TableOutput, table_asset

#: Rows compared before each cut: they need one or two of the fits, not all of them.
_LAST_SESSIONS = 10


def _recompute(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.regimes.states import market_states

    return market_states(
        inputs["bars"], config.universe.main, config.regimes, last_sessions=_LAST_SESSIONS
    )


def _truncation(
    contract: TableContract, recompute: Recompute, *, last_sessions: int | None = None
) -> CheckGroup:
    """The truncation gate; a table of fewer than two sessions, which cannot be cut, passes."""
    gate = truncation_check(contract, recompute, last_sessions=last_sessions)

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        if context.frame["ts"].n_unique() < 2:
            message = "regimes are switched off or the history is too short"
            return [CheckOutcome(gate.specs[0].name, True, message)]
        return gate.run(context)

    return CheckGroup(gate.specs, run)


def _of_bars(module: str, function: str) -> Recompute:
    """Recomputation of a whole table from bars."""

    def recompute(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
        compute = getattr(import_module(f"btq_assets.regimes.{module}"), function)
        return compute(inputs["bars"], config.universe.main, config.regimes)

    return recompute


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
        _truncation(contracts.STATES, _recompute, last_sessions=_LAST_SESSIONS),
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


def _named_sum_to_one(context: CheckContext) -> CheckOutcome:
    names = [name for name in context.frame.columns if name.startswith("p_")]
    off = context.frame.filter(
        pl.col("state").is_not_null() & ((pl.sum_horizontal(names) - 1).abs() > 1e-9)
    )
    message = "" if off.is_empty() else f"{off.height} rows, first at {off['ts'][0]}"
    return CheckOutcome("probabilities", off.is_empty(), message)


_SUMS = frame_check(
    "probabilities", "The probabilities of the states there are sum to 1.", _named_sum_to_one
)
_CONVERGENCE = frame_check(
    "convergence",
    "At least half of the sessions are under a fit that converged on schedule.",
    _most_fits_converged,
    blocking=False,
)


def _fits(frame: pl.DataFrame, *more: str) -> dict[str, Any]:
    """Metadata: what was in force from when, and how many scheduled fits failed."""
    fits = (
        frame.group_by("fitted_until", "converged")
        .agg(
            *(pl.col(name).first() for name in more),
            from_session=pl.col("ts").min().dt.date(),
            sessions=pl.len(),
        )
        .sort("from_session")
        .with_columns(pl.col("fitted_until").dt.date())
    )
    failed = fits.filter(~pl.col("converged"))
    return {"n_fits": fits.filter("converged").height, "failed_spans": failed.height, "fits": fits}


def _named_output(step: Step, frame: pl.DataFrame, kind: str) -> TableOutput:
    from btq_assets import plots

    if frame.is_empty():
        step.log(f"no {kind}: switched off, or the history is too short")
        return TableOutput(frame)
    title = f"Filtered probabilities, {kind}, {step.config.universe.main}"
    names = [name for name in frame.columns if name.startswith("p_")]
    lines = {
        name.removeprefix("p_"): frame[name] for name in names if frame[name].drop_nulls().len()
    }
    shares = frame.group_by("state").agg(sessions=pl.len()).sort("state")
    return TableOutput(
        frame,
        metadata={**_fits(frame, "n_states", "matched_share"), "sessions_by_state": shares},
        plots={title: plots.lines(frame["ts"], lines, title, "probability")},
    )


@table_asset(
    outputs=(contracts.MARKET_STATES,),
    inputs={"bars": core.BARS_1D},
    config=("regimes", "universe"),
    code=("btq_assets.regimes",),
    checks=(
        _truncation(contracts.MARKET_STATES, _of_bars("switching", "market_states")),
        _SUMS,
        _CONVERGENCE,
    ),
    group="regimes",
)
def market_states(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Fit Markov switching in mean and variance on past windows, name the states, filter."""
    from btq_assets.regimes import switching

    frame = switching.market_states(bars, step.config.universe.main, step.config.regimes)
    return _named_output(step, frame, "market states")


@table_asset(
    outputs=(contracts.HIDDEN_STATES,),
    inputs={"bars": core.BARS_1D},
    config=("regimes", "universe"),
    code=("btq_assets.regimes",),
    checks=(
        _truncation(contracts.HIDDEN_STATES, _of_bars("switching", "hidden_states")),
        _SUMS,
        _CONVERGENCE,
    ),
    group="regimes",
)
def hidden_states(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Fit a hidden Markov model of return, volatility and correlation on past windows, filter."""
    from btq_assets.regimes import switching

    frame = switching.hidden_states(bars, step.config.universe.main, step.config.regimes)
    return _named_output(step, frame, "hidden states")


def _thresholds_in_order(context: CheckContext) -> CheckOutcome:
    off = context.frame.filter(pl.col("low_threshold_annual") > pl.col("high_threshold_annual"))
    message = "" if off.is_empty() else f"{off.height} rows, first at {off['ts'][0]}"
    return CheckOutcome("thresholds", off.is_empty(), message)


@table_asset(
    outputs=(contracts.VOLATILITY_STATES,),
    inputs={"bars": core.BARS_1D},
    config=("regimes", "universe"),
    code=(
        "btq_assets.regimes",
        "btq_assets.features.kernels.garch",
        "btq_assets.features.kernels.garch_fit",
    ),
    checks=(
        _truncation(
            contracts.VOLATILITY_STATES, _of_bars("volatility_states", "volatility_states")
        ),
        frame_check(
            "thresholds", "The low threshold is not above the high one.", _thresholds_in_order
        ),
        _CONVERGENCE,
    ),
    group="regimes",
)
def volatility_states(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Fit GARCH(1,1) on past windows; low, normal and high volatility by its own past."""
    from btq_assets import plots
    from btq_assets.regimes.volatility_states import volatility_states as compute

    universe = step.config.universe.main
    frame = compute(bars, universe, step.config.regimes)
    if frame.is_empty():
        step.log("no volatility states: switched off, or the history is too short")
        return TableOutput(frame)
    title = f"Volatility expected for the next session, {universe}"
    lines = {
        "forecast": frame["volatility_forecast_annual"],
        "low": frame["low_threshold_annual"],
        "high": frame["high_threshold_annual"],
    }
    return TableOutput(
        frame,
        metadata=_fits(frame),
        plots={title: plots.lines(frame["ts"], lines, title, "a year")},
    )


@table_asset(
    outputs=(contracts.CHANGE_POINTS,),
    inputs={"bars": core.BARS_1D},
    config=("regimes", "universe"),
    code=("btq_assets.regimes",),
    checks=(_truncation(contracts.CHANGE_POINTS, _of_bars("change_points", "change_points")),),
    group="regimes",
)
def change_points(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Detect changes of mean and variance online, from what was seen by each session."""
    from btq_assets.regimes.change_points import change_points as compute

    frame = compute(bars, step.config.universe.main, step.config.regimes)
    declared = frame.filter("is_change").select("ts", "changed_at")
    return TableOutput(
        frame,
        metadata={
            "n_changes": declared.height,
            "last_changes": declared.tail(20).with_columns(pl.col("ts", "changed_at").dt.date()),
        },
    )


def _stress(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.regimes.stress import stress_index as compute

    return compute(inputs["bars"], inputs["macro"], config.universe.main, config.regimes)


@table_asset(
    outputs=(contracts.STRESS_INDEX,),
    inputs={"bars": core.BARS_1D, "macro": features.MACRO},
    config=("regimes", "universe"),
    code=("btq_assets.regimes",),
    checks=(_truncation(contracts.STRESS_INDEX, _stress),),
    group="regimes",
)
def stress_index(step: Step, bars: pl.DataFrame, macro: pl.DataFrame) -> TableOutput:
    """Standardise stress components on their own past; crisis flag with hysteresis."""
    from btq_assets import plots

    universe = step.config.universe.main
    frame = _stress({"bars": bars, "macro": macro}, step.config)
    if frame["stress_index"].drop_nulls().is_empty():
        step.log("no stress index: switched off, or the history is too short")
        return TableOutput(frame)
    starts = frame.filter(pl.col("is_crisis") & ~pl.col("is_crisis").shift(1, fill_value=False))
    title = f"Stress index, {universe}"
    return TableOutput(
        frame,
        metadata={
            "n_crises": starts.height,
            "crises_began": starts.select(pl.col("ts").dt.date(), "stress_index"),
            "share_in_crisis": frame["is_crisis"].mean(),
            "null_share": {
                name: frame[name].null_count() / frame.height
                for name in (*contracts.STRESS_COMPONENTS, "stress_index")
            },
        },
        plots={title: plots.lines(frame["ts"], {"": frame["stress_index"]}, title, "deviations")},
    )


@table_asset(
    outputs=(contracts.CORRELATION_BREAKS,),
    inputs={"bars": core.BARS_1D},
    config=("regimes", "universe"),
    code=("btq_assets.regimes",),
    checks=(
        _truncation(
            contracts.CORRELATION_BREAKS, _of_bars("correlation_breaks", "correlation_breaks")
        ),
    ),
    group="regimes",
)
def correlation_breaks(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Test the correlations of the last window against those of the window before."""
    from btq_assets.regimes.correlation_breaks import correlation_breaks as compute

    frame = compute(bars, step.config.universe.main, step.config.regimes)
    found = frame.filter("is_break").select(
        pl.col("ts", "boundary").dt.date(), "p_value", "correlation_before", "correlation_after"
    )
    return TableOutput(
        frame,
        metadata={
            "n_tests": frame.height,
            "share_rejected": frame["rejected"].mean(),
            "n_breaks": found.height,
            "last_breaks": found.tail(20),
        },
    )


def _parameters(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.regimes.parameters import regime_parameters

    return regime_parameters(inputs["states"], inputs["stress"], config.regimes)


def _as_configured(context: CheckContext) -> CheckOutcome:
    section = context.config.regimes.parameters
    names = ("exposure_multiplier", "max_position", "rebalance_threshold")
    wrong = [
        f"{row['regime']}.{name} is {row[name]}"
        for row in context.frame.select("regime", *names).unique().iter_rows(named=True)
        for name in names
        if row[name] != getattr(getattr(section, row["regime"]), name)
    ]
    return CheckOutcome("configured_values", not wrong, "; ".join(sorted(wrong)))


@table_asset(
    outputs=(contracts.PARAMETERS,),
    inputs={"states": contracts.MARKET_STATES, "stress": contracts.STRESS_INDEX},
    config=("regimes", "universe"),
    code=("btq_assets.regimes",),
    checks=(
        _truncation(contracts.PARAMETERS, _parameters),
        frame_check(
            "configured_values",
            "Every row has the values configured for its regime.",
            _as_configured,
        ),
    ),
    group="regimes",
)
def parameters(step: Step, states: pl.DataFrame, stress: pl.DataFrame) -> TableOutput:
    """Say which regime is in force, with hysteresis, and what a strategy may do in it."""
    frame = _parameters({"states": states, "stress": stress}, step.config)
    spells = frame.filter(pl.col("sessions_in_regime") == 1)
    return TableOutput(
        frame,
        metadata={
            "n_spells": spells.height,
            "sessions_by_regime": frame.group_by("regime").agg(sessions=pl.len()).sort("regime"),
        },
    )
