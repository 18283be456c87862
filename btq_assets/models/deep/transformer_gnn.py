"""The Transformer-GNN as a forecaster.

Belongs here: its specification. Does not belong here: the torch module
(`networks.transformer_gnn`), and what all networks share (`windowed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from btq_assets.models.arrays import PanelArrays
from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import WindowedForecaster
from btq_assets.models.design import Standardiser
from btq_assets.models.forecaster import ModelError
from btq_assets.models.windows import modalities, session_calendar

if TYPE_CHECKING:
    from torch import nn

    from btq_assets.models.windows.batches import WindowSource


@dataclass(frozen=True, kw_only=True)
class TransformerGNNSpec(WindowedSpec):
    """Configuration of one fit; see `config.TransformerSection`.

    Parameters
    ----------
    model_dim, num_heads, num_layers
        Width, heads and depth of the temporal encoder.
    graph_heads
        Heads of the graph attention.
    positions
        ``sinusoidal``, added to the tokens, or ``rotary``, in the attention.
    calendar
        Whether tokens know what the calendar says of their session.
    modalities
        Names of `windows.modalities.MODALITIES`. Their columns leave the tokens and are fused, at the
        decision alone, with the encoded window; a modality without a column is left out.
    """

    model_dim: int = 32
    num_heads: int = 4
    num_layers: int = 1
    graph_heads: int = 2
    use_graph: bool = True
    positions: str = "sinusoidal"
    calendar: bool = False
    modalities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse positions, relations and modalities there are none of."""
        super().__post_init__()
        if self.positions not in ("sinusoidal", "rotary"):
            raise ModelError(f"positions are sinusoidal or rotary, not {self.positions!r}")
        for name in self.modalities:
            modalities.columns_of(name)


class TransformerGNNForecaster(WindowedForecaster[TransformerGNNSpec]):
    """Temporal self-attention per asset, then graph attention over a trailing relation graph."""

    family: ClassVar[str] = "transformer_gnn"
    spec_type: ClassVar[type[WindowedSpec]] = TransformerGNNSpec
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torch-geometric", "numpy")

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.transformer_gnn import TransformerGNN

        widths = [len(places) for places in self._modalities().values()]
        if n_features == sum(widths):
            raise ModelError(
                f"all {n_features} features of {self.family} are of the modalities "
                f"{', '.join(self.spec.modalities)}; sessions need features of their own"
            )
        return TransformerGNN(
            n_features - sum(widths),
            dim=self.spec.model_dim,
            heads=self.spec.num_heads,
            layers=self.spec.num_layers,
            graph_heads=self.spec.graph_heads,
            dropout=self.spec.dropout,
            use_graph=self.spec.use_graph,
            n_attributes=self.spec.n_attributes,
            learned_neighbours=self.spec.learned_neighbours,
            rotary=self.spec.positions == "rotary",
            n_calendar=len(session_calendar.NAMES) if self.spec.calendar else 0,
            modality_widths=widths,
            head=self.spec.head,
        )

    @property
    def history_sessions(self) -> int:
        """Sessions before a decision that windows, graphs and gaps between sessions reach back."""
        windows = self.spec.lookback_sessions if self.spec.calendar else 0
        return max(super().history_sessions, windows)

    def _modalities(self) -> dict[str, list[int]]:
        """Places of each modality among the features."""
        return modalities.groups_of(self._features, self.spec.modalities)

    def _source(self, arrays: PanelArrays, scaler: Standardiser) -> WindowSource:
        groups = self._modalities()
        if not groups and not self.spec.calendar:
            return super()._source(arrays, scaler)
        from btq_assets.models.windows.batches import ArrayWindows

        values = scaler.apply(arrays.features).astype(np.float32)
        fused = [place for places in groups.values() for place in places]
        return ArrayWindows(
            np.delete(values, fused, axis=2),
            arrays.present,
            self.spec.lookback_sessions,
            calendar=session_calendar.encodings(arrays.ts) if self.spec.calendar else None,
            modalities=values[..., fused],
            available=modalities.available(arrays.features, groups),
            device=self.device,
        )
