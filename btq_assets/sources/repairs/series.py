"""Bars as the detectors read them: latest vintage, one frame over all sources, with neighbours.

Belongs here: what several detectors share. Does not belong here: any verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from btq_assets.contracts.quality import REPAIRED_COLUMNS

#: What tells one series from another, over all raw tables.
SERIES = ("source", "dataset", "symbol", "freq")

PRICES = ("open", "high", "low", "close", "adj_close")

#: What a cross-section is taken of: the bars of a dataset that end together.
TOGETHER = ("source", "dataset", "freq", "ts")

#: Bars further apart are not neighbours.
NEIGHBOURS = timedelta(days=10)

#: The median size of a normal move times this is its standard deviation.
MAD_TO_SIGMA = 1.4826

#: A typical move is never taken as smaller than this: prices have a grain.
LEAST_SIGMA = 1e-3

#: Bars before a bar that say what moves were typical lately.
_LATELY_BARS = 21

#: A log move beyond this (a factor of twenty) is a change of unit.
_CHANGE_OF_UNIT = 3.0

#: Members of a cross-section below which its median says nothing.
_FEWEST_MEMBERS = 5


def observed(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """All bars of all tables, each once in its latest vintage, in time order.

    Parameters
    ----------
    tables
        Raw bars by ``raw.bars_<source>``.

    Returns
    -------
    polars.DataFrame
        ``source``, key, ``known_at``, the repairable columns, ``session`` and ``price``, what
        returns are computed from (the adjusted close, else the close).
    """
    columns = ("dataset", "symbol", "freq", "ts", "known_at", *REPAIRED_COLUMNS)
    parts = [
        frame.select(pl.lit(table.removeprefix("raw.bars_")).alias("source"), *columns)
        for table, frame in tables.items()
        if frame.height
    ]
    if not parts:
        return pl.DataFrame(
            schema={
                "source": pl.String,
                "dataset": pl.String,
                "symbol": pl.String,
                "freq": pl.String,
                "ts": pl.Datetime("us", "UTC"),
                "known_at": pl.Datetime("us", "UTC"),
                **dict.fromkeys(REPAIRED_COLUMNS, pl.Float64),
                "session": pl.Date,
                "price": pl.Float64,
            }
        )
    return (
        pl.concat(parts)
        .sort(*SERIES, "ts", "known_at")
        .unique(subset=[*SERIES, "ts"], keep="last", maintain_order=True)
        .with_columns(
            session=pl.col("ts").dt.offset_by("-1us").dt.date(),
            price=pl.coalesce("adj_close", "close"),
        )
    )


def moves(
    bars: pl.DataFrame, column: str = "price", market: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Bars that have the column, with the move into each of them and what surrounds it.

    Adds ``move`` (log return from the previous bar that has the column, null across a gap of more
    than ten days), ``next_move``, ``sigma`` (robust standard deviation of the series' moves),
    ``lately_sigma`` (the same over the 21 bars before, where that is larger),
    ``market_move`` (median of the other series of the dataset at the same time; null with fewer
    than five members) and ``place`` (position in the series).

    Parameters
    ----------
    bars
        What `observed` returns.
    column
        Price the moves are of.
    market
        What `market_moves` returns, where `bars` are not the whole cross-section.
    """
    found = (
        bars.filter(pl.col(column) > 0)
        .with_columns(
            move=pl.when(pl.col("ts").diff().over(SERIES) <= NEIGHBOURS).then(
                pl.col(column).log().diff().over(SERIES)
            ),
            place=pl.int_range(pl.len()).over(SERIES),
        )
        .with_columns(next_move=pl.col("move").shift(-1).over(SERIES))
    )
    # A change of unit is no move: it would swamp a short series.
    usual = pl.when(pl.col("move").abs() < _CHANGE_OF_UNIT).then("move")
    sigma = (
        (usual.abs().median().over(SERIES) * MAD_TO_SIGMA).fill_null(LEAST_SIGMA).clip(LEAST_SIGMA)
    )
    # What was typical lately: a crisis is no row of bad ticks.
    lately = (
        pl.col("move").abs().shift(1).rolling_median(_LATELY_BARS, min_samples=5).over(SERIES)
        * MAD_TO_SIGMA
    )
    found = found.with_columns(
        sigma=sigma, lately_sigma=pl.max_horizontal(sigma, lately.fill_null(0.0))
    )
    market = market_moves(found) if market is None else market
    return found.join(market, on=TOGETHER, how="left", maintain_order="left")


def market_moves(found: pl.DataFrame) -> pl.DataFrame:
    """``market_move`` of every cross-section that has five members or more.

    Parameters
    ----------
    found
        `TOGETHER` and ``move``, one row a bar.
    """
    return (
        found.group_by(TOGETHER)
        .agg(market_move=pl.col("move").median(), _members=pl.col("move").count())
        .filter(pl.col("_members") >= _FEWEST_MEMBERS)
        .drop("_members")
    )


def no_market(bars: pl.DataFrame) -> pl.DataFrame:
    """What `market_moves` returns where nobody knows how the others moved."""
    return bars.clear().select(TOGETHER).with_columns(market_move=pl.lit(None, dtype=pl.Float64))
