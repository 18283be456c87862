"""Texts as vectors: an encoder of words of our own, one out of a folder, and what reads them.

Belongs here: torch modules over token numbers. Does not belong here: cutting texts into tokens and
opening folders (`models.text`), which weights move (`adapters`). Imports torch at the top; import
this module inside functions only.

Token 0 means that there is none, whatever the tokeniser.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from btq_assets.models.networks.attention import sinusoidal_positions
from btq_assets.models.text.labelled import CLASSES
from btq_assets.models.windows.inputs import Inputs, Outputs

#: Ways of making one vector out of those of the tokens.
POOLING = ("mean", "first")


class TextLayer(nn.Module):
    """Pre-norm transformer layer in which every token hears every token that is there.

    Heads have ``dim / heads`` channels. Projections of queries, keys and values are maps of their own,
    so that each can be adapted alone.

    Parameters
    ----------
    dim, heads
        Width of a token, a multiple of the number of heads.
    dropout
        Dropout while training.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.norm_network = nn.LayerNorm(dim)
        self.network = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, there: Tensor) -> Tensor:
        """Transform ``(U, L, dim)``; `there` is ``(U, L)`` bool, with at least one in each row."""
        known = self.norm_attention(tokens)
        query, key, value = (
            part(known).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=there[:, None, None, :]
        )
        tokens = tokens + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return tokens + self.dropout(self.network(self.norm_network(tokens)))


class TextEncoder(nn.Module):
    """A small transformer over the words of a text, trained from nothing.

    Parameters
    ----------
    n_tokens
        Token numbers there are, 0 among them.
    dim, heads, layers
        Width, heads and depth.
    dropout
        Dropout while training.
    pooling
        One of `POOLING`.
    """

    def __init__(
        self,
        n_tokens: int,
        *,
        dim: int,
        heads: int,
        layers: int,
        dropout: float,
        pooling: str = "mean",
    ) -> None:
        super().__init__()
        self.width = dim
        self.pooling = pooling
        self.embed = nn.Embedding(n_tokens, dim, padding_idx=0)
        self.layers = nn.ModuleList(TextLayer(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """One vector per text, ``(U, dim)``.

        Parameters
        ----------
        tokens
            ``(U, L)`` int64, 0 after the last token. A text without any token gives a number, which
            nobody should read.
        """
        there = tokens != 0
        hidden: Tensor = self.embed(tokens)
        positions = sinusoidal_positions(tokens.shape[1], self.width).flip(0)  # from the beginning
        hidden = hidden + positions.to(hidden)
        heard = _at_least_one(there)
        for layer in self.layers:
            hidden = layer(hidden, heard)
        return pooled(self.norm(hidden), heard, self.pooling)


class PretrainedEncoder(nn.Module):
    """An encoder of the transformers library, token numbers shifted so that 0 means none.

    Parameters
    ----------
    model
        Gives ``last_hidden_state`` of ``input_ids`` and ``attention_mask``.
    padding
        Its own number for no token.
    width
        Width of its tokens.
    pooling
        One of `POOLING`.
    """

    def __init__(self, model: Any, *, padding: int, width: int, pooling: str = "mean") -> None:
        super().__init__()
        self.model = model
        self.padding = padding
        self.width = width
        self.pooling = pooling

    def forward(self, tokens: Tensor) -> Tensor:
        """One vector per text, ``(U, width)``; `tokens` as for `TextEncoder`, own numbers plus one."""
        there = tokens != 0
        heard = _at_least_one(there)
        numbers = torch.where(there, tokens - 1, torch.full_like(tokens, self.padding))
        hidden = self.model(input_ids=numbers, attention_mask=heard.long()).last_hidden_state
        return pooled(hidden, heard, self.pooling)


def pooled(hidden: Tensor, there: Tensor, how: str) -> Tensor:
    """One vector of ``(U, L, dim)`` tokens: the mean of those `there`, or the first; ``(U, dim)``."""
    if how == "first":
        return hidden[:, 0]
    weight = there.to(hidden.dtype)[..., None]
    return (hidden * weight).sum(1) / weight.sum(1)


class DocumentTokens(nn.Module):
    """The documents of each node as tokens for `ModalityFusion`: what they say and how old they are.

    Parameters
    ----------
    dim
        Width of a token.
    width
        Width of an encoded document.
    encoder
        Encodes the token numbers in ``documents``; ``None`` where those are encoded already.
    """

    def __init__(self, dim: int, width: int, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = nn.Linear(width, dim)
        self.age = nn.Linear(1, dim)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Tokens ``(nodes, D, dim)`` and which are there, ``(nodes, D)`` bool.

        Reads ``documents``, each of which is encoded once, ``document`` and ``document_age``.
        """
        encoded = inputs.documents
        if self.encoder is not None:
            encoded = self.encoder(encoded)
        age = self.age(torch.log1p(inputs.document_age)[..., None])
        return self.project(encoded)[inputs.document] + age, inputs.document > 0


class SentimentNetwork(nn.Module):
    """An encoder with a head of three classes, as a network of the one training loop.

    Parameters
    ----------
    encoder
        Has `width`; gives one vector per text.
    dropout
        Dropout before the head.
    """

    def __init__(self, encoder: nn.Module, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(encoder.width), len(CLASSES))  # type: ignore[arg-type]

    def forward(self, inputs: Inputs) -> Outputs:
        """Logits of each text as ``mean``, ``(texts, 3)``; reads ``documents``."""
        return Outputs(self.head(self.dropout(self.encoder(inputs.documents))))


def _at_least_one(there: Tensor) -> Tensor:
    """`there`, and the first token of a text that has none: a softmax over nothing is no number."""
    first = torch.zeros_like(there)
    first[:, 0] = True
    return there | (first & ~there.any(-1, keepdim=True))
