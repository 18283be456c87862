"""How documents are read, as numbers one can write down.

Belongs here: the specification. Does not belong here: torch, anything fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

from btq_assets.models.forecaster import ModelError

#: Which weights of the encoder move: none, adapters beside them, all.
WAYS = ("frozen", "lora", "full")


@dataclass(frozen=True, kw_only=True)
class TextSpec:
    """How the documents of an asset are read; see `config.TextSection`.

    Parameters
    ----------
    how
        ``frozen``: documents are encoded once and the encoder stays; ``lora``: adapters beside its
        maps learn; ``full``: all of it learns.
    weights
        Folder of an encoder: one of `text.sentiment`, or one of the transformers library with weights
        in safetensors. Empty for an encoder of our own, trained from nothing (``full``).
    max_tokens
        Tokens of a document that are read.
    window_days
        A document known longer ago is not read.
    documents
        Newest documents of an asset that are read.
    vocabulary, dim, heads, layers
        Words and size of an encoder of our own.
    pooling
        ``mean`` of the tokens, or the ``first`` one.
    lora_rank, lora_alpha
        Of the adapters.
    """

    how: str = "full"
    weights: str = ""
    max_tokens: int = 48
    window_days: float = 30.0
    documents: int = 4
    vocabulary: int = 4_000
    dim: int = 32
    heads: int = 4
    layers: int = 1
    pooling: str = "mean"
    lora_rank: int = 8
    lora_alpha: float = 16.0

    def __post_init__(self) -> None:
        """Refuse what cannot be, by name."""
        if self.how not in WAYS:
            raise ModelError(f"text.how is one of {', '.join(WAYS)}, not {self.how!r}")
        if self.pooling not in ("mean", "first"):
            raise ModelError(f"text.pooling is mean or first, not {self.pooling!r}")
        if self.how != "full" and not self.weights:
            raise ModelError(
                f"text.how = {self.how} keeps weights, but text.weights names no folder; name one, or "
                "train from nothing with how = full"
            )
        if self.dim % self.heads:
            raise ModelError(
                f"text.dim = {self.dim} is no multiple of text.heads = {self.heads}; make it one"
            )
        for name in ("max_tokens", "documents", "vocabulary", "lora_rank"):
            if getattr(self, name) < 1:
                raise ModelError(f"text.{name} is {getattr(self, name)}; at least 1 is needed")
