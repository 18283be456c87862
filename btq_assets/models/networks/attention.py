"""Attention over time: positions, causal self-attention, the encoder layer.

Belongs here: layers that networks share. Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def sinusoidal_positions(length: int, dim: int) -> Tensor:
    """Positional encoding of Vaswani et al. (2017), section 3.5, shape ``(length, dim)``.

    Position 0 is the last token, the decision itself: a window of any length looks the same
    from its end.
    """
    position = torch.arange(length - 1, -1, -1, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, dim, 2, dtype=torch.float32) * (-math.log(10_000.0) / dim))
    encoding = torch.zeros(length, dim)
    encoding[:, 0::2] = torch.sin(position * rate)
    encoding[:, 1::2] = torch.cos(position * rate)[:, : dim // 2]
    return encoding


def rotated(values: Tensor) -> Tensor:
    """Rotary positions of Su et al. (2021), eq. 34: channels turned in pairs, by their position.

    The product of a query at ``m`` and a key at ``n`` then depends on ``m - n`` alone (their eq. 16),
    so that a pattern is the same wherever in the window it lies.

    Parameters
    ----------
    values
        ``(..., L, d)`` queries or keys. With odd ``d`` the last channel is left as it is.
    """
    length, width = values.shape[-2:]
    pairs = width // 2
    position = torch.arange(length, dtype=torch.float32, device=values.device)[:, None]
    step = torch.arange(pairs, dtype=torch.float32, device=values.device)
    angle = position * torch.exp(step * (-2 * math.log(10_000.0) / max(2 * pairs, 1)))
    cosine, sine = angle.cos().to(values.dtype), angle.sin().to(values.dtype)
    first, second = values[..., 0 : 2 * pairs : 2], values[..., 1 : 2 * pairs : 2]
    turned = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return torch.cat([turned.flatten(-2), values[..., 2 * pairs :]], dim=-1)


class CausalSelfAttention(nn.Module):
    """Multi-head self-attention in which a token sees itself and what came before.

    Heads have ``ceil(dim / heads)`` channels and an output projection leads back to ``dim``, so
    that every pair of the two is valid.

    Parameters
    ----------
    dim
        Width of a token.
    heads
        Number of heads.
    dropout
        Dropout of attention weights.
    rotary
        Whether queries and keys are turned by their position (`rotated`).
    """

    def __init__(self, dim: int, heads: int, dropout: float, *, rotary: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = math.ceil(dim / heads)
        self.dropout = dropout
        self.rotary = rotary
        inner = self.heads * self.head_dim
        self.query = nn.Linear(dim, inner)
        self.key_value = nn.Linear(dim, 2 * inner)
        self.out = nn.Linear(inner, dim)

    def forward(self, tokens: Tensor, *, last_only: bool = False) -> Tensor:
        """Attend over ``(B, L, dim)``; with `last_only` return the last token, ``(B, 1, dim)``."""
        batch, length, _ = tokens.shape
        if self.rotary:
            query = rotated(self._split(self.query(tokens)))[:, :, -1 if last_only else 0 :]
        else:
            query = self._split(self.query(tokens[:, -1:] if last_only else tokens))
        key, value = (self._split(part) for part in self.key_value(tokens).chunk(2, dim=-1))
        key = rotated(key) if self.rotary else key
        # The last token may see all others, so it needs no mask.
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=not last_only and length > 1,
        )
        return self.out(mixed.transpose(1, 2).reshape(batch, query.shape[2], -1))

    def _split(self, values: Tensor) -> Tensor:
        batch, length, _ = values.shape
        return values.view(batch, length, self.heads, self.head_dim).transpose(1, 2)


class CausalMean(nn.Module):
    """What attention with equal weights gives: the mean over a token and all before it.

    Nothing chooses among sessions; projections of values and output are those of attention. It stands
    in for attention where one wants to know what choosing is worth.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, *, last_only: bool = False) -> Tensor:
        """Average ``(B, L, dim)``; with `last_only` return the last token, ``(B, 1, dim)``."""
        values = self.value(tokens)
        if last_only:
            return self.out(values.mean(1, keepdim=True))
        count = torch.arange(1, tokens.shape[1] + 1, device=tokens.device, dtype=tokens.dtype)
        return self.out(values.cumsum(1) / count[:, None])


class EncoderLayer(nn.Module):
    """Pre-norm transformer layer (Xiong et al. 2020): attention, then a two-layer network.

    With ``attends=False`` tokens are averaged in place of attention (`CausalMean`).
    """

    def __init__(
        self, dim: int, heads: int, dropout: float, *, rotary: bool = False, attends: bool = True
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.attention: CausalSelfAttention | CausalMean = (
            CausalSelfAttention(dim, heads, dropout, rotary=rotary) if attends else CausalMean(dim)
        )
        self.norm_network = nn.LayerNorm(dim)
        self.network = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, *, last_only: bool = False) -> Tensor:
        """Transform ``(B, L, dim)``; with `last_only` return only the last token."""
        kept = tokens[:, -1:] if last_only else tokens
        kept = kept + self.dropout(self.attention(self.norm_attention(tokens), last_only=last_only))
        return kept + self.dropout(self.network(self.norm_network(kept)))
