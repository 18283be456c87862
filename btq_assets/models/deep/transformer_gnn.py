"""The Transformer-GNN as a forecaster.

Belongs here: its specification. Does not belong here: the torch module
(`networks.transformer_gnn`), and what all networks share (`windowed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import WindowedForecaster

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TransformerGNNSpec(WindowedSpec):
    """Configuration of one fit; see `config.TransformerSection`.

    Parameters
    ----------
    model_dim, num_heads, num_layers
        Width, heads and depth of the temporal encoder.
    graph_heads
        Heads of the graph attention.
    """

    model_dim: int = 32
    num_heads: int = 4
    num_layers: int = 1
    graph_heads: int = 2
    use_graph: bool = True


class TransformerGNNForecaster(WindowedForecaster[TransformerGNNSpec]):
    """Temporal self-attention per asset, then graph attention over a trailing relation graph."""

    family: ClassVar[str] = "transformer_gnn"
    spec_type: ClassVar[type[WindowedSpec]] = TransformerGNNSpec
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torch-geometric", "numpy")

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.transformer_gnn import TransformerGNN

        return TransformerGNN(
            n_features,
            dim=self.spec.model_dim,
            heads=self.spec.num_heads,
            layers=self.spec.num_layers,
            graph_heads=self.spec.graph_heads,
            dropout=self.spec.dropout,
            use_graph=self.spec.use_graph,
            n_attributes=self.spec.n_attributes,
            learned_neighbours=self.spec.learned_neighbours,
            head=self.spec.head,
        )
