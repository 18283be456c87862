"""Views of ticks, by hand: who crossed the spread, what a quote is, the book at any time."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import raw
from btq_assets.sources.synthetic import MarketSpec, generate
from btq_assets.sources.synthetic.ticks import session_ticks


def rows(warehouse, sql: str, *before: str) -> list[tuple]:
    with warehouse.connect() as connection:
        connection.execute("begin")
        for statement in before:
            connection.execute(statement)
        found = connection.execute(sql).fetchall()
        connection.execute("rollback")
    return found


def test_who_crossed_follows_from_whose_order_rested(warehouse):
    sql = """
        select universe, source, trade_id, aggressor from core.trades
        where dataset = 'venue' order by trade_id
    """
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
    count = "select universe, count(*) from core.trades where dataset = 'venue' group by all"
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


@pytest.fixture(scope="module")
def market():
    return generate(MarketSpec(seed=5, n_symbols=2, n_sessions=1))


@pytest.fixture
def stored(warehouse, market):
    """A connection to the warehouse with ten minutes of the generated market, rolled back after."""
    ticks = session_ticks(market, minutes=10)
    with warehouse.connect() as connection:
        connection.execute("begin")
        for contract, frame in (
            (raw.TRADES_STREAM, ticks.trades),
            (raw.QUOTES_STREAM, ticks.quotes),
            (raw.BOOK_STREAM, ticks.book),
        ):
            connection.register("frame", frame.to_arrow())
            connection.execute(f"insert into {contract.table} by name select * from frame")
            connection.unregister("frame")
        yield connection
        connection.execute("rollback")


def test_the_book_put_together_agrees_with_the_best_quotes_at_any_time(stored):
    quotes = stored.execute("select * from core.quotes where dataset like 'SYNTH%'").pl()
    times = quotes["known_at"].unique().sort()
    for at in times.gather(np.linspace(5, len(times) - 1, 12).astype(int)):
        best = (
            quotes.filter(pl.col("known_at") <= at)
            .sort("update_id")
            .group_by("symbol")
            .agg(pl.col("bid_price", "bid_quantity", "ask_price", "ask_quantity").last())
            .sort("symbol")
        )
        found = stored.execute(
            f"""
            select
                symbol,
                max(price) filter (side = 'bid'), max(quantity) filter (side = 'bid'),
                max(price) filter (side = 'ask'), max(quantity) filter (side = 'ask')
            from core.book_as_of(timestamptz '{at}', 1)
            where dataset like 'SYNTH%' group by symbol order by symbol
            """
        ).fetchall()
        assert found == best.rows()


def test_bars_of_trades_are_the_bars_the_trades_were_made_from(stored, market):
    columns = ["symbol", "ts", "open", "high", "low", "close", "volume"]
    made = stored.execute(
        f"select {', '.join(columns)} from core.trade_bars_1m where dataset like 'SYNTH%'"
    ).pl()
    truth = pl.concat(
        [
            market.clean_bars.slice(number * market.spec.n_minutes, 10).with_columns(
                symbol=pl.lit(symbol)
            )
            for number, symbol in enumerate(market.spec.symbols)
        ]
    ).select(columns)
    # The first minute may have begun before the recording, and the last is not over.
    whole = truth.filter((pl.col("ts") > pl.col("ts").min()) & (pl.col("ts") < pl.col("ts").max()))
    assert made.height == whole.height == 2 * 8
    both = made.join(whole, on=["symbol", "ts"], suffix="_true")
    for name in columns[2:]:
        assert np.allclose(both[name], both[f"{name}_true"], rtol=1e-12), name


def test_a_bar_is_known_after_its_minute_and_what_was_bought_adds_up(stored):
    assert stored.execute(
        "select count(*) from core.trade_bars_1m where known_at < ts"
    ).fetchone() == (0,)
    difference = stored.execute(
        """
        with bought as (
            select symbol, date_trunc('minute', ts) + interval 1 minute as ts, sum(quantity) as volume
            from core.trades where aggressor = 'buyer' group by all
        )
        select count(*), max(abs(bars.bought_volume - bought.volume))
        from core.trade_bars_1m as bars inner join bought using (symbol, ts)
        """
    ).fetchone()
    assert difference[0] > 8
    assert difference[1] == 0


def test_a_minute_with_a_lost_trade_has_no_bar(stored):
    ((first,), (second,)) = stored.execute(
        "select distinct ts from core.trade_bars_1m where symbol = 'SYN001' order by 1 limit 2"
    ).fetchall()
    stored.execute(
        f"""
        insert into raw.stream_gaps values (
            'SYNTHETIC_market', 'trades', 'SYN001', timestamptz '{first}' - interval 20 second,
            'missing_ids', 0, 'lost', 1, 2, timestamptz '{first}' - interval 30 second
        )
        """
    )
    left = stored.execute(
        "select min(ts) from core.trade_bars_1m where symbol = 'SYN001'"
    ).fetchone()
    assert left == (second,)
    other = stored.execute(
        "select min(ts) from core.trade_bars_1m where symbol = 'SYN002'"
    ).fetchone()
    assert other == (first,)
