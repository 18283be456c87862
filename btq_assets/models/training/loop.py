"""The loop: batches of dates, one step each, stopped when validation no longer improves.

Belongs here: training, evaluating and forecasting over samples. Does not belong here: data frames,
files, Dagster. Imports torch at the top; import this module inside functions only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from btq_assets.models.forecaster import Progress, TrainingDivergedError
from btq_assets.models.training.losses import Loss, loss_named
from btq_assets.models.training.recipe import Recipe
from btq_assets.models.training.schedule import warm_up_cosine
from btq_assets.models.windows.batches import WindowSource, in_order
from btq_assets.models.windows.samples import DateSamples


def train(
    network: nn.Module,
    source: WindowSource,
    training: Sequence[DateSamples],
    validation: Sequence[DateSamples],
    recipe: Recipe,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train `network` in place and leave it with the weights of its best validation epoch.

    AdamW (Loshchilov and Hutter 2019) with linear warm-up and cosine decay, gradients clipped,
    stopped when the validation loss has not improved for ``recipe.patience`` epochs.

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

    Returns
    -------
    dict
        ``training_loss`` and ``validation_loss`` by epoch, ``best_epoch`` (1 first),
        ``n_parameters``.

    Raises
    ------
    TrainingDivergedError
        A loss is NaN or infinite; names epoch and batch.
    """
    loss_of = loss_named(recipe.loss)
    n_batches = math.ceil(len(training) / recipe.batch_dates)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    factor = warm_up_cosine(recipe.epochs * n_batches, recipe.warm_up_share)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    shuffle = np.random.default_rng(recipe.seed)
    curves: dict[str, Any] = {"training_loss": [], "validation_loss": []}
    best, best_epoch, best_weights = math.inf, 0, copy.deepcopy(network.state_dict())
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        losses = []
        order = shuffle.permutation(len(training))
        for number in range(n_batches):
            chosen = order[number * recipe.batch_dates : (number + 1) * recipe.batch_dates]
            batch = source.collate([training[i] for i in chosen])
            loss = loss_of(network(batch.inputs), batch, relative=recipe.relative)
            _require_finite(loss, f"epoch {epoch}, training batch {number + 1} of {n_batches}")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.max_gradient_norm)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        found = {
            "training_loss": float(np.mean(losses)),
            "validation_loss": evaluate(
                network, source, validation, loss_of, relative=recipe.relative
            ),
        }
        for name, value in found.items():
            curves[name].append(round(value, 6))
        if progress is not None:
            progress(epoch, recipe.epochs, found)
        if found["validation_loss"] < best:
            best, best_epoch = found["validation_loss"], epoch
            best_weights = copy.deepcopy(network.state_dict())
        elif epoch - best_epoch >= recipe.patience:
            break
    network.load_state_dict(best_weights)
    curves["best_epoch"] = best_epoch
    curves["n_parameters"] = sum(p.numel() for p in network.parameters())
    return curves


def evaluate(
    network: nn.Module,
    source: WindowSource,
    samples: Sequence[DateSamples],
    loss_of: Loss,
    *,
    relative: bool,
) -> float:
    """Mean loss over labelled nodes, without dropout."""
    network.eval()
    total, weight = 0.0, 0
    with torch.no_grad():
        for batch in in_order(source, samples):
            n_known = int(torch.isfinite(batch.target).sum())
            if n_known == 0:
                continue
            loss = loss_of(network(batch.inputs), batch, relative=relative)
            _require_finite(loss, "the validation segment")
            total, weight = total + loss.item() * n_known, weight + n_known
    return total / max(weight, 1)


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


def _require_finite(loss: Tensor, where: str) -> None:
    if not torch.isfinite(loss):
        raise TrainingDivergedError(
            f"the loss is {loss.item()} at {where}; lower the learning rate, or look for infinite "
            "features"
        )
