"""What else is known of an asset on a date, heard by attention: news, macro, options, chains, texts.

Belongs here: the torch module. Does not belong here: which columns are of which modality
(`windows.modalities`). Imports torch at the top; import this module inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class ModalityFusion(nn.Module):
    """Cross-attention of a node's state to one token per modality, and to tokens that are given.

    What is missing is masked.

    Scaled dot-product attention (Vaswani et al. 2017, eq. 1), the state as the query. What a
    missing modality is filled with is never read, and a node without any stays exactly as it is.

    Parameters
    ----------
    dim, heads
        Width of a state and number of heads; heads have ``ceil(dim / heads)`` channels.
    widths
        Columns of each modality, in the order they lie side by side; may be empty where tokens are
        given.
    dropout
        Dropout of what is added, while training.
    """

    def __init__(self, dim: int, heads: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.widths = list(widths)
        self.heads = heads
        self.head_dim = math.ceil(dim / heads)
        inner = heads * self.head_dim
        self.embed = nn.ModuleList(nn.Linear(width, dim) for width in self.widths)
        self.norm = nn.LayerNorm(dim)
        self.norm_tokens = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, inner)
        self.key_value = nn.Linear(dim, 2 * inner)
        self.out = nn.Linear(inner, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        nodes: Tensor,
        modalities: Tensor,
        available: Tensor,
        given: Tensor | None = None,
        there: Tensor | None = None,
    ) -> Tensor:
        """States with what their modalities and the given tokens say added.

        Parameters
        ----------
        nodes
            ``(nodes, dim)``.
        modalities
            ``(nodes, sum(widths))``.
        available
            ``(nodes, K)`` bool.
        given
            ``(nodes, D, dim)`` more tokens, such as those of `DocumentTokens`.
        there
            ``(nodes, D)`` bool, which of them are there.
        """
        parts = modalities.split(self.widths, dim=-1) if self.widths else ()
        tokens = [
            # Filled in, so that what stands there cannot even reach a gradient.
            embed(torch.where(available[:, [place]], part, torch.zeros_like(part)))
            for place, (embed, part) in enumerate(zip(self.embed, parts, strict=True))
        ]
        if given is not None and there is not None:
            kept = torch.where(there[..., None], given, torch.zeros_like(given))
            tokens += kept.unbind(1)
            available = torch.cat([available, there], dim=-1)
        key, value = (
            self._split(part)
            for part in self.key_value(self.norm_tokens(torch.stack(tokens, dim=1))).chunk(2, -1)
        )
        query = self._split(self.query(self.norm(nodes))[:, None])
        some = available.any(dim=-1, keepdim=True)
        # A softmax over nothing is no number: who has nothing attends to all, and then hears none.
        mask = (available | ~some)[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        heard = self.dropout(self.out(mixed.flatten(1)))
        return nodes + torch.where(some, heard, torch.zeros_like(heard))

    def _split(self, values: Tensor) -> Tensor:
        """``(n, L, heads * head_dim)`` as ``(n, heads, L, head_dim)``."""
        return values.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
