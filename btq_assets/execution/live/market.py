"""Rows of bars as the fill model reads them.

Belongs here: which columns are prices of fills and marks, what spread and volatility a bar carries.
They are those of the backtest (`backtest.market`, `backtest.run`): adjusted prices, open where there
is one and close where there is not, half-spread by era, volatility of the 21 returns before the bar.
Does not belong here: fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.backtest.market import IMPACT_VOLATILITY_SESSIONS
from btq_assets.config import TradingConfig
from btq_assets.engine.costs import BPS, half_spread_by_era
from btq_assets.engine.fills import Bar, FillTerms
from btq_assets.engine.terms import Account, Instruments, OrderCosts

NAN = float("nan")


def fill_terms(config: TradingConfig, instruments: Instruments) -> FillTerms:
    """Costs of the configuration; the half-spread comes with each bar."""
    settings = config.backtest
    return FillTerms(
        OrderCosts(
            taker_bps=settings.commission_bps,
            maker_bps=settings.commission_bps,
            per_share=settings.commission_per_share,
            impact_coefficient=settings.impact_coefficient,
        ),
        instruments,
    )


def paper_account(config: TradingConfig, on_short_cash: str) -> Account:
    """The account of the configuration: cash, no leverage beyond what exposure allows."""
    return Account(
        config.trading.initial_cash,
        initial_margin=1.0 / max(1.0, config.portfolio.max_gross_exposure),
        on_short_cash=on_short_cash,  # type: ignore[arg-type]
    )


class BarMaker:
    """Bars of one session after another, with what earlier ones say of their costs."""

    def __init__(self, config: TradingConfig, symbols: Sequence[str]) -> None:
        self._eras = config.backtest.spread_eras
        self._symbols = list(symbols)
        self._column = {symbol: number for number, symbol in enumerate(symbols)}
        self._prices = np.full((0, len(self._symbols)), np.nan)

    def warm_up(self, history: pl.DataFrame) -> None:
        """Take the closes of the last sessions."""
        sessions = history["ts"].unique().sort()[-(IMPACT_VOLATILITY_SESSIONS + 1) :]
        tail = history.filter(pl.col("ts").is_in(sessions.implode())).sort("ts")
        for rows in tail.partition_by("ts", maintain_order=True):
            self._take(rows["symbol"].to_list(), _column(rows, "adj_close"))

    def bars(self, rows: pl.DataFrame, begin: datetime | None) -> dict[str, Bar]:
        """Bars of one session, each once.

        Parameters
        ----------
        rows
            Rows of `core.bars_1d` of one bar end.
        begin
            End of the session before; ``None`` for the first.
        """
        ts: datetime = rows["ts"][0]
        time = nanoseconds(ts)
        start = time - 86_400_000_000_000 if begin is None else nanoseconds(begin)
        symbols = rows["symbol"].to_list()
        close, raw = _column(rows, "adj_close"), _column(rows, "close")
        first = np.where(np.isnan(opens := _column(rows, "adj_open")), close, opens)
        # the source may round: a bar must enclose its own prices
        high = np.fmax(np.fmax(_column(rows, "adj_high"), first), close)
        low = np.fmin(np.fmin(_column(rows, "adj_low"), first), close)
        volume = _column(rows, "volume") * raw / close
        spread = float(half_spread_by_era(rows["ts"][:1], self._eras)[0]) * BPS
        volatility = self._volatility(symbols)
        self._take(symbols, close)
        day = ts.date().toordinal()
        return {
            symbol: Bar(
                time,
                start,
                float(first[i]),
                float(high[i]),
                float(low[i]),
                float(close[i]),
                float(volume[i]),
                session=day,
                opens_session=True,
                closes_session=True,
                half_spread=spread,
                volatility=float(volatility[i]),
            )
            for i, symbol in enumerate(symbols)
        }

    def _take(self, symbols: list[str], close: np.ndarray) -> None:
        row = np.full((1, len(self._symbols)), np.nan)
        row[0, [self._column[symbol] for symbol in symbols]] = close
        self._prices = np.vstack([self._prices, row])[-(IMPACT_VOLATILITY_SESSIONS + 1) :]

    def _volatility(self, symbols: list[str]) -> np.ndarray:
        if len(self._prices) <= IMPACT_VOLATILITY_SESSIONS:
            return np.full(len(symbols), np.nan)
        prices = self._prices[:, [self._column[symbol] for symbol in symbols]]
        return (prices[1:] / prices[:-1] - 1).std(axis=0, ddof=1)


def nanoseconds(ts: datetime) -> int:
    """Nanoseconds since 1970 of a UTC time, exact to the microsecond."""
    whole = int(ts.replace(microsecond=0).timestamp())
    return (whole * 1_000_000 + ts.microsecond) * 1_000


def _column(rows: pl.DataFrame, name: str) -> np.ndarray:
    if name not in rows.columns:
        return np.full(rows.height, np.nan)
    return rows[name].cast(pl.Float64).fill_null(NAN).to_numpy()
