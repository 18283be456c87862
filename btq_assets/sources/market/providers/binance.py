"""Spot bars from Binance's public market-data address, one month at a time.

Belongs here: asking page by page. Does not belong here: reading rows (`ohlcv_rows.py`).

An answer of ``/api/v3/klines`` is a list of lists of twelve: open time in milliseconds, open, high,
low, close and volume as strings, close time, and six more that are not stored. No key is needed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from btq_assets.config.sources.market import BinanceSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import SourceError, UnknownSymbolError
from btq_assets.sources.http import HttpClient
from btq_assets.sources.market.listing import Instrument, instruments_of
from btq_assets.sources.market.ohlcv_rows import SETTLING_TIME, parse_ohlcv_rows
from btq_assets.sources.market.windows import BAR_LENGTHS, opens_of, refuse_empty
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, combine

DATASET = "binance_spot"
ADDRESS = "https://data-api.binance.vision"

#: Most bars Binance gives at a time.
PAGE_ROWS = 1_000
_UNKNOWN_SYMBOL = '"code":-1121'


class Binance:
    """Klines of the configured pairs and frequencies."""

    def __init__(self, settings: BinanceSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(ADDRESS)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Bars that end in the window and have settled.

        Raises
        ------
        UnknownSymbolError
            Binance does not know a pair.
        WindowError
            Nobody had a bar in a window that is over.
        """
        instruments = instruments_of("binance", self.settings)
        parts, silent = [], []
        for instrument in instruments:
            for freq in self.settings.freqs:
                part = self._one_series(instrument, freq, window, now)
                parts.append(part)
                if part.rows.is_empty() and part.rejected.is_empty():
                    silent.append(f"{instrument.symbol} {freq}")
        bars = combine(parts, raw.BARS_BINANCE.empty())
        if bars.rows.is_empty() and bars.rejected.is_empty():
            refuse_empty("binance", [one.symbol for one in instruments], window, now)
        return Fetched(
            {raw.BARS_BINANCE.table: bars.rows}, bars.rejected, {"series_without_bars": silent}
        )

    def _one_series(
        self, instrument: Instrument, freq: str, window: Window, now: datetime
    ) -> Parsed:
        return parse_ohlcv_rows(
            self._pages(instrument.asked_as, freq, window, now),
            dataset=DATASET,
            symbol=instrument.symbol,
            freq=freq,
            currency=instrument.listing.currency,
            window=window,
            now=now,
        )

    def _pages(self, pair: str, freq: str, window: Window, now: datetime) -> list[Any]:
        step = round(BAR_LENGTHS[freq].total_seconds() * 1_000)
        start, after = opens_of(window, freq)
        hours = window.fresh_hours(self.settings.answers_fresh_hours, SETTLING_TIME, now)
        rows: list[Any] = []
        while start < after:
            page = self._page(pair, freq, start, after - 1, hours)
            rows += page
            if len(page) < PAGE_ROWS:
                break
            last = _open_of(page[-1])
            if last is None or last < start:
                raise self.client.shape_error("klines in ascending order", page[-1])
            start = last + step
        return rows

    def _page(self, pair: str, freq: str, start: int, end: int, hours: float) -> list[Any]:
        asked = {
            "symbol": pair,
            "interval": freq,
            "startTime": start,
            "endTime": end,
            "limit": PAGE_ROWS,
        }
        try:
            answer = self.client.get_json("api/v3/klines", asked, fresh_hours=hours)
        except SourceError as error:
            if _UNKNOWN_SYMBOL in str(error).replace(" ", ""):
                raise UnknownSymbolError(
                    f"binance does not know {pair!r}; correct sources.binance.symbols. Nothing was "
                    "stored"
                ) from None
            raise
        if not isinstance(answer, list):
            raise self.client.shape_error("a list of klines", answer)
        return answer


def _open_of(row: Any) -> int | None:
    if isinstance(row, list) and row and isinstance(row[0], int):
        return row[0]
    return None
