"""One step: the gradients of a batch, whole or in parts, in full or half precision.

Belongs here: from a batch of dates to gradients. Does not belong here: what becomes of them, epochs.
Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from btq_assets.models.forecaster import ModelError
from btq_assets.models.training.losses import Loss
from btq_assets.models.training.peers import Peers
from btq_assets.models.training.recipe import Recipe
from btq_assets.models.training.state import random_state, restore_random_state
from btq_assets.models.windows.batches import Batch, WindowSource, announce
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

    Several processes do the same with their shares of the batch, see `peers.Peers`.

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
    peers
        Others that train the same network; ``None`` for nobody.
    """

    def __init__(
        self,
        network: nn.Module,
        source: WindowSource,
        loss_of: Loss,
        recipe: Recipe,
        device: torch.device,
        log: Callable[[str], None],
        peers: Peers | None = None,
    ) -> None:
        self.network, self.source, self.loss_of = network, source, loss_of
        self.recipe, self.device, self.log, self.peers = recipe, device, log, peers
        self.part_dates = -(-recipe.batch_dates // recipe.accumulate)
        if peers is not None:
            self.part_dates = -(-self.part_dates // peers.size)

    def of(
        self,
        samples: Sequence[DateSamples],
        where: str,
        following: Sequence[DateSamples] | None = None,
    ) -> Tensor:
        """Set the gradients of a batch and return its loss; none are set if it is not finite.

        Where memory does not suffice, parts are halved until it does, and stay so.

        Parameters
        ----------
        samples
            Dates of the batch.
        where
            What to call it in messages.
        following
            Dates of the batch after it, where that is known: laid out meanwhile.

        Raises
        ------
        ModelError
            A single date does not fit; or, with several processes, a part does not.
        """
        random = random_state(self.device)
        while True:
            self.network.zero_grad(set_to_none=True)
            try:
                return self._once(samples, following)
            except OUT_OF_MEMORY as error:
                tried = min(self.part_dates, len(samples))
                if self.peers is not None:
                    raise ModelError(
                        f"out of memory at {where} with {tried} dates at once in each of "
                        f"{self.peers.size} processes; raise accumulate, so that parts are smaller"
                    ) from error
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

    def _once(
        self, samples: Sequence[DateSamples], following: Sequence[DateSamples] | None
    ) -> Tensor:
        bounds = [0, len(samples)] if self.peers is None else self.peers.bounds(len(samples))
        rank = 0 if self.peers is None else self.peers.rank
        own = samples[bounds[rank] : bounds[rank + 1]]
        coming = self._share(following)
        if self.peers is None and len(own) <= self.part_dates:
            batch = self._batch(own, coming)
            loss = self._loss(outputs_of(self.network, batch.inputs, self.recipe), batch)
            if torch.isfinite(loss):
                loss.backward()
            return loss.detach()
        parts = [
            own[start : start + self.part_dates] for start in range(0, len(own), self.part_dates)
        ]
        one = len(parts) == 1
        # Who has no date of its own says nothing, but in the right shape.
        first = parts or [samples[:1]]
        order = [*first, *([] if one else parts), coming]
        outputs, random, kept = [], [], []
        with torch.set_grad_enabled(one):
            for place, part in enumerate(first):
                batch = self._batch(part, order[place + 1])
                random.append(random_state(self.device))
                found = outputs_of(self.network, batch.inputs, self.recipe)
                kept.append(found if one else None)
                outputs.append(_detached(found, None if parts else 0))
        after = random_state(self.device)
        leaves = self._leaves(outputs, samples, bounds)
        loss = self._loss(leaves, _labels(samples, leaves.mean))
        if not torch.isfinite(loss):
            return loss.detach()
        loss.backward()
        start = sum(len(sample.assets) for sample in samples[: bounds[rank]])
        self._lead_back(parts, random, leaves, kept, start, coming)
        restore_random_state(after, self.device)
        if self.peers is not None:
            self.peers.sum_gradients([p for p in self.network.parameters() if p.requires_grad])
        return loss.detach()

    def _share(self, samples: Sequence[DateSamples] | None) -> Sequence[DateSamples] | None:
        """The part of a batch that this process begins with."""
        if samples is None:
            return None
        if self.peers is not None:
            bounds = self.peers.bounds(len(samples))
            samples = samples[bounds[self.peers.rank] : bounds[self.peers.rank + 1]]
        return samples[: self.part_dates]

    def _batch(self, samples: Sequence[DateSamples], coming: Sequence[DateSamples] | None) -> Batch:
        batch = self.source.collate(samples)
        announce(self.source, coming)
        return batch

    def _loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        return self.loss_of(outputs, batch, relative=self.recipe.relative)

    def _leaves(
        self, parts: Sequence[Outputs], samples: Sequence[DateSamples], bounds: Sequence[int]
    ) -> Outputs:
        """Outputs of the whole batch side by side, which gradients are asked for."""
        lengths = [
            sum(len(sample.assets) for sample in samples[first:last])
            for first, last in pairwise(bounds)
        ]
        found = {}
        for name, values in parts[0]._asdict().items():
            if values is None:
                continue
            own = torch.cat([getattr(part, name) for part in parts])
            whole = own if self.peers is None else self.peers.gathered(own, lengths)
            found[name] = whole.requires_grad_()
        return Outputs(**found)

    def _lead_back(
        self,
        parts: Sequence[Sequence[DateSamples]],
        random: Sequence[dict[str, Tensor]],
        leaves: Outputs,
        kept: Sequence[Outputs | None],
        start: int,
        coming: Sequence[DateSamples] | None,
    ) -> None:
        """Forward each part as before, and the gradient of its outputs back through it."""
        for place, (part, state) in enumerate(zip(parts, random, strict=False)):
            found = kept[place]
            if found is None:
                batch = self._batch(part, [*parts, coming][place + 1])
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


def _detached(found: Outputs, n: int | None) -> Outputs:
    """The first `n` rows of outputs, or all of them, without what made them."""
    return Outputs(
        **{
            name: values.detach()[:n]
            for name, values in found._asdict().items()
            if values is not None
        }
    )


def _labels(samples: Sequence[DateSamples], like: Tensor) -> Batch:
    """What losses read of a batch: dates, targets and weights, in the order of its nodes."""
    date = np.repeat(np.arange(len(samples)), [len(sample.assets) for sample in samples])
    nothing = like.new_zeros(0)
    inputs = Inputs(*(nothing,) * len(Inputs._fields))._replace(
        date=torch.from_numpy(date).to(like.device)
    )
    target = np.concatenate([sample.target for sample in samples]).astype(np.float32)
    weights = [
        np.ones(len(sample.assets)) if sample.weight is None else sample.weight
        for sample in samples
    ]
    weight = np.concatenate(weights).astype(np.float32)
    return Batch(
        inputs,
        torch.from_numpy(target).to(like),
        torch.from_numpy(weight).to(like),
        len(samples),
    )
