"""A training in progress: what one step and the end of an epoch do, and its state between them.

Belongs here: the parts of the loop as methods. Does not belong here: what order they are called in
(`loop`), the gradients of a batch (`step`), files. Imports torch at the top; import inside functions
only.
"""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn

from btq_assets.models.forecaster import ModelError, TrainingDivergedError
from btq_assets.models.training import finite
from btq_assets.models.training.evaluation import evaluate
from btq_assets.models.training.losses import Loss, loss_named
from btq_assets.models.training.peers import Peers
from btq_assets.models.training.recipe import Recipe
from btq_assets.models.training.schedule import warm_up_cosine
from btq_assets.models.training.state import (
    TrainingState,
    copied,
    optimiser_tensors,
    part_of,
    random_state,
    restore_optimiser,
    restore_random_state,
)
from btq_assets.models.training.step import OUT_OF_MEMORY, Gradients
from btq_assets.models.windows.batches import WindowSource
from btq_assets.models.windows.samples import DateSamples


class Run:
    """A training between its first step and its last; parameters are those of `loop.train`."""

    def __init__(
        self,
        network: nn.Module,
        source: WindowSource,
        training: Sequence[DateSamples],
        validation: Sequence[DateSamples],
        recipe: Recipe,
        loss_of: Loss | None,
        log: Callable[[str], None] | None,
        peers: Peers | None = None,
    ) -> None:
        if not training:
            raise ModelError("there is no date to train on")
        self.network, self.source, self.recipe = network, source, recipe
        self.training, self.validation = training, validation
        self.loss_of = loss_named(recipe.loss) if loss_of is None else loss_of
        self.n_batches = math.ceil(len(training) / recipe.batch_dates)
        trained = [value for value in network.parameters() if value.requires_grad]
        if not trained:
            raise ModelError("every parameter is frozen, so there is nothing to train")
        self.trained = trained
        self.optimiser = torch.optim.AdamW(
            trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        factor = warm_up_cosine(recipe.epochs * self.n_batches, recipe.warm_up_share)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, factor)
        self.shuffle = np.random.default_rng(recipe.seed)
        self.device = trained[0].device
        self.log = log or (lambda _: None)
        self.peers = peers
        self.gradients = Gradients(
            network, source, self.loss_of, recipe, self.device, self.log, peers
        )
        #: Epochs that are over, and batches of the one that is not.
        self.epoch = self.batch = self.steps = 0
        self.order = np.zeros(0, dtype=np.int64)
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.curves: dict[str, list[float]] = {
            name: []
            for name in ("training_loss", "validation_loss", "learning_rate", "gradient_norm")
        }
        self.rate = 0.0
        self.best, self.best_epoch = math.inf, 0
        self.best_weights = copy.deepcopy(network.state_dict())

    @property
    def finished(self) -> bool:
        """Whether all epochs are over, or patience is."""
        waited = self.epoch - self.best_epoch
        return self.epoch >= self.recipe.epochs or waited >= self.recipe.patience

    def step(self) -> None:
        """Train on the next batch of the epoch."""
        if self.batch == 0:
            self.order = self.shuffle.permutation(len(self.training))
            self.losses, self.norms = [], []
        samples = self._samples_of(self.batch)
        following = self._samples_of(self.batch + 1) or None
        where = f"epoch {self.epoch + 1}, training batch {self.batch + 1} of {self.n_batches}"
        self.network.train()
        loss = self.gradients.of(samples, where, following).item()
        if not math.isfinite(loss):
            raise TrainingDivergedError(self._why(loss, samples, where))
        norm = nn.utils.clip_grad_norm_(self.trained, self.recipe.max_gradient_norm).item()
        if not math.isfinite(norm):
            raise TrainingDivergedError(
                f"the gradient norm is {norm} at {where} (loss {loss:.4g}, gradient norms before: "
                f"{self._norms_before()}), through {finite.largest_gradients(self.network)}; "
                "lower the learning rate"
            )
        self.rate = float(self.schedule.get_last_lr()[0])
        self.optimiser.step()
        self.schedule.step()
        self.losses.append(loss)
        self.norms.append(norm)
        self.batch, self.steps = self.batch + 1, self.steps + 1

    def close_epoch(self) -> dict[str, float]:
        """Validate, remember the best weights, and begin the next epoch."""
        found = {
            "training_loss": float(np.mean(self.losses)),
            "validation_loss": self._validation_loss(),
        }
        shown = {
            **{name: round(value, 6) for name, value in found.items()},
            "learning_rate": float(f"{self.rate:.6g}"),
            "gradient_norm": float(f"{np.mean(self.norms):.6g}"),
        }
        for name, value in shown.items():
            self.curves[name].append(value)
        self.epoch, self.batch = self.epoch + 1, 0
        if found["validation_loss"] < self.best:
            self.best, self.best_epoch = found["validation_loss"], self.epoch
            self.best_weights = copy.deepcopy(self.network.state_dict())
        return found

    def state(self) -> TrainingState:
        """Everything the rest of the training depends on."""
        return TrainingState(
            tensors={
                **copied(self.network.state_dict(), "network"),
                **copied(self.best_weights, "best"),
                **copied(optimiser_tensors(self.optimiser), "optimiser"),
                **copied(random_state(self.device), "random"),
                "order": torch.from_numpy(self.order.copy()),
            },
            numbers={
                "training": self._identity(),
                "groups": self.optimiser.state_dict()["param_groups"],
                "schedule": self.schedule.state_dict(),
                "shuffle": self.shuffle.bit_generator.state,
                **{name: getattr(self, name) for name in _NUMBERS},
                "best": None if math.isinf(self.best) else self.best,
                "part_dates": self.gradients.part_dates,
            },
        )

    def restore(self, state: TrainingState) -> None:
        """Go back to `state`; raises `ModelError` if it is one of another training."""
        self._require_same(state)
        self.network.load_state_dict(part_of(state, "network"))
        self.best_weights = {
            name: value.to(self.device) for name, value in part_of(state, "best").items()
        }
        numbers = state.numbers
        restore_optimiser(self.optimiser, part_of(state, "optimiser"), numbers["groups"])
        self.schedule.load_state_dict(dict(numbers["schedule"]))
        self.shuffle.bit_generator.state = numbers["shuffle"]
        restore_random_state(part_of(state, "random"), self.device)
        self.order = state.tensors["order"].numpy().copy()
        for name in _NUMBERS:
            setattr(self, name, copy.deepcopy(numbers[name]))
        self.best = math.inf if numbers["best"] is None else numbers["best"]
        self.gradients.part_dates = numbers["part_dates"]

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a state to be one of this training."""
        shapes = {name: list(value.shape) for name, value in self.network.state_dict().items()}
        segments = {"training dates": self.training, "validation dates": self.validation}
        return {
            **asdict(self.recipe),
            "weights": zlib.crc32(repr(sorted(shapes.items())).encode()),
            "trained parameters": len(self.trained),
            **{name: _fingerprint(samples) for name, samples in segments.items()},
        }

    def _require_same(self, state: TrainingState) -> None:
        was, now = state.numbers["training"], self._identity()
        other = [name for name in now if was.get(name) != now[name]]
        if other:
            raise ModelError(
                "the state kept is one of another training: "
                + ", ".join(f"{name} was {was.get(name)}, is {now[name]}" for name in other)
                + "; keep it elsewhere, or remove it to start from the beginning"
            )

    def _samples_of(self, batch: int) -> list[DateSamples]:
        """Dates of a batch of the epoch; none after the last."""
        size = self.recipe.batch_dates
        return [self.training[i] for i in self.order[batch * size : (batch + 1) * size]]

    def _validation_loss(self) -> float:
        size, random = 64, random_state(self.device)
        while True:
            try:
                return evaluate(
                    self.network,
                    self.source,
                    self.validation,
                    self.loss_of,
                    relative=self.recipe.relative,
                    size=size,
                    peers=self.peers,
                )
            except OUT_OF_MEMORY:
                if size == 1 or self.peers is not None:
                    raise
            size //= 2
            restore_random_state(random, self.device)
            self.log(f"out of memory while validating: going on with {size} dates at once")

    def _why(self, loss: float, samples: Sequence[DateSamples], where: str) -> str:
        """What a person needs to know of a loss that is no number."""
        said = f"the loss is {loss} at {where}: "
        if bad := finite.inputs_not_finite(self.source.collate(samples), samples):
            return f"{said}not finite are {bad}; repair or leave out these rows"
        if bad := finite.parameters_not_finite(self.network):
            said += f"inputs are finite, parameters are not: {bad}; "
        else:
            said += "inputs and parameters are finite; "
        return f"{said}gradient norms before: {self._norms_before()}; lower the learning rate"

    def _norms_before(self) -> str:
        return ", ".join(f"{norm:.3g}" for norm in self.norms[-3:]) or "none in this epoch"


#: Attributes of `Run` that a state keeps as they are.
_NUMBERS = ("epoch", "batch", "steps", "losses", "norms", "curves", "rate", "best_epoch")


def _fingerprint(samples: Sequence[DateSamples]) -> int:
    """A number that other dates, assets or targets change."""
    found = len(samples)
    for sample in samples:
        for part in (np.int64(sample.session), sample.assets, sample.target):
            found = zlib.crc32(np.ascontiguousarray(part).tobytes(), found)
    return found
