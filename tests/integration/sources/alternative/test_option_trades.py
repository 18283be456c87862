"""Deribit's trades, answering in its own shape: pages that overlap, signs that lie, bad rows."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from local_server import Reply

from btq_assets.sources.errors import AnswerShapeError, UnknownSymbolError, WindowError

DAY = "2024-06-03"
START = dt.datetime(2024, 6, 3, tzinfo=dt.UTC)
START_MS = 1_717_372_800_000
LATER = START + dt.timedelta(days=2)
NAME = "BTC-28JUN24-70000-C"


def trade(number: int, ms: int | None = None, **cells) -> dict:
    """One element of ``result.trades`` with every field Deribit gives for an option."""
    return {
        "trade_seq": number, "trade_id": str(300_000_000 + number),
        "timestamp": START_MS + (1_000 * number if ms is None else ms), "tick_direction": 1,
        "price": 0.0415, "mark_price": 0.0411, "iv": 58.25, "instrument_name": NAME,
        "index_price": 68_900.5, "direction": "buy", "amount": 2.5, "contracts": 2.5,
    } | cells  # fmt: skip


class Archive:
    """Answers as the archive does: from a time, in order, at most `count` at once."""

    def __init__(self, *trades: dict, has_more=None) -> None:
        self.trades = trades
        self.has_more = has_more

    def __call__(self, request) -> Reply:
        asked = dict(request.params)
        first, last = int(asked["start_timestamp"]), int(asked["end_timestamp"])
        inside = [t for t in self.trades if first <= t["timestamp"] <= last]
        page = inside[: int(asked["count"])]
        more = len(inside) > len(page) if self.has_more is None else self.has_more
        result = {"trades": page, "has_more": more}
        return Reply(json.dumps({"jsonrpc": "2.0", "result": result, "usDiff": 1_204}))


def test_a_trade_is_known_when_the_archive_has_it(web, ask):
    block = {"block_trade_id": "BLOCK-123", "combo_id": None, "liquidation": "T", "iv": 0.0}
    web.respond = Archive(trade(1), trade(2, direction="sell", **block))
    first, second = ask("deribit_trades", LATER, DAY, currencies=["BTC"]).rows(named=True)
    asked = web.asked[0]
    assert asked.path == "/public/get_last_trades_by_currency_and_time"
    assert asked.params == {
        "currency": "BTC", "kind": "option", "start_timestamp": str(START_MS),
        "end_timestamp": str(START_MS + 86_400_000 - 1), "count": "1000", "sorting": "asc",
        "include_old": "true",
    }  # fmt: skip
    assert (first["contract_id"], first["underlying"], first["kind"], first["strike"]) == (
        NAME, "BTC", "call", 70_000.0,
    )  # fmt: skip
    assert first["ts"] == START + dt.timedelta(seconds=1)
    assert first["known_at"] == START + dt.timedelta(seconds=6)
    assert (first["price"], first["amount"], first["side"], first["iv_provider"]) == (
        0.0415, 2.5, "buy", 0.5825,
    )  # fmt: skip
    assert (first["premium_unit"], first["currency"], first["index_price"]) == (
        "underlying", "USD", 68_900.5,
    )  # fmt: skip
    assert (first["trade_id"], first["trade_seq"], first["block_trade_id"]) == (
        "300000001", 1, None,
    )  # fmt: skip
    assert (second["side"], second["block_trade_id"], second["liquidation"]) == (
        "sell", "BLOCK-123", "T",
    )  # fmt: skip
    assert second["iv_provider"] is None


@pytest.mark.parametrize("has_more", [None, True, False])
def test_every_page_is_read_whatever_it_says_of_a_next_one(web, ask, has_more):
    # Seven trades share the millisecond in which the first page of ten ends.
    trades = [trade(n, ms=min(n, 8) if n < 15 else n) for n in range(1, 36)]
    web.respond = Archive(*trades, has_more=has_more)
    found = ask("deribit_trades", LATER, DAY, currencies=["BTC"], page_rows=10)
    assert found["trade_seq"].to_list() == list(range(1, 36))
    assert found["trade_id"].n_unique() == 35


def test_a_page_without_progress_or_order_is_named(web, ask):
    web.respond = Archive(*(trade(n, ms=5) for n in range(30)))
    with pytest.raises(AnswerShapeError, match="fewer than 10 trades of BTC within one milli"):
        ask("deribit_trades", LATER, DAY, currencies=["BTC"], page_rows=10)
    web.respond = Archive(*(trade(n, ms=50 - n) for n in range(30)))
    with pytest.raises(AnswerShapeError, match="trades of BTC in ascending order"):
        ask("deribit_trades", LATER, DAY, currencies=["BTC"], page_rows=10)


def test_unsettled_trades_wait_and_old_days_are_not_silently_empty(web, ask):
    now = START + dt.timedelta(minutes=10)
    web.respond = Archive(trade(1, ms=60_000), trade(2, ms=9 * 60_000), trade(3, ms=599_000))
    # The last whole minute is left to a later run.
    found = ask("deribit_trades", now, DAY, currencies=["BTC"])
    assert found["trade_seq"].to_list() == [1]
    web.respond = Archive()
    assert ask("deribit_trades", now, DAY, currencies=["BTC"]).is_empty()
    with pytest.raises(WindowError, match=r"2024-06-03.*forget after 24 hours.*start_day"):
        ask("deribit_trades", LATER, DAY, currencies=["BTC"])


def test_bad_rows_are_refused_and_the_others_stay(web, ask):
    bad = [
        trade(2, direction="up"), trade(3, price=None), trade(4, amount="many"),
        trade(5, instrument_name="BTC-PERPETUAL"), trade(6, trade_id=None),
        trade(7, trade_seq=1.5), trade(8, timestamp=START_MS // 1_000 * 1_000 + 8, price=True),
        trade(10, block_trade_id=["a"]),
    ]  # fmt: skip
    web.respond = Archive(trade(1), *bad, trade(9, trade_seq=2, block_trade_id=77))
    found = ask("deribit_trades", LATER, DAY, currencies=["BTC"])
    assert found["trade_seq"].to_list() == [1, 2]
    assert found["block_trade_id"].to_list() == [None, "77"]
    for reason in (
        "direction 'up' is neither buy nor sell", "price is missing", "amount 'many' is not a number",
        "'BTC-PERPETUAL' is no Deribit option", "trade_id 'None' is not a name",
        "trade_seq '1.5' is not a count", "price 'True' is not a number",
        "block_trade_id \"['a']\" is not a name",
    ):  # fmt: skip
        assert any(reason in given for given in ask.reasons), reason
    assert len(ask.reasons) == len(bad)


@pytest.mark.parametrize(
    "body", ["[]", '{"result": []}', '{"result": {"trades": {}}}', '{"result": {"trades": []}}']
)
def test_an_answer_of_unknown_shape_is_named(web, ask, body):
    web.respond = lambda request: Reply(body)
    with pytest.raises(AnswerShapeError, match="an object result with trades and has_more"):
        ask("deribit_trades", LATER, DAY, currencies=["BTC"])


def test_throttling_is_tried_again_and_an_unknown_currency_named(web, ask):
    limited = {"jsonrpc": "2.0", "error": {"message": "too_many_requests", "code": 10028}}
    web.play(Reply(json.dumps(limited)), Reply("slow", 429, {"Retry-After": "3"}))
    web.respond = Archive(trade(1))
    assert ask("deribit_trades", LATER, DAY, currencies=["BTC"]).height == 1
    assert len([wait for wait in ask.waits if wait >= 1]) == 2
    error = {"message": "Invalid params", "code": -32602, "data": {"param": "currency"}}
    web.respond = lambda request: Reply(json.dumps({"jsonrpc": "2.0", "error": error}), 400)
    with pytest.raises(UnknownSymbolError, match=r"'DOGE'; correct sources\.deribit_trades\.curr"):
        ask("deribit_trades", LATER, DAY, currencies=["DOGE"])
