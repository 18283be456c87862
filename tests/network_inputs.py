"""Inputs of networks for tests: what a test does not give is absent or neutral."""

from __future__ import annotations

from typing import Any

import torch

from btq_assets.models.windows.inputs import Inputs


def inputs_of(windows: Any, edges: Any = None, attributes: Any = None, **others: Any) -> Inputs:
    """`Inputs` of ``(nodes, L, F)`` windows on one date.

    Without `edges` each node has a loop to itself alone. `others` replaces any field by name.
    """
    nodes, length, _ = windows.shape
    each = torch.arange(nodes)
    if edges is None:
        edges = torch.stack([each, each])
    if attributes is None:
        attributes = torch.ones(edges.shape[1], 2)
    found = {
        "windows": windows,
        "observed": torch.ones(nodes, length, dtype=torch.bool),
        "calendar": torch.zeros(nodes, length, 0),
        "edges": edges,
        "attributes": attributes,
        "date": torch.zeros(nodes, dtype=torch.int64),
        "asset": each,
        "modalities": torch.zeros(nodes, 0),
        "available": torch.zeros(nodes, 0, dtype=torch.bool),
    }
    return Inputs(**{**found, **others})
