"""How a network is trained, as numbers one can write down.

Belongs here: the recipe. Does not belong here: torch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One way of training a network.

    Parameters
    ----------
    epochs
        Passes over the training segment at most.
    patience
        Epochs without a better validation loss before training stops.
    batch_dates
        Decision dates per batch.
    learning_rate
        Largest learning rate of the schedule.
    weight_decay
        Decoupled weight decay (Loshchilov and Hutter 2019).
    relative
        ``True`` asks who does better than whom on a date, ``False`` for the target itself.
    seed
        Order of the batches.
    loss
        Name of a loss; see `losses.LOSSES`.
    warm_up_share
        Share of all steps in which the learning rate rises to its largest value.
    max_gradient_norm
        Gradients are scaled down to this norm.
    accumulate
        Parts a batch is computed in, one after the other, to save memory; results are those of the
        whole batch.
    mixed_precision
        ``True`` computes the forward pass in bfloat16 where torch deems it safe; weights, losses and
        the optimiser stay in float32.
    compile
        ``True`` has torch compile the network for the length of the training.
    processes
        Processes that share each batch; results are those of one but for rounding.
    """

    epochs: int
    patience: int
    batch_dates: int
    learning_rate: float
    weight_decay: float
    relative: bool
    seed: int
    loss: str = "huber"
    warm_up_share: float = 0.1
    max_gradient_norm: float = 1.0
    accumulate: int = 1
    mixed_precision: bool = False
    compile: bool = False
    processes: int = 1
