"""Batches as plain arrays, for who runs a network without torch.

Belongs here: dates side by side, and the windows of their assets, in numpy. Does not belong here: what
is done with them; the tensors that networks are trained on (`batches`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from btq_assets.models.windows.samples import DateSamples, sector_nodes


@dataclass(frozen=True)
class Nodes:
    """Assets of several dates as nodes of one graph without edges between dates.

    Parameters
    ----------
    session, asset, date
        ``(nodes,)`` int64: session and asset of each node, and number of its date, 0 first.
    edges
        ``(2, E)`` int64.
    attributes
        ``(E, A)`` float32.
    """

    session: np.ndarray
    asset: np.ndarray
    date: np.ndarray
    edges: np.ndarray
    attributes: np.ndarray


def side_by_side(samples: Sequence[DateSamples], n_assets: int) -> Nodes:
    """Dates side by side; node numbers of each are shifted past those before it.

    Parameters
    ----------
    samples
        One or more dates.
    n_assets
        Assets of the panel.
    """
    sizes = [len(sample.assets) for sample in samples]
    edges, offset = [], 0
    for sample, n in zip(samples, sizes, strict=True):
        local = np.zeros(n_assets, dtype=np.int64)
        local[sample.assets] = np.arange(n) + offset
        edges.append(local[sample.graph.edges])
        offset += n
    return Nodes(
        session=np.repeat([sample.session for sample in samples], sizes),
        asset=np.concatenate([sample.assets for sample in samples]),
        date=np.repeat(np.arange(len(samples)), sizes),
        edges=np.concatenate(edges, axis=1),
        attributes=np.concatenate([sample.graph.attributes for sample in samples]),
    )


class PlainWindows:
    """The inputs that `batches.ArrayWindows` gives, as numpy arrays and only those asked for.

    Parameters
    ----------
    layers
        What `ArrayWindows` is made of, by parameter.
    lookback
        Sessions of a window.
    first
        Session of the panel that the arrays start with.
    """

    def __init__(self, layers: Mapping[str, np.ndarray], lookback: int, first: int = 0) -> None:
        self._layers, self._lookback, self._first = layers, lookback, first

    def inputs(
        self, samples: Sequence[DateSamples], fields: Collection[str]
    ) -> dict[str, np.ndarray]:
        """Fields of `windows.inputs.Inputs` by name, of dates side by side.

        Parameters
        ----------
        samples
            One or more dates.
        fields
            Which ones; documents are none of them.
        """
        layers, n_assets = self._layers, self._layers["present"].shape[1]
        nodes = side_by_side(samples, n_assets)
        at, of = nodes.session - self._first, nodes.asset
        nothing = np.zeros((len(at), 0), dtype=np.float32)
        sectors, members = (
            sector_nodes(samples) if {"sectors", "members"} & set(fields) else (None, None)
        )
        made = {
            "windows": lambda: self._windows(layers["features"], samples),
            "observed": lambda: self._windows(layers["present"], samples),
            "calendar": lambda: self._calendar(at),
            "modalities": lambda: (
                layers["modalities"][at, of] if "modalities" in layers else nothing
            ),
            "available": lambda: (
                layers["available"][at, of] if "available" in layers else nothing.astype(bool)
            ),
            "edges": lambda: nodes.edges,
            "attributes": lambda: nodes.attributes,
            "date": lambda: nodes.date,
            "asset": lambda: nodes.asset,
            "sectors": lambda: sectors,
            "members": lambda: members,
        }
        return {field: np.ascontiguousarray(made[field]()) for field in fields}

    def _windows(self, values: np.ndarray, samples: Sequence[DateSamples]) -> np.ndarray:
        """``(T, N, ...)`` as ``(nodes, L, ...)``; zeros before the first session."""
        parts = []
        for sample in samples:
            end = sample.session - self._first + 1
            part = values[max(end - self._lookback, 0) : end][:, sample.assets]
            short = self._lookback - len(part)
            if short:
                part = np.concatenate([np.zeros((short, *part.shape[1:]), part.dtype), part])
            parts.append(part.swapaxes(0, 1))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _calendar(self, at: np.ndarray) -> np.ndarray:
        values = self._layers.get("calendar")
        if values is None:
            return np.zeros((len(at), self._lookback, 0), dtype=np.float32)
        before = np.zeros((self._lookback - 1, values.shape[1]), dtype=values.dtype)
        padded = np.concatenate([before, values])
        return padded[at[:, None] + np.arange(self._lookback)]
