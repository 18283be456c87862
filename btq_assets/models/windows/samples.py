"""One date as a sample: which assets it has, how they are related, what is to be forecast.

Belongs here: the sample and how it is cut out of a panel, in plain numpy. Does not belong here:
tensors (`batches`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from btq_assets.models.graph import DateGraph


@dataclass(frozen=True)
class DateSamples:
    """Everything a network needs to forecast one date.

    Parameters
    ----------
    session
        Index of the session in the panel.
    graph
        Relation graph of the date, in asset numbers.
    assets
        ``(n,)`` assets with a row on the date.
    target
        ``(n, H)`` one target per asset of `assets` and horizon; NaN where unknown.
    weight
        ``(n,)`` weight of each asset's loss, not negative; ``None`` weighs all the same.
    sectors
        ``(n,)`` number of each asset's sector, 1 first, not positive where none is known; ``None`` for a
        network that has no sectors.
    """

    session: int
    graph: DateGraph
    assets: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None = None
    sectors: np.ndarray | None = None


def sector_nodes(samples: Sequence[DateSamples]) -> tuple[np.ndarray, np.ndarray]:
    """One node for each sector of a date, dates side by side.

    Returns
    -------
    tuple of numpy.ndarray
        ``(S,)`` int64 number of the sector of each node, and ``(2, M)`` int64 memberships: node of an
        asset, node of its sector.
    """
    numbers: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    members: list[np.ndarray] = [np.zeros((2, 0), dtype=np.int64)]
    n_assets = n_sectors = 0
    for sample in samples:
        if sample.sectors is not None:
            asset = np.flatnonzero(sample.sectors > 0)
            number, of = np.unique(sample.sectors[asset], return_inverse=True)
            numbers.append(number)
            members.append(np.stack([asset + n_assets, of + n_sectors]))
            n_sectors += len(number)
        n_assets += len(sample.assets)
    return np.concatenate(numbers), np.concatenate(members, axis=1)


def loops(assets: np.ndarray, n_attributes: int) -> DateGraph:
    """The graph in which each asset knows itself alone."""
    return DateGraph(
        np.stack([assets, assets]), np.ones((len(assets), n_attributes), dtype=np.float32)
    )
