"""Rows of bars and ticks as the fill model reads them.

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
from btq_assets.contracts.base import UTC_TIMESTAMP
from btq_assets.engine.costs import BPS, half_spread_by_era
from btq_assets.engine.fills import Bar, FillTerms, Quote, TradeTick
from btq_assets.engine.terms import Account, Instruments, OrderCosts

NAN = float("nan")
_DAY_NS = 86_400_000_000_000


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


class TickMaker:
    """Ticks of one interval after another as the fill model reads them.

    A quote has its own spread. A trade is charged half the spread of the quote before it, and that
    of the era where there was none. Volatility and volume, which feed the impact, are of bars: a
    square root of both makes it the same whatever their length.

    Attributes
    ----------
    quoted
        Half-spread of the last quote of each symbol, a fraction of the middle.
    """

    def __init__(self, config: TradingConfig, history: pl.DataFrame) -> None:
        self._eras = config.backtest.spread_eras
        self.quoted: dict[str, float] = {}
        self._closes: dict[str, list[float]] = {}
        self._volumes: dict[str, list[float]] = {}
        recent = pl.col("ts").rank("dense", descending=True).over("symbol")
        self.note(history.filter(recent <= IMPACT_VOLATILITY_SESSIONS + 1).sort("ts"))

    def events(self, ticks: pl.DataFrame, until: datetime) -> list[tuple[str, Quote | TradeTick]]:
        """The ticks before `until`, in turn."""
        stamp = pl.Series("ts", [until], dtype=UTC_TIMESTAMP)
        era = float(half_spread_by_era(stamp, self._eras)[0]) * BPS
        volatility = {symbol: _volatility(closes) for symbol, closes in self._closes.items()}
        volume = {symbol: sum(v) / len(v) for symbol, v in self._volumes.items() if v}
        found: list[tuple[str, Quote | TradeTick]] = []
        for tick in ticks.iter_rows(named=True):
            symbol, time = tick["symbol"], nanoseconds(tick["ts"])
            day, sigma = time // _DAY_NS, volatility.get(symbol, NAN)
            daily = volume.get(symbol, NAN)
            if tick["price"] is None:
                bid, ask = tick["bid"], tick["ask"]
                self.quoted[symbol] = (ask - bid) / (ask + bid)
                sizes = _known(tick["bid_size"]), _known(tick["ask_size"])
                quote = Quote(time, bid, ask, *sizes, day, volatility=sigma, daily_volume=daily)
                found.append((symbol, quote))
            else:
                spread = self.quoted.get(symbol, era)
                size = _known(tick["size"])
                trade = TradeTick(
                    time,
                    tick["price"],
                    size,
                    day,
                    half_spread=spread,
                    volatility=sigma,
                    daily_volume=daily,
                )
                found.append((symbol, trade))
        return found

    def note(self, rows: pl.DataFrame) -> None:
        """Take bars that ticks made."""
        for symbol, close, volume in rows.select("symbol", "adj_close", "volume").iter_rows():
            if close is None:
                continue
            kept = [*self._closes.get(symbol, ()), float(close)]
            self._closes[symbol] = kept[-IMPACT_VOLATILITY_SESSIONS - 1 :]
            if volume is not None:
                sizes = [*self._volumes.get(symbol, ()), float(volume)]
                self._volumes[symbol] = sizes[-IMPACT_VOLATILITY_SESSIONS:]


def _volatility(closes: Sequence[float]) -> float:
    if len(closes) <= IMPACT_VOLATILITY_SESSIONS:
        return NAN
    prices = np.asarray(closes)
    return float((prices[1:] / prices[:-1] - 1).std(ddof=1))


def _known(value: float | None) -> float:
    return NAN if value is None else float(value)


def nanoseconds(ts: datetime) -> int:
    """Nanoseconds since 1970 of a UTC time, exact to the microsecond."""
    whole = int(ts.replace(microsecond=0).timestamp())
    return (whole * 1_000_000 + ts.microsecond) * 1_000


def _column(rows: pl.DataFrame, name: str) -> np.ndarray:
    if name not in rows.columns:
        return np.full(rows.height, np.nan)
    column = rows.get_column(name)
    # a missing value comes out as NaN
    return (column if column.dtype == pl.Float64 else column.cast(pl.Float64)).to_numpy()
