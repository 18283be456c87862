"""Sentiment family: what the documents known at a session say, decaying since they came.

Belongs here: averaging scores per symbol and session. Does not belong here: fetching documents,
linking and scoring them (`sources.sentiment`). A story told again counts once, by its first
document about the symbol. A row behind which any document is SYNTHETIC says so in
``is_synthetic``.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.features.definitions import KEY, SYMBOL, Feature, prepare, ratio, undefined_to_null
from btq_assets.timeline import asof_join

#: Compound scores from here down count as negative, VADER's own threshold.
NEGATIVE_AT = -0.05
#: Below this decayed number of documents nothing is known: a little more than five half-lives after
#: a single one. Not 1/32 itself, which rounding would decide.
STALE_VOLUME = 0.03
SYNTHETIC = "SYNTHETIC"

_TERMS = (
    "s scores of stories known at t, weights d = 2^(-age / half-life), age in the symbol's "
    "sessions since the first one that knew the story"
)
_NEEDS = ("score", "known_at", "is_repeat", "label")


def _feature(name: str, formula: str, source: str, unit: str, lookback: int) -> Feature:
    return Feature(name, "sentiment", formula, source, unit, lookback, _NEEDS, recursive=True)


_VADER = "score of the configured scorer (default: Hutto and Gilbert 2014, own lexicon), own decay"

FEATURES: tuple[Feature, ...] = (
    _feature(
        "sentiment_score",
        f"sum(d s) / sum(d); {_TERMS}; null where sum(d) < 0.03",
        _VADER,
        "-1 to 1",
        0,
    ),
    _feature(
        "sentiment_change_5d", "sentiment_score[t] - sentiment_score[t-5]", _VADER, "-2 to 2", 5
    ),
    _feature(
        "sentiment_dispersion",
        "sqrt(sum(d s^2) / sum(d) - sentiment_score^2); null before the second document",
        _VADER,
        "0 to 1",
        0,
    ),
    _feature("sentiment_volume", "sum(d)", "own definition", "documents", 0),
    _feature(
        "sentiment_volume_ratio_63",
        "sum(d) / mean63(sum(d))",
        "own definition",
        "ratio",
        62,
    ),
    _feature(
        "sentiment_negative_share",
        f"sum(d [s <= {NEGATIVE_AT}]) / sum(d)",
        _VADER,
        "0 to 1",
        0,
    ),
)


def compute(
    bars: pl.DataFrame, scores: pl.DataFrame, features: FeaturesSection | None = None
) -> pl.DataFrame:
    """Compute the sentiment family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only their sessions are read.
    scores
        Rows of `features.document_scores`.
    features
        Configuration: half-life in sessions, and the switch. Switched off, there are no rows.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.sentiment``: one per bar from a symbol's first known document on,
        sorted by universe, symbol and time.
    """
    features = features or FeaturesSection()
    if not features.alternative_data.sentiment_analysis:
        scores = scores.clear()
    scored = _running_sums(scores)
    wanted = bars.join(scored.select("symbol").unique(), on="symbol", how="semi")
    joined = asof_join(prepare(wanted).select(KEY), scored, by="symbol")
    per_session = joined.filter(pl.col("_n").is_not_null()).sort(KEY)
    sums = ("_n", "_s", "_s2", "_negative")
    decay = 2.0 ** (-1.0 / features.sentiment_half_life_sessions)
    decayed = (
        per_session.with_columns(
            (pl.col(name) - pl.col(name).shift(1).over(SYMBOL).fill_null(0.0)).alias(f"{name}_new")
            for name in sums
        )
        .with_columns(_row=pl.int_range(1, pl.len() + 1).over(SYMBOL))
        .with_columns(
            # ewm_mean divides by the sum of its weights; multiplying it back gives the plain sum.
            (
                pl.col(f"{name}_new").ewm_mean(alpha=1 - decay, adjust=True).over(SYMBOL)
                * ((1 - decay ** pl.col("_row")) / (1 - decay))
            ).alias(f"{name}_decayed")
            for name in sums
        )
    )
    return undefined_to_null(_columns(decayed)).sort(KEY)


def _running_sums(scores: pl.DataFrame) -> pl.DataFrame:
    """Per symbol and knowledge time, sums over all documents known by then."""
    score = pl.col("score")
    return (
        scores.filter(score.is_not_null() & ~pl.col("is_repeat"))
        .sort("symbol", "known_at", "doc_id")
        .select(
            "symbol",
            "known_at",
            _n=pl.int_range(1, pl.len() + 1).over("symbol").cast(pl.Float64),
            _s=score.cum_sum().over("symbol"),
            _s2=score.pow(2).cum_sum().over("symbol"),
            _negative=(score <= NEGATIVE_AT).cast(pl.Float64).cum_sum().over("symbol"),
            is_synthetic=(pl.col("label") == SYNTHETIC).cum_max().over("symbol"),
        )
    )


def _columns(frame: pl.DataFrame) -> pl.DataFrame:
    volume = pl.col("_n_decayed")
    fresh = volume >= STALE_VOLUME
    frame = frame.with_columns(
        sentiment_score=pl.when(fresh).then((pl.col("_s_decayed") / volume).clip(-1.0, 1.0))
    )
    score = pl.col("sentiment_score")
    variance = pl.col("_s2_decayed") / volume - score.pow(2)
    return frame.select(
        *KEY,
        "sentiment_score",
        sentiment_change_5d=score - score.shift(5).over(SYMBOL),
        sentiment_dispersion=pl.when(fresh & (pl.col("_n") >= 2)).then(
            # Differences of squares of scores up to 1: below 1e-12 is rounding.
            pl.when(variance > 1e-12).then(variance.sqrt()).otherwise(0.0)
        ),
        sentiment_volume=volume,
        sentiment_volume_ratio_63=ratio(volume, volume.rolling_mean(63).over(SYMBOL), STALE_VOLUME),
        sentiment_negative_share=pl.when(fresh).then(
            (pl.col("_negative_decayed") / volume).clip(0.0, 1.0)
        ),
        is_synthetic=pl.col("is_synthetic"),
    )


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], inputs["scores"], config.features)
