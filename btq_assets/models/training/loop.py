"""The loop: batches of dates, one step each, stopped when validation no longer improves.

Belongs here: training and forecasting over samples. Does not belong here: what a step does (`run`),
data frames, files, Dagster. Imports torch at the top; import this module inside
functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from btq_assets.models.forecaster import ModelError, Progress
from btq_assets.models.training.activations import recomputed
from btq_assets.models.training.losses import Loss
from btq_assets.models.training.peers import Peers
from btq_assets.models.training.recipe import Recipe
from btq_assets.models.training.run import Run
from btq_assets.models.training.running import Running
from btq_assets.models.training.state import Checkpoints
from btq_assets.models.training.step import OUT_OF_MEMORY
from btq_assets.models.windows.batches import Batch, WindowSource
from btq_assets.models.windows.prefetch import Prefetched
from btq_assets.models.windows.samples import DateSamples

#: Dates that are forecast together.
DATES_AT_ONCE = 64


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
    running: Running | None = None,
    peers: Peers | None = None,
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
    running
        What it costs; weights are the same to the last bit whatever it says.
    peers
        Other processes that train the same network on the same dates; each ends with the weights
        that one alone would, but for rounding. The first of them keeps states and tells progress.

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
    running = running or Running()
    first = peers is None or peers.rank == 0
    with ExitStack() as stack:
        device = next(network.parameters()).device
        if running.fetches_ahead(device.type):
            source = stack.enter_context(Prefetched(source, device))
        stack.enter_context(recomputed(network, active=running.recompute_activations))
        stack.enter_context(_compiled(network, active=recipe.compile))
        run = Run(network, source, training, validation, recipe, loss_of, log, peers)
        if checkpoints is not None and (state := checkpoints.load()) is not None:
            run.restore(state)
        if peers is not None and not first:
            # Each drops channels of its own.
            torch.manual_seed(torch.initial_seed() + run.steps + peers.rank)
        while not run.finished:
            if run.batch < run.n_batches:
                run.step()
            else:
                found = run.close_epoch()
                if progress is not None and first:
                    progress(run.epoch, recipe.epochs, found)
            if checkpoints is not None and first and _due(run, checkpoints):
                checkpoints.save(run.state())
    network.load_state_dict(run.best_weights)
    return {
        **run.curves,
        "best_epoch": run.best_epoch,
        "n_parameters": sum(p.numel() for p in network.parameters()),
    }


def _due(run: Run, checkpoints: Checkpoints) -> bool:
    return run.batch == 0 or run.steps % checkpoints.every_steps == 0


@contextmanager
def _compiled(network: nn.Module, *, active: bool) -> Iterator[None]:
    """Compiled by torch inside the block, in place: names of weights stay as they are."""
    if active:
        network.compile(dynamic=True)
    try:
        yield
    finally:
        network._compiled_call_impl = None


def forecast(
    network: nn.Module, source: WindowSource, samples: Sequence[DateSamples]
) -> list[np.ndarray]:
    """Mean forecasts of each date: one ``(n, H)`` array per date, in the order of its assets."""
    return [found["mean"] for found in outputs_by_date(network, source, samples)]


def outputs_by_date(
    network: nn.Module,
    source: WindowSource,
    samples: Sequence[DateSamples],
    log: Callable[[str], None] | None = None,
) -> list[dict[str, np.ndarray]]:
    """All that a network says of each date, by the names of `Outputs`; the heads it has.

    Dates go through the network together; where memory does not suffice, half as many, and `log`
    is told.

    Raises
    ------
    ModelError
        A single date does not fit into memory.
    """
    network.eval()
    found: list[dict[str, np.ndarray]] = []
    size, done = DATES_AT_ONCE, 0
    while done < len(samples):
        part = samples[done : done + size]
        try:
            found += _outputs_of(network, source.collate(part))
        except OUT_OF_MEMORY as error:
            if len(part) == 1:
                raise ModelError(
                    "out of memory while forecasting a single date; take a smaller network or a "
                    "shorter window"
                ) from error
            size = (len(part) + 1) // 2
            if log is not None:
                log(f"out of memory while forecasting: going on with {size} dates at once")
            continue
        done += len(part)
    return found


def _outputs_of(network: nn.Module, batch: Batch) -> list[dict[str, np.ndarray]]:
    """Outputs of one batch, cut into its dates."""
    with torch.no_grad():
        said = network(batch.inputs)
    date = batch.inputs.date.cpu().numpy()
    ends = np.cumsum(np.bincount(date, minlength=batch.n_dates))[:-1]
    parts = {
        name: np.split(values.cpu().numpy().astype(np.float64), ends)
        for name, values in said._asdict().items()
        if values is not None
    }
    return [{name: cut[n] for name, cut in parts.items()} for n in range(batch.n_dates)]
