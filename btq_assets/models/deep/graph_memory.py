"""The temporal graph network as a forecaster.

Belongs here: its specification. Does not belong here: the torch module (`networks.graph_memory`),
and what all networks share (`windowed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import WindowedForecaster
from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TGNSpec(WindowedSpec):
    """Configuration of one fit; see `config.TGNSection`.

    Parameters
    ----------
    model_dim, graph_heads
        Width of the memory and heads of the attention over it.
    time_dim
        Width of the time encoding.
    use_graph
        ``False`` leaves each asset its own events alone.
    """

    model_dim: int = 32
    graph_heads: int = 2
    time_dim: int = 8
    use_graph: bool = True

    def __post_init__(self) -> None:
        """Refuse relations there are none of, and the learned one."""
        super().__post_init__()
        if "learned" in self.relations:
            raise ModelError(
                "tgn hears along measured edges alone; take 'learned' out of its relations, or use "
                "gat or transformer_gnn"
            )


class TGNForecaster(WindowedForecaster[TGNSpec]):
    """A memory per asset, written session by session along the relation graph (Rossi et al. 2020)."""

    family: ClassVar[str] = "tgn"
    spec_type: ClassVar[type[WindowedSpec]] = TGNSpec
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torch-geometric", "numpy")

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.graph_memory import TGN

        return TGN(
            n_features,
            dim=self.spec.model_dim,
            heads=self.spec.graph_heads,
            time_dim=self.spec.time_dim,
            n_attributes=self.spec.n_attributes,
            dropout=self.spec.dropout,
            head=self.spec.head,
        )
