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
        """``(...)`` sessions as ``(..., dim)``."""
        return torch.cos(span[..., None] * self.frequency + self.phase)


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
        source, target = edges[:, between]
        spans, age = sessions_since(observed)
        event = torch.cat([windows, self.time(spans)], dim=-1)
        # Both maps are linear: what memories have no part in is mapped for all sessions at once, what
        # memories have is mapped by node, not by edge.
        n_event = event.shape[-1]
        to_message = self.message.weight.split(
            [self.dim, self.dim, n_event, attributes.shape[1]], 1
        )
        from_event, from_heard = self.cell.weight_ih.split([n_event, self.dim], 1)
        given = functional.linear(event, from_event, self.cell.bias_ih)
        said = functional.linear(event, to_message[2], self.message.bias)
        on_edge = functional.linear(attributes[between], to_message[3])
        share = _shares(observed, source, target)
        joint = torch.cat([self.cell.weight_hh, to_message[0], to_message[1]])
        bias = torch.cat([self.cell.bias_hh, joint.new_zeros(2 * self.dim)])
        memory = windows.new_zeros(windows.shape[0], self.dim)
        each = zip(
            given.unbind(1), said.unbind(1), share.unbind(1), observed.unbind(1), strict=True
        )
        for of_event, told, weight, here in each:
            mapped = functional.linear(memory, joint, bias)
            past, as_target, as_source = mapped.split([3 * self.dim, self.dim, self.dim], 1)
            message = (as_source + told).index_select(0, source) + on_edge
            message = functional.relu(message + as_target.index_select(0, target))
            heard = torch.zeros_like(memory).index_add(0, target, message * weight[:, None])
            now = of_event + functional.linear(heard, from_heard)
            memory = torch.where(here[:, None], _renewed(now, past, memory), memory)
        return memory, age


def sessions_since(observed: Tensor) -> tuple[Tensor, Tensor]:
    """Sessions since a memory was last written: at each session, and after all of them.

    Parameters
    ----------
    observed
        ``(nodes, L)`` bool. A memory that was never written counts from before the window.

    Returns
    -------
    tuple of torch.Tensor
        ``(nodes, L)`` before each session is written, and ``(nodes,)``, float.
    """
    length = observed.shape[1]
    at = torch.arange(length, device=observed.device)
    written = torch.where(observed, at, -1)
    earlier = torch.where(at[:, None] > at, written[:, None], -1).amax(-1)
    spans = (at - earlier).to(torch.get_default_dtype())
    return spans, (length - 1 - written.amax(-1)).to(spans.dtype)


def _shares(observed: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Weight of each edge in the mean over those of its target that have an event, ``(E, L)``."""
    counts = observed.index_select(0, source).to(torch.get_default_dtype())
    number = counts.new_zeros(observed.shape).index_add(0, target, counts)
    return counts / number.clamp(min=1.0).index_select(0, target)


def _renewed(now: Tensor, past: Tensor, memory: Tensor) -> Tensor:
    """GRU (Cho et al. 2014, as `torch.nn.GRUCell`) from what its maps of event and memory give."""
    reset_now, update_now, new_now = now.chunk(3, dim=1)
    reset_past, update_past, new_past = past.chunk(3, dim=1)
    reset = torch.sigmoid(reset_now + reset_past)
    update = torch.sigmoid(update_now + update_past)
    new = torch.tanh(new_now + reset * new_past)
    return new + update * (memory - new)


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
