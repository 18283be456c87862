"""FT-Transformer: every feature of a session as a token, attention among the features.

Belongs here: torch modules. Does not belong here: windows, training. Imports torch at the top; import
this module inside functions only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from btq_assets.models.networks.heads import ForecastHead
from btq_assets.models.windows.inputs import Inputs, Outputs

#: Width of the hidden layer over that of a token (Gorishniy et al. 2021, default configuration).
_HIDDEN = 4 / 3


class FeatureTokenizer(nn.Module):
    """``T_j = b_j + x_j W_j`` (Gorishniy et al. 2021, section 3.3, numerical features), [CLS] first.

    Parameters
    ----------
    n_features
        Features of a session.
    dim
        Width of a token.
    """

    def __init__(self, n_features: int, dim: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(dim)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))

        self.weight = drawn(n_features, dim)
        self.bias = drawn(n_features, dim)
        self.summary = drawn(dim)

    def forward(self, values: Tensor) -> Tensor:
        """``(n, F)`` features as ``(n, 1 + F, dim)`` tokens."""
        tokens = values[..., None] * self.weight + self.bias
        return torch.cat([self.summary.expand(values.shape[0], 1, -1), tokens], dim=1)


class FeatureAttention(nn.Module):
    """Multi-head attention of some tokens to all of them (Vaswani et al. 2017); no order, no mask.

    Heads have ``ceil(dim / heads)`` channels and a projection leads back to ``dim``, so that every
    pair of the two is valid.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        inner = heads * math.ceil(dim / heads)
        self.query = nn.Linear(dim, inner)
        self.key = nn.Linear(dim, inner)
        self.value = nn.Linear(dim, inner)
        self.out = nn.Linear(inner, dim)

    def forward(self, asking: Tensor, tokens: Tensor) -> Tensor:
        """What ``(n, A, dim)`` tokens make of all ``(n, T, dim)``, ``(n, A, dim)``."""
        query, key, value = (
            made.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for made in (self.query(asking), self.key(tokens), self.value(tokens))
        )
        mixed = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class FeatureLayer(nn.Module):
    """Pre-norm layer: attention among features, then ReGLU; the very first norm is left out.

    Parameters
    ----------
    dim, heads
        Width of a token, heads.
    dropout
        Dropout of attention weights and inside the network after it, while training.
    first
        Whether attention comes without a norm before it (section 3.3).
    """

    def __init__(self, dim: int, heads: int, dropout: float, *, first: bool) -> None:
        super().__init__()
        hidden = int(dim * _HIDDEN)
        self.norm_attention = nn.Identity() if first else nn.LayerNorm(dim)
        self.attention = FeatureAttention(dim, heads, dropout)
        self.norm_network = nn.LayerNorm(dim)
        self.gated = nn.Linear(dim, 2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.back = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor, *, summary_only: bool = False) -> Tensor:
        """Transform ``(n, T, dim)``; with `summary_only` return the first token, ``(n, 1, dim)``."""
        normed = self.norm_attention(tokens)
        asking, kept = (normed[:, :1], tokens[:, :1]) if summary_only else (normed, tokens)
        kept = kept + self.attention(asking, normed)
        value, gate = self.gated(self.norm_network(kept)).chunk(2, dim=-1)
        return kept + self.back(self.dropout(value * functional.relu(gate)))


class FTTransformer(nn.Module):
    """Feature tokenizer, transformer, and a head on the [CLS] token; the last session alone is read.

    Parameters
    ----------
    n_features
        Features of a session.
    dim, heads, layers
        Width, heads and depth.
    dropout
        Dropout while training.
    head
        Kind of `ForecastHead`.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dim: int,
        heads: int,
        layers: int,
        dropout: float,
        head: str = "mean",
    ) -> None:
        super().__init__()
        self.tokenizer = FeatureTokenizer(n_features, dim)
        self.layers = nn.ModuleList(
            FeatureLayer(dim, heads, dropout, first=number == 0) for number in range(layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = ForecastHead(dim, head)

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node; reads the last session of ``windows``."""
        tokens = self.tokenizer(inputs.windows[:, -1])
        for layer in self.layers[:-1]:
            tokens = layer(tokens)
        # Only [CLS] goes on, so the last layer computes no other.
        summary = self.layers[-1](tokens, summary_only=True)[:, 0]
        found: Outputs = self.head(functional.relu(self.norm(summary)))
        return found
