"""How sentences sound, learnt from labels of people; its encoder then serves the forecast of returns.

Belongs here: fitting the classifier, what it says, saving and loading it. Does not belong here: the
torch modules (`networks.text_encoder`), reading a user's file (`labelled`), documents of assets. torch
is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from btq_assets.models.forecaster import (
    WEIGHTS_FILE,
    ModelError,
    Progress,
    Provenance,
    library_versions,
    read_model,
    seal,
    write_model,
)
from btq_assets.models.text.encoders import (
    Encoder,
    OwnEncoder,
    OwnShape,
    open_encoder,
    read_encoder,
)
from btq_assets.models.text.labelled import CLASSES, sentences
from btq_assets.models.text.spec import TextSpec
from btq_assets.models.text.tokens import WordTokens
from btq_assets.models.training.recipe import Recipe
from btq_assets.models.windows.samples import DateSamples, loops

if TYPE_CHECKING:
    from torch import nn

_ENCODER = "encoder."


@dataclass(frozen=True, kw_only=True)
class SentimentSpec:
    """Configuration of one fit.

    Parameters
    ----------
    text
        The encoder: from nothing, or out of a folder and fine-tuned in one of three ways.
    dropout
        Dropout while training.
    learning_rate, weight_decay, epochs, patience
        See `training.recipe.Recipe`.
    batch_sentences
        Sentences of a batch.
    accumulate
        Parts a batch is computed in, one after the other; results are those of the whole batch.
    validation_share
        Share of the sentences that stops training: the newest where they have times, else drawn.
    seed
        Weights, dropout, the draw and the order of batches.
    """

    text: TextSpec = field(default_factory=TextSpec)
    dropout: float = 0.1
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    epochs: int = 30
    patience: int = 5
    batch_sentences: int = 32
    accumulate: int = 1
    validation_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Take the specification of the text also as read from a file."""
        if isinstance(self.text, dict):
            object.__setattr__(self, "text", TextSpec(**self.text))
        if not 0 < self.validation_share < 1:
            raise ModelError(
                f"validation_share is {self.validation_share}; it lies between 0 and 1"
            )


class SentimentClassifier:
    """Negative, neutral or positive; its folder is one that ``models.text.weights`` may name.

    Parameters
    ----------
    spec
        Configuration.
    device
        ``cpu``, ``cuda`` or ``mps``.
    """

    family = "sentiment"

    def __init__(self, spec: SentimentSpec | None = None, *, device: str = "cpu") -> None:
        self.spec = spec or SentimentSpec()
        self.device = device
        self.scores: dict[str, Any] = {}
        self._encoder: Encoder | None = None
        self._network: nn.Module | None = None

    @property
    def known_until(self) -> datetime | None:
        """When the newest sentence it has learnt from was known; ``None`` where one has no time."""
        return None if self._encoder is None else self._encoder.known_until

    def fit(
        self,
        frame: pl.DataFrame,
        progress: Progress | None = None,
        *,
        log: Callable[[str], None] | None = None,
    ) -> Self:
        """Learn from labelled sentences; see `labelled.sentences` for the columns.

        The vocabulary of an encoder of our own is fitted on the sentences it trains on. Classes weigh
        the same, however rare.

        Raises
        ------
        ModelError
            The sentences cannot be used, or the folder of the encoder cannot be read.
        """
        from btq_assets.models.networks.adapters import adapt
        from btq_assets.models.networks.text_encoder import SentimentNetwork
        from btq_assets.models.training.loop import train
        from btq_assets.models.training.reproducible import reproducible

        labelled = sentences(frame)
        training, validation = self._divided(labelled)
        texts, spec = labelled["text"].to_list(), self.spec.text
        learnt = [texts[place] for place in training]
        encoder = self._begin(learnt)
        times = labelled["known_at"]
        encoder.known_until = None if times.null_count() else times.max()  # type: ignore[assignment]
        labels = labelled["label"].to_numpy()
        with reproducible(self.spec.seed):
            module = encoder.build()
            if spec.how == "lora":
                adapt(module, spec.lora_rank, spec.lora_alpha)
            elif spec.how == "frozen":
                module.requires_grad_(False)
            network = SentimentNetwork(module, self.spec.dropout).to(self.device)
            source = _sentence_source(encoder.tokens.encode(texts, spec.max_tokens), self.device)
            weight = _balanced(labels, training)
            curves = train(
                network,
                source,
                [_sample(place, labels, weight) for place in training],
                [_sample(place, labels, weight) for place in validation],
                self._recipe(),
                progress,
                log=log,
                loss_of=_cross_entropy,
            )
        self._encoder, self._network = encoder, network
        every = list(network.parameters())
        found = self.predict([texts[place] for place in validation])
        said = found.select(CLASSES).to_numpy().argmax(axis=1)
        self.scores = {
            **curves,
            "n_train": len(training),
            "n_validation": len(validation),
            "validation_accuracy": float((said == labels[validation]).mean()),
            "parameters": sum(value.numel() for value in every),
            "parameters_trained": sum(v.numel() for v in every if v.requires_grad),
        }
        return self

    def predict(self, texts: Sequence[str]) -> pl.DataFrame:
        """Probabilities of each text, and ``score``: positive less negative.

        Returns
        -------
        polars.DataFrame
            ``text``, ``negative``, ``neutral``, ``positive``, ``score``, in the order given.
        """
        from btq_assets.models.training.loop import forecast
        from btq_assets.models.training.reproducible import reproducible

        encoder, network = self._fitted()
        logits = np.zeros((0, len(CLASSES)))
        if texts:
            with reproducible(self.spec.seed):
                contents = encoder.tokens.encode(texts, self.spec.text.max_tokens)
                source = _sentence_source(contents, self.device)
                nothing = np.zeros(len(texts))
                samples = [_sample(place, nothing, nothing) for place in range(len(texts))]
                logits = np.concatenate(forecast(network, source, samples))
        odds = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        odds /= odds.sum(axis=1, keepdims=True)
        frame = pl.DataFrame(odds, schema=list(CLASSES))
        return frame.select(
            pl.Series("text", list(texts), dtype=pl.String),
            *CLASSES,
            score=pl.col("positive") - pl.col("negative"),
        )

    def save(self, folder: Path) -> None:
        """Write the head, the encoder with its adapters merged in, and hashes of both."""
        import copy

        from safetensors.torch import save_file

        from btq_assets.models.networks.adapters import merge

        encoder, network = self._fitted()
        folder = Path(folder)
        provenance = Provenance(
            model=self.family,
            feature_names=CLASSES,
            code_version="unversioned",
            seed=self.spec.seed,
            versions=library_versions("torch", "transformers", "numpy"),
        )
        write_model(folder, provenance, self.spec, {"scores": self.scores})
        module = copy.deepcopy(network.encoder)
        merge(module)  # type: ignore[arg-type]
        encoder.write(folder, None if self._stays() else module.state_dict())  # type: ignore[union-attr]
        weights = {n: v for n, v in network.state_dict().items() if not n.startswith(_ENCODER)}
        save_file({n: v.cpu().contiguous() for n, v in weights.items()}, str(folder / WEIGHTS_FILE))
        seal(folder)

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Self:
        """Read a folder of `save`; raises `MismatchError` where it is not what was saved."""
        from safetensors.torch import load_file

        from btq_assets.models.networks.text_encoder import SentimentNetwork

        spec, _, extra = read_model(
            Path(folder), cls.family, SentimentSpec, feature_names=CLASSES, code_version=None
        )
        made = cls(spec, device=device)
        made.scores = extra["scores"]
        made._encoder = read_encoder(Path(folder))
        network = SentimentNetwork(made._encoder.build(), spec.dropout)
        network.load_state_dict(load_file(str(Path(folder) / WEIGHTS_FILE)), strict=False)
        made._network = network.to(device)
        return made

    def _stays(self) -> bool:
        """Whether the encoder is that of its folder, which is then not copied."""
        return self.spec.text.how == "frozen"

    def _begin(self, texts: Sequence[str]) -> Encoder:
        spec = self.spec.text
        if spec.weights:
            return open_encoder(spec)
        shape = OwnShape(spec.dim, spec.heads, spec.layers, self.spec.dropout, spec.pooling)
        return OwnEncoder(WordTokens.fit(texts, spec.vocabulary), shape)

    def _divided(self, labelled: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Places of the sentences that teach and of those that stop; newest last where times are said."""
        order = np.arange(labelled.height)
        if labelled["known_at"].null_count():
            order = np.random.default_rng(self.spec.seed).permutation(order)
        n_validation = max(round(labelled.height * self.spec.validation_share), 1)
        return order[:-n_validation], order[-n_validation:]

    def _recipe(self) -> Recipe:
        spec = self.spec
        return Recipe(
            epochs=spec.epochs,
            patience=spec.patience,
            batch_dates=spec.batch_sentences,
            learning_rate=spec.learning_rate,
            weight_decay=spec.weight_decay,
            relative=False,
            seed=spec.seed,
            accumulate=spec.accumulate,
        )

    def _fitted(self) -> tuple[Encoder, nn.Module]:
        if self._encoder is None or self._network is None:
            raise ModelError("sentiment is not fitted; call fit() or load() first")
        return self._encoder, self._network


def _sample(place: int, labels: np.ndarray, weight: np.ndarray) -> DateSamples:
    """One sentence as a sample: its class is its target."""
    alone = np.zeros(1, dtype=np.int64)
    target = np.full((1, 1), labels[place], dtype=np.float64)
    return DateSamples(place, loops(alone, 0), alone, target, np.full(1, weight[place]))


def _balanced(labels: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Weight of each sentence: all classes weigh the same in the training part."""
    counts = np.bincount(labels[training], minlength=len(CLASSES))
    if min(counts[0], counts[2]) == 0:
        raise ModelError(
            f"the sentences that teach are {counts[0]} negative and {counts[2]} positive; with times, "
            "the newest only stop the training: give older ones of both"
        )
    share = np.where(counts > 0, len(training) / np.maximum(counts, 1), 1.0)
    weights: np.ndarray = share[labels] / share[labels[training]].mean()
    return weights


def _sentence_source(contents: np.ndarray, device: str) -> Any:
    from btq_assets.models.windows.sentences import Sentences

    return Sentences(contents, device)


def _cross_entropy(outputs: Any, batch: Any, *, relative: bool) -> Any:
    """Cross-entropy of the logits, weighted mean over the sentences."""
    from torch.nn import functional

    classes = batch.target[:, 0].long()
    each = functional.cross_entropy(outputs.mean, classes, reduction="none")
    return (each * batch.weight).sum() / batch.weight.sum()
