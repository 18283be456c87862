"""Several processes that train one network on the same batches, each on its share of the dates.

Belongs here: what they tell one another. Does not belong here: starting them (`together`), what a step
does (`step`). Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from btq_assets.models.forecaster import ModelError

_T = TypeVar("_T")

#: How long one waits for the others before it gives up.
PATIENCE = timedelta(minutes=30)


class Peers:
    """The processes of one training, as one of them sees them.

    Each has the whole network and makes the same steps: outputs of all shares are gathered, the loss
    is that of the whole batch for everyone, each leads its gradient back through its own dates, and
    gradients are summed. That is exact for every loss, also for those that are no sum over dates.

    Parameters
    ----------
    rank, size
        Number of this process, and how many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    @classmethod
    @contextmanager
    def joined(cls, meeting: str, rank: int, size: int) -> Iterator[Peers]:
        """Meet the others; `meeting` is ``file://`` or ``tcp://``, as torch takes it."""
        _said(
            lambda: distributed.init_process_group(
                "gloo", init_method=meeting, rank=rank, world_size=size, timeout=PATIENCE
            )
        )
        try:
            yield cls(rank, size)
        finally:
            distributed.destroy_process_group()

    def bounds(self, n: int) -> list[int]:
        """Where shares of `n` dates begin, and the end: as equal as they can be."""
        return [n * rank // self.size for rank in range(self.size + 1)]

    def gathered(self, own: Tensor, lengths: Sequence[int]) -> Tensor:
        """Rows of all, in the order of their shares; `lengths` is how many each has."""
        longest = max(lengths)
        padded = own.new_zeros(longest, *own.shape[1:])
        padded[: len(own)] = own
        found = [torch.empty_like(padded) for _ in lengths]
        _said(lambda: distributed.all_gather(found, padded))
        return torch.cat([part[:n] for part, n in zip(found, lengths, strict=True)])

    def summed(self, own: Tensor) -> Tensor:
        """The sum over all; the same bits for everyone."""
        found = own.clone()
        _said(lambda: distributed.all_reduce(found))
        return found

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Put the sum over all in place of each gradient; one that nobody has stays absent."""
        there = torch.tensor([float(value.grad is not None) for value in parameters])
        flat = torch.cat(
            [
                (torch.zeros_like(value) if value.grad is None else value.grad).flatten()
                for value in parameters
            ]
        )
        there, flat = self.summed(there), self.summed(flat)
        parts = flat.split([value.numel() for value in parameters])
        for value, part, known in zip(parameters, parts, there.tolist(), strict=True):
            value.grad = part.view_as(value).clone() if known else None


def _said(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except RuntimeError as error:
        raise ModelError(
            f"another process of this training is gone or does not answer: {error}; see its own "
            "message, then start the fit again: it goes on from its last saved state"
        ) from error
