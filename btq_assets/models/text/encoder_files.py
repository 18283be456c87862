"""Files of an encoder of texts: their names, writing weights, hashes.

Belongs here: what encoders of every kind share on disk. Does not belong here: what an encoder is
(`encoders`, `library_encoder`). torch is imported inside functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

ENCODER_FILE = "text_encoder.safetensors"
DESCRIPTION_FILE = "text_encoder.json"


def identity_of(weights: Mapping[str, Tensor], besides: str) -> str:
    """Hash over weights and whatever else decides on what an encoder says."""
    state = hashlib.sha256(besides.encode())
    for name in sorted(weights):
        state.update(name.encode())
        state.update(weights[name].detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def folder_sha256(folder: Path) -> str:
    """Hash over names and contents of the files of a folder."""
    state = hashlib.sha256()
    for file in sorted(Path(folder).rglob("*")):
        if file.is_file():
            state.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as opened:
                state.update(hashlib.file_digest(opened, "sha256").digest())
    return state.hexdigest()


def weights_version(weights: str) -> str:
    """What a folder of weights holds, as a short text; whoever uses it is computed again when it moves."""
    if not weights:
        return ""
    from btq_assets.models.forecaster import library_versions

    folder = Path(weights)
    held = folder_sha256(folder) if folder.is_dir() else "missing"
    return f"{held} {library_versions('transformers', 'tokenizers')}"


def save_weights(weights: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors as safetensors, wherever they live."""
    from safetensors.torch import save_file

    # Copies: tensors that share memory cannot be written.
    save_file({n: value.detach().cpu().clone().contiguous() for n, value in weights.items()}, file)


def written(moment: datetime | None) -> str | None:
    """A time as a file holds it."""
    return None if moment is None else moment.isoformat()
