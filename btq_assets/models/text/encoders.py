"""Encoders of texts with their tokenisers: ours, or one of the transformers library, out of folders.

Belongs here: encoders of our own, opening a folder of either kind. Does not belong here: modules
themselves (`networks.text_encoder`), training. torch is imported inside functions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from btq_assets.models.forecaster import MODEL_FILE, MismatchError, ModelError, broken_seals
from btq_assets.models.text.encoder_files import (
    DESCRIPTION_FILE,
    ENCODER_FILE,
    folder_sha256,
    identity_of,
    save_weights,
    written,
)
from btq_assets.models.text.library_encoder import BASE, FolderEncoder
from btq_assets.models.text.spec import TextSpec
from btq_assets.models.text.tokens import Tokeniser, WordTokens

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class OwnShape:
    """Size of an encoder of our own; see `TextSpec`."""

    dim: int
    heads: int
    layers: int
    dropout: float
    pooling: str


class OwnEncoder:
    """An encoder of words of our own.

    Parameters
    ----------
    tokens
        Its vocabulary.
    shape
        Its size.
    weights
        Those it begins with; ``None`` for random ones.
    known_until
        When the newest text it has learnt from was known; ``None`` where nobody says.
    """

    kind = "own"

    def __init__(
        self,
        tokens: WordTokens,
        shape: OwnShape,
        weights: Mapping[str, Tensor] | None = None,
        known_until: datetime | None = None,
    ) -> None:
        self.tokens: Tokeniser = tokens
        self.shape = shape
        self.weights = weights
        self.known_until = known_until
        self._words = tokens.words
        #: It travels with a model, whatever moves of it.
        self.folder: Path | None = None

    @property
    def width(self) -> int:
        """Width of an encoded text."""
        return self.shape.dim

    @cached_property
    def identity(self) -> str:
        """Hash of everything that decides on what it says."""
        return identity_of(self.weights or {}, f"{self.shape} {self._words}")

    def build(self) -> nn.Module:
        """The module with the weights it begins with."""
        from btq_assets.models.networks.text_encoder import TextEncoder

        made = TextEncoder(self.tokens.n_tokens, **asdict(self.shape))
        if self.weights is not None:
            made.load_state_dict(dict(self.weights))
        return made

    def write(self, folder: Path, weights: Mapping[str, Tensor] | None) -> None:
        """Keep the description in `folder`, and `weights` (by default those it begins with)."""
        found = {
            "kind": self.kind,
            "shape": asdict(self.shape),
            "words": self._words,
            "known_until": written(self.known_until),
        }
        (folder / DESCRIPTION_FILE).write_text(json.dumps(found))
        kept = self.weights if weights is None else weights
        if kept is None:
            raise ModelError("an encoder without weights cannot be kept; train it first")
        save_weights(kept, folder / ENCODER_FILE)


Encoder = OwnEncoder | FolderEncoder


def open_encoder(spec: TextSpec) -> Encoder:
    """The encoder in the folder that a specification names.

    Raises
    ------
    ModelError
        There is no such folder, it holds no encoder, its weights are in another format than
        safetensors, or a package is missing; the message says which.
    """
    folder = Path(spec.weights)
    if not folder.is_dir():
        raise ModelError(
            f"text.weights = {spec.weights!r} is no folder; it holds an encoder saved by "
            "models.text.sentiment, or one of the transformers library. Nothing is downloaded"
        )
    if (folder / DESCRIPTION_FILE).is_file():
        _require_sealed(folder)
        return read_encoder(folder)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"text.weights = {spec.weights!r} holds neither {DESCRIPTION_FILE} nor config.json, so it is "
            "no encoder"
        )
    return FolderEncoder(folder, spec.pooling)


def read_encoder(folder: Path) -> Encoder:
    """What `write` of an encoder has kept in a folder.

    Raises
    ------
    MismatchError
        The files are damaged, or the weights it stands on are gone or others.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    try:
        found = json.loads((folder / DESCRIPTION_FILE).read_text())
        kind, said = found["kind"], found["known_until"]
        until = None if said is None else datetime.fromisoformat(said)
        if kind == OwnEncoder.kind:
            return OwnEncoder(
                WordTokens(found["words"]),
                OwnShape(**found["shape"]),
                load_file(str(folder / ENCODER_FILE)),
                until,
            )
        if kind != FolderEncoder.kind:
            raise KeyError(kind)
        pooling = found["pooling"]
        if "folder" not in found:
            weights = load_file(str(folder / ENCODER_FILE))
            return FolderEncoder(folder / BASE, pooling, weights, until)
        base, sha256 = Path(found["folder"]), found["sha256"]
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise MismatchError(f"{folder} holds no readable encoder of texts: {error!r}") from error
    if not base.is_dir():
        raise MismatchError(
            f"{folder} stands on the weights in {base}, which are gone; put them back"
        )
    if folder_sha256(base) != sha256:
        raise MismatchError(
            f"{folder} stands on the weights in {base}, which are others by now: their sha256 is not "
            f"{sha256}. Put them back, or fit again"
        )
    return FolderEncoder(base, pooling, known_until=until)


def _require_sealed(folder: Path) -> None:
    try:
        problems = broken_seals(folder, json.loads((folder / MODEL_FILE).read_text()))
    except (OSError, ValueError) as error:
        problems = [f"{MODEL_FILE} cannot be read ({error})"]
    if problems:
        raise MismatchError(f"{folder} is refused: {'; '.join(problems)}. Train it again")
