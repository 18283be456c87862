"""Panels whose news tells the next return, sentences that say how words sound, a tiny BERT."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from btq_assets.models.text.documents import attach

#: Twenty words each that are good and bad news, and what stands around them.
GOOD = [f"gain{first}{second}" for first in "abcd" for second in "efghi"]
BAD = [f"loss{first}{second}" for first in "abcd" for second in "efghi"]
AROUND = ("the firm said", "in the quarter", "analysts heard", "report of")

NEWS_SCHEMA = {
    "symbol": pl.String,
    "known_at": pl.Datetime("us", "UTC"),
    "doc_id": pl.String,
    "text": pl.String,
}


def _news(
    moods: np.ndarray, ts: list[dt.datetime], random: np.random.Generator, words: tuple[list, list]
) -> pl.DataFrame:
    """A sentence two hours before each session whose mood is not 0."""
    rows = []
    for session, asset in np.argwhere(moods):
        told = random.choice(words[0] if moods[session, asset] > 0 else words[1])
        before, after = random.choice(AROUND, size=2)
        known = ts[session] - dt.timedelta(hours=2)
        rows.append((f"S{asset:02d}", known, f"d{session}_{asset}", f"{before} {told} {after}"))
    return pl.DataFrame(rows, schema=NEWS_SCHEMA, orient="row")


@pytest.fixture(scope="session")
def newsy(panel_of: Callable, training_set_of: Callable) -> Callable:
    """Panel and training set in which news, and nothing else, tells the next return."""

    def made(n_train: int = 150, seed: int = 3, words: tuple[list, list] = (GOOD, BAD)):
        random = np.random.default_rng(seed)
        shape = (n_train + 90, 6)
        moods = np.where(random.random(shape) < 0.5, random.choice([-1.0, 1.0], size=shape), 0)
        returns = 0.004 * random.normal(size=shape)
        returns[2:] += 0.01 * moods[:-2]
        panel = panel_of(returns, {"noise": random.normal(size=shape)})
        known = _news(moods, panel["ts"].unique().sort().to_list(), random, words)
        panel = attach(panel, known, documents=2, window_days=5)
        return panel, training_set_of(panel, ("noise",), n_train, 40), known

    return made


@pytest.fixture(scope="session")
def news(newsy: Callable):
    """The panel most tests read."""
    return newsy()


def _labelled(seed: int = 0, *, shuffled: bool = False, per_word: int = 6) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    rows = [
        (f"{before} {word} {after}", label)
        for label, words in (("positive", GOOD), ("negative", BAD))
        for word in words
        for before, after in random.choice(AROUND, size=(per_word, 2))
    ]
    rows += [(f"{a} {b} {c}", "neutral") for a, b, c in random.choice(AROUND, size=(60, 3))]
    frame = pl.DataFrame(rows, schema=["text", "label"], orient="row").unique("text").sort("text")
    if shuffled:
        order = random.permutation(frame.height)
        frame = frame.with_columns(label=frame["label"].gather(order))
    return frame


@pytest.fixture(scope="session")
def labelled() -> Callable[..., pl.DataFrame]:
    """Labelled sentences; `shuffled` labels say nothing."""
    return _labelled


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT classifier of two small layers with random weights, and its tokeniser."""
    transformers = pytest.importorskip("transformers", reason="extra text-models")
    import torch

    folder = tmp_path_factory.mktemp("tiny-bert")
    around = sorted({word for part in AROUND for word in part.split()})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *around]
    numbers = {word: number for number, word in enumerate(words)}
    tokeniser = transformers.BertTokenizerFast(vocab=numbers, model_max_length=32)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = transformers.BertForSequenceClassification(
            transformers.BertConfig(
                vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                intermediate_size=32, max_position_embeddings=32, initializer_range=0.1,
                num_labels=3,
            )
        )  # fmt: skip
    model.save_pretrained(folder)
    tokeniser.save_pretrained(folder)
    return folder
