"""The loop: batches of dates, one step each, stopped when validation no longer improves.

Belongs here: training and forecasting over samples. Does not belong here: what a step does (`run`),
data frames, files, Dagster. Imports torch at the top; import this module inside
functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from btq_assets.models.forecaster import Progress
from btq_assets.models.training.losses import Loss
from btq_assets.models.training.recipe import Recipe
from btq_assets.models.training.run import Run
from btq_assets.models.training.state import Checkpoints
from btq_assets.models.windows.batches import WindowSource, in_order
from btq_assets.models.windows.samples import DateSamples


def train(
    network: nn.Module,
    source: WindowSource,
    training: Sequence[DateSamples],
    validation: Sequence[DateSamples],
    recipe: Recipe,
    progress: Progress | None = None,
    *,
    checkpoints: Checkpoints | None = None,
    log: Callable[[str], None] | None = None,
    loss_of: Loss | None = None,
) -> dict[str, Any]:
    """Train `network` in place and leave it with the weights of its best validation epoch.

    AdamW (Loshchilov and Hutter 2019) with linear warm-up and cosine decay, gradients clipped,
    stopped when the validation loss has not improved for ``recipe.patience`` epochs. Parameters
    that ask for no gradient stay as they are.

    Parameters
    ----------
    network
        Takes `Inputs`, gives `Outputs`.
    source
        Where batches come from.
    training, validation
        Dates of the two segments.
    recipe
        How to train.
    progress
        Called after each epoch with both losses.
    checkpoints
        Where states are kept. A training that finds one there goes on from it, and gives the same
        weights and curves to the last bit as one that was never interrupted.
    log
        Told what happened besides, as a batch that did not fit into memory.
    loss_of
        In place of the loss that the recipe names. It reads dates, targets and weights of a batch.

    Returns
    -------
    dict
        By epoch ``training_loss``, ``validation_loss``, ``learning_rate`` (of its last step) and
        ``gradient_norm`` (before clipping, mean over its steps); ``best_epoch`` (1 first),
        ``n_parameters``.

    Raises
    ------
    TrainingDivergedError
        A loss or gradient is NaN or infinite; names epoch, batch and what was not finite.
    ModelError
        The state kept is one of another training, or a single date does not fit into memory.
    """
    run = Run(network, source, training, validation, recipe, loss_of, log)
    if checkpoints is not None and (state := checkpoints.load()) is not None:
        run.restore(state)
    while not run.finished:
        if run.batch < run.n_batches:
            run.step()
        else:
            found = run.close_epoch()
            if progress is not None:
                progress(run.epoch, recipe.epochs, found)
        if checkpoints is not None and (run.batch == 0 or run.steps % checkpoints.every_steps == 0):
            checkpoints.save(run.state())
    network.load_state_dict(run.best_weights)
    return {
        **run.curves,
        "best_epoch": run.best_epoch,
        "n_parameters": sum(p.numel() for p in network.parameters()),
    }


def forecast(
    network: nn.Module, source: WindowSource, samples: Sequence[DateSamples]
) -> list[np.ndarray]:
    """Mean forecasts of each date: one ``(n, H)`` array per date, in the order of its assets."""
    network.eval()
    found: list[np.ndarray] = []
    with torch.no_grad():
        for batch in in_order(source, samples):
            values = network(batch.inputs).mean.cpu().numpy().astype(np.float64)
            date = batch.inputs.date.cpu().numpy()
            ends = np.cumsum(np.bincount(date, minlength=batch.n_dates))
            found.extend(np.split(values, ends[:-1]))
    return found
