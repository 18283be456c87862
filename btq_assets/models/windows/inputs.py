"""What every network takes and gives, as tensors.

Belongs here: the two records. Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Inputs(NamedTuple):
    """What a network may read: the assets of several dates as nodes of one graph.

    A network takes what it needs and leaves the rest. No node carries the name of its asset.

    Parameters
    ----------
    windows
        ``(nodes, L, F)`` float: standardised features of each node's last ``L`` sessions, oldest
        first; 0, the mean, where missing.
    observed
        ``(nodes, L)`` bool: whether the asset had a bar in that session. The last is always true.
    calendar
        ``(nodes, L, C)`` float: what the calendar says of each session; ``C`` may be 0.
    edges
        ``(2, E)`` int64: source and target node, loops included; none between dates.
    attributes
        ``(E, A)`` float: edge attributes.
    date
        ``(nodes,)`` int64: number of the date a node belongs to, 0 first, ascending.
    asset
        ``(nodes,)`` int64: place of the asset among those of the panel, for what is remembered
        from one date to the next.
    modalities
        ``(nodes, M)`` float: standardised features of all modalities side by side at the decision;
        ``M`` may be 0.
    available
        ``(nodes, K)`` bool: whether modality ``k`` has any value for the node.
    """

    windows: Tensor
    observed: Tensor
    calendar: Tensor
    edges: Tensor
    attributes: Tensor
    date: Tensor
    asset: Tensor
    modalities: Tensor
    available: Tensor


class Outputs(NamedTuple):
    """What a network says of each node and horizon.

    Parameters
    ----------
    mean
        ``(nodes, H)`` forecast, in units of the target.
    log_variance
        ``(nodes, H)`` log of the variance around it; ``None`` where the network has no such head.
    quantiles
        ``(nodes, H, Q)`` ascending quantiles; ``None`` where the network has no such head.
    """

    mean: Tensor
    log_variance: Tensor | None = None
    quantiles: Tensor | None = None
