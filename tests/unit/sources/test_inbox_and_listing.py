"""Which dropped files are complete, and where a Yahoo symbol trades."""

from __future__ import annotations

import datetime as dt

import pytest

from btq_assets.config.sources.market import (
    BinanceSourceSection,
    EcbSourceSection,
    NasdaqDataLinkSourceSection,
    YahooSourceSection,
)
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import SourceError
from btq_assets.sources.market.inbox import SeenFile, new_files
from btq_assets.sources.market.listing import (
    Listing,
    alpha_vantage_listing,
    binance_listing,
    ccxt_listing,
    instruments_of,
    listing_of,
    mapped_symbols,
)
from btq_assets.sources.market.membership import all_members, remote_membership


def names(files) -> list[str]:
    return [file.name for file in files]


def test_a_file_is_new_once_and_only_when_two_looks_agree():
    growing, done = SeenFile("a.csv", 10, 1), SeenFile("b.csv", 5, 1)
    ready, cursor = new_files([growing, done], None)
    assert names(ready) == []
    ready, cursor = new_files([SeenFile("a.csv", 20, 2), done], cursor)
    assert names(ready) == ["b.csv"]
    ready, cursor = new_files([SeenFile("a.csv", 20, 2), done], cursor)
    assert names(ready) == ["a.csv"]
    ready, cursor = new_files([SeenFile("a.csv", 20, 2), done], cursor)
    assert names(ready) == []


def test_a_changed_file_is_new_again_and_a_deleted_one_is_forgotten():
    file = SeenFile("a.csv", 10, 1)
    _, cursor = new_files([file], None)
    _, cursor = new_files([file], cursor)
    changed = SeenFile("a.csv", 10, 2)
    ready, cursor = new_files([changed], cursor)
    assert names(ready) == []
    ready, cursor = new_files([changed], cursor)
    assert names(ready) == ["a.csv"]
    _, cursor = new_files([], cursor)
    assert cursor == "{}"


@pytest.mark.parametrize("cursor", ["", "not json", "[1]"])
def test_an_unreadable_cursor_counts_as_none(cursor):
    assert new_files([SeenFile("a.csv", 1, 1)], cursor) == new_files(
        [SeenFile("a.csv", 1, 1)], None
    )


def test_suffixes_say_where_a_symbol_trades():
    assert listing_of("BRK-B") == Listing("XNYS", "USD")
    assert listing_of("btc-usd") == Listing("24/7", "USD")
    assert listing_of("VOD.L") == Listing("XLON", "GBp")
    with pytest.raises(SourceError, match=r"'X\.UNKNOWN' is not known; suffixes known are"):
        listing_of("X.UNKNOWN")


def test_yahoo_universe_starts_with_the_first_session_of_the_first_month():
    members = cast_to_contract(
        remote_membership("yahoo", YahooSourceSection(symbols=("SPY", "SPY", "BTC-USD"))),
        raw.UNIVERSE_MEMBERSHIP,
    )
    assert violations(members, raw.UNIVERSE_MEMBERSHIP).is_empty()
    assert members.select("symbol", "valid_from").rows() == [
        ("BTC-USD", dt.date(2020, 1, 1)),
        ("SPY", dt.date(2020, 1, 2)),
    ]


def test_pairs_say_what_they_are_quoted_in():
    assert binance_listing("BTCFDUSD") == Listing("24/7", "FDUSD")
    assert binance_listing("ETHBTC") == Listing("24/7", "BTC")
    assert ccxt_listing("BTC/USDT:USDT") == Listing("24/7", "USDT")
    assert alpha_vantage_listing("TSCO.LON") == Listing("XLON", "GBp")
    for listing, symbol in (
        (binance_listing, "USDT"),
        (binance_listing, "btcusdt"),
        (binance_listing, "BTC/USDT"),
        (ccxt_listing, "BTCUSDT"),
        (ccxt_listing, "/USDT"),
        (alpha_vantage_listing, "X.NOWHERE"),
    ):
        with pytest.raises(SourceError, match=r"sources\.\w+\.symbols: .*" + symbol.split("/")[0]):
            listing(symbol)


def test_a_list_or_a_mapping_of_symbols():
    assert mapped_symbols("yahoo", ["A", "B", "A"]) == {"A": "A", "B": "B"}
    assert mapped_symbols("yahoo", {"own": "B.L"}) == {"own": "B.L"}
    for bad in ([], {}, [" "], {"a": ""}, {"a": "X", "b": "X"}):
        with pytest.raises(SourceError, match=r"sources\.yahoo\.symbols"):
            mapped_symbols("yahoo", bad)
    with pytest.raises(SourceError, match="AAPL"):
        instruments_of(
            "nasdaq_data_link", NasdaqDataLinkSourceSection(symbols=("WIKI/AAPL", "EOD/AAPL"))
        )


def test_names_of_rates_and_datasets_follow_from_the_codes():
    (dollar,) = instruments_of("ecb", EcbSourceSection(symbols=("USD",)))
    assert (dollar.symbol, dollar.asked_as, dollar.listing) == (
        "EURUSD", "USD", Listing("24/5", "USD"),
    )  # fmt: skip
    for source, section in (
        ("ecb", EcbSourceSection(symbols=("dollar",))),
        ("nasdaq_data_link", NasdaqDataLinkSourceSection(symbols=("AAPL",))),
    ):
        with pytest.raises(SourceError, match="is no c"):
            instruments_of(source, section)


def test_two_sources_may_not_share_a_member():
    parts = [
        remote_membership(
            "binance", BinanceSourceSection(symbols={"BTC": "BTCUSDT"}, universe="coins")
        ),
        remote_membership(
            "yahoo", YahooSourceSection(symbols={"BTC": "BTC-USD"}, universe="coins")
        ),
    ]
    with pytest.raises(
        SourceError, match=r"'BTC' is in universe 'coins' twice, from binance and yahoo"
    ):
        all_members(parts)
    assert all_members(parts[:1]).height == 1
