"""Texts as token numbers: words of our own, or the tokeniser of a folder. 0 means no token.

Belongs here: cutting texts, the vocabulary and what it is fitted on. Does not belong here: torch.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from btq_assets.models.forecaster import ModelError

_WORD = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)*|[%$€£+\-!?]")

#: Places that words outside the vocabulary share, by their hash.
HASHED = 64


class Tokeniser(Protocol):
    """Cuts texts; the same text always gives the same numbers."""

    @property
    def n_tokens(self) -> int:
        """Token numbers there are, 0 among them."""

    def encode(self, texts: Sequence[str], max_tokens: int) -> np.ndarray:
        """``(len(texts), max_tokens)`` int32, 0 after the last token."""


class WordTokens:
    """Lower-case words, most frequent first; numbers are one word; unknown ones share hashed places.

    Parameters
    ----------
    words
        The vocabulary, in the order of its numbers.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._number = {word: number + 1 + HASHED for number, word in enumerate(self.words)}

    @classmethod
    def fit(cls, texts: Iterable[str], size: int) -> WordTokens:
        """The `size` most frequent words of different texts that occur at least twice.

        Ties go by the alphabet, so that the order of the texts changes nothing.
        """
        counts: Counter[str] = Counter()
        for text in set(texts):
            counts.update(words_of(text))
        often = [(word, n) for word, n in counts.items() if n > 1]
        return cls([word for word, _ in sorted(often, key=lambda pair: (-pair[1], pair[0]))[:size]])

    @property
    def n_tokens(self) -> int:
        """See `Tokeniser`."""
        return 1 + HASHED + len(self.words)

    def encode(self, texts: Sequence[str], max_tokens: int) -> np.ndarray:
        """See `Tokeniser`."""
        found = np.zeros((len(texts), max_tokens), dtype=np.int32)
        for row, text in enumerate(texts):
            numbers = [self._of(word) for word in words_of(text, max_tokens)]
            found[row, : len(numbers)] = numbers
        return found

    def _of(self, word: str) -> int:
        known = self._number.get(word)
        if known is not None:
            return known
        return 1 + hashlib.blake2b(word.encode(), digest_size=4).digest()[0] % HASHED


class FolderTokens:
    """The tokeniser of a model's folder, read by the transformers library; nothing is fetched.

    Parameters
    ----------
    folder
        Holds its files.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self._tokeniser: Any = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )

    @property
    def n_tokens(self) -> int:
        """See `Tokeniser`."""
        return len(self._tokeniser) + 1

    @property
    def padding(self) -> int:
        """Its own number for no token."""
        return int(self._tokeniser.pad_token_id or 0)

    def encode(self, texts: Sequence[str], max_tokens: int) -> np.ndarray:
        """See `Tokeniser`; its own numbers plus one."""
        longest = min(max_tokens, int(self._tokeniser.model_max_length))
        found = np.zeros((len(texts), max_tokens), dtype=np.int32)
        if not texts:
            return found
        cut = self._tokeniser(list(texts), truncation=True, max_length=longest, padding=False)
        for row, numbers in enumerate(cut["input_ids"]):
            found[row, : len(numbers)] = np.asarray(numbers, dtype=np.int32) + 1
        return found


def words_of(text: str, most: int | None = None) -> list[str]:
    """Words, numbers (as ``#``) and a few signs of a text, at most so many."""
    found = []
    for match in _WORD.finditer(text):
        word = match.group()
        found.append("#" if word[0].isdigit() else word.lower())
        if len(found) == most:
            break
    return found


def require_tokens(texts: Sequence[str]) -> None:
    """Raise `ModelError` where there is no text to fit a vocabulary on."""
    if not any(words_of(text, 1) for text in texts):
        raise ModelError("there is no word in any text, so there is nothing to read")
