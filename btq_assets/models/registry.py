"""Registry rows: what each fitted model was fitted on, and where its weights lie.

Belongs here: making rows and finding the newest model among them. Does not belong here: reading
or writing the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import polars as pl

from btq_assets.contracts import models as tables
from btq_assets.models.forecaster import ModelError
from btq_assets.models.walk_forward import FURTHER_HORIZON, Fit


def registry_rows(
    fits: Sequence[Fit], artifacts: Mapping[str, tuple[str, str]], registered_at: datetime
) -> pl.DataFrame:
    """One row of ``models.registry`` per fit.

    Parameters
    ----------
    fits
        Fitted models.
    artifacts
        Relative path and sha256 of each model's folder, by ``model_id``.
    registered_at
        The run's clock, UTC.
    """
    rows = []
    for fit in fits:
        provenance = fit.forecaster.provenance
        path, sha256 = artifacts[fit.model_id]
        rows.append(
            {
                "model_id": fit.model_id,
                "model": provenance.model,
                "variant": fit.variant,
                "fold": fit.fold,
                "seed": fit.seed,
                "fitted_from": fit.fitted_from,
                "fitted_until": fit.fitted_until,
                "feature_hash": provenance.feature_hash,
                "config_json": json.dumps(
                    asdict(fit.forecaster.spec)
                    | ({} if fit.horizon is None else {FURTHER_HORIZON: fit.horizon}),
                    sort_keys=True,
                ),
                "code_version": provenance.code_version,
                "versions_json": json.dumps(dict(provenance.versions), sort_keys=True),
                "metrics_json": json.dumps(
                    {
                        **fit.forecaster.scores,
                        "test_rank_ic": _number(fit.test_rank_ic),
                        **_memory(fit),
                    },
                    sort_keys=True,
                ),
                "artifact_path": path,
                "artifact_hash": sha256,
                "registered_at": registered_at,
            }
        )
    return pl.DataFrame(rows, schema=tables.REGISTRY.schema)


def model_at(
    registry: pl.DataFrame, model: str, variant: str, seed: int, at: datetime
) -> dict[str, object]:
    """The newest model of a family whose every label was filled by `at`.

    Fits of further horizons (``models.horizons_sessions``), which no strategy reads, are left out.

    Raises
    ------
    ModelError
        There is none.
    """
    known = registry.filter(
        (pl.col("model") == model)
        & (pl.col("variant") == variant)
        & (pl.col("seed") == seed)
        & (pl.col("fitted_until") <= at)
        & ~pl.col("config_json").str.contains(FURTHER_HORIZON, literal=True)
    ).sort("fitted_until", "registered_at")
    if known.is_empty():
        raise ModelError(f"no {model} ({variant}, seed {seed}) was fitted on data known at {at}")
    return known.row(-1, named=True)


def _memory(fit: Fit) -> dict[str, object]:
    """What the fit took; beside the scores, since it differs from run to run."""
    if fit.peak is None:
        return {}
    return {
        "device": fit.device,
        "peak_memory_mib": round(fit.peak.mebibytes, 1),
        "peak_memory_of": fit.peak.of,
    }


def _number(value: float) -> float | None:
    return None if value != value else value
