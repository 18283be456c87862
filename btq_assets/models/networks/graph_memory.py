"""Temporal graph network: a memory per asset, written session by session by what happens around it.

Belongs here: torch modules. Does not belong here: which edges there are (`models.graph`), training.
Imports torch at the top; import this module inside functions only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from btq_assets.models.networks.graph_attention import GraphAttentionLayer
from btq_assets.models.networks.heads import ForecastHead
from btq_assets.models.windows.inputs import Inputs, Outputs

#: Slowest frequency of the time encoding: one over so many sessions.
_SLOWEST_SESSIONS = 1_000.0


class TimeEncoding(nn.Module):
    """``cos(w t + b)`` of a time span (Xu et al. 2020, eq. 5, as in TGN), frequencies learned."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(_SLOWEST_SESSIONS ** -torch.linspace(0, 1, dim))
        self.phase = nn.Parameter(torch.zeros(dim))

    def forward(self, span: Tensor) -> Tensor:
        """``(n,)`` sessions as ``(n, dim)``."""
        return torch.cos(span[:, None] * self.frequency + self.phase)


class GraphMemory(nn.Module):
    """Memory of Rossi et al. (2020), replayed over the window of a decision.

    Each session in which an asset has a bar is an event of its own and an interaction with every
    source of the graph that has one too. With ``s`` the memory before the session, ``x`` its
    features, ``t`` the sessions since the memory was last written and ``e`` the edge:

    - message (eq. 1) ``m_ij = ReLU(W [s_i, s_j, x_j, time(t_j), e_ij] + b)``;
    - aggregation (eq. 3) by the mean over the sources ``j`` of ``i``;
    - memory (eq. 4) ``s_i = GRU([x_i, time(t_i), mean m_ij], s_i)``.

    An asset without a bar keeps its memory, and its ``t`` grows. The memory is empty before the
    window, so that a forecast depends on its window alone and dates may come in any order.

    Parameters
    ----------
    n_features
        Width of a session.
    dim, time_dim
        Width of the memory and of the time encoding.
    n_attributes
        Numbers on an edge.
    """

    def __init__(self, n_features: int, *, dim: int, time_dim: int, n_attributes: int) -> None:
        super().__init__()
        self.dim = dim
        self.time = TimeEncoding(time_dim)
        self.message = nn.Linear(2 * dim + n_features + time_dim + n_attributes, dim)
        self.cell = nn.GRUCell(n_features + time_dim + dim, dim)

    def forward(
        self, windows: Tensor, observed: Tensor, edges: Tensor, attributes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Memory ``(nodes, dim)`` after the window, and sessions since it was written, ``(nodes,)``.

        Parameters
        ----------
        windows, observed
            ``(nodes, L, F)`` and ``(nodes, L)``.
        edges, attributes
            ``(2, E)`` and ``(E, A)``; loops say nothing here.
        """
        between = edges[0] != edges[1]
        edges, attributes = edges[:, between], attributes[between]
        memory = windows.new_zeros(windows.shape[0], self.dim)
        span = windows.new_zeros(windows.shape[0])
        for features, here in zip(windows.unbind(1), observed.unbind(1), strict=True):
            span = span + 1
            heard = self._heard(memory, features, span, here, edges, attributes)
            event = torch.cat([features, self.time(span), heard], dim=-1)
            memory = torch.where(here[:, None], self.cell(event, memory), memory)
            span = torch.where(here, torch.zeros_like(span), span)
        return memory, span

    def _heard(
        self,
        memory: Tensor,
        features: Tensor,
        span: Tensor,
        here: Tensor,
        edges: Tensor,
        attributes: Tensor,
    ) -> Tensor:
        """Mean message into each node from the sources that have an event, 0 without any."""
        source, target = edges
        parts = [memory[target], memory[source], features[source], self.time(span)[source]]
        message = functional.relu(self.message(torch.cat([*parts, attributes], dim=-1)))
        counts = here[source].to(memory.dtype)
        total = torch.zeros_like(memory).index_add(0, target, message * counts[:, None])
        number = memory.new_zeros(memory.shape[0]).index_add(0, target, counts)
        return total / number.clamp(min=1.0)[:, None]


class TGN(nn.Module):
    """Graph memory, then graph attention over the memories of the decision date.

    Parameters
    ----------
    n_features
        Width of the input.
    dim, heads, time_dim
        Width, heads of the graph attention, width of the time encoding.
    n_attributes
        Numbers on an edge.
    dropout
        Dropout while training.
    head
        Kind of `ForecastHead`.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dim: int,
        heads: int,
        time_dim: int,
        n_attributes: int,
        dropout: float,
        head: str = "mean",
    ) -> None:
        super().__init__()
        self.memory = GraphMemory(n_features, dim=dim, time_dim=time_dim, n_attributes=n_attributes)
        self.join = nn.Linear(dim + time_dim, dim)
        self.attention = GraphAttentionLayer(dim, heads, n_attributes, dropout)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.head = ForecastHead(dim, head)

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node; reads ``windows``, ``observed``, ``edges`` and ``attributes``."""
        edges, attributes = inputs.edges, inputs.attributes
        memory, span = self.memory(inputs.windows, inputs.observed, edges, attributes)
        nodes = self.join(torch.cat([memory, self.memory.time(span)], dim=-1))
        nodes = self.norm(self.attention(nodes, edges, attributes))
        found: Outputs = self.head(self.dropout(nodes))
        return found
