"""What a network says of a node at its end: a mean, and what surrounds it.

Belongs here: heads that all networks share. Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from btq_assets.models.windows.inputs import Outputs

#: Probabilities of the quantiles a network forecasts, symmetric around the median.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

#: Kinds of head.
KINDS = ("mean", "variance", "quantiles")


class ForecastHead(nn.Module):
    """From a node's state to its forecast.

    Parameters
    ----------
    dim
        Width of the state.
    kind
        ``mean`` alone; ``variance``, a mean and the log of the variance around it; ``quantiles``, the
        five of `QUANTILES`, which cannot cross: each is the one below it plus a positive step, and
        the mean is the median.
    horizons
        Forecasts of each node.
    """

    def __init__(self, dim: int, kind: str = "mean", horizons: int = 1) -> None:
        super().__init__()
        self.kind = kind
        self.width = {"mean": 1, "variance": 2, "quantiles": len(QUANTILES)}[kind]
        self.linear = nn.Linear(dim, horizons * self.width)

    def forward(self, states: Tensor) -> Outputs:
        """Forecasts of ``(nodes, dim)``."""
        values = self.linear(states).unflatten(-1, (-1, self.width))
        if self.kind == "mean":
            return Outputs(values[..., 0])
        if self.kind == "variance":
            return Outputs(values[..., 0], values[..., 1])
        middle = len(QUANTILES) // 2
        median, steps = values[..., middle : middle + 1], functional.softplus(values)
        above = median + steps[..., middle + 1 :].cumsum(-1)
        below = median - steps[..., :middle].flip(-1).cumsum(-1).flip(-1)
        return Outputs(median[..., 0], quantiles=torch.cat([below, median, above], dim=-1))
