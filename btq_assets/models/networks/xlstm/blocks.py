"""Residual blocks of xLSTM around its two cells.

Belongs here: projections, the causal convolution, norms and gates of figures 9 and 10 of Beck et al.
(2024). Does not belong here: the recurrences (`cells`). Imports torch at the top; import inside
functions only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from btq_assets.models.networks.xlstm import at_once, cells

#: Tokens that the causal convolution sees, itself included.
KERNEL = 4

#: Sequences of an mLSTM block that are trained on at a time: what lies between two operations then
#: stays in the processor's cache.
SEQUENCES_AT_ONCE = 128


class BlockState(NamedTuple):
    """What a block keeps from token to token: the last inputs of its convolution, and its cell."""

    recent: Tensor
    cell: cells.ScalarState | cells.MatrixState


class CausalConvolution(nn.Module):
    """Each channel over its own last four tokens; ``(B, L, dim)`` to the same shape."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(dim, dim, KERNEL, groups=dim)

    def forward(self, tokens: Tensor, before: Tensor | None = None) -> Tensor:
        """Convolve; `before`, ``(B, 3, dim)``, are the tokens before the first (default zeros)."""
        if before is None:
            assert self.convolution.bias is not None
            return at_once.convolved(tokens, self.convolution.weight[:, 0].T, self.convolution.bias)
        padded = torch.cat([before, tokens], dim=1)
        return self.convolution(padded.transpose(1, 2)).transpose(1, 2)


class HeadNorm(nn.Module):
    """Group norm over the channels of each head, token by token."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(heads, heads * head_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, L, heads * head_dim)`` to the same shape."""
        norm = self.norm
        each = tokens.unflatten(-1, (norm.num_groups, -1))
        normed = functional.layer_norm(each, each.shape[-1:], eps=norm.eps).flatten(-2)
        return torch.addcmul(norm.bias, normed, norm.weight)


class MatrixBlock(nn.Module):
    """mLSTM between an up-projection and a down-projection (figure 10).

    Two branches of twice the width: one through convolution, queries and keys, memory, head norm and
    a learned skip; the other gates it.

    Parameters
    ----------
    dim
        Width of a token.
    heads
        Heads; each has ``ceil(2 * dim / heads)`` channels.
    dropout
        Dropout of what is added to the token.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, math.ceil(2 * dim / heads)
        inner = self.heads * self.head_dim
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * inner)
        self.convolution = CausalConvolution(inner)
        self.query_key = nn.Linear(inner, 2 * inner)
        self.value = nn.Linear(inner, inner)
        self.gates = nn.Linear(inner, 2 * heads)
        self.head_norm = HeadNorm(heads, self.head_dim)
        self.skip = nn.Parameter(torch.ones(inner))
        self.down = nn.Linear(inner, dim)
        self.dropout = nn.Dropout(dropout)
        start_open(self.gates, heads)

    def forward(self, tokens: Tensor, *, last_only: bool = False) -> Tensor:
        """All of ``(B, L, dim)`` at once; with `last_only` the last token, ``(B, 1, dim)``."""
        if not torch.is_grad_enabled() or tokens.shape[0] <= SEQUENCES_AT_ONCE:
            return self._forward(tokens, last_only=last_only)
        parts = tokens.split(SEQUENCES_AT_ONCE)
        return torch.cat([self._forward(part, last_only=last_only) for part in parts])

    def _forward(self, tokens: Tensor, *, last_only: bool) -> Tensor:
        normed = self.norm(tokens)
        # Two products, not one and its halves, whose gradients would have to be put together.
        halves = zip(self.up.weight.chunk(2), self.up.bias.chunk(2), strict=True)
        inner, gate = (functional.linear(normed, *half) for half in halves)
        mixed = functional.silu(self.convolution(inner))
        read = at_once.matrix_window(
            self.query_key(mixed), self.value(inner), self.gates(inner), self.heads
        )
        if last_only:
            tokens, read, mixed, gate = (part[:, -1:] for part in (tokens, read, mixed, gate))
        return tokens + self._out(read, mixed, gate)

    def step(self, token: Tensor, state: BlockState | None) -> tuple[Tensor, BlockState]:
        """One token, ``(B, 1, dim)``; `state` is ``None`` before the first."""
        inner, gate = self.up(self.norm(token)).chunk(2, dim=-1)
        recent = _recent(inner, state)
        mixed = functional.silu(self.convolution(inner, recent))
        query, key = (self._split(part)[:, :, 0] for part in self.query_key(mixed).chunk(2, dim=-1))
        value = self._split(self.value(inner))[:, :, 0]
        input_gate, forget_gate = self.gates(inner)[:, 0].chunk(2, dim=-1)
        cell = cells.matrix_start(query) if state is None else state.cell
        assert isinstance(cell, cells.MatrixState)
        read, cell = cells.matrix_step(query, key, value, input_gate, forget_gate, cell)
        token = token + self._out(read.flatten(1)[:, None], mixed, gate)
        return token, BlockState(torch.cat([recent, inner], 1)[:, 1:], cell)

    def _out(self, read: Tensor, mixed: Tensor, gate: Tensor) -> Tensor:
        kept = self.head_norm(read) + self.skip * mixed
        return self.dropout(self.down(kept * functional.silu(gate)))

    def _split(self, values: Tensor) -> Tensor:
        batch, length, _ = values.shape
        return values.view(batch, length, self.heads, self.head_dim).transpose(1, 2)


class ScalarBlock(nn.Module):
    """sLSTM, then a gated two-layer network (figure 9).

    Input and forget gates see the convolution, cell input and output gate the token; all four see
    the hidden state of their own head.

    Parameters
    ----------
    dim
        Width of a token.
    heads
        Heads of ``ceil(dim / heads)`` channels; memory mixes within a head only.
    dropout
        Dropout of what is added to the token.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, math.ceil(dim / heads)
        inner = self.heads * self.head_dim
        self.norm = nn.LayerNorm(dim)
        self.convolution = CausalConvolution(dim)
        self.from_mixed = nn.Linear(dim, 2 * inner)
        self.from_token = nn.Linear(dim, 2 * inner)
        self.recurrent = nn.Parameter(torch.empty(4, heads, self.head_dim, self.head_dim))
        self.head_norm = HeadNorm(heads, self.head_dim)
        self.out = nn.Linear(inner, dim)
        width = math.ceil(4 * dim / 3)
        self.norm_network = nn.LayerNorm(dim)
        self.gated = nn.Linear(dim, 2 * width)
        self.down = nn.Linear(width, dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.recurrent, std=self.head_dim**-0.5 / 4)
        start_open(self.from_mixed, inner)

    def forward(self, tokens: Tensor, *, last_only: bool = False) -> Tensor:
        """All of ``(B, L, dim)``; with `last_only` the last token, ``(B, 1, dim)``."""
        normed = self.norm(tokens)
        mixed = functional.silu(self.convolution(normed))
        hidden = at_once.scalar_window(
            at_once.sequences_last(self.from_mixed, mixed, self.heads),
            at_once.sequences_last(self.from_token, normed, self.heads),
            self.recurrent,
            last_only=last_only,
        )
        return self._out(tokens[:, -1:] if last_only else tokens, hidden)

    def step(self, token: Tensor, state: BlockState | None) -> tuple[Tensor, BlockState]:
        """One token, ``(B, 1, dim)``; `state` is ``None`` before the first."""
        normed = self.norm(token)
        recent = _recent(normed, state)
        gates = self._gates(normed, self.convolution(normed, recent))[:, 0]
        cell = cells.scalar_start(gates[:, 0]) if state is None else state.cell
        assert isinstance(cell, cells.ScalarState)
        cell = cells.scalar_mixed_step(gates, self.recurrent, cell)
        out = self._out(token, cell.hidden.flatten(1)[:, None])
        return out, BlockState(torch.cat([recent, normed], 1)[:, 1:], cell)

    def _gates(self, normed: Tensor, mixed: Tensor) -> Tensor:
        """What the token gives to the four gates, ``(B, L, 4, heads, d)``."""
        both = [self.from_mixed(functional.silu(mixed)), self.from_token(normed)]
        batch, length, _ = normed.shape
        return torch.cat(both, dim=-1).view(batch, length, 4, self.heads, self.head_dim)

    def _out(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        tokens = tokens + self.dropout(self.out(self.head_norm(hidden)))
        first, second = self.gated(self.norm_network(tokens)).chunk(2, dim=-1)
        return tokens + self.dropout(self.down(functional.gelu(first) * second))


def start_open(gates: nn.Linear, n_each: int) -> None:
    """Input gates start small and equal, forget gates between 3 and 6: nearly nothing forgotten."""
    with torch.no_grad():
        gates.weight[: 2 * n_each].normal_(std=0.02)
        gates.bias[:n_each].fill_(-2.0)
        gates.bias[n_each : 2 * n_each] = torch.linspace(3.0, 6.0, n_each)


def _recent(inner: Tensor, state: BlockState | None) -> Tensor:
    if state is not None:
        return state.recent
    return inner.new_zeros(inner.shape[0], KERNEL - 1, inner.shape[2])
