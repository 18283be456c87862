"""The registry row of a fitted agent.

Belongs here: provenance of an agent as a row of `models.registry`. Does not belong here: storing
its weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

from btq_assets.agents.walk_forward import STRATEGY, FoldAgent
from btq_assets.config import TradingConfig

LIBRARIES = ("torch", "stable-baselines3", "gymnasium", "numpy")


def registry_row(
    fitted: FoldAgent,
    *,
    config: TradingConfig,
    code_version: str,
    data_versions: Mapping[str, str],
    artifact: tuple[str, str],
    registered_at: datetime,
) -> dict[str, Any]:
    """One row of `models.registry`.

    Parameters
    ----------
    fitted
        Agent, fold and segment.
    artifact
        Relative path and sha256 of the saved weights.
    registered_at
        The run's clock, UTC.
    """
    settings = json.dumps(
        {"rl": config.models.rl.model_dump(), "agents": config.agents.model_dump()}, sort_keys=True
    )
    identity = json.dumps(
        [STRATEGY, fitted.fold, fitted.seed, settings, sorted(data_versions.items()), code_version]
    )
    return {
        "model_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "model": STRATEGY,
        "variant": "base",
        "fold": fitted.fold,
        "seed": fitted.seed,
        "fitted_from": fitted.fitted_from,
        "fitted_until": fitted.fitted_until,
        "feature_hash": hashlib.sha256(json.dumps(fitted.agent.feature_names).encode()).hexdigest()[
            :16
        ],
        "config_json": settings,
        "code_version": code_version,
        "versions_json": json.dumps({name: version(name) for name in LIBRARIES}),
        "metrics_json": json.dumps(
            {
                "reward_per_step": fitted.agent.learning_curve,
                "n_parameters": fitted.agent.n_parameters,
                "n_observations": fitted.agent.spec["n_observations"],
            }
        ),
        "artifact_path": artifact[0],
        "artifact_hash": artifact[1],
        "registered_at": registered_at,
    }
