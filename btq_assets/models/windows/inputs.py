"""What every network takes and gives, as tensors.

Belongs here: the two records. Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: What has no sectors.
NO_SECTORS = torch.zeros(0, dtype=torch.int64)
NO_MEMBERS = torch.zeros(2, 0, dtype=torch.int64)

#: What has no documents.
NO_DOCUMENTS = torch.zeros(0, 0)


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
    documents
        ``(U, L)`` int64 token numbers of the different documents of the batch, 0 after the last token,
        or ``(U, E)`` float, encoded already. The first row stands for no document.
    document
        ``(nodes, D)`` int64: rows of `documents` that are known of the node, newest first; 0 for none.
    document_age
        ``(nodes, D)`` float: days since each was known; 0 where there is none.
    sectors
        ``(S,)`` int64: number of the sector of each sector node, 1 first; a node for each sector of
        each date.
    members
        ``(2, M)`` int64: node of an asset, node of its sector.
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
    documents: Tensor = NO_DOCUMENTS
    document: Tensor = NO_DOCUMENTS
    document_age: Tensor = NO_DOCUMENTS
    sectors: Tensor = NO_SECTORS
    members: Tensor = NO_MEMBERS


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
