"""How the news about a symbol flows: level and volume over several half-lives, novelty, discord."""

from __future__ import annotations

from btq_assets.contracts.base import Column
from btq_assets.contracts.columns import flag, number
from btq_assets.contracts.features.family import family

#: Half-lives in sessions: a day's news, a week's, a month's.
HALF_LIVES = (1, 5, 21)


def _by_half_life(name: str, words: str, low: float | None, high: float | None) -> list[Column]:
    return [
        number(f"sentiment_flow_{name}_{n}", words.format(n), minimum=low, maximum=high)
        for n in HALF_LIVES
    ]


SENTIMENT_FLOW = family(
    "sentiment_flow",
    "Scores of the stories known at ts, decaying at several half-lives, how new they are and how far sources disagree; a symbol's rows start with its first document.",
    (
        *_by_half_life("score", "Mean score, half-life {} sessions, -1 to 1.", -1.000001, 1.000001),
        *_by_half_life("volume", "Number of stories, half-life {} sessions.", 0, None),
        number("sentiment_flow_change_5d", "Change over 5 sessions of the score of half-life 5."),
        number("sentiment_flow_change_21d", "Change over 21 sessions of the score of half-life 21."),
        number("sentiment_flow_momentum", "Score of half-life 1 less that of half-life 21."),
        number("sentiment_flow_dispersion_21", "Standard deviation of the scores, half-life 21.", minimum=0),
        number("sentiment_flow_attention", "Rate of stories of half-life 1 over that of half-life 21.", minimum=0),
        number("sentiment_flow_novelty_5", "Share of first-told stories among all documents, half-life 5.", minimum=0, maximum=1.000001),
        number("sentiment_flow_disagreement_21", "Standard deviation between the mean scores of sources, half-life 21.", minimum=0),
    ),
    extra=(
        flag(
            "is_synthetic",
            "Whether any document behind the row is SYNTHETIC: no evidence of anything.",
        ),
    ),
)  # fmt: skip
