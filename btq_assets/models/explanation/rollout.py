"""Attention roll-out (Abnar and Zuidema 2020): which sessions reached the last token.

Belongs here: attention weights of a network as it runs, and their product over layers. Imports torch
at the top; import this module inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from btq_assets.models.forecaster import ModelError
from btq_assets.models.networks.attention import CausalSelfAttention
from btq_assets.models.windows.inputs import Inputs


class _Watching(TorchFunctionMode):
    """Notes the weights of every scaled dot-product attention, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Note the weights, then do what was asked."""
        given = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            query, key = args[0], args[1]
            self.weights.append(_weights(query, key, causal=bool(given.get("is_causal"))))
        return func(*args, **given)


def attention_rollout(network: nn.Module, inputs: Inputs) -> np.ndarray:
    """Share of each session of a node's window in the token that its forecast is made from.

    Each layer's weights are averaged over heads, mixed half and half with the identity, for what the
    residual connection carries past attention, and multiplied from the first layer to the last.

    Parameters
    ----------
    network
        One whose layers are `networks.attention.EncoderLayer`.
    inputs
        One or several dates.

    Returns
    -------
    numpy.ndarray
        ``(nodes, L)``, each row summing to 1.

    Raises
    ------
    ModelError
        The network attends to nothing over time.
    """
    n_layers = sum(isinstance(part, CausalSelfAttention) for part in network.modules())
    if not n_layers:
        raise ModelError(
            f"{type(network).__name__} has no attention over time, so there is nothing to roll out; "
            "ask for integrated gradients"
        )
    nodes, length, _ = inputs.windows.shape
    training = network.training
    network.eval()
    watching = _Watching()
    try:
        with torch.no_grad(), watching:
            network(inputs)
    finally:
        network.train(training)
    own = [each for each in watching.weights if each.shape[0] == nodes and each.shape[-1] == length]
    rolled = torch.eye(length).expand(nodes, length, length)
    for each in own[:n_layers]:
        attended = each.mean(dim=1)
        identity = torch.eye(length)[length - attended.shape[1] :]
        rolled = (0.5 * attended + 0.5 * identity) @ rolled
    return rolled[:, -1].double().numpy()


def _weights(query: Tensor, key: Tensor, *, causal: bool) -> Tensor:
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if causal:
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(ahead, -torch.inf)
    return scores.softmax(-1)
