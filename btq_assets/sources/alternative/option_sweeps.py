"""Sweeps in option trades: one aggressor taking price after price of one contract.

Belongs here: the table ``core.option_sweeps`` from ``core.option_trades``. Pure: no clock, no
storage. Does not belong here: where trades come from.

A sweep is a run of prints of one contract and one side, each at most ``window_ms`` after the one
before it and at no better price for the aggressor (a buyer pays the same or more, a seller receives
the same or less), with at least ``min_prints`` prints at ``min_prices`` different prices. A print of
the other side, a pause, or a price that steps back ends the run. Trades negotiated outside the book
(blocks) and legs of combinations walked through no prices of the contract: they count as nothing,
neither as a print nor as an end.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from btq_assets.config.sources import OptionSweepsSection
from btq_assets.contracts.core_alternative import OPTION_SWEEPS

_CONTRACT = ("source", "dataset", "contract_id")


def option_sweeps(trades: pl.DataFrame, settings: OptionSweepsSection) -> pl.DataFrame:
    """Sweeps in trades (``core.option_sweeps``).

    Parameters
    ----------
    trades
        Rows of ``core.option_trades``.
    settings
        What counts.

    Returns
    -------
    polars.DataFrame
        Columns of the contract, by key. ``known_at`` is the last print's, plus the window in which a
        further one could still have joined: until then its end, size and premium are not known.
    """
    return SweepFinder(settings).found(trades, last=True)


class SweepFinder:
    """Finds sweeps in trades that come a stretch of time after the other.

    The sweeps of all stretches are those of the whole at once: runs that a print of the next stretch
    could still join wait for it, and nothing else is kept.

    Parameters
    ----------
    settings
        What counts.
    """

    def __init__(self, settings: OptionSweepsSection) -> None:
        self.settings = settings
        self.window = timedelta(milliseconds=settings.window_ms)
        self._waiting: pl.DataFrame | None = None

    def found(self, trades: pl.DataFrame, *, last: bool) -> pl.DataFrame:
        """Sweeps that ended in these trades, or could until now not be known to have ended.

        Parameters
        ----------
        trades
            Rows of ``core.option_trades``, all later than those of the stretch before.
        last
            No stretch follows: what waits has ended.
        """
        if self._waiting is not None:
            trades = pl.concat([self._waiting, trades])
        prints = _runs(trades, self.window)
        if not last:
            ends = pl.col("ts").max()
            is_open = (ends.over("run") >= ends - self.window) & (
                pl.col("run") == pl.col("run").max().over(_CONTRACT)
            )
            self._waiting = prints.filter(is_open).select(trades.columns)
            prints = prints.filter(~is_open)
        return _sweeps(prints, self.settings)


def _runs(trades: pl.DataFrame, window: timedelta) -> pl.DataFrame:
    """Prints that count, in order, each with the number of its run."""
    is_buy = pl.col("side") == "buy"
    step = pl.col("price").diff()
    other_contract = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in _CONTRACT)
    return (
        trades.filter(pl.col("block_trade_id").is_null(), pl.col("combo_id").is_null())
        .sort(*_CONTRACT, "ts", "trade_seq")
        .with_columns(
            run=(
                other_contract
                | (pl.col("ts").diff() > window)
                | (pl.col("side") != pl.col("side").shift(1))
                | pl.when(is_buy).then(step < 0).otherwise(step > 0)
            )
            .fill_null(True)
            .cum_sum()
        )
    )


def _sweeps(prints: pl.DataFrame, settings: OptionSweepsSection) -> pl.DataFrame:
    """Runs that are sweeps, one row each."""
    window = timedelta(milliseconds=settings.window_ms)
    paid = pl.when(pl.col("premium_unit") == "underlying").then("index_price").otherwise(1.0)
    premium = pl.col("price") * pl.col("amount") * paid
    return (
        # Most runs are a print or two.
        prints.filter(pl.len().over("run") >= settings.min_prints)
        .group_by("run", maintain_order=True)
        .agg(
            pl.col(
                *_CONTRACT, "underlying", "kind", "strike", "expiry", "side", "currency"
            ).first(),
            pl.col("premium_unit").first(),
            first_trade_id=pl.col("trade_id").first(),
            last_trade_id=pl.col("trade_id").last(),
            started_at=pl.col("ts").first(),
            ts=pl.col("ts").last(),
            known_at=pl.col("known_at").max() + window,
            duration_ms=(pl.col("ts").last() - pl.col("ts").first()).dt.total_milliseconds(),
            n_prints=pl.len().cast(pl.Int64),
            n_prices=pl.col("price").n_unique().cast(pl.Int64),
            amount=pl.col("amount").sum(),
            premium=pl.when(premium.null_count() == 0).then(premium.sum()),
            first_price=pl.col("price").first(),
            last_price=pl.col("price").last(),
            first_iv=pl.col("iv_provider").first(),
            last_iv=pl.col("iv_provider").last(),
        )
        .filter(
            pl.col("n_prices") >= settings.min_prices,
            # Without a price of the underlying the premium is unknown, not small.
            (pl.col("premium") >= settings.min_premium).fill_null(True),
        )
        .select(OPTION_SWEEPS.column_names)
        .sort(OPTION_SWEEPS.key)
    )
