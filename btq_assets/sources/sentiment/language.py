"""Which language a text is in, where its source does not say.

Belongs here: py3langid, and when not to trust it. Does not belong here: what follows from it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

#: Shorter texts, and answers less sure, say nothing.
FEWEST_LETTERS = 20
LEAST_PROBABILITY = 0.8

#: Languages news is written in; dialects beside them would only share out the probability.
LANGUAGES = (
    "ar", "bg", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hr", "hu", "id", "it",
    "ja", "ko", "nl", "no", "pl", "pt", "ro", "ru", "sr", "sv", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip

_NOT_WORDS = re.compile(r"https?://\S+|[$@#]\w+|\b[A-Z]{2,6}\b|\d+")


def language_of(text: str) -> str | None:
    """ISO 639-1 code, or ``None`` where the text is too short or the answer not sure.

    Parameters
    ----------
    text
        Plain text. Addresses, tickers, cashtags and numbers are of no language and are left out.
    """
    words = _NOT_WORDS.sub(" ", text)
    if sum(character.isalpha() for character in words) < FEWEST_LETTERS:
        return None
    language, probability = _identifier().classify(words)
    return str(language) if probability >= LEAST_PROBABILITY else None


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
