"""Everything a training is at one moment, and where it is kept.

Belongs here: the record, the protocol of what keeps it, and turning an optimiser and random numbers
into it and back. Does not belong here: files (`checkpoint_files`), the loop. Imports torch at the
top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer


@dataclass(frozen=True)
class TrainingState:
    """A training between two steps.

    Parameters
    ----------
    tensors
        Weights, best weights, moments of the optimiser, states of random numbers, by name. Copies:
        further training does not change them.
    numbers
        The rest, as JSON can write it without loss.
    """

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


class Checkpoints(Protocol):
    """Where states of one training are kept; the last one counts."""

    @property
    def every_steps(self) -> int:
        """Steps between two saves; the end of an epoch is always saved."""

    def save(self, state: TrainingState) -> None:
        """Keep `state` in place of the one before, or leave that one whole."""

    def load(self) -> TrainingState | None:
        """The state last kept, ``None`` before the first."""


def copied(values: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Copies on the CPU, named ``<prefix>.<name>``."""
    return {
        f"{prefix}.{name}": value.detach().cpu().clone().contiguous()
        for name, value in values.items()
    }


def part_of(state: TrainingState, prefix: str) -> dict[str, Tensor]:
    """The tensors named ``<prefix>.<name>``, by name."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): value
        for name, value in state.tensors.items()
        if name.startswith(start)
    }


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """Step counts and moments as ``<number of parameter>.<name>``."""
    return {
        f"{number}.{name}": value
        for number, found in optimiser.state_dict()["state"].items()
        for name, value in found.items()
    }


def restore_optimiser(
    optimiser: Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Put back what `optimiser_tensors` and ``state_dict()["param_groups"]`` gave."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, key = name.split(".", 1)
        found.setdefault(int(number), {})[key] = value.clone()
    optimiser.load_state_dict({"state": found, "param_groups": groups})


def random_state(device: torch.device) -> dict[str, Tensor]:
    """States of torch's random numbers that a network on `device` draws from."""
    found = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    return found


def restore_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Put back what `random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
