"""Coinbase Exchange's messages, as its documentation shows them, and what is refused."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btq_assets.config.sources.stream import StreamSourceSection
from btq_assets.sources.stream.coinbase import CoinbaseShape
from btq_assets.sources.stream.events import MessageError, Notice, Quote, Trade

NOW = 1_700_000_000_000_000
SHAPE = CoinbaseShape()

# The examples of Coinbase Exchange's "Websocket Channels" page.
MATCH = {
    "type": "match", "trade_id": 10, "sequence": 50, "time": "2014-11-07T08:19:27.028459Z",
    "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
    "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
    "product_id": "BTC-USD", "size": "5.23512", "price": "400.23", "side": "sell",
}  # fmt: skip
TICKER = {
    "type": "ticker", "sequence": 37475248783, "product_id": "ETH-USD", "price": "1285.22",
    "open_24h": "1310.79", "volume_24h": "245532.79269678", "low_24h": "1280.52",
    "high_24h": "1313.8", "volume_30d": "9788783.60117027", "best_bid": "1285.04",
    "best_bid_size": "0.46688654", "best_ask": "1285.27", "best_ask_size": "1.56637040",
    "side": "buy", "time": "2022-10-19T23:28:22.061769Z", "trade_id": 370843401,
    "last_size": "11.4396987",
}  # fmt: skip


def test_documented_examples_are_read():
    at = 1_415_348_367_028_459  # 2014-11-07 08:19:27.028459 UTC, by `date -u +%s`
    # The resting order sold: the buyer crossed the spread.
    trade = Trade("BTC-USD", 10, at, NOW, 400.23, 5.23512, False)
    assert SHAPE.decode(json.dumps(MATCH), NOW) == trade
    assert SHAPE.decode(json.dumps({**MATCH, "type": "last_match"}), NOW) == trade
    assert SHAPE.decode(json.dumps({**MATCH, "side": "buy"}), NOW).buyer_is_maker is True
    assert SHAPE.decode(json.dumps(TICKER), NOW) == Quote(
        "ETH-USD", 37475248783, 1_666_222_102_061_769, NOW, 1285.04, 0.46688654, 1285.27, 1.5663704
    )
    said = SHAPE.decode('{"type": "subscriptions", "channels": []}', NOW)
    assert isinstance(said, Notice)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"type": "match"', "not JSON"),
        ("[1]", "no object"),
        ('{"type": "l2update"}', "unknown message type 'l2update'"),
        ('{"type": ["match"]}', "unknown message type"),
        (json.dumps({**MATCH, "side": "up"}), "no side"),
        (json.dumps({**MATCH, "time": "2014-11-07T08:19:27"}), "no zone"),
        (json.dumps({**MATCH, "time": 5}), "unreadable match"),
        (json.dumps({**MATCH, "trade_id": -1}), "not a number an event can have"),
        (json.dumps({**TICKER, "best_bid": None}), "unreadable ticker"),
        (json.dumps({k: v for k, v in TICKER.items() if k != "sequence"}), "unreadable ticker"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(text, reason):
    with pytest.raises(MessageError, match=reason):
        SHAPE.decode(text, NOW)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.lists(st.none())
)


@given(
    st.sampled_from([MATCH, TICKER]),
    st.dictionaries(st.sampled_from(sorted({*MATCH, *TICKER})), VALUES, max_size=4),
)
def test_no_object_breaks_the_reader(example, changes):
    with contextlib.suppress(MessageError):
        SHAPE.decode(json.dumps({**example, **changes}), NOW)


def test_the_subscription_names_products_and_channels():
    settings = StreamSourceSection(exchange="coinbase", symbols=("BTC-USD", "ETH-USD"))
    (greeting,) = SHAPE.greetings(settings)
    assert json.loads(greeting) == {
        "type": "subscribe",
        "product_ids": ["BTC-USD", "ETH-USD"],
        "channels": ["matches", "ticker"],
    }
    assert SHAPE.url(settings).startswith("wss://")


def test_defaults_follow_the_exchange_and_books_without_numbers_are_refused():
    settings = StreamSourceSection(exchange="coinbase", dataset="mine")
    assert (settings.dataset, settings.kinds) == ("mine", ("trades", "quotes"))
    assert "coinbase" in settings.websocket_url
    assert StreamSourceSection().kinds == ("trades", "quotes", "book")
    with pytest.raises(ValueError, match="carry no numbers"):
        StreamSourceSection(exchange="coinbase", kinds=("trades", "book"))
