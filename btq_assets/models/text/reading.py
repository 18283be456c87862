"""How one fitted network reads documents: its tokens, its encoder, and which of its weights move.

Belongs here: from a specification and the texts of a training segment to the part of the network that
reads, from texts to arrays, saving both. Does not belong here: training, panels. torch is imported
inside functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from btq_assets.models.forecaster import ModelError
from btq_assets.models.text.encoder_files import DESCRIPTION_FILE
from btq_assets.models.text.encoders import (
    Encoder,
    OwnEncoder,
    OwnShape,
    open_encoder,
    read_encoder,
)
from btq_assets.models.text.spec import TextSpec
from btq_assets.models.text.tokens import WordTokens

if TYPE_CHECKING:
    from torch import Tensor, nn

    from btq_assets.models.networks.text_encoder import DocumentTokens

ADAPTERS_FILE = "text_adapters.safetensors"

#: Texts encoded at once where the encoder stays.
_AT_ONCE = 32

#: Where the encoder stands in a network.
_PREFIX = "text.encoder."


@dataclass(frozen=True)
class _Still:
    """An encoder that stays as it is, and what it has said of texts."""

    module: nn.Module
    said: dict[str, np.ndarray] = field(default_factory=dict)


#: The one that was asked last: all fits of a process on the same weights share it.
_asked_last: dict[str, _Still] = {}


class LookAheadError(ModelError):
    """Weights have learnt from texts that were not known yet."""


class TextReading:
    """What a network reads documents with.

    Parameters
    ----------
    spec
        How documents are read.
    encoder
        The encoder it begins with, and its tokens.
    """

    def __init__(self, spec: TextSpec, encoder: Encoder) -> None:
        self.spec = spec
        self.encoder = encoder

    @classmethod
    def begin(
        cls, spec: TextSpec, texts: Sequence[str], *, until: datetime, dropout: float
    ) -> TextReading:
        """From the texts of a training segment, or from the folder that the specification names.

        Parameters
        ----------
        spec
            How documents are read.
        texts
            Those the vocabulary of an encoder of our own is fitted on.
        until
            Nothing known later may be behind the weights.
        dropout
            Of an encoder of our own.

        Raises
        ------
        LookAheadError
            The folder says that its weights have learnt from later texts.
        """
        if spec.weights:
            encoder = open_encoder(spec)
        else:
            shape = OwnShape(spec.dim, spec.heads, spec.layers, dropout, spec.pooling)
            encoder = OwnEncoder(WordTokens.fit(texts, spec.vocabulary), shape)
        if encoder.known_until is not None and encoder.known_until > until:
            raise LookAheadError(
                f"the encoder in {spec.weights} has learnt from texts known until "
                f"{encoder.known_until}, but what it forecasts begins at {until}; train it on texts "
                "known before"
            )
        if spec.how == "full":
            encoder.known_until = until
        return cls(spec, encoder)

    def module(self, dim: int) -> DocumentTokens:
        """The part of the network that reads; only what should learn asks for gradients."""
        from btq_assets.models.networks.adapters import adapt
        from btq_assets.models.networks.text_encoder import DocumentTokens

        if self.spec.how == "frozen":
            return DocumentTokens(dim, self.encoder.width)
        encoder = self.encoder.build()
        if self.spec.how == "lora":
            adapt(encoder, self.spec.lora_rank, self.spec.lora_alpha)
        return DocumentTokens(dim, self.encoder.width, encoder)

    def contents(self, texts: Sequence[str], device: str = "cpu") -> np.ndarray:
        """Token numbers ``(texts + 1, L)``; of a frozen encoder what it says, ``(texts + 1, E)``.

        The first row is no text. What was encoded once is not encoded again, by any fit of the process
        on the same weights.
        """
        if self.spec.how != "frozen":
            found = self.encoder.tokens.encode(texts, self.spec.max_tokens)
            return np.concatenate([np.zeros((1, found.shape[1]), found.dtype), found])
        still = self._still()
        new = [text for text in dict.fromkeys(texts) if text not in still.said]
        for start in range(0, len(new), _AT_ONCE):
            part = new[start : start + _AT_ONCE]
            still.said.update(zip(part, self._encode(part, still.module, device), strict=True))
        rows = [np.zeros(self.encoder.width, dtype=np.float32)]
        return np.stack([*rows, *(still.said[text] for text in texts)])

    def counts(self, network: nn.Module) -> dict[str, int]:
        """Parameters of the encoder, and how many of them learn."""
        encoder = getattr(network.get_submodule("text"), "encoder", None)
        if encoder is None:
            encoder, moving = self._still().module, False
        else:
            moving = True
        every = list(encoder.parameters())
        return {
            "text_parameters": sum(value.numel() for value in every),
            "text_parameters_trained": sum(
                value.numel() for value in every if moving and value.requires_grad
            ),
        }

    def write(self, folder: Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Keep the encoder in `folder`, and return the weights of the network that are left.

        Frozen and adapted encoders of the transformers library are kept as a hash of their folder,
        all others with their weights. Adapters are in a file of their own.
        """
        from safetensors.torch import save_file

        from btq_assets.models.networks.adapters import is_adapter

        own = {n.removeprefix(_PREFIX): v for n, v in weights.items() if n.startswith(_PREFIX)}
        if self.spec.how == "lora":
            save_file({n: v for n, v in own.items() if is_adapter(n)}, str(folder / ADAPTERS_FILE))
        self.encoder.write(folder, own if self.spec.how == "full" else None)
        return {name: value for name, value in weights.items() if not name.startswith(_PREFIX)}

    @classmethod
    def read(cls, folder: Path, spec: TextSpec) -> TextReading | None:
        """What `write` has kept; ``None`` where a model reads no documents."""
        if not (Path(folder) / DESCRIPTION_FILE).is_file():
            return None
        return cls(spec, read_encoder(folder))

    def weights(self, folder: Path, module: DocumentTokens) -> dict[str, Tensor]:
        """Weights of the encoder within a network, as `write` has kept them."""
        from safetensors.torch import load_file

        if module.encoder is None:
            return {}
        found = dict(module.encoder.state_dict())
        if self.spec.how == "lora":
            found |= load_file(str(Path(folder) / ADAPTERS_FILE))
        return {f"{_PREFIX}{name}": value for name, value in found.items()}

    def _encode(self, texts: Sequence[str], module: nn.Module, device: str) -> np.ndarray:
        import torch

        from btq_assets.models.windows.documents import without_padding

        numbers = without_padding(self.encoder.tokens.encode(texts, self.spec.max_tokens))
        with torch.no_grad():
            found = module.to(device)(torch.from_numpy(numbers).to(device))
        encoded: np.ndarray = found.float().cpu().numpy()
        return encoded

    def _still(self) -> _Still:
        key = f"{self.encoder.identity} {self.spec.max_tokens}"
        if key not in _asked_last:
            _asked_last.clear()
            _asked_last[key] = _Still(self.encoder.build().eval().requires_grad_(False))
        return _asked_last[key]
