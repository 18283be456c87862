"""What a person wants to see of freshly read bars.

Belongs here: counts, spans and rebased prices for metadata and plots. Does not belong here:
drawing, and any judgement.
"""

from __future__ import annotations

import polars as pl


def bars_by_dataset(bars: pl.DataFrame) -> pl.DataFrame:
    """Rows, symbols and span of each dataset."""
    return _spans(bars, "dataset", pl.col("symbol").n_unique().alias("symbols"))


def bars_by_symbol(bars: pl.DataFrame) -> pl.DataFrame:
    """Rows and span of each symbol."""
    return _spans(bars, "symbol")


def symbols_by_month(bars: pl.DataFrame) -> tuple[pl.Series, dict[str, pl.Series]]:
    """First day of each month, and for each dataset the number of symbols with a bar in it."""
    counts = (
        bars.group_by("dataset", month=pl.col("ts").dt.date().dt.truncate("1mo"))
        .agg(pl.col("symbol").n_unique())
        .pivot(on="dataset", index="month", values="symbol")
        .sort("month")
    )
    if counts.is_empty():
        return pl.Series("month", [], dtype=pl.Date), {}
    return counts["month"], {name: counts[name] for name in sorted(set(counts.columns) - {"month"})}


def rebased(bars: pl.DataFrame, dataset: str) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Days, and each symbol's adjusted close divided by its first one."""
    prices = (
        bars.filter(pl.col("dataset") == dataset)
        .sort("ts")
        .with_columns(multiple=pl.col("adj_close") / pl.col("adj_close").first().over("symbol"))
        .pivot(on="symbol", index="ts", values="multiple")
        .sort("ts")
    )
    return prices["ts"], {name: prices[name] for name in sorted(set(prices.columns) - {"ts"})}


def _spans(bars: pl.DataFrame, by: str, *more: pl.Expr) -> pl.DataFrame:
    return (
        bars.group_by(by)
        .agg(
            *more,
            bars=pl.len(),
            first=pl.col("ts").min().dt.date(),
            last=pl.col("ts").max().dt.date(),
        )
        .sort(by)
    )
