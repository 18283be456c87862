"""CoinMetrics, DefiLlama and alternative.me, answering in their own shapes."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from local_server import Reply

from btq_assets.sources.errors import (
    AnswerShapeError,
    ProviderUnavailableError,
    SourceError,
    UnknownSymbolError,
)

NOW = dt.datetime(2024, 3, 20, 12, tzinfo=dt.UTC)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


def unix(*parts: int) -> int:
    return int(utc(*parts).timestamp())


# CoinMetrics --------------------------------------------------------------------------------------


def day(number: int, asset: str = "btc", **cells) -> dict:
    """One element of ``data``: values as text, nanoseconds in the time."""
    time = f"2024-03-{number:02}T00:00:00.000000000Z"
    return {"asset": asset, "time": time, "TxCnt": f"{400_000 + number}"} | cells


def test_every_page_is_read_and_a_day_is_known_a_day_after_its_end(web, ask):
    def respond(request):
        at = int(request.params.get("next_page_token", 1))
        answer: dict = {"data": [day(at), day(at + 1)]}
        if at < 5:
            # The address names the provider's own server; the one that was asked is asked again.
            token = str(at + 2)
            answer["next_page_url"] = (
                "https://community-api.coinmetrics.io/v4/timeseries/asset-metrics"
                f"?assets=btc&next_page_token={token}"
            )
        return Reply(json.dumps(answer))

    web.respond = respond
    rows = ask("coinmetrics", NOW, "2024-03-01", assets=["btc"], metrics=["TxCnt"], page_rows=2)
    assert [request.params.get("next_page_token") for request in web.asked] == [None, "3", "5"]
    asked = web.asked[0]
    assert asked.path == "/timeseries/asset-metrics"
    assert {k: asked.params[k] for k in ("assets", "metrics", "frequency", "page_size")} == {
        "assets": "btc", "metrics": "TxCnt", "frequency": "1d", "page_size": "2",
    }  # fmt: skip
    assert rows["value"].to_list() == [400_001, 400_002, 400_003, 400_004, 400_005, 400_006]
    first = rows.row(0, named=True)
    assert first["ts"] == utc(2024, 3, 2)
    assert first["known_at"] == utc(2024, 3, 3)
    assert first["unit"] == "transactions"


def test_days_outside_the_month_or_not_over_are_left_out(web, ask):
    data = [
        {"asset": "btc", "time": "2024-02-28T00:00:00.000000000Z", "TxCnt": "400001"},
        {"asset": "btc", "time": "2024-02-29T00:00:00.000000000Z", "TxCnt": "400002"},
        day(19),
        day(20),
    ]
    web.respond = lambda request: Reply(json.dumps({"data": data}))
    rows = ask("coinmetrics", NOW, "2024-03-01", assets=["btc"], metrics=["TxCnt"])
    # The day of February 29 ends on March 1; that of March 20 is not over.
    assert rows["ts"].to_list() == [utc(2024, 3, 1), utc(2024, 3, 20)]


def test_missing_cells_stay_missing_and_bad_ones_are_refused(web, ask):
    data = [
        day(1), day(2, TxCnt=None), {"asset": "btc", "time": day(3)["time"]},
        day(4, TxCnt="lots"), day(5, TxCnt="NaN"), day(6, time="March"), day(7, asset=None), 3,
    ]  # fmt: skip
    web.respond = lambda request: Reply(json.dumps({"data": data}))
    rows = ask("coinmetrics", NOW, "2024-03-01", assets=["btc"], metrics=["TxCnt"])
    assert rows["value"].to_list() == [400_001]
    assert ask.fetched.notes == {"pages": 1, "missing_cells": 2}
    assert ask.reasons == [
        "TxCnt 'lots' is not a number", "TxCnt is not finite", "time 'March' is not a time",
        "asset 'None' is not a name", "the row is not an object",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, "bad_parameter", "Bad parameter 'assets'. Value 'nope' is not supported."),
        (403, "forbidden", "Requested metric 'X' is not available with supplied credentials."),
    ],
)
def test_an_unknown_asset_or_metric_is_named(web, ask, status, kind, message):
    said = json.dumps({"error": {"type": kind, "message": message}})
    web.respond = lambda request: Reply(said, status)
    with pytest.raises(
        UnknownSymbolError, match=r"sources\.coinmetrics\.assets and metrics"
    ) as caught:
        ask("coinmetrics", NOW, "2024-03-01")
    assert message[:20] in str(caught.value)


def test_pages_that_go_in_circles_are_noticed(web, ask):
    web.respond = lambda request: Reply(json.dumps({"data": [day(1)], "next_page_token": "again"}))
    with pytest.raises(AnswerShapeError, match="a next page that was not read yet"):
        ask("coinmetrics", NOW, "2024-03-01")
    assert len(web.asked) == 2


def test_throttling_a_cut_body_and_a_strange_shape(web, ask):
    body = json.dumps({"data": [day(1)]})
    web.play(Reply("{}", 429, {"Retry-After": "6"}), Reply(body, how="cut"), Reply(body[:20]))
    web.respond = lambda request: Reply(body)
    assert ask("coinmetrics", NOW, "2024-03-01", metrics=["TxCnt"]).height == 1
    web.respond = lambda request: Reply('{"data": {"btc": []}}')
    with pytest.raises(AnswerShapeError, match="an object with a list data"):
        ask("coinmetrics", NOW, "2024-03-01")


# DefiLlama ----------------------------------------------------------------------------------------


def test_value_locked_is_of_the_whole_day_and_today_is_left_out(web, ask):
    data = [
        {"date": unix(2024, 3, 18), "tvl": 50e9},
        {"date": unix(2024, 3, 19), "tvl": 51e9},
        # The last one is of the moment.
        {"date": unix(2024, 3, 20, 11, 58), "tvl": 52e9},
    ]
    web.respond = lambda request: Reply(json.dumps(data))
    rows = ask("defillama", NOW, chains=["Ethereum", "BSC chain/2"])
    assert [request.path for request in web.asked] == [
        "/v2/historicalChainTvl/Ethereum", "/v2/historicalChainTvl/BSC%20chain%2F2",
    ]  # fmt: skip
    ethereum = rows.filter(asset="Ethereum")
    assert ethereum.select("ts", "known_at", "value").rows() == [
        (utc(2024, 3, 19), utc(2024, 3, 19, 1), 50e9),
        (utc(2024, 3, 20), utc(2024, 3, 20, 1), 51e9),
    ]


def test_bad_days_are_refused_and_missing_ones_stay_missing(web, ask):
    data = [
        {"date": unix(2024, 3, 1), "tvl": 1.0}, {"date": unix(2024, 3, 2), "tvl": None},
        {"date": unix(2024, 3, 3) * 1_000, "tvl": 1.0}, {"date": "soon", "tvl": 1.0},
        {"tvl": 1.0}, {"date": unix(2024, 3, 4), "tvl": "1.5"}, None,
        {"date": 1e300, "tvl": 1.0}, {"date": unix(2024, 3, 5), "tvl": {"usd": 1}},
    ]  # fmt: skip
    web.respond = lambda request: Reply(json.dumps(data))
    rows = ask("defillama", NOW, chains=["Ethereum"])
    assert rows["value"].to_list() == [1.0, 1.5]
    assert len(ask.reasons) == 6


@pytest.mark.parametrize("reply", [Reply("[]"), Reply("not found", 404), Reply("bad chain", 400)])
def test_an_unknown_chain_is_named(web, ask, reply):
    web.respond = lambda request: reply
    with pytest.raises(UnknownSymbolError, match=r"knows no chain 'Ether'; .*defillama\.chains"):
        ask("defillama", NOW, chains=["Ether"])


COINS = {
    "peggedAssets": [
        {"id": "1", "name": "Tether", "symbol": "USDT", "pegType": "peggedUSD",
         "circulating": {"peggedUSD": 1e11}},
        {"id": "99", "name": "Another", "symbol": "USDT", "circulating": {"peggedUSD": 1e3}},
        {"id": "50", "name": "Euro", "symbol": "EURS", "circulating": {"peggedEUR": 1e8}},
        {"id": "51", "name": "No supply", "symbol": "NONE"},
        "odd",
    ]
}  # fmt: skip


def test_stablecoins_are_found_by_symbol_and_dated_by_text(web, ask):
    history = {
        "1": [{"date": str(unix(2024, 3, 18)), "totalCirculating": {"peggedUSD": 1.03e11},
               "totalCirculatingUSD": {"peggedUSD": 1.031e11}},
              {"date": str(unix(2024, 3, 19)), "totalCirculating": {}}],
        "50": [{"date": str(unix(2024, 3, 18)), "totalCirculating": {"peggedEUR": 1e8}}],
    }  # fmt: skip

    def respond(request):
        if request.path == "/stablecoins":
            return Reply(json.dumps(COINS))
        assert request.path == "/stablecoincharts/all"
        return Reply(json.dumps(history[request.params["stablecoin"]]))

    web.respond = respond
    rows = ask("stablecoins", NOW, symbols=["USDT", "EURS"])
    assert rows.select("asset", "value", "unit").rows() == [
        ("USDT", 1.03e11, "USD"), ("EURS", 1e8, "EUR"),
    ]  # fmt: skip
    assert ask.reasons == ["totalCirculating is not one amount by currency"]
    with pytest.raises(
        UnknownSymbolError, match=r"knows no stablecoin 'USDX'; .*stablecoins\.symbols"
    ):
        ask("stablecoins", NOW, symbols=["USDX"])


@pytest.mark.parametrize("name", ["defillama", "stablecoins"])
def test_an_answer_of_unknown_shape_is_named(web, ask, name):
    web.respond = lambda request: Reply('{"message": "moved"}')
    with pytest.raises(AnswerShapeError, match="expected"):
        ask(name, NOW)


# alternative.me -----------------------------------------------------------------------------------


def fear(number: int, value: object) -> dict:
    return {
        "value": value, "value_classification": "Neutral",
        "timestamp": str(unix(2024, 3, number)), "time_until_update": "40000",
    }  # fmt: skip


def test_the_index_comes_newest_first_as_text_and_is_stored_oldest_first(web, ask):
    answer = {"name": "Fear and Greed Index", "data": [fear(20, "47"), fear(19, "74")]}
    web.respond = lambda request: Reply(json.dumps(answer | {"metadata": {"error": None}}))
    rows = ask("fear_greed", NOW)
    assert web.asked[0].params["limit"] == "0"
    assert rows.select("ts", "known_at", "value").rows() == [
        (utc(2024, 3, 19), utc(2024, 3, 19, 12), 74.0),
        (utc(2024, 3, 20), utc(2024, 3, 20, 12), 47.0),
    ]


def test_bad_values_of_the_index_are_refused(web, ask):
    data = [fear(1, "50"), fear(2, "101"), fear(3, "-1"), fear(4, None), fear(5, "high"),
            fear(6, "5") | {"timestamp": "06-03-2024"}, []]  # fmt: skip
    web.respond = lambda request: Reply(json.dumps({"data": data}))
    assert ask("fear_greed", NOW)["value"].to_list() == [50.0]
    assert len(ask.reasons) == 6


def test_what_the_index_says_is_wrong_is_passed_on(web, ask):
    web.respond = lambda request: Reply(
        json.dumps({"data": [], "metadata": {"error": "limit is not a number"}})
    )
    with pytest.raises(SourceError, match="limit is not a number"):
        ask("fear_greed", NOW)
    web.respond = lambda request: Reply("[47]")
    with pytest.raises(AnswerShapeError, match="a list data"):
        ask("fear_greed", NOW)
    web.respond = lambda request: Reply("<html>", 502)
    with pytest.raises(ProviderUnavailableError):
        ask("fear_greed", NOW)
