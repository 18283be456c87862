"""xLSTM, LSTM and perceptron as forecasters: each asset from its own window.

Belongs here: their specifications. Does not belong here: the torch modules (`networks`), and what
all networks share (`windowed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import WindowedForecaster

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class XLSTMSpec(WindowedSpec):
    """Configuration of one fit; see `config.XLSTMSection`.

    Parameters
    ----------
    model_dim, num_heads, num_layers
        Width, heads and number of blocks.
    scalar_every
        Every how many-th block is an sLSTM block; 0 for none.
    """

    model_dim: int = 32
    num_heads: int = 4
    num_layers: int = 2
    scalar_every: int = 2


class XLSTMForecaster(WindowedForecaster[XLSTMSpec]):
    """Residual blocks of mLSTM and sLSTM (Beck et al. 2024) over each asset's window."""

    family: ClassVar[str] = "xlstm"
    spec_type: ClassVar[type[WindowedSpec]] = XLSTMSpec

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.xlstm.network import XLSTM

        return XLSTM(
            n_features,
            dim=self.spec.model_dim,
            heads=self.spec.num_heads,
            layers=self.spec.num_layers,
            dropout=self.spec.dropout,
            scalar_every=self.spec.scalar_every,
            head=self.spec.head,
        )


@dataclass(frozen=True, kw_only=True)
class LSTMSpec(WindowedSpec):
    """Configuration of one fit: width and depth."""

    model_dim: int = 32
    num_layers: int = 1


class LSTMForecaster(WindowedForecaster[LSTMSpec]):
    """A plain LSTM over each asset's window."""

    family: ClassVar[str] = "lstm"
    spec_type: ClassVar[type[WindowedSpec]] = LSTMSpec

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.baselines import LSTM

        spec = self.spec
        return LSTM(
            n_features,
            dim=spec.model_dim,
            layers=spec.num_layers,
            dropout=spec.dropout,
            head=spec.head,
        )


@dataclass(frozen=True, kw_only=True)
class PerceptronSpec(WindowedSpec):
    """Configuration of one fit: width and number of hidden layers."""

    model_dim: int = 64
    num_layers: int = 2


class PerceptronForecaster(WindowedForecaster[PerceptronSpec]):
    """Fully connected layers over each asset's whole window."""

    family: ClassVar[str] = "mlp"
    spec_type: ClassVar[type[WindowedSpec]] = PerceptronSpec

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.baselines import Perceptron

        return Perceptron(
            n_features,
            self.spec.lookback_sessions,
            dim=self.spec.model_dim,
            layers=self.spec.num_layers,
            dropout=self.spec.dropout,
            head=self.spec.head,
        )
