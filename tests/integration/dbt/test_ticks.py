"""Views of ticks, by hand: who crossed the spread, what a quote is, the book at any time."""

from __future__ import annotations

import datetime as dt

import pytest


def rows(warehouse, sql: str, *before: str) -> list[tuple]:
    with warehouse.connect() as connection:
        connection.execute("begin")
        for statement in before:
            connection.execute(statement)
        found = connection.execute(sql).fetchall()
        connection.execute("rollback")
    return found


def test_who_crossed_follows_from_whose_order_rested(warehouse):
    sql = "select universe, source, trade_id, aggressor from core.trades order by trade_id"
    assert rows(warehouse, sql) == [
        ("venue", "stream", 1, "seller"),
        ("venue", "stream", 2, "buyer"),
        ("venue", "stream", 3, None),
    ]


def test_a_trade_is_known_when_it_came(warehouse):
    sql = "select distinct known_at - ts from core.trades"
    assert rows(warehouse, sql) == [(dt.timedelta(seconds=1),)]


def test_a_crossed_quote_is_left_out_and_a_locked_one_stays(warehouse):
    sql = "select update_id, mid_price, spread_bps from core.quotes order by update_id"
    # 2 / 100 in basis points; the second one bids 101.5 for what is offered at 101.
    assert rows(warehouse, sql) == [(1, 100.0, 200.0), (3, 101.0, 0.0)]


MEMBER = """
    insert into raw.universe_membership
    select * replace (
        'crypto' as universe, 'BTCUSDT' as symbol, 'stream' as source, 'venue' as dataset,
        {valid_from} as valid_from, null as valid_to
    )
    from raw.universe_membership limit 1
"""


def test_a_member_is_of_its_universe_while_it_is_one(warehouse):
    count = "select universe, count(*) from core.trades group by all"
    assert rows(warehouse, count, MEMBER.format(valid_from="date '2020-03-25'")) == [("crypto", 3)]
    assert rows(warehouse, count, MEMBER.format(valid_from="date '2020-03-26'")) == []


def test_depth_is_the_best_ten_levels_of_each_snapshot(warehouse):
    sql = """
        select side, min(price), max(price), count(*), max(cumulative_quantity)
        from core.book_depth where update_id = 1 group by all order by side
    """
    # Twelve levels on each side, one and two units at each.
    assert rows(warehouse, sql) == [("ask", 101.0, 110.0, 10, 20.0), ("bid", 90.0, 99.0, 10, 10.0)]
    best = "select side, price from core.book_depth where update_id = 1 and level = 1 order by side"
    assert rows(warehouse, best) == [("ask", 101.0), ("bid", 99.0)]


@pytest.mark.parametrize(
    ("second", "best"),
    [
        (0.9, []),  # nothing has come yet
        (1, [("ask", 101.0, 2.0), ("bid", 99.0, 1.0)]),
        (5.9, [("ask", 101.0, 2.0), ("bid", 99.0, 1.0)]),  # changed, but nobody knows
        (6, [("ask", 100.0, 3.0), ("bid", 98.0, 1.0)]),  # best bid gone, a better ask
        (12, []),  # a change was lost
        (20.9, []),
        (21, [("ask", 99.0, 8.0), ("bid", 98.0, 7.0)]),  # taken anew
    ],
)
def test_the_book_at_a_time_is_what_could_be_known_of_it(warehouse, second, best):
    time = dt.datetime(2020, 3, 25, 12, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    sql = f"select side, price, quantity from core.book_as_of(timestamptz '{time}', 1) order by 1"
    assert rows(warehouse, sql) == best


def test_a_book_has_as_many_levels_as_are_asked_for(warehouse):
    sql = "select count(*), max(level), max(update_id) from core.book_as_of('2020-03-25 12:00:06+00', 3)"
    assert rows(warehouse, sql) == [(6, 3, 2)]
