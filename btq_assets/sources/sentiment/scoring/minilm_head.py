"""A small head over sentence embeddings, trained on texts a user has labelled.

Belongs here: reading the labels, fitting the head, scoring. Does not belong here: the embeddings
(`minilm.py`).

The head is a logistic regression over 384 numbers: transfer learning in its plainest form. It learns
how texts sound, from labels of people; labels made from later returns would carry the future into
every score, and must not be used.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from btq_assets.sources.sentiment.scoring.base import ScorerError
from btq_assets.sources.sentiment.scoring.minilm import SHA256, Floats, MiniLm

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

#: Fewer labelled texts of a class teach nothing.
FEWEST_OF_A_CLASS = 5
_LABELS = {
    "negative": -1, "neg": -1, "bearish": -1, "-1": -1, "neutral": 0, "neu": 0, "0": 0,
    "positive": 1, "pos": 1, "bullish": 1, "1": 1, "+1": 1,
}  # fmt: skip


class MiniLmScorer:
    """P(positive) - P(negative) of a logistic head.

    Parameters
    ----------
    labelled_texts
        CSV with the columns ``text`` and ``label``.
    encoder
        The embeddings; the packaged ones by default.

    Raises
    ------
    ScorerError
        A package is missing, or the labelled texts cannot be used.
    """

    name = "minilm"

    def __init__(self, labelled_texts: Path, encoder: MiniLm | None = None) -> None:
        texts, labels = read_labels(labelled_texts)
        self._encoder = encoder or MiniLm.load()
        self._head = fit_head(self._encoder.embed(texts), labels)
        taught = hashlib.sha256(repr(list(zip(texts, labels, strict=True))).encode()).hexdigest()
        self.version = f"{SHA256[:8]}+{taught[:8]}"

    def score(self, texts: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        if not texts:
            return []
        odds = self._head.predict_proba(self._encoder.embed(texts))
        scores = np.clip(odds @ self._head.classes_.astype(float), -1.0, 1.0)
        # Padding moves the last digits; a score must be a function of its text alone.
        return scores.round(5).tolist()


def fit_head(embeddings: Floats, labels: Sequence[int]) -> LogisticRegression:
    """Logistic regression with balanced classes: the same input gives the same head."""
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=10.0, class_weight="balanced", max_iter=2_000)
    return head.fit(embeddings, np.asarray(labels))


def read_labels(file: Path) -> tuple[list[str], list[int]]:
    """Texts and their labels, -1, 0 or 1.

    Raises
    ------
    ScorerError
        The file is missing, its columns or labels are not the known ones, a text has two labels,
        or a class has too few texts.
    """
    name = f"sources.documents.labelled_texts = {str(file)!r}"
    if not file.is_file():
        raise ScorerError(f"{name} does not exist; it holds the columns text and label")
    try:
        content = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScorerError(f"{name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    rows = csv.DictReader(io.StringIO(content, newline=""))
    if not {"text", "label"} <= set(rows.fieldnames or ()):
        raise ScorerError(f"{name} has the columns {rows.fieldnames}, not text and label")
    known: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        text, label = (row["text"] or "").strip(), (row["label"] or "").strip().lower()
        if not text or label not in _LABELS:
            raise ScorerError(
                f"{name}, row {number}: needs a text and one of negative, neutral, positive, has "
                f"{text[:40]!r} and {label!r}"
            )
        if known.setdefault(text, _LABELS[label]) != _LABELS[label]:
            raise ScorerError(f"{name}, row {number}: {text[:60]!r} has two different labels")
    counts = Counter(known.values())
    if min(counts.get(-1, 0), counts.get(1, 0)) < FEWEST_OF_A_CLASS:
        raise ScorerError(
            f"{name} has {counts.get(-1, 0)} negative and {counts.get(1, 0)} positive texts; at "
            f"least {FEWEST_OF_A_CLASS} of each are needed"
        )
    ordered = sorted(known)
    return ordered, [known[text] for text in ordered]
