"""Low-rank adaptation (Hu et al. 2021): maps that stay, and small ones beside them that learn.

Belongs here: adapting linear maps of any module, taking the adapters out, merging them in. Does not
belong here: what is adapted, files. Imports torch at the top; import this module inside functions
only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from btq_assets.models.forecaster import ModelError

#: What the maps of queries and values are called in encoders; the paper adapts these (section 4.2).
TARGETS = ("query", "value", "q_proj", "v_proj", "q_lin", "v_lin", "query_proj", "value_proj")

_ADAPTERS = ("lora_down", "lora_up")


class LoRALinear(nn.Module):
    """``W x + b + (alpha / r) B A x``, equation 3 of the paper; only ``A`` and ``B`` learn.

    ``A`` begins as torch begins linear maps, ``B`` as zero, so that nothing is changed at first.

    Parameters
    ----------
    base
        The map that stays; its parameters are frozen.
    rank
        ``r``.
    alpha
        Numerator of the scale.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        weight = base.weight
        self.lora_down = nn.Parameter(weight.new_empty(rank, base.in_features))
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))
        self.lora_up = nn.Parameter(weight.new_zeros(base.out_features, rank))

    def forward(self, values: Tensor) -> Tensor:
        """Map ``(..., in)`` to ``(..., out)``."""
        beside = functional.linear(functional.linear(values, self.lora_down), self.lora_up)
        return self.base(values) + self.scale * beside

    def merged(self) -> nn.Linear:
        """One map that does the same: ``W + (alpha / r) B A``."""
        with torch.no_grad():
            self.base.weight += self.scale * self.lora_up @ self.lora_down
        return self.base


def adapt(
    module: nn.Module, rank: int, alpha: float, targets: Sequence[str] = TARGETS
) -> tuple[str, ...]:
    """Freeze a module and put adapters beside its linear maps called like one of `targets`.

    Returns
    -------
    tuple of str
        Names of the maps adapted.

    Raises
    ------
    ModelError
        There is no such map.
    """
    found = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and name.rsplit(".", 1)[-1] in targets
    ]
    if not found:
        raise ModelError(
            f"{type(module).__name__} has no linear map called {', '.join(targets)}, so there is "
            "nothing to adapt; fine-tune it whole (full) or not at all (frozen)"
        )
    module.requires_grad_(False)
    for name in found:
        base = module.get_submodule(name)
        assert isinstance(base, nn.Linear)
        _replace(module, name, LoRALinear(base, rank, alpha))
    return tuple(found)


def merge(module: nn.Module) -> None:
    """Put every adapter of a module into the map it stands beside, which may learn again."""
    found = [name for name, part in module.named_modules() if isinstance(part, LoRALinear)]
    for name in found:
        adapted = module.get_submodule(name)
        assert isinstance(adapted, LoRALinear)
        _replace(module, name, adapted.merged())
    module.requires_grad_(True)


def is_adapter(name: str) -> bool:
    """Whether a parameter of that name is one of an adapter."""
    return name.rsplit(".", 1)[-1] in _ADAPTERS


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(module.get_submodule(parent), own, part)
