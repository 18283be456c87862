"""Which dropped files are complete, and where a Yahoo symbol trades."""

from __future__ import annotations

import datetime as dt

import pytest

from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import SourceError
from btq_assets.sources.market.inbox import SeenFile, new_files
from btq_assets.sources.market.listing import Listing, listing_of
from btq_assets.sources.market.membership import yahoo_membership


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
        yahoo_membership(["SPY", "SPY", "BTC-USD"], "2020-01", "yahoo_chart"),
        raw.UNIVERSE_MEMBERSHIP,
    )
    assert violations(members, raw.UNIVERSE_MEMBERSHIP).is_empty()
    assert members.select("symbol", "valid_from").rows() == [
        ("BTC-USD", dt.date(2020, 1, 1)),
        ("SPY", dt.date(2020, 1, 2)),
    ]
