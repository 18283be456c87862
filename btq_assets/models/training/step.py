"""One step: the gradients of a batch, whole or in parts, in full or half precision.

Belongs here: from a batch of dates to gradients. Does not belong here: what becomes of them, epochs.
Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from btq_assets.models.forecaster import ModelError
from btq_assets.models.training.losses import Loss
from btq_assets.models.training.recipe import Recipe
from btq_assets.models.training.state import random_state, restore_random_state
from btq_assets.models.windows.batches import Batch, WindowSource
from btq_assets.models.windows.inputs import Inputs, Outputs
from btq_assets.models.windows.samples import DateSamples

#: What running out of memory raises, on a GPU or not.
OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)


class Gradients:
    """Computes the gradients of batches, in parts that fit into memory.

    Parts are exact for every loss, also one that is no sum over dates: outputs of all parts first,
    without keeping what made them; then the loss of the whole batch and its gradient in the outputs;
    then each part once more, with that gradient led back through it. A part draws the same dropout
    both times. (Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited
    setup", section 3.2.) It costs one more forward pass. Nothing that a network remembers from one
    date of a batch to the next crosses from part to part.

    Parameters
    ----------
    network, source, loss_of
        What is trained, on what, for what.
    recipe
        ``batch_dates`` over ``accumulate`` are the dates of a part.
    device
        Where the network lives.
    log
        Told when a batch did not fit and is split further.
    """

    def __init__(
        self,
        network: nn.Module,
        source: WindowSource,
        loss_of: Loss,
        recipe: Recipe,
        device: torch.device,
        log: Callable[[str], None],
    ) -> None:
        self.network, self.source, self.loss_of = network, source, loss_of
        self.recipe, self.device, self.log = recipe, device, log
        self.part_dates = -(-recipe.batch_dates // recipe.accumulate)

    def of(self, samples: Sequence[DateSamples], where: str) -> Tensor:
        """Set the gradients of a batch and return its loss; none are set if it is not finite.

        Where memory does not suffice, parts are halved until it does, and stay so.

        Raises
        ------
        ModelError
            A single date does not fit.
        """
        random = random_state(self.device)
        while True:
            self.network.zero_grad(set_to_none=True)
            try:
                return self._once(samples)
            except OUT_OF_MEMORY as error:
                tried = min(self.part_dates, len(samples))
                if tried == 1:
                    raise ModelError(
                        f"out of memory at {where} with a single date; take a smaller network or a "
                        "shorter window"
                    ) from error
            # Out of the handler: what the error's frames held is free by now.
            self.part_dates = (tried + 1) // 2
            self.log(
                f"out of memory at {where} with {tried} dates at once: going on with "
                f"{self.part_dates}, gradients accumulated over the batch"
            )
            restore_random_state(random, self.device)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _once(self, samples: Sequence[DateSamples]) -> Tensor:
        if len(samples) <= self.part_dates:
            batch = self.source.collate(samples)
            loss = self._loss(outputs_of(self.network, batch.inputs, self.recipe), batch)
            if torch.isfinite(loss):
                loss.backward()
            return loss.detach()
        parts = [
            samples[start : start + self.part_dates]
            for start in range(0, len(samples), self.part_dates)
        ]
        outputs, labels, random = [], [], []
        with torch.no_grad():
            for part in parts:
                batch = self.source.collate(part)
                random.append(random_state(self.device))
                outputs.append(outputs_of(self.network, batch.inputs, self.recipe))
                labels.append(_without_windows(batch))
        after = random_state(self.device)
        leaves = _leaves(outputs)
        loss = self._loss(leaves, _joined(labels))
        if not torch.isfinite(loss):
            return loss.detach()
        loss.backward()
        self._lead_back(parts, random, leaves)
        restore_random_state(after, self.device)
        return loss.detach()

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        return self.loss_of(outputs, batch, relative=self.recipe.relative)

    def _lead_back(
        self,
        parts: Sequence[Sequence[DateSamples]],
        random: Sequence[dict[str, Tensor]],
        leaves: Outputs,
    ) -> None:
        """Forward each part as before, and the gradient of its outputs back through it."""
        start = 0
        for part, state in zip(parts, random, strict=True):
            batch = self.source.collate(part)
            restore_random_state(state, self.device)
            found = outputs_of(self.network, batch.inputs, self.recipe)
            end = start + len(found.mean)
            pairs = {
                name: leaf.grad[start:end]
                for name, leaf in leaves._asdict().items()
                if leaf is not None and leaf.grad is not None
            }
            torch.autograd.backward([getattr(found, name) for name in pairs], list(pairs.values()))
            start = end


def outputs_of(network: nn.Module, inputs: Inputs, recipe: Recipe) -> Outputs:
    """What a network says, in float32; computed in bfloat16 where the recipe asks for it.

    bfloat16 has the range of float32, so that losses need no scaling (Kalamkar et al. 2019).
    """
    if not recipe.mixed_precision:
        found: Outputs = network(inputs)
        return found
    with torch.autocast(inputs.windows.device.type, dtype=torch.bfloat16):
        found = network(inputs)
    return Outputs(
        **{name: values.float() for name, values in found._asdict().items() if values is not None}
    )


def _leaves(parts: Sequence[Outputs]) -> Outputs:
    """Outputs of all parts side by side, which gradients are asked for."""
    return Outputs(
        **{
            name: torch.cat([getattr(part, name) for part in parts]).requires_grad_()
            for name, values in parts[0]._asdict().items()
            if values is not None
        }
    )


def _without_windows(batch: Batch) -> Batch:
    """The batch with what losses read: dates, targets and weights."""
    nothing = batch.target.new_zeros(0)
    inputs = Inputs(*(nothing,) * len(Inputs._fields))._replace(date=batch.inputs.date)
    return Batch(inputs, batch.target, batch.weight, batch.n_dates)


def _joined(batches: Sequence[Batch]) -> Batch:
    """Batches `_without_windows` side by side; dates are numbered on."""
    dates, before = [], 0
    for batch in batches:
        dates.append(batch.inputs.date + before)
        before += batch.n_dates
    return Batch(
        batches[0].inputs._replace(date=torch.cat(dates)),
        torch.cat([batch.target for batch in batches]),
        torch.cat([batch.weight for batch in batches]),
        before,
    )
