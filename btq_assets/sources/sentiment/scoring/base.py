"""The interface of scorers, and the choice among them.

Belongs here: `Scorer`, its errors, opening the configured one, scoring documents with it. Does not
belong here: any particular scorer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from btq_assets.config import DocumentsSection


class ScorerError(RuntimeError):
    """A scorer cannot work: a package, weights or labelled texts are missing or not usable."""


class Scorer(Protocol):
    """Something that reads texts.

    Parameters
    ----------
    name
        Kind of scorer.
    version
        Changes whenever a score could.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    def score(self, texts: Sequence[str]) -> list[float]:
        """Score of each text from -1 (bad) to 1 (good), in order; a function of the text alone."""
        ...


def open_scorer(settings: DocumentsSection) -> Scorer:
    """The configured scorer.

    Raises
    ------
    ScorerError
        What it needs is not there; the message says how to get it.
    """
    if settings.scorer == "transformer":
        from btq_assets.sources.sentiment.scoring.transformer import TransformerScorer

        return TransformerScorer(settings.model)
    if settings.scorer == "minilm":
        from btq_assets.sources.sentiment.scoring.minilm_head import MiniLmScorer

        return MiniLmScorer(Path(settings.labelled_texts))
    from btq_assets.sources.sentiment.scoring.vader import VaderScorer

    return VaderScorer()


def files_fingerprint(settings: DocumentsSection) -> str:
    """Hash over the files beside the code that decide on scores: labelled texts, a local model."""
    state = hashlib.sha256()
    if settings.scorer == "minilm":
        file = Path(settings.labelled_texts)
        state.update(file.read_bytes() if file.is_file() else b"missing")
    if settings.scorer == "transformer":
        state.update(folder_hash(Path(settings.model)).encode())
    return state.hexdigest()[:16]


def folder_hash(folder: Path) -> str:
    """Hash over names and contents of a model's folder; of an absent one, that it is absent."""
    state = hashlib.sha256()
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if file.is_file():
            state.update(file.name.encode())
            with file.open("rb") as opened:
                state.update(hashlib.file_digest(opened, "sha256").digest())
    return state.hexdigest()[:16]


#: Sentences of a body that are read: what matters comes first.
BODY_SENTENCES = 10
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")


def score_documents(
    scorer: Scorer, documents: Iterable[tuple[str, str | None]]
) -> dict[tuple[str, str | None], float]:
    """Score of each distinct document.

    A headline alone counts fully. With a body, half of the score is the headline's and half is
    the mean of the body's first ten sentences: scores of long texts in one piece saturate.

    Parameters
    ----------
    scorer
        Reads each distinct sentence once.
    documents
        ``(headline, text)``.
    """
    wanted = dict.fromkeys(documents)
    bodies = {text: _sentences(text) for _, text in wanted if text}
    pieces = dict.fromkeys(
        [headline for headline, _ in wanted] + [s for found in bodies.values() for s in found]
    )
    scores = dict(zip(pieces, scorer.score(list(pieces)), strict=True))
    result = {}
    for headline, text in wanted:
        own = scores[headline]
        sentences = bodies.get(text, []) if text else []
        if sentences and text != headline:
            body = sum(scores[s] for s in sentences) / len(sentences)
            own = 0.5 * own + 0.5 * body
        result[headline, text] = min(max(own, -1.0), 1.0)
    return result


def _sentences(text: str) -> list[str]:
    found = (part.strip() for part in _SENTENCE_END.split(text[:20_000]))
    return [part for part in found if part][:BODY_SENTENCES]
