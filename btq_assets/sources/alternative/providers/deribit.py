"""Deribit's option chains.

Belongs here: one JSON-RPC question a currency, and reading the summaries of all its options.
``underlying_price`` is the price of the future to the option's own expiry; ``mark_iv`` is in
percent; bids and asks are null where nobody quotes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.config.sources import DeribitSourceSection
from btq_assets.contracts.raw.alternative import OPTION_QUOTES_DERIBIT
from btq_assets.sources.alternative import cells
from btq_assets.sources.alternative.contract_names import parse_deribit
from btq_assets.sources.errors import (
    ProviderUnavailableError,
    RefusedRequestError,
    SourceError,
    UnknownSymbolError,
)
from btq_assets.sources.http import TryAgainError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, no_rejects

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

BASE_URL = "https://www.deribit.com/api/v2"
DATASET = "deribit"
_SUMMARIES = "public/get_book_summary_by_currency"
_TOO_MANY_REQUESTS, _INVALID_PARAMETERS = 10028, -32602
_PERCENT = 100.0


class Deribit:
    """Snapshots of option chains."""

    def __init__(self, settings: DeribitSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(BASE_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """The options of every configured currency as they are now."""
        rows, rejected = [OPTION_QUOTES_DERIBIT.empty()], [no_rejects()]
        for currency in self.settings.currencies:
            found = parse_summaries(self._summaries(currency))
            rows.append(found.rows.filter(pl.col("ts") >= window.start))
            rejected.append(found.rejected)
        return Fetched(
            {OPTION_QUOTES_DERIBIT.table: pl.concat(rows)},
            pl.concat(rejected),
            {
                "contracts": {
                    c: r.height for c, r in zip(self.settings.currencies, rows[1:], strict=True)
                }
            },
        )

    def _summaries(self, currency: str) -> list[Any]:
        asked = {"currency": currency, "kind": "option"}
        try:
            answer = self.client.get_json(_SUMMARIES, asked, judge=judge_rpc)
        except RefusedRequestError as error:
            raise refusal_of(error, currency, "deribit") from None
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, list):
            raise self.client.shape_error("a list result", answer)
        if not result:
            raise UnknownSymbolError(
                f"deribit lists no options in {currency!r}; correct sources.deribit.currencies"
            )
        return result


def refusal_of(error: RefusedRequestError, currency: str, section: str) -> SourceError:
    """What a refusal means for the setting that caused it."""
    if str(_INVALID_PARAMETERS) in error.said or "invalid" in error.said.lower():
        return UnknownSymbolError(
            f"deribit does not know currency {currency!r}; correct sources.{section}.currencies. "
            f"It said: {error.said}"
        )
    if str(_TOO_MANY_REQUESTS) in error.said:
        return ProviderUnavailableError(
            f"deribit: too many requests; lower sources.{section}.calls_per_minute and run it "
            f"again. It said: {error.said}"
        )
    return error


def judge_rpc(body: bytes) -> None:
    """Raise what a JSON-RPC answer says is wrong, whatever its HTTP status."""
    answer = json.loads(body)
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return
    if error.get("code") == _TOO_MANY_REQUESTS:
        raise TryAgainError(f"too many requests: {error.get('message')}")
    said = json.dumps(error)
    raise RefusedRequestError(f"deribit refused the request: {said}", 200, said)


def parse_summaries(result: list[Any]) -> Parsed:
    """Quotes of the summaries of one currency.

    Stamps of one answer may differ by some milliseconds: all rows take the last, as one snapshot.
    """
    rows: list[dict[str, Any]] = []
    refused = []
    for summary in result:
        try:
            rows.append(_quote(cells.as_rows(summary)))
        except cells.RowError as error:
            refused.append(cells.refusal(error, summary))
    made = max((row["ts"] for row in rows), default=None)
    return cells.parsed(
        ({**row, "ts": made, "known_at": made} for row in rows), refused, OPTION_QUOTES_DERIBIT
    )


def _quote(summary: Mapping[str, Any]) -> dict[str, Any]:
    code = cells.word(summary, "instrument_name")
    name = parse_deribit(code)
    ts = cells.unix_time(summary, "creation_timestamp", unit_s=1e-3)
    volatility = cells.positive(summary, "mark_iv")
    return {
        "dataset": DATASET,
        "underlying": name.root.split("_")[0],
        "contract_id": code,
        "root": name.root,
        "kind": name.kind,
        "strike": name.strike,
        "expiry": name.expiry,
        "expires_at": name.expires_at,
        "ts": ts,
        # The answer carries the time it was made: nothing is assumed.
        "known_at": ts,
        "known_at_basis": "recorded",
        "bid": cells.positive(summary, "bid_price"),
        "ask": cells.positive(summary, "ask_price"),
        "last": cells.positive(summary, "last"),
        "volume": cells.number(summary, "volume"),
        "open_interest": cells.number(summary, "open_interest"),
        "iv_provider": None if volatility is None else volatility / _PERCENT,
        "delta_provider": None,
        "underlying_price": cells.positive(summary, "underlying_price"),
        "underlying_basis": "forward",
        "premium_unit": "underlying" if name.inverse else "currency",
        "currency": name.currency,
        "multiplier": 1.0,
    }
