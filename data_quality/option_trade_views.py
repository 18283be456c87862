"""Views of option trades.

Belongs here: statistics of these tables as a source gave them. Does not belong here: thresholds
(`option_trade_suites`), sweeps (the alternative room).
"""

from __future__ import annotations

import polars as pl

TRADE_DAY = ("dataset", "underlying", "day")


def option_trade_days(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per underlying and day of option trades.

    ``buy_share`` of trades whose aggressor bought, null below 30 trades; ``price_to_mark`` the
    median; ``repeated_fraction`` the share of trades whose number within the contract another trade
    has too.
    """
    latest = frame.sort("known_at").unique(
        ["dataset", "contract_id", "trade_id"], keep="last", maintain_order=True
    )
    repeated = pl.len().over("dataset", "contract_id", "trade_seq") > 1
    return (
        latest.with_columns(day=pl.col("ts").dt.strftime("%Y-%m-%d"), repeated=repeated)
        .group_by(TRADE_DAY)
        .agg(
            n_trades=pl.len().cast(pl.Int64),
            buy_share=pl.when(pl.len() >= 30).then((pl.col("side") == "buy").mean()),
            price_to_mark=(pl.col("price") / pl.col("mark_price"))
            .filter(pl.col("mark_price") > 0)
            .median(),
            repeated_fraction=pl.col("repeated").mean(),
        )
        .sort(TRADE_DAY)
    )
