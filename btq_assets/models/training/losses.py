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
from btq_assets.models.networks.heads import QUANTILES
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


def rank_ic(outputs: Outputs, batch: Batch, *, relative: bool) -> Tensor:
    """One less the correlation of forecasts with the ranks of their targets, mean over dates.

    The rank correlation itself has no gradient in the forecasts; with the targets alone as ranks it
    has, and ordering them right is still what makes it small. Dates with fewer than two labelled
    nodes say nothing. `relative` changes nothing: a correlation knows no level.
    """
    losses = []
    for date in range(batch.n_dates):
        for horizon in range(batch.target.shape[1]):
            at = (batch.inputs.date == date) & torch.isfinite(batch.target[:, horizon])
            if int(at.sum()) < 2:
                continue
            ranks = batch.target[at, horizon].argsort().argsort().to(outputs.mean.dtype)
            losses.append(1 - _correlation(outputs.mean[at, horizon], ranks))
    # Nothing labelled: a zero that still has a gradient.
    return torch.stack(losses).mean() if losses else outputs.mean.sum() * 0


def gaussian(outputs: Outputs, batch: Batch, *, relative: bool) -> Tensor:
    """Negative log-likelihood of a normal distribution, without its constant.

    Nix and Weigend (1994): half of the log-variance plus the squared error over the variance.
    """
    assert outputs.log_variance is not None
    known = torch.isfinite(batch.target)
    mean = centred(outputs.mean, batch, known) if relative else outputs.mean
    target = torch.where(known, batch.target, torch.zeros_like(batch.target))
    # Kept between exp(-10) and exp(10), where float32 is safe.
    log_variance = outputs.log_variance.clamp(-10.0, 10.0)
    each = 0.5 * (log_variance + (target - mean).square() * torch.exp(-log_variance))
    return weighted_mean(each, batch, known)


def quantile(outputs: Outputs, batch: Batch, *, relative: bool) -> Tensor:
    """Mean pinball loss over the quantiles (Koenker and Bassett 1978).

    With `relative` all quantiles of a node move by what centres its median.
    """
    assert outputs.quantiles is not None
    known = torch.isfinite(batch.target)
    shift = centred(outputs.mean, batch, known) - outputs.mean if relative else 0.0
    shift = torch.as_tensor(shift, dtype=outputs.mean.dtype, device=outputs.mean.device)
    target = torch.where(known, batch.target, torch.zeros_like(batch.target))
    below = target[..., None] - (outputs.quantiles + shift[..., None])
    probability = below.new_tensor(QUANTILES)
    each = torch.maximum(probability * below, (probability - 1) * below).mean(-1)
    return weighted_mean(each, batch, known)


def sharpe(outputs: Outputs, batch: Batch, *, relative: bool) -> Tensor:
    """Less the mean over the deviation of what a portfolio of the forecasts earns by date.

    Weights of a date are its forecasts over the sum of their absolute values (with `relative` less
    their mean first, so that the portfolio is neutral); earnings are in units of the target. A batch
    of one date has no deviation; it is taken to be one.
    """
    known = torch.isfinite(batch.target)
    values = centred(outputs.mean, batch, known) if relative else outputs.mean
    values = torch.where(known, values, torch.zeros_like(values))
    target = torch.where(known, batch.target, torch.zeros_like(batch.target))
    zeros = values.new_zeros(batch.n_dates, values.shape[1])
    gross = zeros.index_add(0, batch.inputs.date, values.abs()).clamp(min=1e-6)
    earned = zeros.index_add(0, batch.inputs.date, values * target) / gross
    deviation = earned.std(0) if batch.n_dates > 1 else torch.ones_like(earned[0])
    return -(earned.mean(0) / deviation.clamp(min=1e-6)).mean()


#: Losses by the name a recipe gives.
LOSSES: dict[str, Loss] = {
    "huber": huber,
    "rank_ic": rank_ic,
    "gaussian": gaussian,
    "quantile": quantile,
    "sharpe": sharpe,
}


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


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson correlation of two vectors; 0 where one of them never moves."""
    first, second = first - first.mean(), second - second.mean()
    scale = (first.square().sum() * second.square().sum()).clamp(min=1e-12).sqrt()
    return (first * second).sum() / scale
