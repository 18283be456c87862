"""Core tables of alternative data: first vintages of quotes, every vintage of the rest."""

from __future__ import annotations

import datetime as dt

import pytest

FIRST_KNOWN = dt.datetime(2020, 1, 7, 21, tzinfo=dt.UTC)
LATER = dt.datetime(2020, 3, 24, 12, tzinfo=dt.UTC)


def rows(warehouse, sql: str) -> list[tuple]:
    with warehouse.connect() as connection:
        return connection.execute(sql).fetchall()


def test_a_quote_is_shown_as_it_was_first_known(warehouse):
    found = rows(warehouse, "select source, bid, known_at from core.option_quotes")
    assert found == [("cboe", 10.0, FIRST_KNOWN)]


def test_a_trade_is_shown_as_it_was_first_known(warehouse):
    found = rows(warehouse, "select source, price, known_at from core.option_trades")
    assert found == [("deribit", 10.0, FIRST_KNOWN)]


@pytest.mark.parametrize(
    ("table", "value"), [("short_volume", "short_volume"), ("onchain_metrics", "value")]
)
def test_a_vintage_stands_until_the_next_is_known(warehouse, table, value):
    found = rows(
        warehouse, f"select {value}, known_at, superseded_at from core.{table} order by known_at"
    )
    assert found == [(10.0, FIRST_KNOWN, LATER), (30.0, LATER, None)]


@pytest.mark.parametrize(
    ("table", "value"),
    [("short_volume", "short_volume"), ("onchain_metrics", "value"), ("dark_pool", "shares")],
)
def test_what_was_known_at_a_time_is_one_question(warehouse, table, value):
    def as_of(time: str) -> list[float]:
        sql = f"select {value} from core.{table}_as_of(timestamptz '{time}:00+00') order by 1"
        return [row[0] for row in rows(warehouse, sql)]

    other = [10.0] if table == "dark_pool" else []
    assert as_of("2020-01-07 20:59") == []
    assert as_of("2020-01-07 21:00") == [*other, 10.0]
    assert as_of("2020-03-24 12:00") == [*other, 30.0]


def test_shares_are_of_what_was_known_with_them(warehouse):
    short = rows(warehouse, "select short_share from core.short_volume order by known_at")
    assert short == [(0.1,), (0.3,)]
    # Two venues of 10 shares; then one of them counts 30: 30 / 40.
    venues = rows(
        warehouse, "select venue, venue_share from core.dark_pool order by known_at, venue"
    )
    assert venues == [("V", 0.5), ("W", 0.5), ("V", 0.75)]
