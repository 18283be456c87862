"""Why a training stopped being numbers: what is not finite, and where.

Belongs here: looking through a batch and a network. Does not belong here: raising, training. Imports
torch at the top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from btq_assets.models.windows.batches import Batch
from btq_assets.models.windows.samples import DateSamples

#: How many sessions or parameters a message names.
_NAMED = 5


def inputs_not_finite(batch: Batch, samples: Sequence[DateSamples]) -> str:
    """Each kind of input that is NaN or infinite, with its session numbers; empty if none is.

    A target that is not finite is one that is not known, and no reason.

    Parameters
    ----------
    batch
        What the network read.
    samples
        The dates it was made of.
    """
    inputs = batch.inputs
    decision = torch.tensor([sample.session for sample in samples])[inputs.date.cpu()]
    receiver = decision[inputs.edges[1].cpu()]
    ago = torch.arange(1 - inputs.windows.shape[1], 1)
    bad = {
        "features": _sessions(~torch.isfinite(inputs.windows), decision[:, None] + ago),
        "calendar": _sessions(~torch.isfinite(inputs.calendar), decision[:, None] + ago),
        "modalities": _sessions(~torch.isfinite(inputs.modalities), decision),
        "edge attributes": _sessions(~torch.isfinite(inputs.attributes), receiver),
        "weights": _sessions(~torch.isfinite(batch.weight), decision),
    }
    return "; ".join(
        f"{name} of session(s) {_first(found)}" for name, found in bad.items() if found
    )


def parameters_not_finite(network: nn.Module) -> str:
    """Parameters that are NaN or infinite, by name; empty if none is."""
    named = network.named_parameters()
    return _first([name for name, value in named if not torch.isfinite(value).all()])


def largest_gradients(network: nn.Module) -> str:
    """Parameters whose gradient is not finite, else those with the largest, with its norm."""
    norms = {
        name: value.grad.norm().item()
        for name, value in network.named_parameters()
        if value.grad is not None
    }
    order = sorted(norms, key=lambda name: norms[name] if norms[name] < float("inf") else -1.0)
    wild = [name for name in norms if not norms[name] < float("inf")]
    named = wild or order[::-1]
    return _first([f"{name} ({norms[name]:.3g})" for name in named])


def _sessions(bad: Tensor, session: Tensor) -> list[str]:
    """Numbers of the sessions (of the shape of the first axes of `bad`) with anything bad."""
    bad = bad.cpu()
    while bad.dim() > session.dim():
        bad = bad.any(-1)
    return [str(number) for number in session[bad].unique().tolist()]


def _first(found: list[str]) -> str:
    more = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {more} more" if more > 0 else "")
