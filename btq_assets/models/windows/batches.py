"""Dates side by side as tensors.

Belongs here: laying samples out for a network. Does not belong here: where arrays come from, losses.
Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from btq_assets.models.windows.inputs import Inputs
from btq_assets.models.windows.plain import side_by_side
from btq_assets.models.windows.samples import DateSamples, sector_nodes


@dataclass(frozen=True)
class Batch:
    """Several dates as one graph without edges between dates.

    Parameters
    ----------
    inputs
        What the network reads.
    target
        ``(nodes, H)``; NaN where unknown.
    weight
        ``(nodes,)`` weight of each node's loss.
    n_dates
        Number of dates.
    """

    inputs: Inputs
    target: Tensor
    weight: Tensor
    n_dates: int

    def to(self, device: str | torch.device, *, non_blocking: bool = False) -> Batch:
        """The batch on another device."""
        return Batch(
            Inputs(*(part.to(device, non_blocking=non_blocking) for part in self.inputs)),
            self.target.to(device, non_blocking=non_blocking),
            self.weight.to(device, non_blocking=non_blocking),
            self.n_dates,
        )

    def pinned(self) -> Batch:
        """The batch in memory that a GPU copies from without the processor."""
        return Batch(
            Inputs(*(part.pin_memory() for part in self.inputs)),
            self.target.pin_memory(),
            self.weight.pin_memory(),
            self.n_dates,
        )


class WindowSource(Protocol):
    """Where batches come from: arrays in memory, or files of any size."""

    @property
    def n_features(self) -> int:
        """Features of a session."""

    def collate(self, samples: Sequence[DateSamples]) -> Batch:
        """Put dates side by side."""


class Read(NamedTuple):
    """What a source finds of nodes in its own arrays; see `Inputs`."""

    windows: Tensor
    observed: Tensor
    calendar: Tensor
    modalities: Tensor
    available: Tensor


class Windows(ABC):
    """What sources share: dates side by side. A subclass says what it finds of a node.

    Parameters
    ----------
    n_assets, n_features
        Assets of the panel and features of a session.
    device
        Where the tensors live.
    """

    def __init__(self, n_assets: int, n_features: int, device: str) -> None:
        self.n_assets = n_assets
        self.n_features = n_features
        self.device = device

    @abstractmethod
    def _read(self, session: np.ndarray, asset: np.ndarray) -> Read:
        """Windows and what surrounds them, of each pair of a session and an asset."""

    def collate(self, samples: Sequence[DateSamples]) -> Batch:
        """Put dates side by side; node numbers of each are shifted past those before it."""
        nodes = side_by_side(samples, self.n_assets)
        read = self._read(nodes.session, nodes.asset)
        sectors, members = sector_nodes(samples)
        weights = [
            np.ones(len(sample.assets)) if sample.weight is None else sample.weight
            for sample in samples
        ]
        return Batch(
            inputs=Inputs(
                windows=read.windows,
                observed=read.observed,
                calendar=read.calendar,
                edges=tensor(nodes.edges, self.device),
                attributes=tensor(nodes.attributes, self.device),
                date=tensor(nodes.date, self.device),
                asset=tensor(nodes.asset, self.device),
                modalities=read.modalities,
                available=read.available,
                sectors=tensor(sectors, self.device),
                members=tensor(members, self.device),
            ),
            target=tensor(_float32([sample.target for sample in samples]), self.device),
            weight=tensor(_float32(weights), self.device),
            n_dates=len(samples),
        )


class ArrayWindows(Windows):
    """Windows over arrays in memory.

    Parameters
    ----------
    features
        ``(T, N, F)`` float32, standardised, 0 where missing.
    present
        ``(T, N)`` bool, whether the asset has a row in the session.
    lookback
        Sessions of a window. Sessions before the first one are zeros, the mean of a standardised
        feature, and count as not observed.
    calendar
        ``(T, C)`` float32, or ``None``.
    modalities
        ``(T, N, M)`` float32, standardised, 0 where missing, or ``None``.
    available
        ``(T, N, K)`` bool, or ``None``.
    device
        Where the tensors live.
    """

    def __init__(
        self,
        features: np.ndarray,
        present: np.ndarray,
        lookback: int,
        *,
        calendar: np.ndarray | None = None,
        modalities: np.ndarray | None = None,
        available: np.ndarray | None = None,
        device: str = "cpu",
    ) -> None:
        n_sessions, n_assets = present.shape
        super().__init__(n_assets, features.shape[2], device)
        self._windows = _trailing(features.astype(np.float32, copy=False), lookback, device)
        self._observed = _trailing(present, lookback, device)
        none = np.zeros((n_sessions, 0), dtype=np.float32)
        self._calendar = _trailing(none if calendar is None else calendar, lookback, device)
        wide = (n_sessions, n_assets, 0)
        self._modalities = tensor(
            np.zeros(wide, dtype=np.float32) if modalities is None else modalities, device
        )
        self._available = tensor(
            np.zeros(wide, dtype=bool) if available is None else available, device
        )

    def _read(self, session: np.ndarray, asset: np.ndarray) -> Read:
        at, of = tensor(session, self.device), tensor(asset, self.device)
        return Read(
            windows=self._windows[at, of].transpose(1, 2).contiguous(),
            observed=self._observed[at, of],
            calendar=self._calendar[at].transpose(1, 2).contiguous(),
            modalities=self._modalities[at, of],
            available=self._available[at, of],
        )


def in_order(
    source: WindowSource, samples: Sequence[DateSamples], size: int = 64
) -> Iterator[Batch]:
    """Dates in order, `size` at a time."""
    for start in range(0, len(samples), size):
        batch = source.collate(samples[start : start + size])
        announce(source, samples[start + size : start + 2 * size])
        yield batch


def announce(source: WindowSource, samples: Sequence[DateSamples] | None) -> None:
    """Tell a source that lays batches out ahead (`prefetch`) which one comes next."""
    prepare = getattr(source, "prepare", None)
    if prepare is not None and samples:
        prepare(samples)


def _trailing(values: np.ndarray, lookback: int, device: str) -> Tensor:
    """``(T, ...)`` as a ``(T, ..., lookback)`` view of trailing windows; zeros before the first."""
    before = np.zeros((lookback - 1, *values.shape[1:]), dtype=values.dtype)
    return tensor(np.concatenate([before, values]), device).unfold(0, lookback, 1)


def tensor(values: np.ndarray, device: str) -> Tensor:
    """The array as a tensor on a device."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)


def _float32(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.float32)
