"""Cboe and Deribit, answering in their own shapes: snapshots, nulls, wrong names, bad days."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from local_server import Reply

from btq_assets.sources.errors import (
    AnswerShapeError,
    ProviderUnavailableError,
    UnknownSymbolError,
)

#: Friday 2024-06-21, 15:45:10 in New York.
MADE = dt.datetime(2024, 6, 21, 19, 45, 10, tzinfo=dt.UTC)
NOW = MADE + dt.timedelta(minutes=1)


def option(code: str, **cells) -> dict:
    """One element of ``data.options`` with every field Cboe gives."""
    return {
        "option": code, "bid": 1.0, "bid_size": 10.0, "ask": 1.2, "ask_size": 7.0, "iv": 0.21,
        "open_interest": 120.0, "volume": 45.0, "delta": 0.4, "gamma": 0.01, "vega": 0.1,
        "theta": -0.02, "rho": 0.01, "theo": 1.1, "change": 0.0, "open": 1.0, "high": 1.3,
        "low": 0.9, "tick": "up", "last_trade_price": 1.15, "last_trade_time": "2024-06-21T15:20:00",
        "percent_change": 0.0, "prev_day_close": 1.0,
    } | cells  # fmt: skip


def chain(options: list, timestamp: str = "2024-06-21 19:45:10", **data) -> str:
    """The shape of an answer of ``delayed_quotes/options/SPY.json``."""
    return json.dumps(
        {
            "timestamp": timestamp,
            "data": {
                "options": options, "symbol": "SPY", "security_type": "etf", "exchange_id": 5,
                "current_price": 544.51, "iv30": 11.2, "last_trade_time": "2024-06-21T15:30:09",
            } | data,
            "symbol": "SPY",
        }
    )  # fmt: skip


SPY_CALL, SPX_PUT = "SPY240719C00550000", "SPX240719P05000000"


def test_a_chain_is_known_fifteen_minutes_after_its_quotes(web, ask):
    web.respond = lambda request: Reply(chain([option(SPY_CALL)]))
    row = ask("cboe", NOW, symbols=["SPY"]).row(0, named=True)
    assert web.asked[0].path == "/options/SPY.json"
    assert row["ts"] == MADE - dt.timedelta(minutes=15)
    assert row["known_at"] == MADE
    assert row["known_at_basis"] == "assumed_lag"
    assert (row["underlying"], row["root"], row["kind"], row["strike"]) == (
        "SPY",
        "SPY",
        "call",
        550,
    )
    # Expires at 16:00 in New York, in summer 20:00 UTC.
    assert row["expires_at"] == dt.datetime(2024, 7, 19, 20, tzinfo=dt.UTC)
    assert row["expiry"] == dt.date(2024, 7, 19)
    assert [row[name] for name in ("bid", "ask", "last", "volume", "open_interest")] == [
        1.0, 1.2, 1.15, 45.0, 120.0,
    ]  # fmt: skip
    assert (row["iv_provider"], row["underlying_price"], row["multiplier"]) == (0.21, 544.51, 100)


def test_an_index_is_asked_with_its_underscore_and_settles_in_the_morning(web, ask):
    web.respond = lambda request: Reply(chain([option(SPX_PUT), option("SPXW240719P05000000")]))
    rows = ask("cboe", NOW, symbols=["_SPX"])
    assert web.asked[0].path == "/options/_SPX.json"
    assert set(rows["underlying"]) == {"SPX"}
    at = dict(rows.select("root", "expires_at").rows())
    assert at["SPX"] == dt.datetime(2024, 7, 19, 13, 30, tzinfo=dt.UTC)
    assert at["SPXW"] == dt.datetime(2024, 7, 19, 20, tzinfo=dt.UTC)


def test_zeros_and_nulls_are_missing_and_bad_rows_are_refused(web, ask):
    options = [
        option(SPY_CALL, bid=0.0, iv=0.0, last_trade_price=0.0, last_trade_time=None),
        option("SPY240719P00550000", bid=None, ask=None, volume=None),
        option("SPY 240719C0055000"),
        option("SPY241319C00550000"),
        option("SPY240719C00560000", bid="a lot"),
        option("SPY240719C00570000", ask=[1.2]),
        option("SPY240719C00580000", open_interest=True),
        {"bid": 1.0},
        None,
        "SPY240719C00550000",
        option("SPY240719C00600000"),
    ]
    web.respond = lambda request: Reply(chain(options))
    rows = ask("cboe", NOW, symbols=["SPY"])
    assert rows["contract_id"].to_list() == [SPY_CALL, "SPY240719P00550000", "SPY240719C00600000"]
    assert rows.row(0, named=True)["bid"] is None
    assert rows.row(0, named=True)["iv_provider"] is None
    assert rows.row(1, named=True)["ask"] is None
    for reason in (
        "'SPY 240719C0055000' is no OCC code", "names a day that does not exist",
        "bid 'a lot' is not a number", "ask '[1.2]' is not a number",
        "open_interest 'True' is not a number", "option 'None' is not a name",
        "the row is not an object",
    ):  # fmt: skip
        assert any(reason in found for found in ask.reasons), reason
    assert len(ask.reasons) == 8


def test_nan_in_json_is_refused_not_stored(web, ask):
    body = chain([option(SPY_CALL), option("SPY240719P00550000")])
    web.respond = lambda request: Reply(body.replace('"bid": 1.0', '"bid": NaN', 1))
    assert ask("cboe", NOW, symbols=["SPY"]).height == 1
    assert ask.reasons == ["bid is not finite"]


def test_quotes_after_the_close_are_those_of_the_close(web, ask):
    """Friday's file fetched on Sunday: the same quotes, not two days younger."""
    late = "2024-06-23 09:00:00"
    web.respond = lambda request: Reply(chain([option(SPY_CALL)], timestamp=late))
    now = dt.datetime(2024, 6, 23, 9, 5, tzinfo=dt.UTC)
    row = ask("cboe", now, symbols=["SPY"]).row(0, named=True)
    # 16:15 in New York, when options on funds stop trading.
    assert row["ts"] == dt.datetime(2024, 6, 21, 20, 15, tzinfo=dt.UTC)
    assert row["known_at"] == dt.datetime(2024, 6, 21, 20, 30, tzinfo=dt.UTC)
    # By then open interest has been counted anew, after the session: nobody knew that on Friday.
    assert row["open_interest"] is None
    same_evening = "2024-06-22 02:00:00"
    web.respond = lambda request: Reply(chain([option(SPY_CALL)], timestamp=same_evening))
    at_ten = dt.datetime(2024, 6, 22, 2, 5, tzinfo=dt.UTC)
    assert ask("cboe", at_ten, symbols=["SPY"])["open_interest"].to_list() == [120.0]
    before_the_bell = "2024-06-24 13:00:00"
    web.respond = lambda request: Reply(chain([option(SPY_CALL)], timestamp=before_the_bell))
    now = dt.datetime(2024, 6, 24, 13, 1, tzinfo=dt.UTC)
    assert ask("cboe", now, symbols=["SPY"])["ts"][0] == row["ts"]


def test_an_unknown_symbol_is_named_with_its_setting(web, ask):
    denied = '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
    web.respond = lambda request: Reply(denied, 403)
    with pytest.raises(
        UnknownSymbolError, match=r"no option chain of 'SPX'; .*sources\.cboe\.symbols"
    ):
        ask("cboe", NOW, symbols=["SPX"])
    assert ask.waits == []


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("[]", "an object data with a list options"),
        ('{"data": {"options": {}}}', "an object data with a list options"),
        ('{"data": null}', "an object data with a list options"),
        ('{"timestamp": "yesterday", "data": {"options": []}}', "a timestamp such as"),
        (chain([], timestamp="2024-06-21 15:45:10"), "a timestamp in UTC after the last trade"),
        (chain([], timestamp="2024-06-22 19:45:10"), "a chain made before now"),
        (chain([], last_trade_time="noon"), "a last_trade_time such as"),
    ],
)
def test_an_answer_of_unknown_shape_is_named_and_nothing_stored(web, ask, body, what):
    web.respond = lambda request: Reply(body)
    with pytest.raises(AnswerShapeError, match=what):
        ask("cboe", NOW, symbols=["SPY"])


@pytest.mark.parametrize("name", ["cboe", "deribit"])
def test_throttling_and_cut_bodies_are_tried_again(web, ask, name):
    body = chain([option(SPY_CALL)]) if name == "cboe" else summaries(summary())
    web.play(
        Reply("slow down", 429, {"Retry-After": "7"}),
        Reply(body, how="cut"),
        Reply(body[: len(body) // 2]),
    )
    web.respond = lambda request: Reply(body)
    one = {"symbols": ["SPY"]} if name == "cboe" else {"currencies": ["BTC"]}
    assert ask(name, NOW, **one).height == 1
    retries = [wait for wait in ask.waits if wait >= 1]
    assert len(retries) == 3
    assert retries[0] >= 7


def test_a_provider_that_is_down_is_named(web, ask):
    web.respond = lambda request: Reply("<html>maintenance</html>", 503)
    with pytest.raises(ProviderUnavailableError, match="cboe gave no usable answer"):
        ask("cboe", NOW, symbols=["SPY"])


# Deribit ------------------------------------------------------------------------------------------


def summary(name: str = "BTC-27DEC24-100000-C", **cells) -> dict:
    """One element of ``result`` with every field Deribit gives for options."""
    return {
        "mid_price": 0.0425, "volume_usd": 12_345.6, "quote_currency": "BTC",
        "estimated_delivery_price": 64_000.1, "creation_timestamp": 1_718_999_110_123,
        "base_currency": "BTC", "underlying_index": "BTC-27DEC24", "underlying_price": 67_000.5,
        "mark_iv": 62.35, "volume": 4.5, "interest_rate": 0.0, "price_change": None,
        "open_interest": 1_500.1, "ask_price": 0.043, "bid_price": 0.042, "instrument_name": name,
        "mark_price": 0.0424, "last": 0.0419, "low": None, "high": None,
    } | cells  # fmt: skip


def summaries(*rows) -> str:
    return json.dumps(
        {
            "jsonrpc": "2.0", "result": list(rows), "usIn": 1_718_999_110_100_000,
            "usOut": 1_718_999_110_130_000, "usDiff": 30_000, "testnet": False,
        }
    )  # fmt: skip


def test_a_summary_is_read_with_percent_as_fraction_and_premium_in_coins(web, ask):
    web.respond = lambda request: Reply(summaries(summary()))
    row = ask("deribit", NOW, currencies=["BTC"]).row(0, named=True)
    assert web.asked[0].path == "/public/get_book_summary_by_currency"
    assert web.asked[0].params == {"currency": "BTC", "kind": "option"}
    assert (row["underlying"], row["kind"], row["strike"]) == ("BTC", "call", 100_000)
    assert row["iv_provider"] == pytest.approx(0.6235)
    assert (row["bid"], row["ask"], row["premium_unit"]) == (0.042, 0.043, "underlying")
    assert (row["underlying_price"], row["underlying_basis"]) == (67_000.5, "forward")
    # Deribit's options expire at 08:00 UTC.
    assert row["expires_at"] == dt.datetime(2024, 12, 27, 8, tzinfo=dt.UTC)
    # 1 718 999 110.123 s is 2024-06-21 19:45:10.123 UTC.
    assert row["ts"] == row["known_at"] == MADE + dt.timedelta(microseconds=123_000)
    assert row["known_at_basis"] == "recorded"


def test_linear_contracts_small_strikes_and_nulls(web, ask):
    rows = (
        summary("XRP_USDC-5JAN25-0d55-P", bid_price=None, ask_price=None, mark_iv=None, last=None),
        summary("BTC_USDC-27DEC24-100000-C", creation_timestamp=1_718_999_110_125),
        summary("BTC-PERPETUAL"),
        summary("BTC-31FEB25-100000-C"),
        summary("BTC-27DEC24-0-C"),
        summary("BTC-28DEC24-100000-C", creation_timestamp=1_718_999_110),
        summary("BTC-29DEC24-100000-C", underlying_price="n/a", bid_price={"price": 1}),
        7,
    )
    web.respond = lambda request: Reply(summaries(*rows))
    found = ask("deribit", NOW, currencies=["USDC"])
    first, second = found.rows(named=True)
    assert (first["strike"], first["currency"], first["bid"], first["iv_provider"]) == (
        0.55, "USDC", None, None,
    )  # fmt: skip
    assert second["premium_unit"] == "currency"
    # One answer is one snapshot, whatever the milliseconds between its rows.
    assert first["ts"] == second["ts"] == MADE + dt.timedelta(microseconds=125_000)
    assert len(ask.reasons) == 6
    assert any("not a time between 1990 and 2100" in reason for reason in ask.reasons)


def test_an_unknown_currency_is_named(web, ask):
    error = {"message": "Invalid params", "code": -32602, "data": {"param": "currency"}}
    web.respond = lambda request: Reply(json.dumps({"jsonrpc": "2.0", "error": error}), 400)
    with pytest.raises(UnknownSymbolError, match="does not know currency 'DOGE'"):
        ask("deribit", NOW, currencies=["DOGE"])
    web.respond = lambda request: Reply(json.dumps({"jsonrpc": "2.0", "error": error}))
    with pytest.raises(UnknownSymbolError, match=r"sources\.deribit\.currencies"):
        ask("deribit", NOW, currencies=["DOGE"])
    web.respond = lambda request: Reply(summaries())
    with pytest.raises(UnknownSymbolError, match="lists no options in 'DOGE'"):
        ask("deribit", NOW, currencies=["DOGE"])


def test_too_many_requests_with_http_200_are_tried_again(web, ask):
    error = {"message": "too_many_requests", "code": 10028}
    web.play(Reply(json.dumps({"jsonrpc": "2.0", "error": error})))
    web.respond = lambda request: Reply(summaries(summary()))
    assert ask("deribit", NOW, currencies=["BTC"]).height == 1
    assert len([wait for wait in ask.waits if wait >= 1]) == 1


def test_a_result_that_is_no_list_is_named(web, ask):
    web.respond = lambda request: Reply('{"jsonrpc": "2.0", "result": {"BTC": []}}')
    with pytest.raises(AnswerShapeError, match="a list result"):
        ask("deribit", NOW, currencies=["BTC"])
