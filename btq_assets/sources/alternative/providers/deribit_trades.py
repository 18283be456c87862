"""Deribit's option trades, one day at a time.

Belongs here: paging through the trades of a currency by time, and reading them. Asked is Deribit's
archive, which holds every trade since 2016 and runs a few seconds behind the exchange. The live
interface gives the last 24 hours and answers older questions with nothing, without saying so: a
finished day without a single trade is therefore an error.

``iv`` is in percent; ``direction`` is the aggressor's; ``amount`` is in units of the underlying;
``trade_seq`` counts the trades of one contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.config.sources import DeribitTradesSourceSection
from btq_assets.contracts.raw.alternative import OPTION_TRADES_DERIBIT, TRADE_SIDES
from btq_assets.sources.alternative import cells
from btq_assets.sources.alternative.contract_names import parse_deribit
from btq_assets.sources.alternative.providers.deribit import judge_rpc, refusal_of
from btq_assets.sources.errors import RefusedRequestError, WindowError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, combine

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

BASE_URL = "https://history.deribit.com/api/v2"
DATASET = "deribit"
#: From a trade to its appearance in the archive, as Deribit announced it.
LAG = timedelta(seconds=5)
#: Trades younger than this are left to a later run: the archive may not have all of them.
SETTLING = timedelta(minutes=1)
_TRADES = "public/get_last_trades_by_currency_and_time"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_PERCENT = 100.0


class DeribitTrades:
    """Trades of all options of the configured currencies."""

    def __init__(self, settings: DeribitTradesSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(BASE_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Trades in the window that had settled by `now`.

        Raises
        ------
        WindowError
            The window is over, and nobody traded any option in it.
        """
        end = min(window.end, now - SETTLING)
        fresh_hours = window.fresh_hours(self.settings.answers_fresh_hours, SETTLING, now)
        parts, n_trades, n_pages = [], {}, 0
        for currency in self.settings.currencies:
            trades, pages = self._pages(currency, window.start, end, fresh_hours)
            found = parse_trades(trades)
            n_pages += pages
            n_trades[currency] = found.rows.height
            parts.append(found)
        both = combine(parts, OPTION_TRADES_DERIBIT.empty())
        if both.rows.is_empty() and both.rejected.is_empty() and end == window.end:
            raise WindowError(
                f"deribit_trades has no option trade in {', '.join(self.settings.currencies)} on "
                f"{window.start:%Y-%m-%d}. The exchange opened in 2016, and its live servers forget "
                "after 24 hours: leave sources.deribit_trades.base_url empty to ask the archive, or "
                "set sources.deribit_trades.start_day later"
            )
        inside = pl.col("ts").is_between(window.start, end, closed="left")
        return Fetched(
            {OPTION_TRADES_DERIBIT.table: both.rows.filter(inside)},
            both.rejected,
            {"trades": n_trades, "pages": n_pages},
        )

    def _pages(
        self, currency: str, start: datetime, end: datetime, fresh_hours: float
    ) -> tuple[list[Any], int]:
        """Trades with ``start <= ts < end``, each once however the pages overlap."""
        since, last = (start - _EPOCH) // _MILLISECOND, -((_EPOCH - end) // _MILLISECOND) - 1
        found: dict[str, Any] = {}
        n_pages = 0
        while since <= last:
            trades, has_more = self._page(currency, since, last, fresh_hours)
            n_pages += 1
            for number, trade in enumerate(trades):
                found.setdefault(_identity(trade, f"{n_pages}-{number}"), trade)
            stamps = [t["timestamp"] for t in trades if _has_time(t)]
            # Neither sign of a further page is sure by itself: has_more is known to be wrong.
            is_full = len(trades) >= self.settings.page_rows
            if not (has_more or is_full) or not stamps:
                break
            if stamps[0] > stamps[-1]:
                raise self.client.shape_error(
                    f"trades of {currency} in ascending order", f"{stamps[0]} before {stamps[-1]}"
                )
            if max(stamps) <= since:
                if not is_full:
                    break
                # The next page would be this one again.
                raise self.client.shape_error(
                    f"fewer than {self.settings.page_rows} trades of {currency} within one "
                    "millisecond",
                    trades[0],
                )
            # Again from the last millisecond seen: a page may end in the middle of it.
            since = max(stamps)
        return list(found.values()), n_pages

    def _page(
        self, currency: str, since: int, last: int, fresh_hours: float
    ) -> tuple[list[Any], bool]:
        asked = {
            "currency": currency,
            "kind": "option",
            "start_timestamp": since,
            "end_timestamp": last,
            "count": self.settings.page_rows,
            "sorting": "asc",
            "include_old": "true",
        }
        try:
            answer = self.client.get_json(_TRADES, asked, judge=judge_rpc, fresh_hours=fresh_hours)
        except RefusedRequestError as error:
            raise refusal_of(error, currency, "deribit_trades") from None
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            result = {}
        trades, has_more = result.get("trades"), result.get("has_more")
        if not isinstance(trades, list) or not isinstance(has_more, bool):
            raise self.client.shape_error("an object result with trades and has_more", answer)
        return trades, has_more


def _has_time(trade: Any) -> bool:
    stamp = trade.get("timestamp") if isinstance(trade, Mapping) else None
    return isinstance(stamp, int) and not isinstance(stamp, bool)


def _identity(trade: Any, otherwise: str) -> str:
    if isinstance(trade, Mapping) and isinstance(trade.get("trade_id"), str):
        return f"{trade.get('instrument_name')} {trade['trade_id']}"
    return otherwise


def parse_trades(trades: list[Any]) -> Parsed:
    """Trades in the contract's columns, and those that could not be read."""
    rows, refused = [], []
    for trade in trades:
        try:
            rows.append(_trade(cells.as_rows(trade)))
        except cells.RowError as error:
            refused.append(cells.refusal(error, trade))
    return cells.parsed(rows, refused, OPTION_TRADES_DERIBIT)


def _trade(trade: Mapping[str, Any]) -> dict[str, Any]:
    code = cells.word(trade, "instrument_name")
    name = parse_deribit(code)
    side = cells.word(trade, "direction")
    if side not in TRADE_SIDES:
        raise cells.RowError(f"direction {side[:40]!r} is neither buy nor sell")
    ts = cells.unix_time(trade, "timestamp", unit_s=1e-3)
    volatility = cells.positive(trade, "iv")
    return {
        "dataset": DATASET,
        "underlying": name.root.split("_")[0],
        "contract_id": code,
        "kind": name.kind,
        "strike": name.strike,
        "expiry": name.expiry,
        "expires_at": name.expires_at,
        "trade_id": cells.word(trade, "trade_id"),
        "trade_seq": cells.whole(trade, "trade_seq"),
        "ts": ts,
        "known_at": ts + LAG,
        "known_at_basis": "assumed_lag",
        "price": cells.required(trade, "price"),
        "amount": cells.required(trade, "amount"),
        "side": side,
        "iv_provider": None if volatility is None else volatility / _PERCENT,
        "mark_price": cells.number(trade, "mark_price"),
        "index_price": cells.positive(trade, "index_price"),
        "tick_direction": (
            None if trade.get("tick_direction") is None else cells.whole(trade, "tick_direction")
        ),
        "block_trade_id": _mark(trade, "block_trade_id"),
        "combo_id": _mark(trade, "combo_id"),
        "liquidation": _mark(trade, "liquidation"),
        "premium_unit": "underlying" if name.inverse else "currency",
        "currency": name.currency,
    }


def _mark(trade: Mapping[str, Any], name: str) -> str | None:
    """An optional name, which older answers write as a number."""
    value = trade.get(name)
    if value is None or value == "":
        return None
    return str(value) if isinstance(value, int) else cells.word(trade, name)
