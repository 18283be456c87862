"""An encoder of the transformers library out of a local folder, with its tokeniser.

Belongs here: opening the folder, building the module, what of it a saved model keeps. Does not belong
here: encoders of our own (`encoders`), modules (`networks.text_encoder`). Nothing is fetched from
anywhere, and weights are read from safetensors alone. torch and transformers are imported inside
functions.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btq_assets.models.forecaster import ModelError
from btq_assets.models.text.encoder_files import (
    DESCRIPTION_FILE,
    ENCODER_FILE,
    folder_sha256,
    identity_of,
    save_weights,
    written,
)
from btq_assets.models.text.tokens import FolderTokens

if TYPE_CHECKING:
    from torch import Tensor, nn

#: What of a folder of the transformers library is no weight and is kept with a model.
_SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
#: Where they are kept.
BASE = "text_base"


class FolderEncoder:
    """An encoder of the transformers library out of a local folder.

    Parameters
    ----------
    folder
        ``config.json``, weights in safetensors, and the files of its tokeniser.
    pooling
        How one vector is made of its tokens.
    weights
        In place of those of the folder, which then needs to hold none.
    known_until
        As for `OwnEncoder`; folders of others do not say.
    """

    kind = "transformers"

    def __init__(
        self,
        folder: Path,
        pooling: str,
        weights: Mapping[str, Tensor] | None = None,
        known_until: datetime | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.pooling = pooling
        self.weights = weights
        self.known_until = known_until
        _require_transformers()
        if weights is None and not list(self.folder.glob("*.safetensors")):
            raise ModelError(
                f"{self.folder} holds no .safetensors file; weights in other formats can run code "
                "when loaded and are refused"
            )
        with _named_errors(self.folder):
            self.tokens: FolderTokens = FolderTokens(self.folder)
            from transformers import AutoConfig

            self._config: Any = AutoConfig.from_pretrained(
                str(self.folder), local_files_only=True, trust_remote_code=False
            )
        known, embedded = self.tokens.n_tokens - 1, int(self._config.vocab_size)
        if not embedded / 2 <= known <= embedded:
            raise ModelError(
                f"the tokeniser in {self.folder} knows {known} words, its model {embedded}: they do not "
                "belong together, or the files of the tokeniser are missing"
            )

    @property
    def width(self) -> int:
        """Width of an encoded text."""
        return int(self._config.hidden_size)

    @cached_property
    def identity(self) -> str:
        """Hash of everything that decides on what it says."""
        return identity_of(self.weights or {}, f"{folder_sha256(self.folder)} {self.pooling}")

    def build(self) -> nn.Module:
        """The module with the weights of the folder, or those given."""
        from transformers import AutoModel

        from btq_assets.models.networks.text_encoder import PretrainedEncoder

        with _named_errors(self.folder), _quiet():
            if self.weights is not None:
                model = AutoModel.from_config(self._config, trust_remote_code=False)
                lacking: list[str] = []
            else:
                model, found = AutoModel.from_pretrained(
                    str(self.folder),
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                )
                lacking = sorted(n for n in found["missing_keys"] if not n.startswith("pooler."))
        if lacking:
            raise ModelError(
                f"{self.folder} lacks weights of its own architecture, which would be random: "
                f"{', '.join(lacking[:5])}; name a folder with all of them"
            )
        # It makes a sentence vector by weights that few folders have; ours are pooled from the tokens.
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        made = PretrainedEncoder(
            model.float(), padding=self.tokens.padding, width=self.width, pooling=self.pooling
        )
        if self.weights is not None:
            made.load_state_dict(dict(self.weights))
        return made

    def write(self, folder: Path, weights: Mapping[str, Tensor] | None) -> None:
        """Keep `weights` and the small files in `folder`; without weights, what the folder hashes to.

        Weights of hundreds of megabytes that did not move are not copied for every fit.
        """
        found: dict[str, Any] = {
            "kind": self.kind,
            "pooling": self.pooling,
            "known_until": written(self.known_until),
        }
        if weights is None:
            found |= {"folder": str(self.folder), "sha256": folder_sha256(self.folder)}
        else:
            save_weights(weights, folder / ENCODER_FILE)
            (folder / BASE).mkdir()
            for pattern in _SMALL_FILES:
                for file in self.folder.glob(pattern):
                    if not file.name.endswith(".index.json"):
                        shutil.copyfile(file, folder / BASE / file.name)
        (folder / DESCRIPTION_FILE).write_text(json.dumps(found))


def _require_transformers() -> None:
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise ModelError(
            "this folder is read by the package transformers; install it with "
            f"pip install 'btquant[text-models]' ({error})"
        ) from None


@contextlib.contextmanager
def _named_errors(folder: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{folder} cannot be read as a model of the transformers library: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's remarks on heads that are left out, and its progress bars."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
