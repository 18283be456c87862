"""Nasdaq Data Link datasets from a local server in the provider's shape."""

from __future__ import annotations

import datetime as dt

import pytest

from btq_assets.config.sources.market import NasdaqDataLinkSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import (
    AnswerShapeError,
    SourceError,
    UnknownSymbolError,
    WindowError,
    WrongKeyError,
)
from btq_assets.sources.fetching import BEGINNING
from btq_assets.sources.market.providers.nasdaq_data_link import NasdaqDataLink
from btq_assets.sources.provider import Window

LATER = dt.datetime(2018, 6, 1, tzinfo=dt.UTC)
KEY = "PLANTED5ECRET"

WIKI_COLUMNS = [
    "Date", "Open", "High", "Low", "Close", "Volume", "Ex-Dividend", "Split Ratio",
    "Adj. Open", "Adj. High", "Adj. Low", "Adj. Close", "Adj. Volume",
]  # fmt: skip


def row(day: str, close: float, dividend: float = 0.0, split: float = 1.0) -> list:
    prices = [close - 1, close + 1, close - 2, close, 36_272_617.0]
    return [day, *prices, dividend, split, *(price / 2 for price in prices)]


def dataset(data: list, columns: list | None = None, **changed) -> dict:
    return {
        "dataset": {
            "id": 9775409, "dataset_code": "AAPL", "database_code": "WIKI", "frequency": "daily",
            "column_names": columns or WIKI_COLUMNS, "type": "Time Series", "premium": False,
            "oldest_available_date": "1980-12-12", "newest_available_date": "2018-03-27",
            "data": data, **changed,
        }
    }  # fmt: skip


def refusal(code: str, message: str) -> dict:
    return {"quandl_error": {"code": code, "message": message}}


@pytest.fixture
def fetch(server, client_of):
    def call(*names, now=LATER, key="", **settings):
        settings.setdefault("symbols", names or ("WIKI/AAPL",))
        section = NasdaqDataLinkSourceSection(base_url=server.url, **settings)
        client = client_of("nasdaq_data_link", section, now, key=key)
        return NasdaqDataLink(section, client).fetch(Window(BEGINNING, now), now)

    return call


def test_wiki_rows_become_bars_splits_and_dividends(server, fetch):
    """AAPL split seven for one on 2014-06-09, a Monday; closes of the exchange at 20:00 UTC."""
    server.answer = lambda request: server.Reply(
        dataset([row("2014-06-09", 93.7, split=7.0), row("2014-06-06", 645.57, dividend=3.29)])
    )
    fetched = fetch(key=KEY)
    bars = cast_to_contract(fetched.frames["raw.bars_nasdaq_data_link"], raw.BARS_NASDAQ_DATA_LINK)
    assert violations(bars, raw.BARS_NASDAQ_DATA_LINK).is_empty()
    assert bars.select("symbol", "dataset", "ts", "close", "adj_close").rows() == [
        ("AAPL", "WIKI", dt.datetime(2014, 6, 6, 20, tzinfo=dt.UTC), 645.57, 645.57 / 2),
        ("AAPL", "WIKI", dt.datetime(2014, 6, 9, 20, tzinfo=dt.UTC), 93.7, 93.7 / 2),
    ]
    actions = cast_to_contract(
        fetched.frames["raw.corporate_actions_nasdaq_data_link"],
        raw.CORPORATE_ACTIONS_NASDAQ_DATA_LINK,
    )
    assert violations(actions, raw.CORPORATE_ACTIONS_NASDAQ_DATA_LINK).is_empty()
    assert actions.sort("ex_date").select("ex_date", "kind", "value", "basis").rows() == [
        (dt.date(2014, 6, 6), "dividend", 3.29, "as_traded"),
        (dt.date(2014, 6, 9), "split", 7.0, "as_traded"),
    ]
    (asked,) = server.asked
    assert asked.path == "/api/v3/datasets/WIKI/AAPL.json"
    assert asked.params == {"start_date": "1990-01-01", "api_key": KEY}


def test_without_a_key_none_is_sent(server, fetch):
    server.answer = lambda request: server.Reply(dataset([row("2014-06-06", 645.57)]))
    fetch()
    assert "api_key" not in server.asked[0].params


def test_datasets_of_other_columns_are_read_as_far_as_they_are_bars(server, fetch):
    columns = ["Date", "Open", "High", "Low", "Last", "Settle", "Total Volume"]
    server.answer = lambda request: server.Reply(
        dataset([["2018-01-03", 60.4, 61.9, 60.2, 61.7, 61.6, 658_000.0]], columns)
    )
    bars = fetch(symbols={"oil": "CHRIS/CME_CL1"}).frames["raw.bars_nasdaq_data_link"]
    # Settle is the price contracts are marked to; it comes before the last trade.
    assert bars.select("symbol", "dataset", "close", "adj_close", "volume").rows() == [
        ("oil", "CHRIS", 61.6, None, 658_000.0)
    ]
    server.answer = lambda request: server.Reply(dataset([["2018-01-03", 1.0]], ["Date", "Depth"]))
    with pytest.raises(AnswerShapeError, match="a column Close, Settle, Last, Value or Rate"):
        fetch()


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (404, refusal("QECx02", "You have submitted an incorrect Quandl code."),
         UnknownSymbolError, r"no dataset 'WIKI/AAPL'; correct sources\.nasdaq_data_link\.symbols"),
        (400, refusal("QEAx01", "We could not recognize your API key."),
         WrongKeyError, "refused QUANDL_KEY"),
        (403, refusal("QEPx04", "You do not have permission to view this dataset."),
         WrongKeyError, "do not have permission"),
        (200, {"datatable": {}}, AnswerShapeError, "an object with 'dataset'"),
        (200, dataset([], ["Close", "Date"]), AnswerShapeError, "column_names with Date first"),
        (200, dataset([]), WindowError, r"no row since 1990-01-01 \(it spans 1980-12-12 to"),
        (200, dataset([["2018-01-31", 1.0]], ["Date", "Value"], frequency="monthly"),
         WindowError, "WIKI/AAPL is monthly; only daily"),
    ],
)  # fmt: skip
def test_refusals_and_unknown_shapes_are_named_at_once(
    server, fetch, waits, status, body, error, said
):
    server.answer = lambda request: server.Reply(body, status)
    with pytest.raises(error, match=said) as caught:
        fetch(key=KEY)
    assert KEY not in str(caught.value)
    assert waits == []


def test_throttling_and_half_answers_are_asked_again(server, fetch):
    good = dataset([row("2014-06-06", 645.57)])
    server.before = [
        server.Reply(refusal("QELx01", "You have exceeded the limit"), 429, {"Retry-After": "2"}),
        server.Reply(good, cut=9),
    ]
    server.answer = lambda request: server.Reply(good)
    assert fetch().frames["raw.bars_nasdaq_data_link"].height == 1


def test_rows_that_make_no_bar_are_refused_with_their_reasons(server, fetch):
    nulls = ["2014-06-05", *[None] * 12]
    words = row("2014-06-04", 640.0)
    words[1] = "open"
    server.answer = lambda request: server.Reply(
        dataset([row("2014-06-06", 645.57), nulls, words, ["2014-06-03", 1.0], None,
                 row("2014-06-07", 1.0), row("06/02/2014", 1.0)])
    )  # fmt: skip
    fetched = fetch()
    bars = cast_to_contract(fetched.frames["raw.bars_nasdaq_data_link"], raw.BARS_NASDAQ_DATA_LINK)
    # A row of nulls is read, and the contract refuses it.
    assert violations(bars, raw.BARS_NASDAQ_DATA_LINK)["reason"].to_list() == ["no price at all"]
    assert bars.height == 2
    assert sorted(fetched.rejected["reason"]) == [
        "2014-06-07 is not a session of XNYS", "date '06/02/2014' is not YYYY-MM-DD",
        "not a row of 13 fields", "not a row of 13 fields", "open 'open' is not a number",
    ]  # fmt: skip


def test_a_code_in_another_spelling_is_refused_before_asking(server, fetch):
    with pytest.raises(SourceError, match="'AAPL' is no code such as WIKI/AAPL"):
        fetch("AAPL")
    assert server.asked == []
