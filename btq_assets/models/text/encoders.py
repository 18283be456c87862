"""Encoders of texts with their tokenisers: ours, or one of the transformers library, out of folders.

Belongs here: opening a folder, building the module, what of it a saved model keeps. Does not belong
here: modules themselves (`networks.text_encoder`), training. Nothing is fetched from anywhere, and
weights are read from safetensors alone. torch and transformers are imported inside functions.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btq_assets.models.forecaster import MODEL_FILE, MismatchError, ModelError, broken_seals
from btq_assets.models.text.spec import TextSpec
from btq_assets.models.text.tokens import FolderTokens, Tokeniser, WordTokens

if TYPE_CHECKING:
    from torch import Tensor, nn

ENCODER_FILE = "text_encoder.safetensors"
DESCRIPTION_FILE = "text_encoder.json"

#: What of a folder of the transformers library is no weight and is kept with a model.
_SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
_BASE = "text_base"


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
        return _identity(self.weights or {}, f"{self.shape} {self._words}")

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
            "known_until": _written(self.known_until),
        }
        (folder / DESCRIPTION_FILE).write_text(json.dumps(found))
        kept = self.weights if weights is None else weights
        if kept is None:
            raise ModelError("an encoder without weights cannot be kept; train it first")
        _save(kept, folder / ENCODER_FILE)


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
        return _identity(self.weights or {}, f"{folder_sha256(self.folder)} {self.pooling}")

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
            "known_until": _written(self.known_until),
        }
        if weights is None:
            found |= {"folder": str(self.folder), "sha256": folder_sha256(self.folder)}
        else:
            _save(weights, folder / ENCODER_FILE)
            (folder / _BASE).mkdir()
            for pattern in _SMALL_FILES:
                for file in self.folder.glob(pattern):
                    if not file.name.endswith(".index.json"):
                        shutil.copyfile(file, folder / _BASE / file.name)
        (folder / DESCRIPTION_FILE).write_text(json.dumps(found))


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
            return FolderEncoder(folder / _BASE, pooling, weights, until)
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


def _identity(weights: Mapping[str, Tensor], besides: str) -> str:
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


def _save(weights: Mapping[str, Tensor], file: Path) -> None:
    from safetensors.torch import save_file

    # Copies: tensors that share memory cannot be written.
    save_file({n: value.detach().cpu().clone().contiguous() for n, value in weights.items()}, file)


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _require_sealed(folder: Path) -> None:
    try:
        problems = broken_seals(folder, json.loads((folder / MODEL_FILE).read_text()))
    except (OSError, ValueError) as error:
        problems = [f"{MODEL_FILE} cannot be read ({error})"]
    if problems:
        raise MismatchError(f"{folder} is refused: {'; '.join(problems)}. Train it again")


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
