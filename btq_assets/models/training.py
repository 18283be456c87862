"""How the network is trained: batches of dates, loss, schedule, early stopping.

Belongs here: the training loop. Does not belong here: data frames, files, Dagster. Imports torch
at the top; import this module inside functions only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from btq_assets.models.forecaster import Progress, TrainingDivergedError
from btq_assets.models.graph import DateGraph

#: Fixed, not the machine's: float sums depend on the number of threads. One, because the arrays
#: are small and a second thread only waits when other processes share the cores.
N_THREADS = 1

WARM_UP_SHARE = 0.1
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class DateSamples:
    """Everything the network needs to forecast one date.

    Parameters
    ----------
    session
        Index of the session in the panel.
    graph
        Relation graph of the date, in asset numbers.
    assets
        Assets with a row on the date.
    target
        One target per asset of `assets`; NaN where unknown.
    """

    session: int
    graph: DateGraph
    assets: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Batch:
    """Several dates as one graph without edges between dates."""

    windows: Tensor
    edges: Tensor
    attributes: Tensor
    target: Tensor
    date: Tensor
    n_dates: int


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seeded, deterministic torch inside the block; the caller's state is put back after it."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng():
        torch.set_num_threads(N_THREADS)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def window_view(features: np.ndarray, lookback: int, device: str) -> Tensor:
    """``(T, N, F)`` standardised features as a ``(T, N, F, lookback)`` view of trailing windows.

    Sessions before the first one are zeros, the mean of a standardised feature.
    """
    padded = np.concatenate(
        [np.zeros((lookback - 1, *features.shape[1:]), dtype=np.float32), features]
    )
    return torch.from_numpy(padded).to(device).unfold(0, lookback, 1)


def collate(view: Tensor, samples: Sequence[DateSamples]) -> Batch:
    """Put dates side by side; node numbers of each are shifted past those before it."""
    edges, attributes, sessions, assets, dates = [], [], [], [], []
    offset = 0
    for number, sample in enumerate(samples):
        local = np.zeros(view.shape[1], dtype=np.int64)
        local[sample.assets] = np.arange(len(sample.assets)) + offset
        edges.append(local[sample.graph.edges])
        attributes.append(sample.graph.attributes)
        sessions.append(np.full(len(sample.assets), sample.session))
        assets.append(sample.assets)
        dates.append(np.full(len(sample.assets), number))
        offset += len(sample.assets)

    def tensor(parts: list[np.ndarray], axis: int = 0) -> Tensor:
        return torch.from_numpy(np.concatenate(parts, axis=axis)).to(view.device)

    target = np.concatenate([sample.target for sample in samples]).astype(np.float32)
    return Batch(
        windows=view[tensor(sessions), tensor(assets)].transpose(1, 2).contiguous(),
        edges=tensor(edges, axis=1),
        attributes=tensor(attributes),
        target=torch.from_numpy(target).to(view.device),
        date=tensor(dates),
        n_dates=len(samples),
    )


def relative_loss(forecast: Tensor, batch: Batch, *, relative: bool) -> Tensor:
    """Huber loss of forecasts against standardised targets, over the labelled nodes.

    With `relative` the mean forecast of each date is taken off first: targets have mean zero on
    every date, and what moves all assets together is not asked for.
    """
    known = torch.isfinite(batch.target)
    forecast, target, date = forecast[known], batch.target[known], batch.date[known]
    if relative:
        zeros = torch.zeros(batch.n_dates, device=forecast.device)
        count = zeros.index_add(0, date, torch.ones_like(forecast)).clamp(min=1)
        forecast = forecast - (zeros.index_add(0, date, forecast) / count)[date]
    return functional.huber_loss(forecast, target)


def train(
    network: nn.Module,
    view: Tensor,
    training: Sequence[DateSamples],
    validation: Sequence[DateSamples],
    *,
    epochs: int,
    patience: int,
    batch_dates: int,
    learning_rate: float,
    weight_decay: float,
    relative: bool,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train `network` in place and leave it with the weights of its best validation epoch.

    AdamW (Loshchilov and Hutter 2019) with linear warm-up and cosine decay, gradients clipped to
    norm 1, stopped when the validation loss has not improved for `patience` epochs.

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
    n_batches = math.ceil(len(training) / batch_dates)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _warm_up_cosine(epochs * n_batches))
    shuffle = np.random.default_rng(seed)
    curves: dict[str, Any] = {"training_loss": [], "validation_loss": []}
    best, best_epoch, best_weights = math.inf, 0, copy.deepcopy(network.state_dict())
    for epoch in range(1, epochs + 1):
        network.train()
        losses = []
        order = shuffle.permutation(len(training))
        for number in range(n_batches):
            chosen = order[number * batch_dates : (number + 1) * batch_dates]
            batch = collate(view, [training[i] for i in chosen])
            loss = relative_loss(
                network(batch.windows, batch.edges, batch.attributes), batch, relative=relative
            )
            _require_finite(loss, f"epoch {epoch}, training batch {number + 1} of {n_batches}")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        validation_loss = evaluate(network, view, validation, relative=relative)
        curves["training_loss"].append(round(float(np.mean(losses)), 6))
        curves["validation_loss"].append(round(validation_loss, 6))
        if progress is not None:
            progress(
                epoch,
                epochs,
                {"training_loss": float(np.mean(losses)), "validation_loss": validation_loss},
            )
        if validation_loss < best:
            best, best_epoch = validation_loss, epoch
            best_weights = copy.deepcopy(network.state_dict())
        elif epoch - best_epoch >= patience:
            break
    network.load_state_dict(best_weights)
    curves["best_epoch"] = best_epoch
    curves["n_parameters"] = sum(p.numel() for p in network.parameters())
    return curves


def evaluate(
    network: nn.Module, view: Tensor, samples: Sequence[DateSamples], *, relative: bool
) -> float:
    """Mean loss over dates, without dropout."""
    network.eval()
    total, weight = 0.0, 0
    with torch.no_grad():
        for batch in batches(view, samples):
            n_known = int(torch.isfinite(batch.target).sum())
            if n_known == 0:
                continue
            loss = relative_loss(
                network(batch.windows, batch.edges, batch.attributes), batch, relative=relative
            )
            _require_finite(loss, "the validation segment")
            total, weight = total + loss.item() * n_known, weight + n_known
    return total / max(weight, 1)


def forecast(network: nn.Module, view: Tensor, samples: Sequence[DateSamples]) -> list[np.ndarray]:
    """Forecasts of each date, one array per date in the order of its assets."""
    network.eval()
    found: list[np.ndarray] = []
    with torch.no_grad():
        for batch in batches(view, samples):
            values = network(batch.windows, batch.edges, batch.attributes).cpu().numpy()
            ends = np.cumsum(np.bincount(batch.date.cpu().numpy(), minlength=batch.n_dates))
            found.extend(np.split(values.astype(np.float64), ends[:-1]))
    return found


def batches(view: Tensor, samples: Sequence[DateSamples], size: int = 64) -> Iterator[Batch]:
    """Dates in order, `size` at a time."""
    for start in range(0, len(samples), size):
        yield collate(view, samples[start : start + size])


def _warm_up_cosine(n_steps: int) -> Any:
    warm_up = max(int(n_steps * WARM_UP_SHARE), 1)

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = (step - warm_up) / max(n_steps - warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return factor


def _require_finite(loss: Tensor, where: str) -> None:
    if not torch.isfinite(loss):
        raise TrainingDivergedError(
            f"the loss is {loss.item()} at {where}; lower models.transformer.learning_rate, or look "
            "for infinite features"
        )
