"""Sentiment flow family: the same documents as `sentiment`, by half-life, novelty and source.

Belongs here: sums of scores per session, decayed. Does not belong here: scoring and linking
(`sources.sentiment`). A story told again counts once, by its first document about the symbol,
except in novelty, which is about the telling. A row behind which any document is SYNTHETIC says so
in ``is_synthetic``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.contracts.features.sentiment_flow import HALF_LIVES
from btq_assets.features.definitions import KEY, SYMBOL, Feature, prepare, undefined_to_null
from btq_assets.features.sentiment import STALE_VOLUME, SYNTHETIC

#: Half-life of the columns that have but one.
_WEEK, _MONTH = 5, 21
_SUMS = ("_n", "_s", "_s2", "_documents", "_synthetic")


def compute(
    bars: pl.DataFrame, scores: pl.DataFrame, features: FeaturesSection | None = None
) -> pl.DataFrame:
    """Compute the sentiment flow family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only their sessions are read.
    scores
        Rows of `features.document_scores`.
    features
        Configuration: the switch of `sentiment`. Switched off, there are no rows.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.sentiment_flow``: one per bar from a symbol's first document on, sorted
        by universe, symbol and time.
    """
    features = features or FeaturesSection()
    if not features.alternative_data.sentiment_analysis:
        scores = scores.clear()
    wanted = bars.join(scores.select("symbol").unique(), on="symbol", how="semi")
    told = _placed(prepare(wanted).select(KEY), scores)
    by_source = told.group_by(*KEY, "source", maintain_order=True).agg(pl.col("_n", "_s").sum())
    sums = told.group_by(KEY, maintain_order=True).agg(pl.col(_SUMS).sum())
    starts = told.group_by(SYMBOL).agg(_start=pl.col("ts").min())
    # Every bar from the first document on; a bar without one adds nothing to the sums.
    grid = (
        prepare(wanted)
        .select(KEY)
        .join(starts, on=SYMBOL)
        .filter(pl.col("ts") >= pl.col("_start"))
        .drop("_start")
        .join(sums, on=KEY, how="left")
        .with_columns(pl.col(_SUMS).fill_null(0.0))
        .sort(KEY)
    )
    decayed = [
        _decayed(name, half_life, SYMBOL).alias(f"{name}_{half_life}")
        for half_life in HALF_LIVES
        for name in ("_n", "_s", "_s2", "_documents")
    ]
    frame = grid.with_columns(
        *decayed, is_synthetic=(pl.col("_synthetic") > 0).cum_max().over(SYMBOL)
    ).join(_disagreement(grid.select(KEY), by_source), on=KEY, how="left")
    return undefined_to_null(_columns(frame)).sort(KEY)


def _placed(bars: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Scored documents at the first bar at which each was known, by universe and symbol."""
    read = pl.col("score").is_not_null()
    first = (~pl.col("is_repeat")).cast(pl.Float64)
    score = pl.col("score").fill_null(0.0) * first
    documents = (
        scores.filter(read)
        .sort("symbol", "known_at", "doc_id")
        .select(
            "symbol",
            "known_at",
            "source",
            _n=first,
            _s=score,
            _s2=score * pl.col("score"),
            _documents=pl.lit(1.0),
            _synthetic=(pl.col("label") == SYNTHETIC).cast(pl.Float64),
        )
    )
    by_symbol = documents.partition_by("symbol", as_dict=True, maintain_order=True)
    parts = [documents.clear().select(*(pl.lit(None, bars.schema[k]).alias(k) for k in KEY), pl.exclude("symbol", "known_at"))]  # fmt: skip
    for part in bars.partition_by(*SYMBOL, maintain_order=True):
        about = by_symbol.get((part["symbol"][0],))
        if about is None:
            continue
        place = np.searchsorted(part["ts"].to_numpy(), about["known_at"].to_numpy())
        known = place < part.height
        at = part[place[known]]
        parts.append(at.hstack(about.filter(pl.Series(known)).drop("symbol", "known_at")))
    return pl.concat(parts)


def _decayed(name: str, half_life: int, by: Sequence[str]) -> pl.Expr:
    """Sum of x[t-k] 2^(-k / half-life) over all sessions k back, from sums per session."""
    decay = 2.0 ** (-1.0 / half_life)
    # ewm_mean divides by the sum of its weights; multiplying it back gives the plain sum.
    weights = (1 - decay ** pl.int_range(1, pl.len() + 1)) / (1 - decay)
    return (pl.col(name).ewm_mean(alpha=1 - decay, adjust=True) * weights).over(by)


def _disagreement(grid: pl.DataFrame, by_source: pl.DataFrame) -> pl.DataFrame:
    """Spread of the sources' mean scores around their common mean; null with fewer than two.

    Each source weighs as much as its decayed number of stories.
    """
    sources = by_source.select(*SYMBOL, "source").unique().sort(*SYMBOL, "source")
    of_source = (*SYMBOL, "source")
    filled = (
        grid.join(sources, on=SYMBOL)
        .join(by_source, on=(*KEY, "source"), how="left")
        .with_columns(pl.col("_n", "_s").fill_null(0.0))
        .sort(*of_source, "ts")
        .with_columns(
            _w=_decayed("_n", _MONTH, of_source), _total=_decayed("_s", _MONTH, of_source)
        )
        .filter(pl.col("_w") >= STALE_VOLUME)
        .with_columns(_mean=pl.col("_total") / pl.col("_w"))
    )
    weight, mean = pl.col("_w"), pl.col("_mean")
    common = (weight * mean).sum() / weight.sum()
    variance = (weight * (mean - common).pow(2)).sum() / weight.sum()
    return filled.sort(*KEY, "source").group_by(KEY, maintain_order=True).agg(
        sentiment_flow_disagreement_21=pl.when(pl.len() >= 2).then(variance.sqrt())
    )  # fmt: skip


def _columns(frame: pl.DataFrame) -> pl.DataFrame:
    def volume(half_life: int) -> pl.Expr:
        return pl.col(f"_n_{half_life}")

    def mean(name: str, half_life: int, over: str = "_n") -> pl.Expr:
        weight = pl.col(f"{over}_{half_life}")
        value = pl.col(f"{name}_{half_life}") / weight
        return pl.when(weight >= STALE_VOLUME).then(value)

    def rate(half_life: int) -> pl.Expr:
        """Stories per session: the sum over the sum of its weights in the long run."""
        return volume(half_life) * (1 - 2.0 ** (-1.0 / half_life))

    def score(half_life: int) -> pl.Expr:
        return pl.col(f"sentiment_flow_score_{half_life}")

    frame = frame.with_columns(
        mean("_s", n).clip(-1.0, 1.0).alias(f"sentiment_flow_score_{n}") for n in HALF_LIVES
    )
    variance = mean("_s2", _MONTH) - score(_MONTH).pow(2)
    return frame.with_columns(
        *(volume(n).alias(f"sentiment_flow_volume_{n}") for n in HALF_LIVES),
        sentiment_flow_change_5d=score(_WEEK) - score(_WEEK).shift(5).over(SYMBOL),
        sentiment_flow_change_21d=score(_MONTH) - score(_MONTH).shift(21).over(SYMBOL),
        sentiment_flow_momentum=score(1) - score(_MONTH),
        # Of one story there is no spread; differences of squares below 1e-12 are rounding.
        sentiment_flow_dispersion_21=pl.when(pl.col("_n").cum_sum().over(SYMBOL) >= 2).then(
            pl.when(variance > 1e-12).then(variance.sqrt()).when(variance.is_not_null()).then(0.0)
        ),
        sentiment_flow_attention=pl.when(volume(_MONTH) >= STALE_VOLUME).then(
            rate(1) / rate(_MONTH)
        ),
        sentiment_flow_novelty_5=mean("_n", _WEEK, over="_documents").clip(0.0, 1.0),
    ).select(*KEY, *_NAMES, "is_synthetic")


_TERMS = (
    "s scores of stories known at t, weights d = 2^(-age / {}), age in the symbol's sessions since "
    "the first one that knew the story; null where sum(d) < 0.03"
)
_OWN = "own definition"
_NEEDS = ("score", "known_at", "is_repeat", "label")


def _words() -> list[tuple[str, str, str, int]]:
    flow = "sentiment_flow"
    return [
        *((f"{flow}_score_{n}", f"sum(d s) / sum(d); {_TERMS.format(n)}", "-1 to 1", 0) for n in HALF_LIVES),
        *((f"{flow}_volume_{n}", f"sum(d), half-life {n}", "stories", 0) for n in HALF_LIVES),
        (f"{flow}_change_5d", f"{flow}_score_5[t] - {flow}_score_5[t-5]", "-2 to 2", 5),
        (f"{flow}_change_21d", f"{flow}_score_21[t] - {flow}_score_21[t-21]", "-2 to 2", 21),
        (f"{flow}_momentum", f"{flow}_score_1 - {flow}_score_21", "-2 to 2", 0),
        (f"{flow}_dispersion_21", f"sqrt(sum(d s^2) / sum(d) - {flow}_score_21^2); null before the second story", "0 to 1", 0),
        (f"{flow}_attention", "sum(d1) (1 - 2^-1) / (sum(d21) (1 - 2^(-1/21))), d1 and d21 of half-lives 1 and 21", "ratio", 0),
        (f"{flow}_novelty_5", "sum(d) of first-told stories / sum(d) of all documents about the symbol, half-life 5", "share", 0),
        (f"{flow}_disagreement_21", "sqrt(sum_k(w_k (m_k - m)^2) / sum_k(w_k)), w_k = sum(d) and m_k mean score of source k, m of all; null below 2 sources", "0 to 1", 0),
    ]  # fmt: skip


FEATURES: tuple[Feature, ...] = tuple(
    Feature(name, "sentiment_flow", formula, _OWN, unit, lookback, _NEEDS, recursive=True)
    for name, formula, unit, lookback in _words()
)
_NAMES = tuple(feature.name for feature in FEATURES)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions; no half-life is configurable."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], inputs["scores"], config.features)
