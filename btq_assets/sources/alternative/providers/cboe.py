"""Cboe's delayed option chains.

Belongs here: asking for a chain and reading it. The answer is the present: whoever wants a history
asks every day. ``timestamp`` is the time (UTC) the file was made, 15 minutes behind the market.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from btq_assets.config.sources import CboeSourceSection
from btq_assets.contracts.raw.alternative import OPTION_QUOTES_CBOE
from btq_assets.sources.alternative import cells
from btq_assets.sources.alternative.contract_names import parse_occ
from btq_assets.sources.errors import NotFoundError, UnknownSymbolError, WrongKeyError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, no_rejects
from btq_assets.timeline import session_closes

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

BASE_URL = "https://cdn.cboe.com/api/global/delayed_quotes"
DATASET = "cboe_delayed"
DELAY = timedelta(minutes=15)
#: Options on indices and some funds trade a quarter of an hour longer than shares.
_AFTER_CLOSE = timedelta(minutes=15)
_MULTIPLIER = 100.0
_NEW_YORK = ZoneInfo("America/New_York")
_OPENING = time(9, 30)


class Cboe:
    """Snapshots of option chains."""

    def __init__(self, settings: CboeSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(BASE_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """The chain of every configured symbol as it is now."""
        rows, rejected = [OPTION_QUOTES_CBOE.empty()], [no_rejects()]
        made: dict[str, str] = {}
        for symbol in self.settings.symbols:
            answer = self._chain(symbol)
            stamp = _stamp(answer, self.client)
            if not window.start <= stamp < window.end + DELAY:
                raise self.client.shape_error(
                    f"a chain made before now ({now:%Y-%m-%d %H:%M} UTC)", answer.get("timestamp")
                )
            found = parse_chain(answer, symbol, quote_time(stamp), stamp)
            rows.append(found.rows)
            rejected.append(found.rejected)
            made[symbol] = stamp.isoformat()
        return Fetched(
            {OPTION_QUOTES_CBOE.table: pl.concat(rows)}, pl.concat(rejected), {"made_at": made}
        )

    def _chain(self, symbol: str) -> Mapping[str, Any]:
        try:
            answer = self.client.get_json(f"options/{symbol}.json")
        except (NotFoundError, WrongKeyError) as error:
            # A file that is not there is "access denied", as in any storage bucket.
            raise UnknownSymbolError(
                f"cboe has no option chain of {symbol!r}; correct sources.cboe.symbols (indices "
                f"carry an underscore: _SPX). It said: {error}"
            ) from None
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("options"), list):
            raise self.client.shape_error("an object data with a list options", answer)
        return answer


def _stamp(answer: Mapping[str, Any], client: HttpClient) -> datetime:
    text = answer.get("timestamp")
    try:
        stamp = datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
    except ValueError:
        raise client.shape_error("a timestamp such as 2024-06-21 19:45:10", text) from None
    traded = answer["data"].get("last_trade_time")
    try:
        last = datetime.fromisoformat(str(traded)).replace(tzinfo=_NEW_YORK) if traded else None
    except ValueError:
        raise client.shape_error("a last_trade_time such as 2024-06-21T15:30:00", traded) from None
    if last is not None and last > stamp:
        # Were the stamp in another zone than UTC, quotes would be dated hours too early.
        raise client.shape_error(
            f"a timestamp in UTC after the last trade ({traded} in New York)", text
        )
    return stamp


def quote_time(stamp: datetime) -> datetime:
    """Time the quotes of a file made at `stamp` are of: 15 minutes before, in or at the end of the last session."""
    seen = stamp - DELAY
    today = seen.astimezone(_NEW_YORK).date()
    closes = session_closes("XNYS", today - timedelta(days=10), today).rows()
    opened = [(day, close) for day, close in closes if _opening(day) <= seen]
    return min(seen, opened[-1][1] + _AFTER_CLOSE)


def _opening(day: date) -> datetime:
    return datetime.combine(day, _OPENING, _NEW_YORK)


def parse_chain(
    answer: Mapping[str, Any], symbol: str, ts: datetime, stamp: datetime | None = None
) -> Parsed:
    """Quotes of one chain.

    Parameters
    ----------
    answer
        As it came, ``data.options`` being a list.
    symbol
        As asked for; the underlying is this without its underscore.
    ts
        Time of the quotes, UTC; they are known 15 minutes later.
    stamp
        When the file was made, UTC. Overnight the clearing house counts open interest anew: in a
        file made on a later day than its quotes it may be that of after the session, which nobody
        knew when the quotes were known. It is left out there.
    """
    data = answer["data"]
    underlying = symbol.removeprefix("_")
    days = [moment.astimezone(_NEW_YORK).date() for moment in (ts, stamp or ts)]
    is_same_day = days[0] == days[1]
    rows, refused = [], []
    try:
        price = cells.positive(data, "current_price")
    except cells.RowError as error:
        price = None
        refused.append(cells.refusal(error, {k: v for k, v in data.items() if k != "options"}))
    for option in data["options"]:
        try:
            row = _quote(cells.as_rows(option), underlying, price, ts)
            rows.append(row if is_same_day else {**row, "open_interest": None})
        except cells.RowError as error:
            refused.append(cells.refusal(error, option))
    return cells.parsed(rows, refused, OPTION_QUOTES_CBOE)


def _quote(
    option: Mapping[str, Any], underlying: str, price: float | None, ts: datetime
) -> dict[str, Any]:
    code = cells.word(option, "option")
    name = parse_occ(code)
    return {
        "dataset": DATASET,
        "underlying": underlying,
        "contract_id": code,
        "root": name.root,
        "kind": name.kind,
        "strike": name.strike,
        "expiry": name.expiry,
        "expires_at": name.expires_at,
        "ts": ts,
        "known_at": ts + DELAY,
        "known_at_basis": "assumed_lag",
        "bid": cells.positive(option, "bid"),
        "ask": cells.positive(option, "ask"),
        "last": cells.positive(option, "last_trade_price"),
        "volume": cells.number(option, "volume"),
        "open_interest": cells.number(option, "open_interest"),
        "iv_provider": cells.positive(option, "iv"),
        "delta_provider": cells.number(option, "delta"),
        "underlying_price": price,
        "underlying_basis": "spot",
        "premium_unit": "currency",
        "currency": name.currency,
        "multiplier": _MULTIPLIER,
    }
