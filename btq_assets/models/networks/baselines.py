"""Plain networks the others have to beat: LSTM and a perceptron over the window.

Belongs here: networks without anything new. Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from btq_assets.models.networks.heads import ForecastHead
from btq_assets.models.windows.inputs import Inputs, Outputs


class LSTM(nn.Module):
    """torch's LSTM (Hochreiter and Schmidhuber 1997, with forget gates) over each asset's window.

    Parameters
    ----------
    n_features
        Width of the input.
    dim, layers
        Width and depth.
    dropout
        Dropout between layers and before the head, while training.
    head
        Kind of `ForecastHead`.
    """

    def __init__(
        self, n_features: int, *, dim: int, layers: int, dropout: float, head: str = "mean"
    ) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(
            n_features, dim, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        self.dropout = nn.Dropout(dropout)
        self.head = ForecastHead(dim, head)

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node; reads ``windows``."""
        hidden, _ = self.recurrent(inputs.windows)
        found: Outputs = self.head(self.dropout(hidden[:, -1]))
        return found


class Perceptron(nn.Module):
    """Fully connected layers over the whole window at once.

    Parameters
    ----------
    n_features, lookback
        Width and length of the window.
    dim, layers
        Width and number of hidden layers.
    dropout
        Dropout after each hidden layer, while training.
    head
        Kind of `ForecastHead`.
    """

    def __init__(
        self,
        n_features: int,
        lookback: int,
        *,
        dim: int,
        layers: int,
        dropout: float,
        head: str = "mean",
    ) -> None:
        super().__init__()
        widths = [n_features * lookback, *[dim] * layers]
        hidden: list[nn.Module] = []
        for before, after in pairwise(widths):
            hidden += [nn.Linear(before, after), nn.GELU(), nn.Dropout(dropout)]
        self.network = nn.Sequential(nn.Flatten(), *hidden)
        self.head = ForecastHead(dim, head)

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node; reads ``windows``."""
        found: Outputs = self.head(self.network(inputs.windows))
        return found
