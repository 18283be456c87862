"""The exchange's messages, as its documentation shows them, and what is refused."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btq_assets.sources.stream import inbox
from btq_assets.sources.stream.messages import (
    BookEvent,
    MessageError,
    Notice,
    Quote,
    Trade,
    decimal,
    decode,
    encode,
    read_past_trade,
    read_snapshot,
)

NOW = 1_700_000_000_000_000

# The examples of Binance's "Web Socket Streams" page for spot, and of its "Market Data endpoints".
TRADE = {
    "e": "trade", "E": 1672515782136, "s": "BNBBTC", "t": 12345, "p": "0.001", "q": "100",
    "T": 1672515782136, "m": True, "M": True,
}  # fmt: skip
TICKER = {
    "u": 400900217, "s": "BNBUSDT", "b": "25.35190000", "B": "31.21000000",
    "a": "25.36520000", "A": "40.66000000",
}  # fmt: skip
DEPTH = {
    "e": "depthUpdate", "E": 1672515782136, "s": "BNBBTC", "U": 157, "u": 160,
    "b": [["0.0024", "10"]], "a": [["0.0026", "100"]],
}  # fmt: skip
SNAPSHOT = {
    "lastUpdateId": 1027024, "bids": [["4.00000000", "431.00000000"]],
    "asks": [["4.00000200", "12.00000000"]],
}  # fmt: skip
PAST = {
    "id": 28457, "price": "4.00000100", "qty": "12.00000000", "quoteQty": "48.000012",
    "time": 1499865549590, "isBuyerMaker": True, "isBestMatch": True,
}  # fmt: skip


def test_documented_examples_are_read():
    assert decode(json.dumps(TRADE), NOW) == Trade(
        "BNBBTC", 12345, 1672515782136000, NOW, 0.001, 100.0, True
    )
    # Spot's best quote carries no time: that of receipt stands for it.
    assert decode(json.dumps(TICKER), NOW) == Quote(
        "BNBUSDT", 400900217, NOW, NOW, 25.3519, 31.21, 25.3652, 40.66
    )
    assert decode(json.dumps(DEPTH), NOW) == BookEvent(
        "BNBBTC", "change", 157, 160, None, 1672515782136000, NOW,
        (("bid", 0.0024, 10.0), ("ask", 0.0026, 100.0)),
    )  # fmt: skip
    assert read_snapshot(SNAPSHOT, "BNBBTC", NOW).update_id == 1027024
    assert read_past_trade(PAST, "BNBBTC", NOW).via == "backfill"


def test_futures_add_the_previous_update_and_times():
    futures = {**DEPTH, "T": 1672515782130, "pu": 149}
    event = decode(json.dumps(futures), NOW)
    assert (event.previous_update_id, event.ts) == (149, 1672515782130000)
    quote = decode(json.dumps({**TICKER, "e": "bookTicker", "T": 1568014460891}), NOW)
    assert quote.ts == 1568014460891000


def test_the_combined_stream_wraps_and_the_answer_to_a_subscription_is_no_event():
    wrapped = json.dumps({"stream": "bnbbtc@trade", "data": TRADE})
    assert decode(wrapped, NOW) == decode(json.dumps(TRADE), NOW)
    assert isinstance(decode('{"result": null, "id": 1}', NOW), Notice)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"e": "trade", "s"', "not JSON"),
        ("[1, 2]", "neither an object"),
        ('{"e": "kline", "s": "BNBBTC"}', "unknown message type 'kline'"),
        (json.dumps({**TRADE, "p": None}), "unreadable trade"),
        (json.dumps({**TRADE, "t": "x"}), "unreadable trade"),
        (json.dumps({**TRADE, "s": ["BNBBTC"]}), "not a symbol"),
        (json.dumps({**TRADE, "t": 2**63}), "not a number an event can have"),
        (json.dumps({**TRADE, "T": 1672515782136123}), "no time of this century"),
        (json.dumps({**TRADE, "T": "1672515782136"}), "number of milliseconds"),
        (json.dumps({**TRADE, "m": "false"}), "neither true nor false"),
        (json.dumps({k: v for k, v in TRADE.items() if k != "q"}), "unreadable trade"),
        (json.dumps({**DEPTH, "b": [["0.0024"]]}), "unreadable depthUpdate"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(text, reason):
    with pytest.raises(MessageError, match=reason):
        decode(text, NOW)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_text_breaks_the_reader(text):
    with pytest.raises(MessageError):
        decode(text, NOW)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 2**64)
    | st.floats()
    | st.text("0123456789.e-", max_size=4)
)
LEVELS = st.lists(st.lists(VALUES, max_size=3), max_size=3) | VALUES
JSON = st.builds(
    lambda example, changes: {**example, **changes},
    st.sampled_from([TRADE, TICKER, DEPTH]),
    st.dictionaries(st.sampled_from([*"stpqTmuUbBaA", "pu", "e", "data"]), VALUES | LEVELS),
)


@given(JSON)
def test_no_object_breaks_the_reader(value):
    with contextlib.suppress(MessageError):
        event = decode(json.dumps(value), NOW)
        if isinstance(event, Trade | Quote):
            stream = "trades" if isinstance(event, Trade) else "quotes"
            assert inbox.frame_of(stream, [event.row("d")]).height == 1
        elif isinstance(event, BookEvent):
            inbox.frame_of("book", event.rows("d"))


price = st.floats(1e-8, 1e9, allow_nan=False).map(lambda x: float(f"{x:.8g}"))
stamp = st.integers(1_500_000_000_000, 1_900_000_000_000).map(lambda ms: ms * 1_000)


@given(
    st.builds(Trade, st.just("BTCUSDT"), st.integers(0, 2**53), stamp, st.just(NOW), price, price, st.booleans())
    | st.builds(Quote, st.just("BTCUSDT"), st.integers(0, 2**53), stamp, st.just(NOW), price, price, price, price)
)  # fmt: skip
def test_what_is_written_reads_back(event):
    assert decode(encode(event), NOW) == event


@given(st.lists(st.tuples(st.sampled_from(["bid", "ask"]), price, price), max_size=6), stamp)
def test_a_book_change_reads_back_side_by_side(levels, ts):
    event = BookEvent("BTCUSDT", "change", 5, 9, None, ts, NOW, tuple(levels))
    back = decode(encode(event), NOW)
    assert sorted(back.levels) == sorted(event.levels)
    assert (back.first_update_id, back.update_id, back.ts) == (5, 9, ts)


def test_a_level_said_twice_keeps_its_last_word():
    event = BookEvent("X", "change", 1, 2, None, 0, 0, (("bid", 1.0, 5.0), ("bid", 1.0, 0.0)))
    (row,) = event.rows("d")
    assert row[-1] == 0.0


def test_decimals_have_no_exponent():
    assert decimal(1e-8) == "0.00000001"
    assert decimal(1e16) == "10000000000000000"
    assert not math.isnan(float(decimal(0.1)))
