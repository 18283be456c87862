"""Graph attention over the assets of a date: the layer, and a network made of nothing else.

Belongs here: torch modules. Does not belong here: which edges there are (`models.graph`), training.
Imports torch and torch_geometric at the top; import this module inside functions only.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATv2Conv

from btq_assets.models.networks.heads import ForecastHead
from btq_assets.models.networks.learned_relation import LearnedRelation
from btq_assets.models.windows.inputs import Inputs, Outputs


class GraphAttentionLayer(nn.Module):
    """Pre-norm residual layer of GATv2 (Brody, Alon and Yahav 2022, eq. 7) with edge attributes.

    A node of state ``h_i`` weighs its source ``j`` by the softmax over its sources of
    ``a . LeakyReLU(W_r h_i + W_l h_j + W_e e_ij)`` and adds the weighted sum of ``W_l h_j`` to what
    it knows. Heads have ``ceil(dim / heads)`` channels and a projection leads back.

    Parameters
    ----------
    dim, heads
        Width of a node's state, and number of heads.
    n_attributes
        Numbers on an edge.
    dropout
        Dropout of attention weights and of what is added, while training.
    """

    def __init__(self, dim: int, heads: int, n_attributes: int, dropout: float) -> None:
        super().__init__()
        width = math.ceil(dim / heads)
        self.norm = nn.LayerNorm(dim)
        self.attention = GATv2Conv(
            dim,
            width,
            heads=heads,
            dropout=dropout,
            edge_dim=n_attributes,
            add_self_loops=False,
        )
        self.mix = nn.Linear(width * heads, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, nodes: Tensor, edges: Tensor, attributes: Tensor) -> Tensor:
        """States ``(nodes, dim)`` over ``(2, E)`` edges with ``(E, A)`` attributes."""
        known = functional.elu(self.attention(self.norm(nodes), edges, attributes))
        return nodes + self.dropout(self.mix(known))


class GAT(nn.Module):
    """Each asset's window as one state, then layers of graph attention.

    The window is read at once, by two fully connected layers: what this network knows of time is
    in the place of the input alone. No asset has a name, so that permuting the assets permutes the
    outputs.

    Parameters
    ----------
    n_features, lookback
        Width and length of the window.
    dim, layers, heads
        Width, number and heads of the graph layers. With ``n`` layers an asset hears of those at
        most ``n`` edges away.
    n_attributes
        Numbers on an edge.
    dropout
        Dropout while training.
    learned_neighbours
        Sources each asset chooses by itself before the graph layers (`LearnedRelation`); 0 for none.
    head
        Kind of `ForecastHead`.
    """

    def __init__(
        self,
        n_features: int,
        lookback: int,
        *,
        dim: int,
        layers: int,
        heads: int,
        n_attributes: int,
        dropout: float,
        learned_neighbours: int = 0,
        head: str = "mean",
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Flatten(),
            nn.Linear(n_features * lookback, dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(dim, dim),
        )
        self.layers = nn.ModuleList(
            GraphAttentionLayer(dim, heads, n_attributes, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = ForecastHead(dim, head)
        self.learned: LearnedRelation | None = None
        if learned_neighbours:
            self.learned = LearnedRelation(dim, learned_neighbours)

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node; reads ``windows``, ``edges`` and ``attributes``."""
        nodes = self.embed(inputs.windows)
        if self.learned is not None:
            nodes = self.learned(nodes, inputs.date)
        for layer in self.layers:
            nodes = layer(nodes, inputs.edges, inputs.attributes)
        found: Outputs = self.head(self.norm(nodes))
        return found
