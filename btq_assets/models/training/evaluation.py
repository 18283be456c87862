"""The loss of a network that is not being trained.

Belongs here: losses over samples. Does not belong here: scores a person reads (`models.scores`).
Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from btq_assets.models.forecaster import TrainingDivergedError
from btq_assets.models.training import finite
from btq_assets.models.training.losses import Loss
from btq_assets.models.training.peers import Peers
from btq_assets.models.windows.batches import WindowSource, in_order
from btq_assets.models.windows.samples import DateSamples


def evaluate(
    network: nn.Module,
    source: WindowSource,
    samples: Sequence[DateSamples],
    loss_of: Loss,
    *,
    relative: bool,
    size: int = 64,
    peers: Peers | None = None,
) -> float:
    """Mean loss over labelled nodes, without dropout, `size` dates at a time.

    With `peers` each computes some of the batches, and all know the same mean.
    """
    network.eval()
    rank, n_ranks = (0, 1) if peers is None else (peers.rank, peers.size)
    numbers = range(rank, -(-len(samples) // size), n_ranks)
    own = [sample for n in numbers for sample in samples[n * size : (n + 1) * size]]
    found = torch.zeros(-(-len(samples) // size), 2, dtype=torch.float64)
    with torch.no_grad():
        for number, batch in zip(numbers, in_order(source, own, size), strict=True):
            n_known = int(torch.isfinite(batch.target).sum())
            if n_known == 0:
                continue
            loss = loss_of(network(batch.inputs), batch, relative=relative)
            if not torch.isfinite(loss):
                bad = finite.inputs_not_finite(batch, samples[number * size : (number + 1) * size])
                raise TrainingDivergedError(
                    f"the loss is {loss.item()} at the validation segment, dates from "
                    f"{number * size + 1} on: "
                    + (f"not finite are {bad}" if bad else "inputs are finite, forecasts are not")
                )
            found[number] = torch.tensor([loss.item() * n_known, n_known], dtype=torch.float64)
    if peers is not None:
        found = peers.summed(found)
    total, weight = 0.0, 0.0
    for part, n_known in found.tolist():
        total, weight = total + part, weight + n_known
    return total / max(weight, 1)
