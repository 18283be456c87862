"""Blocks of a network that keep their inputs alone while training, and are computed again.

Belongs here: wrapping blocks for the length of a training. Does not belong here: which layers a
network has (`networks`). Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """What is computed again: members of lists of modules, else the parts of the network.

    Layers of a stack are blocks. A network without a stack is cut into its own parts, of which the
    one that keeps most of the memory is then computed again as a whole: what is saved is little.
    """
    stacks = [module for module in network.modules() if isinstance(module, nn.ModuleList)]
    inner = {id(below) for stack in stacks for below in stack.modules() if below is not stack}
    outer = [stack for stack in stacks if id(stack) not in inner]
    found = [block for stack in outer for block in stack]
    return found or [part for part in network.children() if any(True for _ in part.parameters())]


@contextmanager
def recomputed(network: nn.Module, *, active: bool = True) -> Iterator[None]:
    """Inside the block, training `network` keeps the inputs of each block and nothing within it.

    The backward pass computes a block again from its inputs, with the same dropout (Chen et al.
    2016, "Training deep nets with sublinear memory cost"), so that gradients are the same to the
    last bit. Without gradients nothing changes.
    """
    wrapped = blocks_of(network) if active else []
    for block in wrapped:
        block.forward = _again(block.forward)
    try:
        yield
    finally:
        for block in wrapped:
            # What the class defines comes into view again.
            del block.forward


def _again(forward: Callable[..., Any]) -> Callable[..., Any]:
    def computed(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return computed
