"""Stages of registered models: candidate, champion, retired; only the evidence makes a champion.

Belongs here: who may be promoted and the rows that say so. Does not belong here: judging
(`evidence.verdict`, `evidence.gates`), reading or writing the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from btq_assets.contracts import models as tables
from btq_assets.contracts.portfolio import models_behind
from btq_assets.evidence.verdict import Verdict
from btq_assets.models.forecaster import ModelError
from btq_assets.models.walk_forward import FURTHER_HORIZON

#: A gate that no strategy may skip.
REQUIRED_GATE = "deflated_sharpe"


class PromotionRefusedError(ModelError):
    """The evidence does not carry a champion."""


def obstacles(strategy: str, judged: Verdict, gates: pl.DataFrame) -> tuple[str, ...]:
    """What stands between a strategy's models and the stage of champion; empty where nothing does.

    Parameters
    ----------
    strategy
        A candidate of `judged`.
    judged
        The verdict over all candidates.
    gates
        Ledger ``evidence.gates``; the newest answer of each gate counts, and one that was not asked
        is one that was not passed.
    """
    found = [one for one in judged.candidates if one.strategy == strategy]
    if not found:
        return ("was not judged",)
    newest = (
        gates.filter(pl.col("subject") == strategy)
        .sort("recorded_at")
        .unique("gate", keep="last", maintain_order=True)
    )
    reasons = list(found[0].reasons)
    if not found[0].survives and not reasons:
        reasons.append("did not survive the verdict")
    if REQUIRED_GATE not in newest["gate"]:
        reasons.append(f"the gate {REQUIRED_GATE} was not asked")
    for gate, detail in newest.filter(~pl.col("passed")).select("gate", "detail").iter_rows():
        reasons.append(f"the gate {gate} refuses it: {detail}")
    return tuple(reasons)


def require_promotable(strategy: str, judged: Verdict, gates: pl.DataFrame) -> None:
    """Refuse to make champions of a strategy's models unless the evidence does.

    Raises
    ------
    PromotionRefusedError
        Names every demand that is not met.
    """
    reasons = obstacles(strategy, judged, gates)
    if reasons:
        raise PromotionRefusedError(
            f"the models of {strategy} stay candidates: {'; '.join(reasons)}"
        )


def stage_changes(
    registry: pl.DataFrame,
    ledger: pl.DataFrame,
    judged: Verdict,
    gates: pl.DataFrame,
    *,
    run_id: str,
    at: datetime,
) -> pl.DataFrame:
    """Rows of ``models.stages`` that a verdict brings about.

    The champions of a strategy that survives are the newest fits of the last fold of the models it
    stands on, every seed of them. Whoever was champion of a strategy and no longer is, because a
    newer fit replaces it or the strategy no longer survives, is retired. What stays as it is has no
    row.

    Parameters
    ----------
    registry, ledger, gates
        Ledgers ``models.registry``, ``models.stages`` and ``evidence.gates``.
    judged
        The verdict over all candidates.
    run_id, at
        Run that judged, and its clock, UTC.
    """
    rows = []
    reigning = _reigning(ledger)
    strategies = {one.strategy for one in judged.candidates} | set(reigning)
    for strategy in sorted(strategies):
        reasons = obstacles(strategy, judged, gates)
        heirs = () if reasons else newest_fits(strategy, registry)
        before = reigning.get(strategy, ())
        why = "; ".join(reasons) or "a newer fit takes its place"
        rows += [
            (model_id, strategy, "retired", why) for model_id in before if model_id not in heirs
        ]
        rows += [
            (model_id, strategy, "champion", "survives every demand of the verdict and every gate")
            for model_id in heirs
            if model_id not in before
        ]
    return pl.DataFrame(
        [
            {
                "model_id": model_id,
                "strategy": strategy,
                "stage": stage,
                "changed_at": at,
                "run_id": run_id,
                "reason": reason,
            }
            for model_id, strategy, stage, reason in rows
        ],
        schema=tables.STAGES.schema,
    )


def newest_fits(strategy: str, registry: pl.DataFrame) -> tuple[str, ...]:
    """Models of the last fold that a strategy stands on: one per seed, the newest where refitted."""
    behind = models_behind(strategy, set(registry["model"]))
    found: list[str] = []
    for model, variant in behind:
        own = registry.filter(
            (pl.col("model") == model)
            & (pl.col("variant") == variant)
            & ~pl.col("config_json").str.contains(FURTHER_HORIZON, literal=True)
        )
        last = own.filter(pl.col("fold") == pl.col("fold").max()).sort("registered_at")
        found += (
            last.unique("seed", keep="last", maintain_order=True).sort("seed")["model_id"].to_list()
        )
    return tuple(found)


def stages(registry: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """The stage of each registered model now.

    Returns
    -------
    polars.DataFrame
        ``model_id``, ``strategy`` (null for a candidate), ``stage``, ``since``; a row per model and
        strategy. A model that was never promoted is a candidate since it was registered.
    """
    changed = _now(ledger).select("model_id", "strategy", "stage", since="changed_at")
    never = registry.join(changed, on="model_id", how="anti").select(
        "model_id",
        pl.lit(None, dtype=pl.String).alias("strategy"),
        pl.lit("candidate").alias("stage"),
        since="registered_at",
    )
    return pl.concat([changed, never]).sort("model_id", "strategy")


def _now(ledger: pl.DataFrame) -> pl.DataFrame:
    key = ["model_id", "strategy"]
    return ledger.sort("changed_at").unique(key, keep="last", maintain_order=True)


def _reigning(ledger: pl.DataFrame) -> dict[str, Sequence[str]]:
    champions = _now(ledger).filter(pl.col("stage") == "champion")
    return {
        str(strategy): rows["model_id"].to_list()
        for (strategy,), rows in champions.group_by("strategy")
    }
