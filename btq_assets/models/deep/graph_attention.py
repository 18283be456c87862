"""Graph attention alone as a forecaster.

Belongs here: its specification. Does not belong here: the torch module
(`networks.graph_attention`), and what all networks share (`windowed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import WindowedForecaster

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class GATSpec(WindowedSpec):
    """Configuration of one fit; see `config.GATSection`.

    Parameters
    ----------
    model_dim, num_layers, graph_heads
        Width, number and heads of the graph layers.
    use_graph
        ``False`` leaves each asset the loop to itself alone.
    """

    model_dim: int = 32
    num_layers: int = 2
    graph_heads: int = 2
    use_graph: bool = True


class GATForecaster(WindowedForecaster[GATSpec]):
    """Graph attention over a trailing relation graph, each window read at once."""

    family: ClassVar[str] = "gat"
    spec_type: ClassVar[type[WindowedSpec]] = GATSpec
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torch-geometric", "numpy")

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.graph_attention import GAT

        return GAT(
            n_features,
            self.spec.lookback_sessions,
            dim=self.spec.model_dim,
            layers=self.spec.num_layers,
            heads=self.spec.graph_heads,
            n_attributes=self.spec.n_attributes,
            dropout=self.spec.dropout,
            learned_neighbours=self.spec.learned_neighbours,
            head=self.spec.head,
        )
