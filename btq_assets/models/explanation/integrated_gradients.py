"""Integrated gradients (Sundararajan, Taly and Yan 2017).

Belongs here: the integral along the straight line from the baseline. Does not belong here: names of
features and assets (`why`). Imports torch at the top; import this module inside functions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from btq_assets.models.forecaster import ModelError
from btq_assets.models.windows.inputs import Inputs

#: Fewest and most points at which the gradient is taken, at the abscissae of Gauss and Legendre. A
#: kink (a leaky rectifier) on the way needs more of them.
N_POINTS = (16, 512)

#: Largest breach of completeness, as a share of what is explained.
TOLERANCE = 1e-2


@dataclass(frozen=True)
class Attribution:
    """What each number of the windows adds to some forecasts.

    Parameters
    ----------
    values
        ``(explained, nodes, L, F)``: the share of each source node, session and feature.
    forecast, baseline
        ``(explained,)``: the forecast, and that of a window in which every feature is at its mean.
    modalities
        ``(explained, nodes, M)``: the share of each column that is fused at the decision.
    n_points
        Points at which the gradient was taken.
    """

    values: np.ndarray
    forecast: np.ndarray
    baseline: np.ndarray
    modalities: np.ndarray
    n_points: int

    @property
    def gap(self) -> float:
        """Largest breach of completeness: sum of attributions less ``forecast - baseline``."""
        total = self.values.sum(axis=(1, 2, 3)) + self.modalities.sum(axis=(1, 2))
        return float(np.abs(total - (self.forecast - self.baseline)).max(initial=0.0))


def integrated_gradients(
    network: nn.Module,
    inputs: Inputs,
    nodes: Sequence[int] | None = None,
    *,
    tolerance: float = TOLERANCE,
    horizon: int = 0,
) -> Attribution:
    """Attribute forecasts to the windows they were made from, equation 1 of the paper.

    The baseline is a window of zeros, and modalities of zeros: every standardised feature at its
    mean. Relations, documents and whatever else the network reads stay as they are. The number of
    points is doubled until the attributions sum to what they explain.

    Parameters
    ----------
    network
        Takes `Inputs`, gives `Outputs`.
    inputs
        One or several dates.
    nodes
        Forecasts to explain; all by default.
    tolerance
        Largest breach of that sum, as a share of the largest ``forecast - baseline``.
    horizon
        Which forecast of a node.

    Raises
    ------
    ModelError
        The breach is larger with the most points.
    """
    wanted = list(range(len(inputs.windows)) if nodes is None else nodes)
    training = network.training
    network.eval()
    try:
        forecast, baseline = (
            _at(network, _scaled(inputs, share), horizon)[wanted] for share in (1.0, 0.0)
        )
        allowed = tolerance * float(np.abs(forecast - baseline).max(initial=0.0)) + 1e-6
        n_points, most = N_POINTS
        while n_points <= most:
            windows, fused = _mean_gradients(network, inputs, wanted, n_points, horizon)
            found = Attribution(
                (windows * inputs.windows.double()).numpy(),
                forecast,
                baseline,
                (fused * inputs.modalities.double()).numpy(),
                n_points,
            )
            if found.gap <= allowed:
                return found
            n_points *= 2
    finally:
        network.train(training)
    raise ModelError(
        f"with {most} points the attributions still miss what they explain by {found.gap:.2g}, "
        f"{allowed:.2g} is allowed; give a larger tolerance"
    )


def _mean_gradients(
    network: nn.Module, inputs: Inputs, wanted: Sequence[int], n_points: int, horizon: int
) -> tuple[Tensor, Tensor]:
    """Gradients of each wanted forecast, averaged along the line from the baseline."""
    abscissae, weights = np.polynomial.legendre.leggauss(n_points)
    totals = [
        torch.zeros(len(wanted), *part.shape, dtype=torch.float64)
        for part in (inputs.windows, inputs.modalities)
    ]
    for abscissa, weight in zip((abscissae + 1) / 2, weights / 2, strict=True):
        moved = _scaled(inputs, float(abscissa))
        parts = [part.requires_grad_(True) for part in (moved.windows, moved.modalities)]
        found = network(moved).mean[:, horizon]
        for place, node in enumerate(wanted):
            gradients = torch.autograd.grad(
                found[node], parts, retain_graph=True, allow_unused=True
            )
            for total, gradient in zip(totals, gradients, strict=True):
                if gradient is not None:
                    total[place] += float(weight) * gradient.double()
    return totals[0], totals[1]


def _scaled(inputs: Inputs, share: float) -> Inputs:
    """The point at `share` of the way from the baseline."""
    return inputs._replace(windows=inputs.windows * share, modalities=inputs.modalities * share)


def _at(network: nn.Module, inputs: Inputs, horizon: int) -> np.ndarray:
    with torch.no_grad():
        found = network(inputs).mean[:, horizon]
    return found.double().numpy()
