"""Relations that nobody measured: each asset attends to the few others whose states suit it.

Belongs here: the torch module. Does not belong here: edges from returns or sectors
(`models.graph`). Imports torch at the top; import this module inside functions only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.utils import to_dense_batch


class LearnedRelation(nn.Module):
    """Sparse attention between the assets of a date, over no edges but those it chooses.

    Each asset scores all others by ``q_i . k_j / sqrt(dim)`` and keeps the largest few; a softmax
    over those weighs what they say, as in attention over the top k (Gupta et al. 2021). The choice
    has no gradient, the weights of what was chosen have, so that a useful source scores higher
    until it is chosen wherever it matters. An asset alone on its date stays as it is.

    Parameters
    ----------
    dim
        Width of a node's state.
    neighbours
        Sources of an asset; fewer where the date has fewer.
    """

    def __init__(self, dim: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, nodes: Tensor, date: Tensor) -> Tensor:
        """States ``(nodes, dim)``, with what the chosen sources say added."""
        states, known = to_dense_batch(self.norm(nodes), date)
        weights = self.weights(states, known)
        heard = self.out(functional.gelu(weights @ self.value(states)))
        has_source = (weights > 0).any(dim=-1, keepdim=True)
        return nodes + torch.where(has_source, heard, torch.zeros_like(heard))[known]

    def weights(self, states: Tensor, known: Tensor) -> Tensor:
        """Weight of each source (last axis) for each asset, ``(dates, n, n)``.

        Parameters
        ----------
        states
            ``(dates, n, dim)``, padded to the largest date.
        known
            ``(dates, n)`` whether a place holds an asset.
        """
        n, dim = states.shape[1:]
        scores = self.query(states) @ self.key(states).transpose(1, 2) / math.sqrt(dim)
        itself = torch.eye(n, dtype=torch.bool, device=states.device)
        scores = scores.masked_fill(itself | ~known[:, None, :], -math.inf)
        largest, chosen = scores.topk(min(self.neighbours, n), dim=-1)
        usable = torch.isfinite(largest)
        # A softmax over nothing is no number; such rows are zero in the end.
        shares = largest.masked_fill(~usable.any(dim=-1, keepdim=True), 0.0).softmax(dim=-1)
        return torch.zeros_like(scores).scatter(-1, chosen, shares * usable)
