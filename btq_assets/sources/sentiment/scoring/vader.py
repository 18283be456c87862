"""VADER with a finance lexicon of our own: fast, small, English only.

Hutto and Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
Media Text". The score is its compound score.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from btq_assets.sources.sentiment.scoring.lexicon import FINANCE_LEXICON

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


class VaderScorer:
    """Compound score of VADER."""

    name = "vader"

    @cached_property
    def version(self) -> str:
        """Version of the package, and a hash of our words."""
        words = hashlib.sha256(repr(sorted(FINANCE_LEXICON.items())).encode()).hexdigest()[:8]
        return f"{installed_version('vaderSentiment')}+{words}"

    def score(self, texts: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        analyzer = _analyzer()
        return [float(analyzer.polarity_scores(text)["compound"]) for text in texts]


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    analyzer.lexicon.update(FINANCE_LEXICON)
    return analyzer
