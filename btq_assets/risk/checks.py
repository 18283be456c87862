"""Checks of the risk tables, run on the frames before they are committed.

Belongs here: what must be true of any risk table, whatever the strategies. Does not belong here:
judgements of the strategies (exceedances are reported, not refused).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from btq_assets.contracts import risk
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.evidence.truncation import truncation_check

#: Dates recomputed by the cheap perturbation checks.
_LAST_DATES = 3
_TRUNCATION_DATES = 5
_ROUNDING = 1e-9


def _holdings(inputs: Mapping[str, pl.DataFrame]) -> list:
    from btq_assets.risk.held import holdings

    return list(holdings(*(inputs[name] for name in ("bars", "positions", "equity", "runs"))))


def _recompute_last(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.risk.rolling import measures_table, rolling_risk

    return measures_table(
        [
            rolling_risk(held, config.risk, last_dates=_TRUNCATION_DATES)
            for held in _holdings(inputs)
        ]
    )


def _sane(context: CheckContext) -> CheckOutcome:
    name = "sane"
    frame = context.frames[risk.MEASURES.table].drop_nulls("value")
    key = ["strategy", "ts", "method", "level"]
    var = frame.filter(pl.col("measure") == "var").rename({"value": "var"})
    cvar = frame.filter(pl.col("measure") == "cvar").rename({"value": "cvar"})
    pairs = var.join(cvar.select(*key, "cvar"), on=key)
    rising = (
        var.filter(pl.col("method") == "historical")
        .sort("strategy", "ts", "level")
        .with_columns(lower=pl.col("var").shift(1).over("strategy", "ts"))
    )
    for problem, rows in (
        ("VaR is negative", var.filter(pl.col("var") < -_ROUNDING)),
        ("CVaR is below VaR", pairs.filter(pl.col("cvar") < pl.col("var") - _ROUNDING)),
        (
            "historical VaR falls as the level rises",
            rising.filter(pl.col("var") < pl.col("lower") - _ROUNDING),
        ),
    ):
        if rows.height:
            row = rows.row(0, named=True)
            return CheckOutcome(
                name,
                False,
                f"{problem}: {row['strategy']} at {row['ts']}, {row['method']} {row['level']:g}, "
                f"VaR {row['var']:.6g} ({rows.height} rows)",
            )
    return CheckOutcome(name, True, f"{pairs.height:,} pairs of VaR and CVaR")


def _measures_not_hollow(context: CheckContext) -> CheckOutcome:
    """Doubled asset returns double historical VaR and CVaR; with nothing held, all are zero."""
    from btq_assets.risk.rolling import measures_table, rolling_risk

    name = "not_hollow"
    held = _holdings(context.inputs)
    key = ["strategy", "ts", "measure", "method", "level"]
    stored = context.frames[risk.MEASURES.table]

    def beside(changed: list) -> pl.DataFrame:
        again = measures_table(
            [rolling_risk(one, context.config.risk, last_dates=_LAST_DATES) for one in changed]
        )
        return again.join(stored.select(*key, pl.col("value").alias("stored")), on=key)

    doubled = beside([replace(one, returns=2 * one.returns) for one in held]).filter(
        pl.col("method") == "historical"
    )
    wrong = doubled.filter(
        (pl.col("value") - 2 * pl.col("stored")).abs() > _ROUNDING * (1 + pl.col("value").abs())
    )
    if doubled.is_empty() or wrong.height:
        detail = (
            "nothing to compare"
            if doubled.is_empty()
            else f"{wrong['strategy'][0]} at {wrong['ts'][0]}: {wrong['stored'][0]:.6g} became "
            f"{wrong['value'][0]:.6g}"
        )
        return CheckOutcome(name, False, f"doubled returns do not double historical VaR: {detail}")
    cash = beside([replace(one, weights=np.zeros_like(one.weights)) for one in held])
    if (cash["value"].drop_nulls() != 0).any():
        return CheckOutcome(name, False, "the VaR of cash is not zero")
    moving = doubled.filter(pl.col("stored") > 0)["strategy"].n_unique()
    return CheckOutcome(
        name,
        True,
        f"doubled returns double VaR on {doubled['ts'].n_unique()} dates; cash has none",
        {"strategies_with_risk": moving},
    )


def _weights_reproduce_exposure(context: CheckContext) -> CheckOutcome:
    """Weights rebuilt from shares and prices add up to the exposure the engine booked."""
    name = "weights_reproduce_exposure"
    booked = context.inputs["equity"].select("strategy", "ts", "net_exposure")
    worst, where = 0.0, ""
    for held in _holdings(context.inputs):
        sums = held.weights.sum(axis=2)
        for s, strategy in enumerate(held.strategies):
            rebuilt = pl.DataFrame({"ts": held.ts, "rebuilt": sums[:, s]})
            both = booked.filter(pl.col("strategy") == strategy).join(rebuilt, on="ts")
            gap = np.abs((both["rebuilt"] - both["net_exposure"]).to_numpy())
            # NaN is a gap, too: a booked session without weights.
            gap = np.where(np.isnan(gap), np.inf, gap)
            largest = float(gap.max(initial=0.0))
            if largest > worst:
                worst, where = largest, f"{strategy} at {both['ts'][int(gap.argmax())]}"
    passed = worst <= 1e-6
    message = (
        f"weights add up to the booked exposure within {worst:.1e}"
        if passed
        else f"{where}: weights held differ from the booked exposure by {worst:.3g}; positions "
        "must hold everything held after each time with a fill"
    )
    return CheckOutcome(name, passed, message, {"largest_gap": worst})


MEASURES_CHECKS = (
    frame_check(
        "sane",
        "No VaR is negative, no CVaR below its VaR, and historical VaR rises with its level.",
        _sane,
    ),
    frame_check(
        "not_hollow",
        "Doubling all returns doubles historical VaR and CVaR; the VaR of cash is zero.",
        _measures_not_hollow,
    ),
    frame_check(
        "weights_reproduce_exposure",
        "The weights the measures are taken of add up to the exposure the engine booked.",
        _weights_reproduce_exposure,
    ),
    truncation_check(risk.MEASURES, _recompute_last, last_sessions=_TRUNCATION_DATES),
)


def _nothing_is_silent(context: CheckContext) -> CheckOutcome:
    name = "nothing_is_silent"
    frame = context.frames[risk.STRESS.table]
    figures = [pl.col(c).is_not_null() for c in ("window_return", "max_drawdown", "worst_day")]
    silent = pl.col("covered") & ~pl.all_horizontal(figures)
    invented = ~pl.col("covered") & (pl.any_horizontal(figures) | (pl.col("note") == ""))
    wrong = frame.filter(silent | invented)
    if wrong.height:
        row = wrong.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"{row['strategy']} in {row['scenario']}: covered windows have figures, the others a "
            f"note and none; covered is {row['covered']}, the note {row['note']!r}",
        )
    covered = frame.filter("covered")["scenario"].n_unique()
    return CheckOutcome(name, True, f"{covered} windows covered", {"windows_covered": covered})


def _stress_not_hollow(context: CheckContext) -> CheckOutcome:
    """Buy and hold is linear in the weights: half the weights lose half as much."""
    from btq_assets.risk.scenarios import find_scenario, replay

    name = "stress_halves_with_weights"
    frame = context.frames[risk.STRESS.table].filter("covered")
    n_compared = 0
    for held in _holdings(context.inputs):
        for strategy, weights in zip(held.strategies, held.last_weights, strict=True):
            for row in frame.filter(pl.col("strategy") == strategy).iter_rows(named=True):
                scenario = find_scenario(row["scenario"])
                half = replay(weights / 2, held.prices, held.days, scenario).window_return
                if half is None or abs(2 * half - row["window_return"]) > _ROUNDING:
                    return CheckOutcome(
                        name,
                        False,
                        f"{strategy} in {scenario.name}: {row['window_return']:.6g} with its "
                        f"weights, {half} with half of them",
                    )
                n_compared += 1
    return CheckOutcome(name, True, f"{n_compared} windows", {"windows": n_compared})


def _gaussian_mean(context: CheckContext) -> CheckOutcome:
    """Independent returns have a known mean: (1 + m)^h - 1."""
    name = "gaussian_paths_have_their_mean"
    frame = context.frames[risk.SIMULATIONS.table].filter(pl.col("method") == "gaussian")
    means = dict(
        frame.filter(pl.col("statistic") == "terminal_return_mean")
        .select("strategy", "value")
        .iter_rows()
    )
    for held in _holdings(context.inputs):
        for s, strategy in enumerate(held.strategies):
            history = held.history(s)
            row = frame.filter(pl.col("strategy") == strategy)
            if row.is_empty():
                return CheckOutcome(name, False, f"{strategy} was not simulated")
            horizon, n_paths = row["horizon_sessions"][0], row["n_paths"][0]
            mean, variance = history.mean(), history.var(ddof=1)
            expected = (1 + mean) ** horizon - 1
            second = ((1 + mean) ** 2 + variance) ** horizon
            error = np.sqrt(max(second - (1 + expected) ** 2, 0.0) / n_paths)
            if abs(means[strategy] - expected) > 6 * error + _ROUNDING:
                return CheckOutcome(
                    name,
                    False,
                    f"{strategy}: mean terminal return {means[strategy]:.4f}, expected "
                    f"{expected:.4f} with a standard error of {error:.4f}",
                )
    return CheckOutcome(name, True, f"{len(means)} strategies within six standard errors")


def _drawdowns_agree(context: CheckContext) -> CheckOutcome:
    name = "deepest_drawdown_agrees"
    equity = context.inputs["equity"].sort("strategy", "ts")
    direct = equity.group_by("strategy").agg(
        direct=(1 - pl.col("equity") / pl.col("equity").cum_max()).max()
    )
    first = context.frames[risk.DRAWDOWNS.table].filter(pl.col("rank") == 1)
    both = direct.join(first, on="strategy", how="left").with_columns(
        pl.col("depth").fill_null(0.0)
    )
    wrong = both.filter((pl.col("depth") - pl.col("direct")).abs() > _ROUNDING)
    if wrong.height:
        row = wrong.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"{row['strategy']}: deepest drawdown {row['depth']:.6f}, directly {row['direct']:.6f}",
        )
    return CheckOutcome(name, True, f"{both.height} strategies")


SCENARIO_CHECKS = (
    frame_check(
        "nothing_is_silent",
        "Every window has its figures, or a note that says what is missing.",
        _nothing_is_silent,
    ),
    frame_check(
        "stress_halves_with_weights",
        "Replayed on half the weights, every window loses half as much.",
        _stress_not_hollow,
    ),
    frame_check(
        "gaussian_paths_have_their_mean",
        "The mean of the gaussian paths is within six standard errors of its closed form.",
        _gaussian_mean,
    ),
    frame_check(
        "deepest_drawdown_agrees",
        "The first drawdown is as deep as the largest fall from the running maximum.",
        _drawdowns_agree,
    ),
)
