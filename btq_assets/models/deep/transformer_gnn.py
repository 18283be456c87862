"""The Transformer-GNN as a forecaster.

Belongs here: its specification. Does not belong here: the torch module
(`networks.transformer_gnn`), and what all networks share (`windowed`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from btq_assets.models.arrays import PanelArrays
from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import WindowedForecaster
from btq_assets.models.design import Standardiser
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import ModelError
from btq_assets.models.text.documents import require_documents, texts_of
from btq_assets.models.text.reading import TextReading
from btq_assets.models.text.spec import TextSpec
from btq_assets.models.windows import modalities, session_calendar
from btq_assets.models.windows.samples import DateSamples

if TYPE_CHECKING:
    from torch import Tensor, nn

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
    temporal_attention
        ``False`` weighs all sessions alike: what attention over time is worth, seen without it.
    calendar
        Whether tokens know what the calendar says of their session.
    modalities
        Names of `windows.modalities.MODALITIES`. Their columns leave the tokens and are fused, at the
        decision alone, with the encoded window; a modality without a column is left out. ``text``
        reads the column ``documents`` of the panel; where the training segment has no document, it is
        left out.
    text
        How documents are read.
    graph_memory
        Whether each asset has a memory besides, written session by session along the graph of the
        decision (`networks.graph_memory`).
    time_dim
        Width of its time encoding.
    """

    model_dim: int = 32
    num_heads: int = 4
    num_layers: int = 1
    graph_heads: int = 2
    use_graph: bool = True
    positions: str = "sinusoidal"
    temporal_attention: bool = True
    calendar: bool = False
    modalities: tuple[str, ...] = ()
    text: TextSpec = field(default_factory=TextSpec)
    graph_memory: bool = False
    time_dim: int = 8

    def __post_init__(self) -> None:
        """Refuse positions, relations and modalities there are none of."""
        super().__post_init__()
        if isinstance(self.text, dict):  # as read from a file
            object.__setattr__(self, "text", TextSpec(**self.text))
        if self.positions not in ("sinusoidal", "rotary"):
            raise ModelError(f"positions are sinusoidal or rotary, not {self.positions!r}")
        for name in self.modalities:
            modalities.columns_of(name)


class TransformerGNNForecaster(WindowedForecaster[TransformerGNNSpec]):
    """Temporal self-attention per asset, then graph attention over a trailing relation graph."""

    family: ClassVar[str] = "transformer_gnn"
    spec_type: ClassVar[type[WindowedSpec]] = TransformerGNNSpec
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torch-geometric", "numpy")

    #: How it reads documents; ``None`` where it reads none.
    _text: TextReading | None = None
    _n_texts = 0

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.transformer_gnn import TransformerGNN

        widths = [len(places) for places in self._groups().values()]
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
            temporal_attention=self.spec.temporal_attention,
            n_calendar=len(session_calendar.NAMES) if self.spec.calendar else 0,
            modality_widths=widths,
            head=self.spec.head,
            text=None if self._text is None else self._text.module(self.spec.model_dim),
            memory_time_dim=self.spec.time_dim if self.spec.graph_memory else 0,
        )

    @property
    def reads_documents(self) -> bool:
        """Whether the fit had documents to learn to read; before it, whether it is to read any."""
        if self._network is None:
            return "text" in self.spec.modalities
        return self._text is not None

    @property
    def history_sessions(self) -> int:
        """Sessions before a decision that windows, graphs and gaps between sessions reach back."""
        windows = self.spec.lookback_sessions if self.spec.calendar else 0
        return max(super().history_sessions, windows)

    def _groups(self) -> dict[str, list[int]]:
        """Places of each modality among the features."""
        return modalities.groups_of(self._features, self.spec.modalities)

    def _prepare(self, training_set: TrainingSet) -> None:
        # A vocabulary of our own is fitted on the documents of the training segment alone.
        self._text, self._n_texts = None, 0
        if "text" not in self.spec.modalities:
            return
        inside = pl.col("ts").is_between(*training_set.train)
        if "is_decision" in training_set.panel.columns:
            inside &= pl.col("is_decision")
        texts = texts_of(training_set.panel.filter(inside))
        if any(text.strip() for text in texts):
            self._n_texts = len(texts)
            self._text = TextReading.begin(
                self.spec.text, texts, until=training_set.cutoff, dropout=self.spec.dropout
            )

    def _told(self) -> dict[str, Any]:
        if "text" not in self.spec.modalities:
            return {}
        if self._text is None:
            return {"training_texts": 0}
        until = self._text.encoder.known_until
        return {
            "training_texts": self._n_texts,
            **self._text.counts(self._fitted()[0]),
            "text_weights_known_until": "not said" if until is None else str(until),
        }

    def _beside(self, windows: WindowSource, arrays: PanelArrays) -> WindowSource:
        if self._text is None:
            return windows
        from btq_assets.models.windows.documents import WithDocuments

        assert arrays.documents is not None
        return WithDocuments(
            windows,
            arrays.documents,
            self._text.contents(arrays.documents.texts, self.device),
            self.spec.text.documents,
            self._batches_on or self.device,
        )

    def dates_of(self, panel: pl.DataFrame) -> tuple[PanelArrays, WindowSource, list[DateSamples]]:
        """What the network reads of the decision dates of `panel`; see `WindowedForecaster`."""
        if self._text is not None:
            require_documents(panel, f"forecasting with {self.family}")
        return super().dates_of(panel)

    def _write_beside(self, folder: Path, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return weights if self._text is None else self._text.write(folder, weights)

    def _read_beside(self, folder: Path) -> None:
        if "text" in self.spec.modalities:
            self._text = TextReading.read(folder, self.spec.text)

    def _weights_beside(self, folder: Path, network: nn.Module) -> dict[str, Tensor]:
        if self._text is None:
            return {}
        return self._text.weights(folder, network.get_submodule("text"))  # type: ignore[arg-type]

    def _layers(self, arrays: PanelArrays, scaler: Standardiser) -> dict[str, np.ndarray]:
        layers = super()._layers(arrays, scaler)
        if self.spec.calendar:
            layers["calendar"] = session_calendar.encodings(arrays.ts)
        return layers
