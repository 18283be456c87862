"""Dated SYNTHETIC headlines about a generated market, and the drift they cause where planted.

Belongs here: headlines with a tone that is known, and their effect on returns. Without a planted
`NewsDrift` they tell nothing.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.synthetic.spec import DATASET, LABEL, MarketSpec
from btq_assets.sources.vintages import RECORDED

#: From publication to a reader's screen.
DELIVERY = timedelta(seconds=20)

_TEXTS = {
    1: (
        "{symbol} beats estimates and raises its outlook",
        "Strong orders lift {symbol}",
        "Analysts praise solid growth at {symbol}",
    ),
    0: (
        "{symbol} schedules its annual meeting",
        "{symbol} to present at an industry conference",
        "{symbol} opens an office in another city",
    ),
    -1: (
        "{symbol} misses estimates and warns of losses",
        "Weak demand hurts {symbol}",
        "Analysts worry about poor margins at {symbol}",
    ),
}


def headlines(spec: MarketSpec) -> pl.DataFrame:
    """Columns of ``raw.documents_sample`` and ``tone``; times uniform over each whole day."""
    random = spec.random("news")
    rows = []
    for symbol in spec.symbols:
        for session in spec.sessions():
            midnight = datetime.combine(session, datetime.min.time(), UTC)
            for _ in range(random.poisson(spec.news_per_symbol_session)):
                published = midnight + timedelta(seconds=int(random.integers(0, 86_400)))
                tone = int(random.choice((1, 0, -1), p=(0.35, 0.35, 0.30)))
                texts = _TEXTS[tone]
                text = f"{LABEL}: " + texts[random.integers(len(texts))].format(symbol=symbol)
                name = hashlib.sha256(f"{spec.seed}|{symbol}|{published}|{text}".encode())
                rows.append((name.hexdigest()[:16], symbol, published, text, tone))
    frame = pl.DataFrame(
        rows,
        schema={
            "doc_id": pl.String,
            "symbol": pl.String,
            "published_at": pl.Datetime("us", "UTC"),
            "headline": pl.String,
            "tone": pl.Int64,
        },
        orient="row",
    )
    return (
        frame.unique("doc_id", keep="first", maintain_order=True)
        .with_columns(
            known_at=pl.col("published_at") + DELIVERY,
            known_at_basis=pl.lit(RECORDED),
            label=pl.lit(LABEL),
            dataset=pl.lit(DATASET),
        )
        .sort("published_at", "symbol")
    )


def documents(news: pl.DataFrame) -> pl.DataFrame:
    """The headlines in the columns of ``raw.documents_synthetic``, without their tone."""
    contract = raw.DOCUMENTS_SYNTHETIC
    unknown = [name for name in contract.column_names if name not in (*news.columns, "language")]
    return news.with_columns(
        language=pl.lit("en"),
        **{name: pl.lit(None, contract.schema[name]) for name in unknown},
    ).select(contract.column_names)


def drift(spec: MarketSpec, news: pl.DataFrame) -> np.ndarray | None:
    """Log return that news add to each minute, ``[n_minutes, n_symbols]``; ``None`` without plant.

    The drift starts with the first whole minute after the headline is known. News of the night act
    from the next open on.
    """
    planted = spec.plants.news
    if planted is None:
        return None
    ends = spec.bar_ends()
    out = np.zeros((ends.size, spec.n_symbols))
    column = {symbol: number for number, symbol in enumerate(spec.symbols)}
    first = first_minutes(spec, news)
    per_minute = planted.total_bps / 1e4 / planted.minutes
    for start, symbol, tone in zip(first, news["symbol"], news["tone"], strict=True):
        out[start : start + planted.minutes, column[symbol]] += tone * per_minute
    return out


def first_minutes(spec: MarketSpec, news: pl.DataFrame) -> np.ndarray:
    """Number of the first minute that starts when a headline is known; ``n_minutes``: none does."""
    known = news["known_at"].dt.epoch("us").to_numpy()
    return np.searchsorted(spec.bar_ends() - 60_000_000, known, side="left")
