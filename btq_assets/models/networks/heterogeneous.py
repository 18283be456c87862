"""A graph of several kinds of nodes: assets, their sectors, what is written of them, macro series.

Belongs here: torch modules. Does not belong here: which edges there are (`models.graph`, the table of
memberships), which columns are of which node (`windows.modalities`), training. Imports torch and
torch_geometric at the top; import this module inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATv2Conv

from btq_assets.models.networks.attention import EncoderLayer, sinusoidal_positions
from btq_assets.models.networks.heads import ForecastHead
from btq_assets.models.networks.learned_relation import LearnedRelation
from btq_assets.models.windows.inputs import Inputs, Outputs


class Surroundings(NamedTuple):
    """What is around the assets of a batch; what there is none of is ``None``.

    Parameters
    ----------
    sectors
        ``(S, dim)`` states of the sector nodes.
    members
        ``(2, M)`` int64: node of an asset, node of its sector.
    documents, written
        ``(nodes, D, dim)`` the document nodes of each asset, and ``(nodes, D)`` bool, whether they are
        there.
    macro, published
        ``(nodes, G, dim)`` the macro nodes of each asset's date, and ``(nodes, G)`` bool, whether they
        are there.
    """

    sectors: Tensor | None = None
    members: Tensor | None = None
    documents: Tensor | None = None
    written: Tensor | None = None
    macro: Tensor | None = None
    published: Tensor | None = None


class FewSources(nn.Module):
    """GATv2 (Brody, Alon and Yahav 2022, eq. 7) from as many sources for every asset, side by side.

    The weights and the result are those of torch-geometric's layer over an edge from each source to
    its asset; no list of edges is made. A source that is not there is not heard.

    Parameters
    ----------
    dim, heads
        Width of a state and number of heads of ``ceil(dim / heads)`` channels.
    dropout
        Dropout of attention weights, while training.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.width = heads, math.ceil(dim / heads)
        self.source = nn.Linear(dim, heads * self.width, bias=False)
        self.target = nn.Linear(dim, heads * self.width, bias=False)
        self.score = nn.Parameter(torch.empty(heads, self.width))
        self.dropout = dropout
        nn.init.xavier_uniform_(self.score)

    def forward(self, nodes: Tensor, sources: Tensor, known: Tensor) -> Tensor:
        """What ``(n, dim)`` hear of ``(n, G, dim)`` where ``(n, G)``; zeros where of none."""
        source = self.source(sources).unflatten(-1, (self.heads, self.width))
        target = self.target(nodes).unflatten(-1, (self.heads, self.width))[:, None]
        scores = (functional.leaky_relu(source + target, 0.2) * self.score).sum(-1)
        some = known.any(dim=1, keepdim=True)
        # A softmax over nothing is no number: who has no source weighs all, and then hears none.
        weights = scores.masked_fill(~(known | ~some)[..., None], -math.inf).softmax(dim=1)
        weights = functional.dropout(weights, self.dropout, self.training)
        heard = (weights[..., None] * source).sum(1).flatten(1)
        return torch.where(some, heard, torch.zeros_like(heard))


class HeterogeneousLayer(nn.Module):
    """One round: sectors hear their members, then assets hear one another, sector, documents, macro.

    Each kind of edge has an attention of its own, GATv2, and a map back to the state; what is heard over
    all kinds is added up (as Schlichtkrull et al. 2018, eq. 2, do over relations). A two-layer network
    follows, in which what came over different edges meets. Norms come before, residuals after. No edge
    leads to a document or a macro series. Over a kind without an edge nothing is heard: there is no
    bias on the way.

    Parameters
    ----------
    dim, heads
        Width of a state and heads of each attention.
    n_attributes
        Numbers on an edge between assets.
    dropout
        Dropout while training.
    sectors, documents, macro
        Which kinds of nodes there are beside assets.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        n_attributes: int,
        dropout: float,
        *,
        sectors: bool,
        documents: bool,
        macro: bool,
    ) -> None:
        super().__init__()
        width = math.ceil(dim / heads)
        inner = width * heads

        def attention(**others: int) -> GATv2Conv:
            return GATv2Conv(
                dim,
                width,
                heads=heads,
                dropout=dropout,
                add_self_loops=False,
                bias=False,
                **others,
            )

        kinds = {"assets": True, "sectors": sectors, "documents": documents, "macro": macro}
        there = [kind for kind, wanted in kinds.items() if wanted]
        self.norms = nn.ModuleDict({kind: nn.LayerNorm(dim) for kind in there})
        self.mixes = nn.ModuleDict({kind: nn.Linear(inner, dim, bias=False) for kind in there})
        self.assets = attention(edge_dim=n_attributes)
        if sectors:
            self.members, self.sectors = attention(), attention()
            self.gather = nn.Linear(inner, dim, bias=False)
            self.norm_gathered = nn.LayerNorm(dim)
        if documents:
            self.documents = FewSources(dim, heads, dropout)
        if macro:
            self.macro = FewSources(dim, heads, dropout)
        self.norm_network = nn.LayerNorm(dim)
        self.network = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, nodes: Tensor, edges: Tensor, attributes: Tensor, around: Surroundings
    ) -> tuple[Tensor, Surroundings]:
        """States of assets ``(nodes, dim)`` and what is around them, one round later."""
        normed = self.norms["assets"](nodes)
        heard = {"assets": self.assets(normed, edges, attributes)}
        members = around.members
        if around.sectors is not None and members is not None:
            known = self.members((normed, self.norms["sectors"](around.sectors)), members)
            sectors = around.sectors + self.dropout(self.gather(functional.elu(known)))
            around = around._replace(sectors=sectors)
            heard["sectors"] = self.sectors((self.norm_gathered(sectors), normed), members.flip(0))
        if around.documents is not None and around.written is not None:
            texts = self.norms["documents"](around.documents)
            heard["documents"] = self.documents(normed, texts, around.written)
        if around.macro is not None and around.published is not None:
            sources = self.norms["macro"](around.macro)
            heard["macro"] = self.macro(normed, sources, around.published)
        mixed = [self.mixes[kind](functional.elu(values)) for kind, values in heard.items()]
        nodes = nodes + self.dropout(torch.stack(mixed).sum(0))
        return nodes + self.dropout(self.network(self.norm_network(nodes))), around


class HeterogeneousGNN(nn.Module):
    """Each asset's window read by attention over time, then rounds over the graph of all nodes.

    Assets have no names, so that permuting them permutes the outputs. Sectors have: one the fit knew
    starts from a state of its own, any other from zeros, and both hear their members.

    Parameters
    ----------
    n_features
        Width of a session.
    dim, heads, layers
        Width, heads and depth of the temporal encoder.
    graph_heads, graph_layers
        Heads of each attention over the graph, and number of rounds.
    n_attributes
        Numbers on an edge between assets.
    dropout
        Dropout while training.
    n_sectors
        Sectors known by name; 0 leaves sector nodes out.
    macro_widths
        Columns of each macro node, in the order they lie in ``modalities``; none leaves them out.
    document_width
        Columns of what all documents of an asset say together, one node, which lie after those of the
        macro nodes; 0 leaves it out.
    embedding_width
        Width of documents that come encoded in ``documents``, one node each; 0 leaves them out.
    learned_neighbours
        Sources each asset chooses by itself before the rounds (`LearnedRelation`); 0 for none.
    head
        Kind of `ForecastHead`.
    temporal_attention
        ``False`` averages sessions in place of attention (`CausalMean`).
    """

    def __init__(
        self,
        n_features: int,
        *,
        dim: int,
        heads: int,
        layers: int,
        graph_heads: int,
        graph_layers: int,
        n_attributes: int,
        dropout: float,
        n_sectors: int = 0,
        macro_widths: Sequence[int] = (),
        document_width: int = 0,
        embedding_width: int = 0,
        learned_neighbours: int = 0,
        head: str = "mean",
        temporal_attention: bool = True,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(n_features, dim)
        self.layers = nn.ModuleList(
            EncoderLayer(dim, heads, dropout, attends=temporal_attention) for _ in range(layers)
        )
        self.norm_encoded = nn.LayerNorm(dim)
        self.learned: LearnedRelation | None = None
        if learned_neighbours:
            self.learned = LearnedRelation(dim, learned_neighbours)
        self.n_sectors = n_sectors
        if n_sectors:
            self.sectors = nn.Embedding(n_sectors + 1, dim, padding_idx=0)
        self.macro_widths, self.document_width = list(macro_widths), document_width
        self.macro = nn.ModuleList(nn.Linear(width, dim) for width in self.macro_widths)
        self.embedding_width = embedding_width
        if document_width:
            self.document = nn.Linear(document_width, dim)
        if embedding_width:
            self.embedding = nn.Linear(embedding_width, dim)
        self.rounds = nn.ModuleList(
            HeterogeneousLayer(
                dim,
                graph_heads,
                n_attributes,
                dropout,
                sectors=n_sectors > 0,
                documents=document_width + embedding_width > 0,
                macro=len(self.macro_widths) > 0,
            )
            for _ in range(graph_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = ForecastHead(dim, head)

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node; reads ``windows``, ``edges``, ``attributes`` and what is around."""
        nodes = self.encode(inputs.windows, last_only=True)[:, 0]
        if self.learned is not None:
            nodes = self.learned(nodes, inputs.date)
        around = self._around(inputs)
        for layer in self.rounds:
            nodes, around = layer(nodes, inputs.edges, inputs.attributes, around)
        found: Outputs = self.head(self.norm(nodes))
        return found

    def encode(self, windows: Tensor, *, last_only: bool = False) -> Tensor:
        """Tokens of ``(B, L, F)`` after the temporal layers; the last alone where that is asked."""
        tokens: Tensor = self.embed(windows)
        tokens = tokens + sinusoidal_positions(windows.shape[1], tokens.shape[-1]).to(windows)
        for layer in self.layers[:-1]:
            tokens = layer(tokens)
        return self.norm_encoded(self.layers[-1](tokens, last_only=last_only))

    def _around(self, inputs: Inputs) -> Surroundings:
        around = Surroundings()
        if self.n_sectors:
            number = torch.where(inputs.sectors <= self.n_sectors, inputs.sectors, 0)
            around = around._replace(sectors=self.sectors(number), members=inputs.members)
        macro, documents = self._known(inputs)
        if macro:
            states = [embed(part) for embed, (part, _) in zip(self.macro, macro, strict=True)]
            around = around._replace(
                macro=torch.stack(states, dim=1),
                published=torch.cat([there for _, there in macro], dim=1),
            )
        nodes = [self.document(part)[:, None] for part, _ in documents]
        written = [there for _, there in documents]
        if self.embedding_width:
            nodes.append(self.embedding(inputs.documents)[inputs.document])
            written.append(inputs.document > 0)
        if nodes:
            around = around._replace(documents=torch.cat(nodes, 1), written=torch.cat(written, 1))
        return around

    def _known(self, inputs: Inputs) -> tuple[list[tuple[Tensor, Tensor]], ...]:
        """Columns of each macro node, and of the document node, with whether they are there.

        What stands where nothing is known is filled in, so that it cannot even reach a gradient.
        """
        widths = [*self.macro_widths, *([self.document_width] if self.document_width else [])]
        if not widths:
            return [], []
        found = []
        for place, part in enumerate(inputs.modalities.split(widths, dim=-1)):
            there = inputs.available[:, [place]]
            found.append((torch.where(there, part, torch.zeros_like(part)), there))
        n_macro = len(self.macro_widths)
        return found[:n_macro], found[n_macro:]
