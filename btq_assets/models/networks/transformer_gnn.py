"""The Transformer-GNN itself: attention over time per asset, then over the relation graph.

Belongs here: torch modules. Does not belong here: training, data frames. Imports torch and
torch_geometric at the top; import this module inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATv2Conv

from btq_assets.models.networks.attention import EncoderLayer, sinusoidal_positions
from btq_assets.models.networks.fusion import ModalityFusion
from btq_assets.models.networks.graph_memory import GraphMemory
from btq_assets.models.networks.heads import ForecastHead
from btq_assets.models.networks.learned_relation import LearnedRelation
from btq_assets.models.networks.text_encoder import DocumentTokens
from btq_assets.models.windows.inputs import Inputs, Outputs


class TransformerGNN(nn.Module):
    """Temporal self-attention per asset, graph attention across assets, one number per asset.

    Weights are shared by all assets and no asset has a name, so that permuting the assets
    permutes the outputs.

    Parameters
    ----------
    n_features
        Width of the input.
    dim, heads, layers
        Width, heads and depth of the temporal encoder.
    graph_heads
        Heads of the graph attention (Brody et al. 2022, GATv2).
    dropout
        Dropout while training.
    use_graph
        ``False`` leaves the graph out: each asset is forecast from its own history alone.
    n_attributes
        Numbers on an edge.
    learned_neighbours
        Sources each asset chooses by itself (`LearnedRelation`); 0 for none.
    rotary
        Rotary positions in the attention, in place of sinusoidal ones added to the tokens.
    n_calendar
        Numbers the calendar says of a session, added to its token by a linear map; 0 for none.
    modality_widths
        Columns of each modality fused with the encoded window (`ModalityFusion`).
    head
        Kind of `ForecastHead`.
    temporal_attention
        ``False`` averages sessions in place of attention (`CausalMean`).
    text
        Tokens of the documents of a node, fused beside the modalities; ``None`` for none.
    memory_time_dim
        Width of the time encoding of a `GraphMemory`, replayed over the window along the edges, whose
        state is added to the encoded window; 0 for no memory.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dim: int,
        heads: int,
        layers: int,
        graph_heads: int,
        dropout: float,
        use_graph: bool = True,
        n_attributes: int = 2,
        learned_neighbours: int = 0,
        rotary: bool = False,
        n_calendar: int = 0,
        modality_widths: Sequence[int] = (),
        head: str = "mean",
        temporal_attention: bool = True,
        text: DocumentTokens | None = None,
        memory_time_dim: int = 0,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(n_features, dim)
        self.rotary = rotary
        self.layers = nn.ModuleList(
            EncoderLayer(dim, heads, dropout, rotary=rotary, attends=temporal_attention)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.graph: GATv2Conv | None = None
        if use_graph:
            width = math.ceil(dim / graph_heads)
            self.graph = GATv2Conv(
                dim,
                width,
                heads=graph_heads,
                dropout=dropout,
                edge_dim=n_attributes,
                add_self_loops=False,
            )
            self.mix = nn.Linear(width * graph_heads, dim)
        self.head = ForecastHead(dim, head)
        self.learned: LearnedRelation | None = None
        if learned_neighbours:
            self.learned = LearnedRelation(dim, learned_neighbours)
        self.calendar = nn.Linear(n_calendar, dim) if n_calendar else None
        self.fusion: ModalityFusion | None = None
        if modality_widths or text is not None:
            self.fusion = ModalityFusion(dim, heads, modality_widths, dropout)
        self.text = text
        self.memory: GraphMemory | None = None
        if memory_time_dim:
            self.memory = GraphMemory(
                n_features, dim=dim, time_dim=memory_time_dim, n_attributes=n_attributes
            )
            self.recall = nn.Linear(dim + memory_time_dim, dim)

    def encode(self, windows: Tensor, calendar: Tensor | None = None) -> Tensor:
        """All tokens of ``(B, L, F)`` after the temporal layers, ``(B, L, dim)``.

        `calendar` is ``(B, L, C)``, needed where the network reads it.
        """
        tokens = self._embedded(windows, calendar)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node; reads ``windows``, ``edges`` and ``attributes``, and what else it fuses."""
        tokens = self._embedded(inputs.windows, inputs.calendar)
        for layer in self.layers[:-1]:
            tokens = layer(tokens)
        # Only the last token goes on, so the last layer computes no other.
        nodes = self.norm(self.layers[-1](tokens, last_only=True)[:, 0])
        if self.memory is not None:
            # Read before the graph, so that neighbours hear what is remembered, too.
            held, age = self.memory(
                inputs.windows, inputs.observed, inputs.edges, inputs.attributes
            )
            nodes = nodes + self.recall(torch.cat([held, self.memory.time(age)], dim=-1))
        if self.fusion is not None:
            documents = (None, None) if self.text is None else self.text(inputs)
            nodes = self.fusion(nodes, inputs.modalities, inputs.available, *documents)
        if self.graph is not None:
            known = self.graph(nodes, inputs.edges, inputs.attributes)
            nodes = nodes + self.mix(functional.elu(known))
        if self.learned is not None:
            nodes = self.learned(nodes, inputs.date)
        found: Outputs = self.head(nodes)
        return found

    def _embedded(self, windows: Tensor, calendar: Tensor | None) -> Tensor:
        tokens: Tensor = self.embed(windows)
        if not self.rotary:
            positions = sinusoidal_positions(windows.shape[1], self.embed.out_features)
            tokens = tokens + positions.to(windows)
        return tokens if self.calendar is None else tokens + self.calendar(calendar)
