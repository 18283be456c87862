"""Fits told to an experiment tracker: MLflow or Weights & Biases, behind one switch.

Belongs here: what is told of a fit, and to whom. Does not belong here: training, and what the house itself
keeps of a fit (`registry`). The trackers are extras, imported inside functions; both write to a local folder
unless told otherwise, and neither ever fails a training.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from btq_assets.models.walk_forward import Fit

#: Where the address of a server is read from; without it MLflow writes files. Tokens are read by the
#: libraries themselves, from the environment alone.
MLFLOW_ADDRESS = "MLFLOW_TRACKING_URI"
#: ``online`` sends what is told to the server of Weights & Biases; without it nothing leaves the folder.
WANDB_MODE = "WANDB_MODE"

EXPERIMENT = "btquant"


@dataclass(frozen=True)
class Told:
    """What a tracker is told of one fit.

    Parameters
    ----------
    name
        Its ``model_id``.
    parameters
        Specification, model, variant, fold, seed, code version and the hash of the artefact.
    curves
        Name → value by epoch.
    scores
        Name → number.
    """

    name: str
    parameters: Mapping[str, str]
    curves: Mapping[str, Sequence[float]]
    scores: Mapping[str, float]


class Tracker(Protocol):
    """Takes what it is told of a fit."""

    def tell(self, told: Told) -> None:
        """Keep one fit."""
        ...


def told_of(fit: Fit, artifact_hash: str) -> Told:
    """What is told of a fit: numbers that are none are left out."""
    provenance, scores = fit.forecaster.provenance, fit.forecaster.scores
    numbers = {**scores, "test_rank_ic": fit.test_rank_ic}
    identity = {
        "model": provenance.model,
        "variant": fit.variant,
        "fold": fit.fold,
        "seed": fit.seed,
        "code_version": provenance.code_version,
        "feature_hash": provenance.feature_hash,
        "artifact_hash": artifact_hash,
        "fitted_from": fit.fitted_from.isoformat(),
        "fitted_until": fit.fitted_until.isoformat(),
        **{f"version_{name}": value for name, value in provenance.versions.items()},
    }
    return Told(
        fit.model_id,
        {name: str(value) for name, value in {**asdict(fit.forecaster.spec), **identity}.items()},
        {
            name: [float(one) for one in value]
            for name, value in scores.items()
            if isinstance(value, (list, tuple)) and value and all(map(_is_number, value))
        },
        {name: float(value) for name, value in numbers.items() if _is_number(value)},
    )


def tell(
    tracker: str,
    fits: Sequence[Fit],
    artifacts: Mapping[str, tuple[str, str]],
    folder: Path,
    *,
    log: Callable[[str], None],
    make: Callable[[str, Path], Tracker] | None = None,
) -> list[str]:
    """Tell a tracker of every fit; what goes wrong is said and listed, never raised.

    Parameters
    ----------
    tracker
        ``none``, ``mlflow`` or ``wandb`` (``models.tracker``).
    fits
        Fitted models.
    artifacts
        Path and hash of each model's folder, by ``model_id``.
    folder
        Where a tracker writes that is given no server.
    log
        Told of what went wrong.
    make
        In place of `tracker_named`.

    Returns
    -------
    list of str
        What was not kept, and why: a tracker that cannot be started is one line, else one a fit.
    """
    if tracker == "none":
        return []
    found: list[str] = []
    try:
        made = (make or tracker_named)(tracker, folder)
    except Exception as error:  # noqa: BLE001 - a tracker must not cost a training, whatever it raises
        found.append(f"{tracker} was not started, {len(fits)} fits are not in it: {_said(error)}")
    else:
        for fit in fits:
            try:
                made.tell(told_of(fit, artifacts[fit.model_id][1]))
            except Exception as error:  # noqa: BLE001
                found.append(f"{tracker} has not kept {fit.model_id}: {_said(error)}")
    for line in found:
        log(f"warning: {line}")
    return found


def tracker_named(name: str, folder: Path) -> Tracker:
    """A tracker by name.

    Raises
    ------
    ModuleNotFoundError
        Its extra is not installed; the message names it.
    """
    made: dict[str, Callable[[Path], Tracker]] = {"mlflow": MLflowTracker, "wandb": WandbTracker}
    return made[name](folder)


class MLflowTracker:
    """MLflow: one run a fit, in the experiment `EXPERIMENT`.

    Parameters
    ----------
    folder
        Where ``mlflow.db`` lies, which is written without ``MLFLOW_TRACKING_URI``.
    """

    def __init__(self, folder: Path) -> None:
        # Its own reports of use go out otherwise; who wants them says so in the environment.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            from mlflow.tracking import MlflowClient
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"pip install 'btquant[mlflow]' ({error})") from error
        self.uri = os.environ.get(MLFLOW_ADDRESS) or _local_store(folder)
        self.client = MlflowClient(tracking_uri=self.uri)
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        self.experiment_id = (
            self.client.create_experiment(EXPERIMENT)
            if experiment is None
            else experiment.experiment_id
        )

    def tell(self, told: Told) -> None:
        """Keep one fit as a run with parameters, curves by step and scores."""
        from mlflow.entities import Metric, Param

        run = self.client.create_run(self.experiment_id, run_name=told.name)
        curves = [
            Metric(name, value, timestamp=0, step=step)
            for name, values in told.curves.items()
            for step, value in enumerate(values, start=1)
        ]
        scores = [Metric(name, value, timestamp=0, step=0) for name, value in told.scores.items()]
        parameters = [Param(name, value[:500]) for name, value in told.parameters.items()]
        for start in range(0, max(len(parameters), 1), 100):
            self.client.log_batch(run.info.run_id, params=parameters[start : start + 100])
        metrics = curves + scores
        for start in range(0, len(metrics), 1000):
            self.client.log_batch(run.info.run_id, metrics=metrics[start : start + 1000])
        self.client.set_terminated(run.info.run_id)


class WandbTracker:
    """Weights & Biases: one run a fit, in the project `EXPERIMENT`; offline unless asked.

    Parameters
    ----------
    folder
        Where its folder ``wandb`` lies.
    """

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            import wandb
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"pip install 'btquant[wandb]' ({error})") from error
        folder.mkdir(parents=True, exist_ok=True)
        self.wandb, self.folder = wandb, folder
        self.mode: Any = os.environ.get(WANDB_MODE) or "offline"

    def tell(self, told: Told) -> None:
        """Keep one fit as a run with parameters, curves by step and scores."""
        run = self.wandb.init(
            project=EXPERIMENT,
            name=told.name,
            config=dict(told.parameters),
            dir=str(self.folder),
            mode=self.mode,
            reinit="create_new",
            settings=self.wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_job_creation=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
            ),
        )
        try:
            longest = max((len(values) for values in told.curves.values()), default=0)
            for step in range(longest):
                run.log(
                    {
                        name: values[step]
                        for name, values in told.curves.items()
                        if step < len(values)
                    },
                    step=step + 1,
                )
            run.summary.update(dict(told.scores))
        finally:
            run.finish()


def _local_store(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _said(error: Exception) -> str:
    """The first line of an error, without what an address may carry before its host."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {re.sub(r'//[^/@ ]+@', '//…@', first)}"[:300]
