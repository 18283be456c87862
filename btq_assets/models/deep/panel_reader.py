"""What a network reads of a panel: windows, graphs and targets of its dates.

Belongs here: from rows to arrays and samples, for fitting and for forecasting alike. Does not belong
here: what a fit leaves behind (`fitted_network`), fitting and forecasting (`windowed`), batches
(`windows`). torch is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.models import design
from btq_assets.models.arrays import PanelArrays
from btq_assets.models.deep.fitted_network import FittedNetwork, Spec
from btq_assets.models.forecaster import ModelError, require_columns
from btq_assets.models.graph import DateGraph, relation_graph
from btq_assets.models.windows import modalities
from btq_assets.models.windows.plain import PlainWindows
from btq_assets.models.windows.samples import DateSamples, loops

if TYPE_CHECKING:
    from btq_assets.models.windows.batches import WindowSource


class PanelReader(FittedNetwork[Spec]):
    """A network with the way from a panel to its inputs; a subclass adds what else it reads.

    Features are standardised per column, by the scaler of the fit. A missing value, and a session
    before the panel starts, is the mean.
    """

    @property
    def history_sessions(self) -> int:
        """Sessions before a decision that windows and graphs reach back."""
        graph = self.spec.graph_window_sessions if self.spec.use_graph else 1
        return max(self.spec.lookback_sessions, graph) - 1

    def dates_of(self, panel: pl.DataFrame) -> tuple[PanelArrays, WindowSource, list[DateSamples]]:
        """What the network reads of the decision dates of `panel`: arrays, windows, one sample each.

        Raises
        ------
        MissingFeatureError
            `panel` lacks a column the model was fitted on.
        """
        _, scaler = self._fitted()
        arrays, samples = self.decisions_of(panel)
        return arrays, self._source(arrays, scaler), samples

    def decisions_of(self, panel: pl.DataFrame) -> tuple[PanelArrays, list[DateSamples]]:
        """The panel as arrays, and one sample for each of its decision dates; see `dates_of`."""
        require_columns(panel, self._features, f"forecasting with {self.family}")
        arrays = PanelArrays.from_panel(panel, self._features)
        sessions = np.flatnonzero(arrays.decides.any(axis=1))
        return arrays, [self._sample(arrays, int(session)) for session in sessions]

    def plain_windows(self, arrays: PanelArrays, samples: Sequence[DateSamples]) -> PlainWindows:
        """What `dates_of` reads of the decisions of a panel, as numpy arrays."""
        _, scaler = self._fitted()
        lookback = self.spec.lookback_sessions
        first = min((sample.session for sample in samples), default=0) - lookback
        return PlainWindows(
            # One session more than a window has, for its distance to the first one of it.
            self._layers(arrays.since(max(first, 0)), scaler),
            lookback,
            max(first, 0),
        )

    def _source(self, arrays: PanelArrays, scaler: design.Standardiser) -> WindowSource:
        from btq_assets.models.windows.batches import ArrayWindows

        windows = ArrayWindows(
            **self._layers(arrays, scaler),
            lookback=self.spec.lookback_sessions,
            device=self._batches_on or self.device,
        )
        return self._beside(windows, arrays)

    def _beside(self, windows: WindowSource, arrays: PanelArrays) -> WindowSource:
        """The windows with what else a network reads of a node, which is no feature."""
        return windows

    def _layers(self, arrays: PanelArrays, scaler: design.Standardiser) -> dict[str, np.ndarray]:
        """The arrays that windows are cut from, by parameter of `ArrayWindows`."""
        values = scaler.apply(arrays.features).astype(np.float32)
        groups = self._groups()
        if not groups:
            return {"features": values, "present": arrays.present}
        fused = [place for places in groups.values() for place in places]
        return {
            "features": np.delete(values, fused, axis=2),
            "present": arrays.present,
            "modalities": values[..., fused],
            "available": modalities.available(arrays.features, groups),
        }

    def _groups(self) -> dict[str, list[int]]:
        """Places among the features that are read at the decision alone, by what they are of."""
        return {}

    def _sectors_at(
        self, arrays: PanelArrays, session: int, assets: np.ndarray
    ) -> np.ndarray | None:
        """Number of each asset's sector, for a network with nodes for sectors."""
        return None

    def _samples(self, arrays: PanelArrays, rows: pl.DataFrame) -> list[DateSamples]:
        """One sample per labelled date of `rows`."""
        if self.spec.relative:
            target = arrays.place(rows, design.relative_target(rows))
        else:
            target = arrays.place(rows, rows["label"].to_numpy() / self._unit)
        labelled = np.flatnonzero(np.isfinite(target).any(axis=1))
        if len(labelled) == 0:
            raise ModelError("no date has two different labels, so there is nothing to rank")
        given = design.sample_weights(rows)
        weight = None if given is None else np.nan_to_num(arrays.place(rows, given))
        return [
            self._sample(
                arrays, int(session), target[session], None if weight is None else weight[session]
            )
            for session in labelled
        ]

    def _sample(
        self,
        arrays: PanelArrays,
        session: int,
        target: np.ndarray | None = None,
        weight: np.ndarray | None = None,
    ) -> DateSamples:
        assets = np.flatnonzero(arrays.present[session])
        unknown = np.full(len(assets), np.nan)
        found = unknown if target is None else target[assets]
        graph = self._graph(arrays, session, assets)
        own = None if weight is None else weight[assets]
        sectors = self._sectors_at(arrays, session, assets)
        return DateSamples(session, graph, assets, found[:, None], own, sectors)

    def _graph(self, arrays: PanelArrays, session: int, assets: np.ndarray) -> DateGraph:
        """Relations of a date, from returns up to and including it."""
        if not self.spec.use_graph:
            return loops(assets, self.spec.n_attributes)
        return relation_graph(
            arrays.returns,
            arrays.present,
            session,
            window=self.spec.graph_window_sessions,
            neighbours=self.spec.graph_neighbours,
            horizon_sessions=self.spec.horizon_sessions,
            relations=self.spec.relations,
            sectors=arrays.sectors,
            typed=self.spec.typed_edges,
        )
