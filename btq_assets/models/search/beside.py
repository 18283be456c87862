"""Trials that are proposed together and judged beside one another, wherever there are workers.

Belongs here: one trial as a call that any process or machine can make, and when it stops early. Does not
belong here: proposals and what is kept (`study`), who makes the calls (`models.workers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from btq_assets.models.forecaster import ModelError
from btq_assets.models.search.candidates import Judged, Question

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Proposal:
    """A trial to be judged.

    Parameters
    ----------
    parameters
        Names of the space and their values.
    medians
        By step, what earlier trials had reached there; a trial whose best value so far is less is
        stopped. Empty where nothing is stopped yet.
    """

    parameters: Mapping[str, Any]
    medians: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What judging a proposal came to.

    Parameters
    ----------
    judged
        ``None`` where it failed.
    detail
        Why it failed, else empty.
    reported
        Steps and values that the trial reported, larger is better.
    """

    judged: Judged | None
    detail: str
    reported: tuple[tuple[int, float], ...]


def answered(question: Question, proposal: Proposal) -> Answer:
    """Judge one proposal; what a worker does."""
    reported: list[tuple[int, float]] = []

    def go_on(step: int, loss: float) -> bool:
        # Larger is better throughout the study, a loss the other way round.
        reported.append((step, -loss))
        median = proposal.medians.get(step)
        return median is None or max(value for _, value in reported) >= median

    try:
        judged = question.judge(proposal.parameters, go_on)
    except ModelError as error:
        return Answer(None, f"{type(error).__name__}: {error}", tuple(reported))
    return Answer(judged, "", tuple(reported))


def medians_of(complete: Sequence[FrozenTrial], startup_trials: int) -> dict[int, float]:
    """By step, the median of what complete trials reported there; none before `startup_trials`.

    The rule of Optuna's `MedianPruner`, as it stands when a trial begins: while trials are judged one
    at a time nothing else can change it.
    """
    if len(complete) < max(startup_trials, 1):
        return {}
    values: dict[int, list[float]] = {}
    for trial in complete:
        for step, value in trial.intermediate_values.items():
            values.setdefault(step, []).append(value)
    return {step: float(np.nanpercentile(found, 50)) for step, found in values.items()}
