"""Fits on workers: what is sent to them, and what comes back in place of a fitted network.

Belongs here: one fit as a call that any process or machine can make. Does not belong here: who makes it
(`workers`), what a fit is (`walk_forward`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from btq_assets.models.forecaster import Forecaster, ModelError
from btq_assets.models.walk_forward import Fit, Plan, Task, fit_fold
from btq_assets.models.workers import Workers


@dataclass(frozen=True)
class Work:
    """What all fits of a plan read.

    Parameters
    ----------
    training_set, plan, data_hash, checkpoints
        As `walk_forward.fit_all` takes them.
    """

    training_set: pl.DataFrame
    plan: Plan
    data_hash: str
    checkpoints: Path | None


@dataclass(frozen=True)
class Returned:
    """One fit, its model as the files it is saved in.

    Parameters
    ----------
    fit
        Without its forecaster.
    files
        Content of each file of the saved model, by name within its folder.
    """

    fit: Fit
    files: Mapping[str, bytes]

    def with_model(self, load: Callable[[Path], Forecaster]) -> Fit:
        """The fit, its model read back."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for relative, content in self.files.items():
                file = folder / relative
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            return replace(self.fit, forecaster=load(folder))


def fit_on(
    workers: Workers, work: Work, tasks: Sequence[Task], came: Callable[[Fit], None]
) -> list[Fit]:
    """Fit all `tasks` on `workers`; fits in the order of the tasks, equal to those of one process.

    A model comes back as files and is read back, so that no fitted network is pickled.

    Raises
    ------
    ModelError
        The plan's models cannot be read back.
    """
    load = work.plan.load
    if load is None:
        raise ModelError(
            "models of this plan cannot be read back from files; fit them in one process"
        )
    fits: dict[int, Fit] = {}

    def arrived(place: int, returned: Returned) -> None:
        fits[place] = returned.with_model(load)
        came(fits[place])

    workers.map(fitted, work, tasks, arrived)
    return [fits[place] for place in range(len(tasks))]


def fitted(work: Work, task: Task) -> Returned:
    """Fit one task; what a worker does."""
    fit = fit_fold(
        work.training_set,
        task.fold,
        work.plan,
        task.variant,
        task.seed,
        data_hash=work.data_hash,
        horizon=task.horizon,
        checkpoints=work.checkpoints,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fit.forecaster.save(folder)
        files = {
            str(file.relative_to(folder)): file.read_bytes()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
    nobody: Any = None
    return Returned(replace(fit, forecaster=nobody), files)
