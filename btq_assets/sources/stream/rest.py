"""Binance's other door: snapshots of the book and trades that were missed, over HTTP.

Belongs here: two requests, and how any exchange is asked patiently. Does not belong here: the stream itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from btq_assets.sources.errors import ProviderUnavailableError
from btq_assets.sources.stream.events import BookEvent, MessageError, Trade
from btq_assets.sources.stream.messages import read_past_trade, read_snapshot

_PAGE = 1_000
_TIMEOUT_S = 10.0
_ATTEMPTS = 4
#: Too many requests, a ban for not heeding that, and the server's own trouble.
_TRY_AGAIN = frozenset({418, 429, 500, 502, 503, 504})


class RestDoor:
    """Snapshots and past trades of one exchange; blocking, to be called in a thread.

    Parameters
    ----------
    base_url
        Where ``/api/v3/…`` is served.
    clock
        Microseconds since 1970.
    first_wait_s
        Before the second attempt; each further one waits twice as long, jittered.
    """

    def __init__(
        self, base_url: str, clock: Callable[[], int], *, first_wait_s: float = 0.5
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.clock = clock
        self.first_wait_s = first_wait_s

    def snapshot(self, symbol: str, n_levels: int) -> BookEvent:
        """The whole book of `symbol`, at most `n_levels` a side."""
        answer = self._get("/api/v3/depth", {"symbol": symbol, "limit": n_levels})
        if not isinstance(answer, dict):
            raise MessageError("the depth snapshot is no object")
        return read_snapshot(answer, symbol, self.clock())

    def trades(self, symbol: str, first: int, last: int) -> list[Trade]:
        """Trades of `symbol` numbered `first` to `last`, as far as the exchange still has them."""
        found: list[Trade] = []
        wanted = first
        while wanted <= last:
            query = {
                "symbol": symbol,
                "fromId": wanted,
                "limit": min(_PAGE, last - wanted + 1),
            }
            answer = self._get("/api/v3/historicalTrades", query)
            if not isinstance(answer, list):
                raise MessageError("the past trades are no list")
            page = [read_past_trade(item, symbol, self.clock()) for item in answer]
            page = [trade for trade in page if wanted <= trade.trade_id <= last]
            if not page:
                break
            found += page
            wanted = page[-1].trade_id + 1
        return found

    def _get(self, path: str, query: Mapping[str, Any]) -> Any:
        return ask(self.base_url + path, query, self.first_wait_s)


def ask(url: str, query: Mapping[str, Any], first_wait_s: float) -> Any:
    """The JSON answer of one address, asked for patiently.

    Raises
    ------
    ProviderUnavailableError
        No answer after four attempts, or one that another attempt cannot change.
    """
    import requests

    trouble = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(first_wait_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
        try:
            answer = requests.get(url, params=dict(query), timeout=_TIMEOUT_S)
            if answer.status_code == 200:
                return answer.json()
            trouble = f"HTTP {answer.status_code}: {answer.text[:120]}"
            if answer.status_code not in _TRY_AGAIN:
                break
        except (requests.RequestException, ValueError) as error:
            trouble = type(error).__name__
    raise ProviderUnavailableError(f"{url}: {trouble}")
