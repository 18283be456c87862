"""What an edge of the relation graph is worth: the forecast with it less the forecast without.

Belongs here: leaving edges out one by one. Imports torch at the top; import this module inside
functions only.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from btq_assets.models.windows.inputs import Inputs


def edge_importance(network: nn.Module, inputs: Inputs, *, horizon: int = 0) -> np.ndarray:
    """How much each edge moves the forecast of the node it leads to.

    Parameters
    ----------
    network
        Takes `Inputs`, gives `Outputs`.
    inputs
        One date.
    horizon
        Which forecast of a node.

    Returns
    -------
    numpy.ndarray
        ``(E,)`` forecast of the target with the edge less without it, in units of the target; NaN for
        a loop, without which a node would not know itself.
    """
    source, target = inputs.edges
    found = np.full(len(source), np.nan)
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            whole = network(inputs).mean[:, horizon]
            for edge in torch.nonzero(source != target)[:, 0].tolist():
                kept = torch.arange(len(source)) != edge
                without = inputs._replace(
                    edges=inputs.edges[:, kept], attributes=inputs.attributes[kept]
                )
                node = int(target[edge])
                found[edge] = float(whole[node] - network(without).mean[node, horizon])
    finally:
        network.train(training)
    return found
