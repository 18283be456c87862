"""What a person looks at after a search: its course, what mattered, and where the good ones lie.

Belongs here: numbers behind the plots. Does not belong here: drawing (`plots`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from btq_assets.models.search.storage import require_optuna

if TYPE_CHECKING:
    from optuna import Study

    from btq_assets.models.search.records import SearchTrial


def history(records: Sequence[SearchTrial]) -> dict[str, np.ndarray]:
    """Rank IC of each trial and the best so far, by trial; NaN for trials that have none."""
    found = np.array([one.rank_ic for one in records], dtype=float)
    filled = np.where(np.isfinite(found), found, -np.inf)
    best = np.maximum.accumulate(filled) if len(filled) else filled
    return {"rank IC": found, "best so far": np.where(np.isfinite(best), best, np.nan)}


def importances(study: Study) -> dict[str, float]:
    """Share of the variance of the rank IC that each parameter explains (Hutter et al. 2014).

    Empty with fewer than two complete trials, or where all came to the same.
    """
    optuna = require_optuna()
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


def coordinates(records: Sequence[SearchTrial]) -> dict[str, list[float]]:
    """Parameters and rank IC of the complete trials; a choice by the place of its value."""
    complete = [one for one in records if np.isfinite(one.rank_ic)]
    found: dict[str, list[float]] = {}
    for name in complete[0].parameters if complete else ():
        values = [one.parameters[name] for one in complete]
        if all(isinstance(value, int | float) for value in values):
            found[name] = [float(value) for value in values]
        else:
            order = sorted({str(value) for value in values})
            found[name] = [float(order.index(str(value))) for value in values]
    return {**found, "rank IC": [one.rank_ic for one in complete]}
