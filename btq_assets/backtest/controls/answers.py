"""From runs on control markets to a table, and whether the house passes.

Belongs here: the loop over markets and models, the limits and the answers of the checks. Does not
belong here: one run (`path`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.backtest.controls.markets import ControlBase, ControlMarket, control_market
from btq_assets.backtest.controls.settings import (
    LEAK,
    MODELS,
    NULL_CONFIDENCE,
    NULL_LEVEL,
    NULLS,
    PLANTED,
    PLANTED_SHARE,
    ControlSettings,
)
from btq_assets.contracts import controls as contracts
from btq_assets.contracts.checks import CheckOutcome
from btq_assets.evidence.verdict import REFERENCE

if TYPE_CHECKING:
    from btq_assets.backtest.controls.path import ControlRun
    from btq_assets.config import TradingConfig

#: Called with control, seed and number of markets done and to do.
Progress = Callable[[str, int, int, int], None]


def control_markets(settings: ControlSettings) -> Iterator[tuple[str, int]]:
    """Control and seed of every market; nulls take turns, so that all kinds have as many."""
    for seed in range(settings.null_seeds):
        yield NULLS[seed % len(NULLS)], seed
    for seed in range(settings.planted_seeds):
        yield PLANTED, seed
    for seed in range(settings.leak_seeds):
        yield LEAK, seed


def controls_table(
    base: ControlBase,
    given: TradingConfig,
    settings: ControlSettings,
    *,
    models: Sequence[str] = MODELS,
    code_version: str = "notebook",
    run_id: str = "notebook",
    recorded_at: datetime,
    progress: Progress | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every model on every control market.

    Parameters
    ----------
    base
        Market the controls are made from.
    given
        Configuration whose costs and limits hold.
    settings
        Sizes.
    models
        Names out of `path.small_models`.
    code_version, run_id, recorded_at
        Of the trials.
    progress
        Told after each market.

    Returns
    -------
    (controls, trials)
        Rows of ``evidence.controls``, and of ``evidence.trials`` with purpose ``control``.
    """
    from btq_assets.backtest.controls.path import control_panel, run_control

    config = settings.config(base.universe, base.ts[-1], given)
    todo = list(control_markets(settings))
    rows, trials = [], []
    for number, (control, seed) in enumerate(todo):
        market = control_market(base, control, seed, settings)
        panel = control_panel(market, config)
        for model in models:
            run = run_control(
                market,
                model,
                config,
                panel=panel,
                code_version=code_version,
                run_id=run_id,
                recorded_at=recorded_at,
            )
            rows.append(control_row(market, model, run))
            trials.append(run.trials)
        if progress is not None:
            progress(control, seed, number + 1, len(todo))
    table = pl.DataFrame(rows, schema=contracts.CONTROLS.schema)
    return table.sort(contracts.CONTROLS.key), pl.concat(trials)


def control_row(market: ControlMarket, model: str, run: ControlRun) -> dict[str, Any]:
    """One row of ``evidence.controls``."""
    candidates = [one.strategy for one in run.verdict.candidates]
    against = run.comparisons.filter(
        (pl.col("against") == REFERENCE) & pl.col("strategy").is_in(candidates)
    ).sort("ci_low_annual", "strategy")
    best = run.verdict.survivors[0] if run.verdict.survivors else against["strategy"][-1]
    own = against.filter(pl.col("strategy") == best).row(0, named=True)
    score = run.deflated.filter(pl.col("strategy") == best)["deflated_sharpe"]
    return {
        "control": market.control,
        "model": model,
        "seed": market.seed,
        "universe": market.base.universe,
        "planted_sharpe": market.planted_sharpe,
        "champion": bool(run.verdict.survivors),
        "best": best,
        "deflated_sharpe": score[0] if len(score) else None,
        **{
            name: own[name]
            for name in ("mean_difference_annual", "ci_low_annual", "ci_high_annual")
        },
        "rank_ic": run.rank_ic if isfinite(run.rank_ic) else None,
        "n_candidates": len(candidates),
        "n_returns": run.n_returns,
    }


def null_limit(n: int, level: float = NULL_LEVEL, confidence: float = NULL_CONFIDENCE) -> int:
    """Most champions among `n` null markets before the level is not believed.

    The largest count that the binomial law with chance `level` stays at or below with a
    probability below `confidence`: one less than its quantile, and so the stricter of the two
    whole numbers around it.

    Examples
    --------
    >>> null_limit(200)
    17
    """
    from scipy.stats import binom

    return max(int(binom.ppf(confidence, n, level)) - 1, 0)


def null_outcome(table: pl.DataFrame, name: str = "nulls_make_few_champions") -> CheckOutcome:
    """Whether each model makes few enough champions out of nothing.

    Parameters
    ----------
    table
        Rows of ``evidence.controls``; those of the nulls are counted.
    """
    own = table.filter(pl.col("control").is_in(NULLS))
    counted = own.group_by("model").agg(pl.len().alias("n"), pl.col("champion").sum()).sort("model")
    if counted.is_empty():
        return CheckOutcome(name, False, "no null market was run")
    said, passed, numbers = [], True, {}
    for row in counted.iter_rows(named=True):
        limit = null_limit(row["n"])
        numbers[f"{row['model']}_champions"] = row["champion"]
        said.append(f"{row['model']}: {row['champion']} of {row['n']} (limit {limit})")
        if row["champion"] > limit:
            passed = False
            worst = (
                own.filter("champion", pl.col("model") == row["model"])["control"]
                .value_counts(sort=True)
                .row(0)
            )
            said[-1] += (
                f", {worst[1]} of them on {worst[0]}; look for a leak on the way to the verdict"
            )
    return CheckOutcome(name, passed, "champions on null markets: " + "; ".join(said), numbers)


def planted_outcome(table: pl.DataFrame, name: str = "planted_edges_are_found") -> CheckOutcome:
    """Whether each model finds the planted edge often enough, under the same thresholds."""
    own = table.filter(pl.col("control") == PLANTED)
    counted = (
        own.group_by("model").agg(pl.len().alias("n"), pl.col("champion").mean()).sort("model")
    )
    said = [
        f"{row['model']}: {row['champion']:.0%} of {row['n']}"
        for row in counted.iter_rows(named=True)
    ]
    enough = counted.height > 0 and bool((counted["champion"] >= PLANTED_SHARE).all())
    stated = own.select(pl.col("planted_sharpe").max()).item()
    return CheckOutcome(
        name,
        enough,
        f"an edge of Sharpe ratio {stated} over 1/N is found in " + "; ".join(said)
        if said
        else "no edge was planted",
        {f"{row['model']}_found": row["champion"] for row in counted.iter_rows(named=True)},
    )


def leak_outcome(table: pl.DataFrame, name: str = "a_leak_is_refused") -> CheckOutcome:
    """Whether the null gate refuses a model that sees tomorrow."""
    leaking = table.filter(pl.col("control") == LEAK)
    models = leaking["model"].unique().sort().to_list()
    as_nulls = leaking.with_columns(control=pl.lit(NULLS[-1]))
    believed = [
        model for model in models if null_outcome(as_nulls.filter(pl.col("model") == model)).passed
    ]
    if not models or believed:
        return CheckOutcome(
            name,
            False,
            f"{', '.join(believed) or 'no model'} with tomorrow among the features passes the null "
            "gate; the gate does not see leaks",
        )
    return CheckOutcome(
        name,
        True,
        f"refused with tomorrow among the features: {', '.join(models)}",
        {"champions": int(leaking["champion"].sum())},
    )
