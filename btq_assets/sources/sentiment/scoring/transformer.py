"""Any sequence classifier of the transformers library, from a local folder or by its hub name.

Belongs here: loading (safetensors only: a pickled file can run code), reading what its labels
mean, scoring. Does not belong here: training.

The score is P(positive) - P(negative); of star ratings, the expected number of stars put on -1
to 1. Labels that say neither are refused: which of ``LABEL_0`` and ``LABEL_1`` is good is not for
us to guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btq_assets.sources.sentiment.scoring.base import ScorerError, folder_hash

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BATCH = 32
_LONGEST = 512
_VALUES = {
    "positive": 1.0, "pos": 1.0, "bullish": 1.0, "negative": -1.0, "neg": -1.0, "bearish": -1.0,
    "neutral": 0.0, "neu": 0.0,
}  # fmt: skip
_STARS = re.compile(r"^([1-5]) stars?$")


class TransformerScorer:
    """A fine-tuned classifier such as FinBERT.

    Parameters
    ----------
    model
        Folder with ``config.json``, ``model.safetensors`` and the tokenizer, or a hub name.

    Raises
    ------
    ScorerError
        transformers is not installed, the model is not there, or its labels are not readable.
    """

    name = "transformer"

    def __init__(self, model: str) -> None:
        self._tokenizer, self._model = _load(model)
        self._values = label_values(self._model.config.id2label or {}, model)
        local = Path(model)
        revision = (
            folder_hash(local)
            if local.is_dir()
            else str(getattr(self._model.config, "_commit_hash", None) or "unknown")
        )
        self.version = f"{local.name}@{revision}"

    def score(self, texts: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        import torch

        values = torch.tensor(self._values)
        scores: list[float] = []
        for start in range(0, len(texts), _BATCH):
            batch = self._tokenizer(
                list(texts[start : start + _BATCH]),
                truncation=True,
                max_length=min(_LONGEST, self._tokenizer.model_max_length),
                padding=True,
                return_tensors="pt",
            )
            with torch.inference_mode():
                odds = self._model(**batch).logits.softmax(dim=-1)
            scores += (odds @ values).tolist()
        # Padding moves the last digits; a score must be a function of its text alone.
        return [round(min(max(score, -1.0), 1.0), 5) for score in scores]


def label_values(labels: Mapping[Any, str], model: str) -> list[float]:
    """Value of each class from -1 to 1.

    Raises
    ------
    ScorerError
        A label does not say what it means, or there is no good or no bad one.
    """
    values = []
    for number in sorted(labels):
        label = str(labels[number]).strip().lower()
        stars = _STARS.match(label)
        if stars:
            values.append((int(stars.group(1)) - 3) / 2)
        elif label in _VALUES:
            values.append(_VALUES[label])
        else:
            raise ScorerError(
                f"{model}: class {number} is called {labels[number]!r}; only positive, negative, "
                "neutral, bullish, bearish and '1 star' to '5 stars' are understood. Correct "
                "id2label in its config.json, or choose another model"
            )
    if not values or min(values) >= 0 or max(values) <= 0:
        raise ScorerError(f"{model}: classes {list(labels.values())} hold no good or no bad one")
    return values


def _load(model: str) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    try:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        raise ScorerError(
            "sources.documents.scorer: transformer needs the package transformers; install it with "
            f"pip install 'btquant[text-models]', or choose scorer: vader ({error})"
        ) from None
    folder = Path(model)
    if folder.is_dir() and not list(folder.glob("*.safetensors")):
        raise ScorerError(
            f"sources.documents.model = {model!r} holds no .safetensors file; weights in other "
            "formats can run code when loaded and are refused"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        network = AutoModelForSequenceClassification.from_pretrained(
            model, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ScorerError(
            f"sources.documents.model = {model!r} is neither a folder with a model nor one the hub "
            "gives (is there a network?). Download it where there is one and name its folder, or "
            f"choose scorer: vader. transformers says: {' '.join(str(error).split())[:300]}"
        ) from None
    network.eval()
    return tokenizer, network
