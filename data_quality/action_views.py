"""Bars held against the corporate actions that came with them, and the actions themselves.

Belongs here: whether a split or dividend is in the adjusted price once. Does not belong here:
adjusting prices (dbt), proposing repairs (`btq_assets.sources.repairs`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import polars as pl

from data_quality.bar_views import SERIES
from data_quality.declarations import with_fresh

#: A dividend smaller than this share of the price drowns in its grain.
_LEAST_YIELD = 2e-3

#: Actions of one kind that are closer than this and of equal size are one action told twice.
SAME_ACTION_DAYS = 7


def adjustments_view(actions: pl.DataFrame) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Make the view `adjustments` for the actions that came with the bars."""
    return lambda bars: adjustments(bars, actions)


def adjustments(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """One row per announced action that falls on a daily bar with a bar before it.

    ``split_left`` is the log return over that bar in units of the split's own logarithm: about 0
    where the price is adjusted, -1 where the split was missed, +1 where it was taken twice. A price
    that is as traded by the source's own account is not judged. ``dividend_taken`` is the step of
    the adjustment factor over what the dividend asks for: 1 is right, 0 missed, 2 doubled.
    """
    latest = actions.sort("known_at").unique(
        ["dataset", "symbol", "ex_date", "kind"], keep="last", maintain_order=True
    )
    factor = pl.col("adj_close") / pl.col("close")
    daily = bars.filter(pl.col("freq") == "1d").with_columns(
        ex_date=pl.col("ts").dt.offset_by("-1us").dt.date(),
        log_return=pl.col("price").log().diff().over(SERIES),
        step=(factor.shift(1) / factor).over(SERIES),
        close_before=pl.col("close").shift(1).over(SERIES),
    )
    on_split_day = (pl.col("kind") == "split").any().over("dataset", "symbol", "ex_date")
    share = pl.col("value") / pl.col("close_before")
    restated = pl.col("adj_close").is_not_null() | (pl.col("basis") == "split_adjusted")
    return (
        daily.join(
            latest.select("dataset", "symbol", "ex_date", "kind", "value", "basis").with_columns(
                with_split=on_split_day
            ),
            on=["dataset", "symbol", "ex_date"],
        )
        .select(
            "dataset",
            "symbol",
            "kind",
            pl.col("ex_date").cast(pl.String),
            "value",
            split_left=pl.when(
                (pl.col("kind") == "split") & restated & (pl.col("value") != 1)
            ).then(pl.col("log_return") / pl.col("value").log()),
            dividend_taken=pl.when(
                (pl.col("kind") == "dividend")
                & ~pl.col("with_split")
                & share.is_between(_LEAST_YIELD, 0.5)
            ).then((1 - pl.col("step")) / share),
        )
        .sort("dataset", "symbol", "ex_date", "kind")
    )


def announced(actions: pl.DataFrame) -> pl.DataFrame:
    """One row per action: its size, and whether it repeats one of a few days before."""
    latest = (
        with_fresh(actions)
        .sort("known_at")
        .unique(["dataset", "symbol", "ex_date", "kind"], keep="last", maintain_order=True)
    )
    of = ("dataset", "symbol", "kind")
    return (
        latest.sort(*of, "ex_date")
        .with_columns(
            days=pl.col("ex_date").diff().dt.total_days().over(of),
            same=(pl.col("value") / pl.col("value").shift(1).over(of)).is_between(0.999, 1.001),
        )
        .select(
            *of,
            pl.col("ex_date").cast(pl.String),
            "value",
            fresh=pl.col("fresh") | pl.col("fresh").shift(1, fill_value=False).over(of),
            split_log_ratio=pl.when(pl.col("kind") == "split").then(pl.col("value").log().abs()),
            told_again_after_days=pl.when(pl.col("same")).then("days"),
        )
    )


#: Largest split ratio that is believed without a look.
LARGEST_SPLIT = math.log(100)
