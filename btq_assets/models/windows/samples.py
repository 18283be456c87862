"""One date as a sample: which assets it has, how they are related, what is to be forecast.

Belongs here: the sample and how it is cut out of a panel, in plain numpy. Does not belong here:
tensors (`batches`).
"""

from __future__ import annotations

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
    """

    session: int
    graph: DateGraph
    assets: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None = None


def loops(assets: np.ndarray, n_attributes: int) -> DateGraph:
    """The graph in which each asset knows itself alone."""
    return DateGraph(
        np.stack([assets, assets]), np.ones((len(assets), n_attributes), dtype=np.float32)
    )
