"""Value locked by chain, and circulating stablecoins, from DefiLlama.

Belongs here: both of DefiLlama's services, which answer with whole histories dated in seconds
since 1970 (numbers in one, text in the other). A dated value counts as describing its whole day;
the last one is of the current moment and is left out. Histories are corrected when adapters are:
what was corrected before the first fetch cannot be told apart (REVISED).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl

from btq_assets.config.sources import DefiLlamaSourceSection, StablecoinsSourceSection
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.raw.alternative import ONCHAIN_DEFILLAMA, ONCHAIN_STABLECOINS
from btq_assets.sources.alternative import cells
from btq_assets.sources.errors import NotFoundError, RefusedRequestError, UnknownSymbolError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, no_rejects

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

TVL_URL = "https://api.llama.fi"
STABLECOINS_URL = "https://stablecoins.llama.fi"
TVL_DATASET, STABLECOINS_DATASET = "defillama_tvl", "defillama_stablecoins"
TVL_METRIC, SUPPLY_METRIC = "tvl_usd", "circulating"
DAY = timedelta(days=1)
#: From the end of a day to its value.
LAG = timedelta(hours=1)


class DefiLlama:
    """Value locked in decentralised finance, by chain."""

    def __init__(self, settings: DefiLlamaSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(TVL_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """The whole history of every configured chain."""
        parts = [self._chain(chain, now) for chain in self.settings.chains]
        return _fetched(parts, ONCHAIN_DEFILLAMA, window)

    def _chain(self, chain: str, now: datetime) -> Parsed:
        try:
            answer = self.client.get_json(f"v2/historicalChainTvl/{quote(chain, safe='')}")
        except (NotFoundError, RefusedRequestError) as error:
            raise _unknown("chain", chain, "defillama.chains", error) from None
        if not isinstance(answer, list):
            raise self.client.shape_error("a list of {date, tvl}", answer)
        if not answer:
            raise _unknown("chain", chain, "defillama.chains", "an empty list")
        return parse_days(answer, now, asset=chain, contract=ONCHAIN_DEFILLAMA, read=_tvl)


class Stablecoins:
    """Circulating supply by stablecoin."""

    def __init__(self, settings: StablecoinsSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(STABLECOINS_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """The whole history of every configured stablecoin."""
        listed = self._listed()
        parts = []
        for symbol in self.settings.symbols:
            if symbol not in listed:
                raise _unknown("stablecoin", symbol, "stablecoins.symbols", f"{len(listed)} others")
            asked = {"stablecoin": listed[symbol]}
            answer = self.client.get_json("stablecoincharts/all", asked)
            if not isinstance(answer, list):
                raise self.client.shape_error("a list of {date, totalCirculating}", answer)
            parts.append(
                parse_days(answer, now, asset=symbol, contract=ONCHAIN_STABLECOINS, read=_supply)
            )
        return _fetched(parts, ONCHAIN_STABLECOINS, window)

    def _listed(self) -> dict[str, str]:
        """Number of each stablecoin by symbol; of equal symbols the one that circulates most."""
        answer = self.client.get_json("stablecoins", {"includePrices": "false"})
        coins = answer.get("peggedAssets") if isinstance(answer, dict) else None
        if not isinstance(coins, list):
            raise self.client.shape_error("an object with a list peggedAssets", answer)
        found: dict[str, tuple[float, str]] = {}
        for coin in coins:
            if not isinstance(coin, Mapping) or not coin.get("symbol") or not coin.get("id"):
                continue
            try:
                size = _pegged(coin, "circulating")[0]
            except cells.RowError:
                size = 0.0
            symbol = str(coin["symbol"])
            found[symbol] = max(found.get(symbol, (-1.0, "")), (size, str(coin["id"])))
        return {symbol: number for symbol, (_, number) in found.items()}


def parse_days(
    answer: Iterable[Any], now: datetime, *, asset: str, contract: TableContract, read: Any
) -> Parsed:
    """Values of a history.

    Parameters
    ----------
    answer
        Objects with a ``date`` in seconds since 1970.
    now
        Days that have not ended by then are left out.
    asset
        Chain or coin.
    contract
        Table the rows go to.
    read
        ``read(row) -> (metric, value or None, unit, dataset)``.
    """
    rows: dict[datetime, dict[str, Any]] = {}
    refused = []
    for item in answer:
        try:
            row = cells.as_rows(item)
            stamp = cells.unix_time(row, "date")
            end = stamp.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
            metric, value, unit, dataset = read(row)
        except cells.RowError as error:
            refused.append(cells.refusal(error, item))
            continue
        if end > now or value is None:
            continue
        # Of two values of one day the later in the list stands: histories are in order.
        rows[end] = {
            "dataset": dataset,
            "asset": asset,
            "metric": metric,
            "ts": end,
            "known_at": end + LAG,
            "known_at_basis": "assumed_lag",
            "value": value,
            "unit": unit,
        }
    return cells.parsed(rows.values(), refused, contract)


def _tvl(row: Mapping[str, Any]) -> tuple[str, float | None, str, str]:
    return TVL_METRIC, cells.number(row, "tvl"), "USD", TVL_DATASET


def _supply(row: Mapping[str, Any]) -> tuple[str, float | None, str, str]:
    value, unit = _pegged(row, "totalCirculating")
    return SUPPLY_METRIC, value, unit, STABLECOINS_DATASET


def _pegged(row: Mapping[str, Any], name: str) -> tuple[float, str]:
    """Amount in ``{"peggedUSD": 1.0}`` and the currency it is pegged to."""
    amounts = row.get(name)
    if not isinstance(amounts, Mapping) or len(amounts) != 1:
        raise cells.RowError(f"{name} is not one amount by currency")
    ((key, _),) = amounts.items()
    return cells.required(amounts, key), str(key).removeprefix("pegged")


def _fetched(parts: list[Parsed], contract: TableContract, window: Window) -> Fetched:
    rows = pl.concat([contract.empty(), *(part.rows for part in parts)])
    return Fetched(
        {contract.table: rows.filter(pl.col("ts") >= window.start)},
        pl.concat([no_rejects(), *(part.rejected for part in parts)]),
        {"days": {part.rows["asset"][0]: part.rows.height for part in parts if part.rows.height}},
    )


def _unknown(what: str, name: str, setting: str, said: object) -> UnknownSymbolError:
    return UnknownSymbolError(
        f"DefiLlama knows no {what} {name!r}; correct sources.{setting}. It gave: {said}"
    )
