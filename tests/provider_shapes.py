"""Every remote provider's answers in its own shape, small, and what is wrong with bad ones.

One entry a provider in `SHAPES`: the fault matrix is played on each, and a provider without an entry
fails a test. Values are made up; what counts is the shape.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from local_server import Reply, Request

KEY = "PLANTED5ECRET"
NOW = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
MAY, APRIL = "2024-05-01", "2024-04-01"
#: Sessions of New York in both months.
DAYS = (8, 9, 10)
DAY_MS = 86_400_000

Respond = Callable[[Request], Reply]


@dataclass(frozen=True)
class Shape:
    """How one provider answers.

    Parameters
    ----------
    good
        Answers every question rightly.
    settings
        Of its section, beside the address and the patience.
    now
        Time of the fetch.
    month, other
        Partitions, by their first day, for a provider that has them: of months or days.
    wrong
        A body of another shape, as well formed as the provider's own.
    nulls
        Answers with nulls where an element of a list is expected; ``None`` where the format has no
        lists.
    null_is
        What becomes of such an element.
    nothing_is
        What an empty body (HTTP 200) is: an error, or no rows.
    hits
        Requests that carry data: faults are played on these.
    key
        Of the provider; `KEY` is in it.
    parsed_by_library
        Whether a library reads the answers: it then says in its own words what was wrong.
    """

    good: Respond
    settings: dict[str, Any] = field(default_factory=dict)
    now: dt.datetime = NOW
    month: str | None = None
    other: str | None = None
    wrong: str | bytes = '{"unexpected": true}'
    nulls: Respond | None = None
    null_is: Literal["quarantine", "missing"] = "quarantine"
    nothing_is: Literal["error", "no rows"] = "error"
    hits: Callable[[Request], bool] = lambda request: True
    key: str = ""
    parsed_by_library: bool = False


def say(answer: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(answer), status)


def always(answer: Any) -> Respond:
    body = answer if isinstance(answer, str | bytes) else json.dumps(answer)
    return lambda request: Reply(body)


def unix(month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(dt.datetime(2024, month, day, hour, minute, tzinfo=dt.UTC).timestamp())


def _months(start_s: float, end_s: float) -> list[int]:
    """April and May, as far as they lie in a span."""
    return [
        month
        for month in (4, 5)
        if start_s <= unix(month, DAYS[0]) and unix(month, DAYS[-1]) < end_s
    ]


# --- bars


def _yahoo(hole: bool) -> Respond:
    def respond(request: Request) -> Reply:
        if "/chart/" not in request.path:
            return Reply("crumb")
        ask = request.params
        months = _months(float(ask.get("period1", 0)), float(ask.get("period2", 4e9)))
        stamps = [unix(month, day, 13, 30) for month in months for day in DAYS]
        closes = [100.0 + n if not (hole and n == 1) else None for n in range(len(stamps))]
        meta = {
            "currency": "USD", "symbol": "SPY", "instrumentType": "ETF", "validRanges": ["max"],
            "exchangeTimezoneName": "America/New_York",
        }  # fmt: skip
        quote = dict.fromkeys(("open", "high", "low", "close"), closes)
        quote["volume"] = [None if c is None else 1_000 for c in closes]
        adjusted = {"adjclose": [None if c is None else c / 2 for c in closes]}
        result = {
            "meta": meta, "timestamp": stamps,
            "indicators": {"quote": [quote], "adjclose": [adjusted]},
        }  # fmt: skip
        return say({"chart": {"result": [result], "error": None}})

    return respond


def _klines(hole: bool) -> Respond:
    def respond(request: Request) -> Reply:
        start, end = (int(request.params[name]) for name in ("startTime", "endTime"))
        opens = [unix(m, d) * 1_000 for m in (4, 5) for d in DAYS]
        rows: list[list] = [
            [
                at,
                "100.0",
                "101.0",
                "99.0",
                "100.5",
                "12.5",
                at + DAY_MS - 1,
                "1250",
                308,
                "6",
                "6",
                "0",
            ]
            for at in opens
            if start <= at <= end
        ]
        if hole:
            rows[1] = [rows[1][0], *[None] * 11]
        return say(rows)

    return respond


KRAKEN_ASSETS = {
    "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5,
             "collateral_value": 1.0, "status": "enabled"},
    "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "display_decimals": 2,
             "collateral_value": 1.0, "status": "enabled"},
}  # fmt: skip
KRAKEN_PAIRS = {
    "XXBTZUSD": {
        "altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT",
        "aclass_quote": "currency", "quote": "ZUSD", "lot": "unit", "cost_decimals": 5,
        "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [2, 3],
        "leverage_sell": [2, 3], "fees": [[0, 0.4], [10_000, 0.35]],
        "fees_maker": [[0, 0.25], [10_000, 0.2]], "fee_volume_currency": "ZUSD",
        "margin_call": 80, "margin_stop": 40, "ordermin": "0.0001", "costmin": "0.5",
        "tick_size": "0.1", "status": "online",
    }
}  # fmt: skip


def kraken(rows: Callable[[Request], list]) -> Respond:
    """Kraken's public interface; `rows` are those of /0/public/OHLC."""

    def respond(request: Request) -> Reply:
        if request.path.endswith("/Assets"):
            return say({"error": [], "result": KRAKEN_ASSETS})
        if request.path.endswith("/AssetPairs"):
            return say({"error": [], "result": KRAKEN_PAIRS})
        found = rows(request)
        return say({"error": [], "result": {"XXBTZUSD": found, "last": 1_717_200_000}})

    return respond


def _kraken(hole: bool) -> Respond:
    def rows(request: Request) -> list:
        since = int(request.params.get("since", 0))
        cells = ["100.0", "101.0", "99.0", "100.5", "100.2", "12.5", 23]
        found: list = [[unix(m, d), *cells] for m in (4, 5) for d in DAYS if unix(m, d) >= since]
        if hole and len(found) > 1:
            found[1] = [found[1][0], None, None, None, None, None, None, None]
        return found

    return kraken(rows)


def _alpha_vantage(hole: bool) -> Respond:
    bar = {"1. open": "1.0", "2. high": "2.0", "3. low": "0.5", "4. close": "1.5", "5. volume": "9"}
    series: dict[str, Any] = {f"2024-05-{day:02}": bar for day in DAYS}
    if hole:
        series["2024-05-09"] = None
    return always({"Meta Data": {"2. Symbol": "IBM"}, "Time Series (Daily)": series})


def _data_link(hole: bool) -> Respond:
    columns = ["Date", "Close", "Adj. Close", "Ex-Dividend", "Split Ratio"]
    rows: list = [[f"2024-05-{day:02}", 172.23, 168.0, 0.5, 1.0] for day in DAYS]
    if hole:
        rows[1] = None
    return always({"dataset": {"column_names": columns, "frequency": "daily", "data": rows}})


def _zipped(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("eurofxref-hist.csv", text)
    return packed.getvalue()


# --- macro


def alfred(hole: bool) -> Respond:
    def respond(request: Request) -> Reply:
        if request.path == "/fred/series":
            return say({"seriess": [{"id": "GDPC1", "units": "Index"}]})
        if request.path == "/fred/series/vintagedates":
            return say({"count": 2, "vintage_dates": ["2014-04-30", "2014-05-29"]})
        found: list = [
            {"realtime_start": day, "realtime_end": "9999-12-31", "date": "2014-01-01", "value": v}
            for day, v in (("2014-04-30", "15946.6"), ("2014-05-29", "15902.9"))
        ]
        found += [None] if hole else []
        return say({"count": len(found), "observations": found})

    return respond


def treasury_feed(*days: tuple[str, str]) -> str:
    """The Treasury's feed: day and ten-year yield."""
    entries = "".join(
        '<entry><content type="application/xml"><m:properties>'
        f'<d:NEW_DATE m:type="Edm.DateTime">{day}T00:00:00</d:NEW_DATE>'
        f'<d:BC_10YEAR m:type="Edm.Double">{value}</d:BC_10YEAR></m:properties></content></entry>'
        for day, value in days
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
        'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
        f"<title>DailyTreasuryYieldCurveRateData</title>{entries}</feed>"
    )


DFR = "FM.D.U2.EUR.4F.KR.DFR.LEV"

# --- documents

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Wire</title>
<item><title>Apple rallies</title><guid>wire-1</guid><pubDate>Fri, 31 May 2024 09:30:00 -0400</pubDate></item>
<item><title>Apple falls</title><guid>wire-2</guid><pubDate>Fri, 31 May 2024 10:30:00 -0400</pubDate></item>
</channel></rss>"""


def _gdelt(hole: bool) -> Respond:
    def respond(request: Request) -> Reply:
        month = request.params["startdatetime"][:6]
        found: list = [
            {"url": f"https://a.example/{month}{d}", "title": f"Story {d}",
             "seendate": f"{month}{d:02}T120000Z", "domain": "a.example", "language": "English"}
            for d in DAYS
        ]  # fmt: skip
        return say({"articles": found + [None] * hole})

    return respond


def _news(hole: bool) -> Respond:
    def respond(request: Request) -> Reply:
        month = request.params["time_from"][:6]
        found: list = [
            {"title": f"News {d}", "url": f"https://v.example/{month}{d}", "summary": "A summary.",
             "time_published": f"{month}{d:02}T101500", "source": "V",
             "ticker_sentiment": [{"ticker": "AAPL", "relevance_score": "0.9"}, *[None] * hole]}
            for d in DAYS
        ]  # fmt: skip
        return say({"items": "3", "feed": found + [None] * hole})

    return respond


def _reddit(hole: bool) -> Respond:
    posts: list = [
        {"kind": "t3", "data": {
            "name": f"t3_p{n}", "title": f"Post {n}", "selftext": "Story.", "edited": False,
            "created_utc": unix(6, 3, 11, n), "permalink": f"/r/stocks/comments/p{n}/"}}
        for n in range(3)
    ]  # fmt: skip

    def respond(request: Request) -> Reply:
        if request.path == "/token":
            return say({"access_token": f"tok-{KEY}", "expires_in": 86_400})
        return say({"kind": "Listing", "data": {"after": None, "children": posts + [None] * hole}})

    return respond


def _x(hole: bool) -> Respond:
    posts: list = [
        {"id": str(n), "text": f"To the moon {n}", "created_at": "2024-06-02T10:00:00.000Z",
         "lang": "en"}
        for n in (1, 2)
    ]  # fmt: skip
    return always({"data": posts + [None] * hole, "meta": {"result_count": 2}})


def _edgar(hole: bool) -> Respond:
    filed = ["2024-05-02", "2024-05-06"]
    columns = {
        "accessionNumber": ["0000320193-24-000067", "0000320193-24-000070"],
        "filingDate": filed, "form": ["8-K", "8-K"], "items": ["2.02,9.01", "8.01"],
        "acceptanceDateTime": ["2024-05-02T16:30:41.000Z", None if hole else "2024-05-06T16:30:00.000Z"],
        "primaryDocument": ["a.htm", "b.htm"],
    }  # fmt: skip
    return always(
        {"cik": "320193", "name": "Apple Inc.", "filings": {"recent": columns, "files": []}}
    )


# --- alternative


def _cboe(hole: bool) -> Respond:
    options: list = [
        {"option": f"SPY240719C00{strike}000", "bid": 1.0, "ask": 1.2, "iv": 0.21, "volume": 45.0,
         "open_interest": 120.0, "delta": 0.4, "last_trade_price": 1.15}
        for strike in (550, 555)
    ]  # fmt: skip
    data = {"options": options + [None] * hole, "current_price": 544.5,
            "last_trade_time": "2024-06-03T07:45:00"}  # fmt: skip
    return always({"timestamp": "2024-06-03 11:59:00", "data": data, "symbol": "SPY"})


def _deribit(hole: bool) -> Respond:
    found: list = [
        {"instrument_name": f"BTC-27DEC24-{strike}-C", "creation_timestamp": unix(6, 3, 11) * 1_000,
         "mark_iv": 62.35, "ask_price": 0.043, "bid_price": None, "last": 0.04, "volume": 4.5,
         "open_interest": 1_500.1, "underlying_price": 67_000.5}
        for strike in (90_000, 100_000)
    ]  # fmt: skip
    return always({"jsonrpc": "2.0", "result": found + [None] * hole})


def _option_trades(hole: bool) -> Respond:
    def respond(request: Request) -> Reply:
        since, last = (int(request.params[f"{end}_timestamp"]) for end in ("start", "end"))
        stamps = [unix(month, DAYS[0], hour) * 1_000 for month in (4, 5) for hour in (1, 2, 3)]
        trades: list = [
            {"trade_seq": n, "trade_id": str(300 + n), "timestamp": at, "tick_direction": 1,
             "price": 0.0415, "mark_price": 0.0411, "iv": 58.25, "index_price": 68_900.5,
             "instrument_name": "BTC-27DEC24-100000-C", "direction": "buy", "amount": 2.5}
            for n, at in enumerate(stamps)
            if since <= at <= last
        ]  # fmt: skip
        return say(
            {"jsonrpc": "2.0", "result": {"trades": trades + [None] * hole, "has_more": False}}
        )

    return respond


def _finra_ats(hole: bool) -> Respond:
    def respond(request: Request) -> Reply:
        asked = json.loads(request.body)
        week = next(
            f["fieldValue"] for f in asked["compareFilters"] if f["fieldName"] == "weekStartDate"
        )
        rows: list = [
            {"issueSymbolIdentifier": "AAPL", "MPID": venue, "marketParticipantName": "An ATS",
             "tierIdentifier": "T1", "weekStartDate": week, "totalWeeklyShareQuantity": 1_234,
             "totalWeeklyTradeCount": 89, "lastUpdateDate": None}
            for venue in ("UBSA", "MSPL")
        ]  # fmt: skip
        return say(rows + [None] * hole)

    return respond


def _short_volume(request: Request) -> Reply:
    day = request.path[-12:-4]
    return Reply(
        "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market\r\n"
        f"{day}|AAPL|100|1|200|B,Q,N\r\n{day}|SPY|300|2|600|B,Q,N\r\n2\r\n"
    )


def _coinmetrics(hole: bool) -> Respond:
    def respond(request: Request) -> Reply:
        first, last = request.params["start_time"], request.params["end_time"]
        days = [f"2024-{month:02}-{day:02}" for month in (4, 5) for day in DAYS]
        found: list = [
            {"asset": "btc", "time": f"{day}T00:00:00.000000000Z", "TxCnt": "400001"}
            for day in days
            if first <= day <= last
        ]
        return say({"data": found + [None] * hole})

    return respond


def _llama(hole: bool) -> Respond:
    found: list = [{"date": unix(5, day), "tvl": 50e9} for day in DAYS]
    return always(found + [None] * hole)


def _stablecoins(hole: bool) -> Respond:
    coin = {"id": "1", "symbol": "USDT", "circulating": {"peggedUSD": 1e11}}
    history: list = [
        {"date": str(unix(5, day)), "totalCirculating": {"peggedUSD": 1.03e11}} for day in DAYS
    ]

    def respond(request: Request) -> Reply:
        if request.path == "/stablecoins":
            return say({"peggedAssets": [coin, *[None] * hole]})
        return say(history + [None] * hole)

    return respond


def _fear_greed(hole: bool) -> Respond:
    found: list = [
        {"value": "47", "value_classification": "Neutral", "timestamp": str(unix(5, day))}
        for day in reversed(DAYS)
    ]
    return always({"name": "Fear and Greed Index", "data": found + [None] * hole,
                   "metadata": {"error": None}})  # fmt: skip


def _both(make: Callable[[bool], Respond]) -> dict[str, Respond]:
    return {"good": make(False), "nulls": make(True)}


_MONTHLY = {"month": MAY, "other": APRIL}

SHAPES: dict[str, Shape] = {
    "yahoo": Shape(
        **_both(_yahoo), **_MONTHLY, settings={"symbols": ["SPY"]}, null_is="missing",
        hits=lambda request: "/chart/" in request.path and "period1" in request.params,
        parsed_by_library=True,
    ),
    "binance": Shape(**_both(_klines), **_MONTHLY, settings={"symbols": ["BTCUSDT"]}),
    "ccxt": Shape(
        **_both(_kraken), **_MONTHLY, settings={"exchange": "kraken", "symbols": ["BTC/USD"]},
        parsed_by_library=True,
    ),
    "alpha_vantage": Shape(**_both(_alpha_vantage), settings={"symbols": ["IBM"]}, key=KEY),
    "nasdaq_data_link": Shape(**_both(_data_link), settings={"symbols": ["WIKI/AAPL"]}, key=KEY),
    "ecb": Shape(
        always(_zipped("Date,USD,\n2024-05-08,1.0749,\n2024-05-09,1.0771,\n")),
        settings={"symbols": ["USD"]}, wrong=_zipped("Day,Rate\n1,2\n"),
    ),
    "fred": Shape(
        always("observation_date,DGS10\n2024-05-08,4.48\n2024-05-09,.\n2024-05-10,4.50\n"),
        settings={"series": ["DGS10"]}, wrong="day,rate\n1,2\n",
    ),
    "alfred": Shape(**_both(alfred), settings={"series": ["GDPC1"]}, key=KEY),
    "treasury": Shape(
        always(treasury_feed(*[(f"2024-{m:02}-{d:02}", "4.5") for m in (4, 5) for d in DAYS])),
        **_MONTHLY, wrong="<?xml version='1.0'?><curves><curve/></curves>",
    ),
    "vix": Shape(
        always("DATE,OPEN,HIGH,LOW,CLOSE\n05/08/2024,13.0,13.5,12.9,13.0\n05/09/2024,13,14,12,12.7\n"),
        settings={"indices": ["VIX"]}, wrong="day,rate\n1,2\n",
    ),
    "ecb_rates": Shape(
        always(f"KEY,FREQ,TIME_PERIOD,OBS_VALUE\r\n{DFR},D,2024-05-08,4\r\n{DFR},D,2024-05-09,4\r\n"),
        settings={"series": [DFR]}, wrong="day,rate\r\n1,2\r\n",
    ),
    "rss": Shape(always(RSS), wrong="<?xml version='1.0'?><curves></curves>"),
    "gdelt": Shape(
        **_both(_gdelt), **_MONTHLY, settings={"queries": ["apple"]}, nothing_is="no rows",
        wrong='{"articles": {"one": 1}}',
    ),
    "alpha_vantage_news": Shape(**_both(_news), **_MONTHLY, settings={"symbols": ["AAPL"]}, key=KEY),
    "reddit": Shape(
        **_both(_reddit), settings={"subreddits": ["stocks"]}, key=f"my-client:{KEY}",
    ),
    "x": Shape(**_both(_x), settings={"queries": ["$AAPL"]}, key=KEY),
    "edgar": Shape(
        **_both(_edgar), settings={"companies": {"AAPL": 320_193}, "contact": "Jane Doe jane@example.org"},
    ),
    "cboe": Shape(**_both(_cboe), settings={"symbols": ["SPY"]}),
    "deribit": Shape(**_both(_deribit), settings={"currencies": ["BTC"]}),
    "deribit_trades": Shape(
        **_both(_option_trades), settings={"currencies": ["BTC"]},
        month=f"2024-05-{DAYS[0]:02}", other=f"2024-04-{DAYS[0]:02}",
    ),
    "finra_ats": Shape(**_both(_finra_ats), **_MONTHLY, settings={"symbols": ["AAPL"]}, nothing_is="no rows"),
    "finra_short_volume": Shape(
        _short_volume, **_MONTHLY, settings={"symbols": ["AAPL", "SPY"]},
        now=dt.datetime(2024, 5, 6, 12, tzinfo=dt.UTC),  # after the sessions of 1, 2 and 3 May
    ),
    "coinmetrics": Shape(**_both(_coinmetrics), **_MONTHLY, settings={"assets": ["btc"], "metrics": ["TxCnt"]}),
    "defillama": Shape(**_both(_llama), settings={"chains": ["Ethereum"]}),
    "stablecoins": Shape(**_both(_stablecoins), settings={"symbols": ["USDT"]}),
    "fear_greed": Shape(**_both(_fear_greed)),
}  # fmt: skip
