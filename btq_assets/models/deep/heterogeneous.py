"""The heterogeneous graph as a forecaster.

Belongs here: its specification, the sectors a fit knows, which columns are of which node. Does not
belong here: the torch module (`networks.heterogeneous`), and what all networks share (`windowed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from btq_assets.models.arrays import PanelArrays
from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import WindowedForecaster
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import ModelError
from btq_assets.models.windows import modalities

if TYPE_CHECKING:
    from torch import nn

#: Kinds of nodes beside assets.
NODE_TYPES = ("sector", "document", "macro")


@dataclass(frozen=True, kw_only=True)
class HeterogeneousSpec(WindowedSpec):
    """Configuration of one fit; see `config.HeterogeneousSection`.

    Parameters
    ----------
    model_dim, num_heads, num_layers
        Width, heads and depth of the encoder of each asset's window.
    graph_layers, graph_heads
        Rounds over the graph, and heads of each of its attentions.
    temporal_attention
        ``False`` weighs all sessions alike.
    node_types
        Kinds of nodes beside assets, some of `NODE_TYPES`. One without anything to stand on (no sector
        in the panel, no column of documents or of macro series) is left out.
    """

    model_dim: int = 32
    num_heads: int = 4
    num_layers: int = 1
    graph_layers: int = 2
    graph_heads: int = 2
    use_graph: bool = True
    temporal_attention: bool = True
    node_types: tuple[str, ...] = NODE_TYPES

    def __post_init__(self) -> None:
        """Refuse relations and kinds of nodes there are none of."""
        super().__post_init__()
        unknown = sorted(set(self.node_types) - set(NODE_TYPES))
        if unknown:
            raise ModelError(
                f"there is no kind of node {unknown[0]!r}; there are {', '.join(NODE_TYPES)}"
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities whose columns are nodes, for who chooses the columns it is given."""
        of_nodes = {"macro": "macro", "document": "sentiment"}
        return tuple(name for kind, name in of_nodes.items() if kind in self.node_types)


class HeterogeneousForecaster(WindowedForecaster[HeterogeneousSpec]):
    """Assets, sectors, documents and macro series as nodes of one graph."""

    family: ClassVar[str] = "hetero_gnn"
    spec_type: ClassVar[type[WindowedSpec]] = HeterogeneousSpec
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torch-geometric", "numpy")

    #: Sectors of the training segment, by name; node ``k`` is the ``k + 1``-th.
    _sectors: tuple[str, ...] = ()

    def _prepare(self, training_set: TrainingSet) -> None:
        # Sectors of the training segment, by name.
        self._sectors = ()
        if "sector" in self.spec.node_types and "sector" in training_set.panel.columns:
            segment = training_set.panel.filter(pl.col("ts").is_between(*training_set.train))
            named = segment["sector"].cast(pl.String).drop_nulls().unique().sort()
            self._sectors = tuple(named.to_list())

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.heterogeneous import HeterogeneousGNN

        groups = self._groups()
        document = len(groups.pop(modalities.DOCUMENT, []))
        widths = [len(places) for places in groups.values()]
        fused = sum(widths) + document
        if n_features == fused:
            raise ModelError(
                f"all {n_features} features of {self.family} are of macro or document nodes; "
                "sessions need features of their own"
            )
        spec = self.spec
        return HeterogeneousGNN(
            n_features - fused,
            dim=spec.model_dim,
            heads=spec.num_heads,
            layers=spec.num_layers,
            graph_heads=spec.graph_heads,
            graph_layers=spec.graph_layers,
            n_attributes=spec.n_attributes,
            dropout=spec.dropout,
            n_sectors=len(self._sectors),
            macro_widths=widths,
            document_width=document,
            learned_neighbours=spec.learned_neighbours,
            head=spec.head,
            temporal_attention=spec.temporal_attention,
        )

    def _groups(self) -> dict[str, list[int]]:
        """Columns of each macro series, then those of documents."""
        groups: dict[str, list[int]] = {}
        if "macro" in self.spec.node_types:
            groups |= modalities.series_of(self._features)
        if "document" in self.spec.node_types:
            groups |= modalities.documents_of(self._features)
        return groups

    def _sectors_at(
        self, arrays: PanelArrays, session: int, assets: np.ndarray
    ) -> np.ndarray | None:
        """Number of each asset's sector: those of the fit first, then others, -1 where not known."""
        if not self._sectors or arrays.sectors is None:
            return None
        known = {name: place for place, name in enumerate(self._sectors, start=1)}
        beyond = len(self._sectors)
        number = np.array(
            [-1, *(known.get(name, beyond + k) for k, name in enumerate(arrays.sector_names, 1))]
        )
        return number[np.maximum(arrays.sectors[session, assets], 0)]

    def _kept(self) -> dict[str, Any]:
        return {"sectors": list(self._sectors)}

    def _restore(self, extra: Mapping[str, Any]) -> None:
        self._sectors = tuple(extra["sectors"])
