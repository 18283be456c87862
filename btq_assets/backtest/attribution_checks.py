"""Blocking checks of `backtest.attribution`, made on the rows about to be written.

Belongs here: what must hold between equity, factors and the regression. Does not belong here: the
regression (`attribution`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.backtest.attribution import ALPHA, PERIODS, attribution_rows, period_returns
from btq_assets.backtest.factors import Factors, fama_french, universe_factors
from btq_assets.backtest.market import Market
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check

#: Largest gap between mean excess return and its parts, a year.
TOLERANCE = 1e-9

#: Slope that is planted.
PLANTED = 0.5


def bundled_factors(bars: pl.DataFrame, macro: pl.DataFrame, universe: str) -> list[Factors]:
    """Sets of factors that need no file, as far as the data have them."""
    found = (fama_french(macro), universe_factors(Market.from_bars(bars, universe)))
    return [factors for factors in found if factors is not None]


def _models(context: CheckContext) -> list[Factors]:
    return bundled_factors(
        context.inputs["bars"], context.inputs["macro"], context.config.universe.main
    )


def _adds_up(context: CheckContext) -> CheckOutcome:
    """Alpha and the factors' contributions sum to the mean excess return of every run."""
    rows = context.frames[contracts.ATTRIBUTION.table]
    equity = context.inputs["equity"]
    problems, n_checked, worst = [], 0, 0.0
    parts = rows.group_by("run_id", "model").agg(
        pl.col("contribution_annual").sum(), pl.col("coefficient").null_count().alias("gaps"), "n"
    )
    found = {(row["run_id"], row["model"]): row for row in parts.iter_rows(named=True)}
    models = _models(context)
    for (run_id, strategy), own in equity.group_by("run_id", "strategy", maintain_order=True):
        for factors in models:
            row = found.get((run_id, factors.model))
            if row is None:
                problems.append(f"{strategy}: no rows of {factors.model}")
                continue
            if row["gaps"]:
                continue
            excess = _excess(own, factors)
            expected = float(excess.mean()) * PERIODS[factors.frequency]
            gap = abs(row["contribution_annual"] - expected)
            worst = max(worst, gap)
            n_checked += 1
            if excess.size != row["n"][0] or not gap <= TOLERANCE:
                problems.append(
                    f"{strategy}, {factors.model}: the parts sum to "
                    f"{row['contribution_annual']:.6f} a year over {row['n'][0]} periods, the excess "
                    f"return is {expected:.6f} over {excess.size}"
                )
    message = "; ".join(problems[:3]) or (
        f"{n_checked} regressions: parts sum to the mean excess return to {worst:.1e} a year"
    )
    return CheckOutcome("attribution_adds_up", not problems, message, {"n_problems": len(problems)})


def _excess(own: pl.DataFrame, factors: Factors) -> np.ndarray:
    free = pl.DataFrame({"period": factors.period, "free": factors.risk_free})
    both = period_returns(own, factors.frequency).join(free, on="period", how="inner")
    return (both["value"] - both["free"]).to_numpy()


def _not_hollow(context: CheckContext) -> CheckOutcome:
    """Plant half a factor in each run's daily returns: its slope rises by a half, no other moves."""
    rows = context.frames[contracts.ATTRIBUTION.table]
    equity = context.inputs["equity"]
    problems, n_moved = [], 0
    for factors in _models(context):
        if factors.frequency != "day":
            continue
        planted = pl.DataFrame({"_day": factors.period, "_more": PLANTED * factors.returns[:, 0]})
        moved = (
            equity.with_columns(_day=pl.col("ts").dt.date())
            .join(planted, on="_day", how="left")
            .with_columns(net_return=pl.col("net_return") + pl.col("_more").fill_null(0.0))
        )
        again = attribution_rows(moved, [factors])
        both = rows.filter(pl.col("model") == factors.model).join(
            again, on=("run_id", "model", "factor"), suffix="_again"
        )
        expected = pl.when(pl.col("factor") == factors.names[0]).then(PLANTED).otherwise(0.0)
        wrong = both.filter(
            (pl.col("coefficient_again") - pl.col("coefficient") - expected).abs() > 1e-7
        )
        n_moved += both.filter(factor=ALPHA).height
        problems += [
            f"{row['strategy']}: {row['factor']} went from {row['coefficient']:.6f} to "
            f"{row['coefficient_again']:.6f}"
            for row in wrong.head(3).iter_rows(named=True)
        ]
        if both.filter(factor=ALPHA).height != equity["run_id"].n_unique():
            problems.append(f"{factors.model}: not every run is there")
    message = (
        "; ".join(problems[:3]) or f"{n_moved} regressions find half a market more, and only that"
    )
    return CheckOutcome(
        "attribution_not_hollow", not problems, message, {"n_problems": len(problems)}
    )


ATTRIBUTION_ADDS_UP = frame_check(
    "attribution_adds_up",
    "Alpha and the contributions of the factors sum to the mean excess return of every run.",
    _adds_up,
)
ATTRIBUTION_NOT_HOLLOW = frame_check(
    "attribution_not_hollow",
    "Half of the market's return added to each run raises its slope on the market by a half and moves nothing else.",
    _not_hollow,
)
