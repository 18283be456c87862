"""Generated headlines, so that the text path runs without a news vendor.

Belongs here: the generator. It sees a seed, symbols and years, and no price, so nothing in a
headline can tell of a return. Does not belong here: real news, and scores.

No package ships dated news with tickers. Every headline says SYNTHETIC in its own text, and every
row in its label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.vintages import ASSUMED_LAG

DATASET = "synthetic_headlines"
FIRST_DAY = date(1990, 1, 2)
LAST_DAY = date(2022, 12, 28)

#: From publication to a reader's screen.
DELIVERY_LAG = timedelta(minutes=5)

POSITIVE = (
    "{symbol} wins praise from analysts after a strong quarter",
    "Optimistic outlook lifts confidence in {symbol}",
    "{symbol} beats estimates and reports solid growth",
    "Investors cheer improved margins at {symbol}",
    "{symbol} gains support with a successful launch",
)
NEGATIVE = (
    "{symbol} disappoints analysts after a weak quarter",
    "Gloomy outlook hurts confidence in {symbol}",
    "{symbol} misses estimates and warns of a decline",
    "Investors worry about poor margins at {symbol}",
    "{symbol} loses support after a failed launch",
)
NEUTRAL = (
    "{symbol} to present at an industry conference",
    "{symbol} schedules its annual meeting",
    "{symbol} files its quarterly report",
    "{symbol} names a new head of logistics",
    "{symbol} opens an office in another city",
)

_TONES = (POSITIVE, NEGATIVE, NEUTRAL)
_TONE_SHARES = (0.35, 0.30, 0.35)


def headlines(
    symbols: Sequence[str],
    *,
    seed: int,
    per_symbol_year: int,
    first_day: date = FIRST_DAY,
    last_day: date = LAST_DAY,
) -> pl.DataFrame:
    """Rows of ``raw.documents_sample``.

    Each symbol and year has a random stream of its own, so adding a symbol or a year changes no
    other headline. Times are uniform over the seconds of the year, nights and weekends included.

    Parameters
    ----------
    symbols
        Instruments to write about; order and repeats do not matter.
    seed
        Equal seeds give equal rows.
    per_symbol_year
        Headlines per symbol and whole year; a year cut short by the span has proportionally fewer.
    first_day, last_day
        Span of the publication times, both days included.
    """
    rows: list[tuple[str, datetime, str]] = []
    for symbol in sorted(set(symbols)):
        for year in range(first_day.year, last_day.year + 1):
            stream = _stream(seed, symbol, year)
            seconds = stream.integers(0, 365 * 86_400, per_symbol_year)
            tones = stream.choice(len(_TONES), size=per_symbol_year, p=_TONE_SHARES)
            texts = stream.integers(0, len(POSITIVE), per_symbol_year)
            new_year = datetime(year, 1, 1, tzinfo=UTC)
            rows += [
                (
                    symbol,
                    new_year + timedelta(seconds=int(second)),
                    "SYNTHETIC: " + _TONES[tone][text].format(symbol=symbol),
                )
                for second, tone, text in zip(seconds, tones, texts, strict=True)
            ]
    frame = pl.DataFrame(
        rows,
        schema={
            "symbol": pl.String,
            "published_at": pl.Datetime("us", "UTC"),
            "headline": pl.String,
        },
        orient="row",
    ).filter(pl.col("published_at").dt.date().is_between(first_day, last_day))
    ids = [
        hashlib.sha256(f"{DATASET}|{symbol}|{published.isoformat()}|{text}".encode()).hexdigest()[
            :16
        ]
        for symbol, published, text in frame.iter_rows()
    ]
    return (
        frame.with_columns(
            doc_id=pl.Series(ids, dtype=pl.String),
            known_at=pl.col("published_at") + DELIVERY_LAG,
            known_at_basis=pl.lit(ASSUMED_LAG),
            language=pl.lit("en"),
            label=pl.lit("SYNTHETIC"),
            dataset=pl.lit(DATASET),
            **{
                name: pl.lit(None, raw.DOCUMENTS_SAMPLE.schema[name])
                for name in ("text", "url", "author", "relevance", "source_score")
            },
        )
        .unique("doc_id", keep="first", maintain_order=True)
        .sort("published_at", "symbol")
        .select(raw.DOCUMENTS_SAMPLE.column_names)
    )


def _stream(seed: int, symbol: str, year: int) -> np.random.Generator:
    # Python's own hash() of a string differs from process to process.
    name = int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, name, year])
