"""What the comparison must survive before it is kept.

Belongs here: checks over its tables and inputs. Does not belong here: who runs them.
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import comparison as tables
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.models.comparison.architectures import compared_families

_KEY = ["symbol", "ts"]


def _same_decisions(context: CheckContext) -> CheckOutcome:
    """Every architecture and seed forecast the same assets at the same times, from the same folds."""
    name = "same_decisions"
    wanted: pl.DataFrame | None = None
    first = ""
    for family in compared_families(context.config):
        frame = context.inputs[f"compared_{family.name}"]
        if frame.is_empty():
            return CheckOutcome(name, False, f"models.compared_{family.name} holds no forecast")
        for (seed,), rows in frame.group_by("seed", maintain_order=True):
            own = rows.select(*_KEY, "fold").sort(_KEY)
            if wanted is None:
                wanted, first = own, f"{family.name}, seed {seed}"
            elif not own.equals(wanted):
                return CheckOutcome(
                    name,
                    False,
                    f"{family.name}, seed {seed} has {own.height} forecasts that are not those asked "
                    f"of {first} ({wanted.height}): other assets, times or folds; fit it again",
                )
    n = 0 if wanted is None else wanted.height
    return CheckOutcome(name, n > 0, f"{n:,} forecasts of each architecture and seed")


SAME_DECISIONS: CheckGroup = frame_check(
    "same_decisions",
    "Every architecture and seed forecast the same assets at the same times from the same folds.",
    _same_decisions,
)


def _trials_counted(context: CheckContext) -> CheckOutcome:
    """Deflation counted every architecture and seed."""
    name = "trials_counted"
    seeds = context.frames[tables.SEEDS.table]
    counted = min(context.frames[tables.COMPARISON.table]["n_trials"].to_list(), default=0)
    repeated = seeds.height - seeds["trial_id"].n_unique()
    ok = counted >= seeds.height and not repeated
    return CheckOutcome(
        name,
        ok,
        f"{counted} trials counted, {seeds.height} architectures and seeds, {repeated} of them under "
        "another's trial",
    )


TRIALS_COUNTED: CheckGroup = frame_check(
    "trials_counted",
    "Every architecture and seed is a trial of its own in the ledger, and deflation counted it.",
    _trials_counted,
)


def _every_portfolio(context: CheckContext) -> CheckOutcome:
    """A return for every session, architecture and seed; no two portfolios are the same."""
    name = "portfolios_differ"
    frame = context.frames[tables.RETURNS.table]
    sessions = frame["ts"].n_unique()
    counts = frame.group_by("strategy").len().sort("strategy")
    short = counts.filter(pl.col("len") != sessions)["strategy"].to_list()
    if short:
        return CheckOutcome(name, False, f"{short[0]} lacks sessions of the {sessions}")
    wide = frame.pivot(on="strategy", index="ts", values="net_return").sort("ts").drop("ts")
    different = {tuple(column.to_list()) for column in wide.iter_columns()}
    return CheckOutcome(
        name,
        len(different) == counts.height,
        f"{len(different)} different portfolios of {counts.height} architectures and seeds",
    )


PORTFOLIOS_DIFFER: CheckGroup = frame_check(
    "portfolios_differ",
    "Every architecture and seed has a return for every session, and no two are the same.",
    _every_portfolio,
)
