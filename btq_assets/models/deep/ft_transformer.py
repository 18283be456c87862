"""The FT-Transformer as a forecaster.

Belongs here: its specification. Does not belong here: the torch module (`networks.ft_transformer`),
and what all networks share (`windowed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.deep.windowed import WindowedForecaster

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class FTTransformerSpec(WindowedSpec):
    """Configuration of one fit; see `config.FTTransformerSection`.

    Parameters
    ----------
    model_dim, num_heads, num_layers
        Width of a token, heads and depth.
    """

    lookback_sessions: int = 1
    model_dim: int = 32
    num_heads: int = 4
    num_layers: int = 2


class FTTransformerForecaster(WindowedForecaster[FTTransformerSpec]):
    """A transformer over the features of the last session, one token each (Gorishniy et al. 2021)."""

    family: ClassVar[str] = "ft_transformer"
    spec_type: ClassVar[type[WindowedSpec]] = FTTransformerSpec
    compact: ClassVar[bool] = False

    def new_network(self, n_features: int) -> nn.Module:
        """The network with random weights."""
        from btq_assets.models.networks.ft_transformer import FTTransformer

        return FTTransformer(
            n_features,
            dim=self.spec.model_dim,
            heads=self.spec.num_heads,
            layers=self.spec.num_layers,
            dropout=self.spec.dropout,
            head=self.spec.head,
        )
