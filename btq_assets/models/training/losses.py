"""What training makes small.

Belongs here: losses of outputs against the targets of a batch. Imports torch at the top; import
inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from btq_assets.models.forecaster import ModelError
from btq_assets.models.windows.batches import Batch
from btq_assets.models.windows.inputs import Outputs

#: ``loss(outputs, batch, relative=...)``: a scalar, the weighted mean over the labelled nodes.
Loss = Callable[..., Tensor]


def huber(outputs: Outputs, batch: Batch, *, relative: bool) -> Tensor:
    """Huber loss (1964, threshold 1) of the mean against the target.

    With `relative` the mean forecast of each date is taken off first: targets have mean zero on
    every date, and what moves all assets together is not asked for.
    """
    known = torch.isfinite(batch.target)
    forecast = centred(outputs.mean, batch, known) if relative else outputs.mean
    target = torch.where(known, batch.target, torch.zeros_like(batch.target))
    each = functional.huber_loss(forecast, target, reduction="none")
    return weighted_mean(each, batch, known)


#: Losses by the name a recipe gives.
LOSSES: dict[str, Loss] = {"huber": huber}


def loss_named(name: str) -> Loss:
    """The loss of a name.

    Raises
    ------
    ModelError
        There is none of that name.
    """
    if name not in LOSSES:
        raise ModelError(f"there is no loss {name!r}; known are {', '.join(sorted(LOSSES))}")
    return LOSSES[name]


def centred(values: Tensor, batch: Batch, known: Tensor) -> Tensor:
    """``(nodes, H)`` values less their mean over the labelled nodes of the same date."""
    sums = values.new_zeros(batch.n_dates, values.shape[1])
    date = batch.inputs.date
    count = sums.index_add(0, date, known.to(values.dtype)).clamp(min=1)
    total = sums.index_add(0, date, torch.where(known, values, torch.zeros_like(values)))
    return values - (total / count)[date]


def weighted_mean(each: Tensor, batch: Batch, known: Tensor) -> Tensor:
    """Mean of ``(nodes, H)`` losses over the labelled nodes, by the weights of the nodes."""
    weight = torch.where(known, batch.weight[:, None], torch.zeros_like(each))
    chosen = torch.where(known, each, torch.zeros_like(each))
    return (chosen * weight).sum() / weight.sum().clamp(min=torch.finfo(each.dtype).tiny)
