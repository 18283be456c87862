"""Ticks in the loop: fills are those of the event engine over the same ticks; faults change nothing.

The peer is the engine: `stream_from_ticks` and `simulate_orders`, with the weights of the loop.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import live_cases as cases
import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import core_ticks
from btq_assets.engine import Account, OrderCosts, orders_from_targets, simulate_orders
from btq_assets.engine.ticks import stream_from_ticks
from btq_assets.execution.live import (
    BarBatch,
    Journal,
    LiveError,
    LiveSettings,
    LiveTradingEngine,
    ReplayClock,
    ReplayTickFeed,
    venues,
)
from btq_assets.execution.live.tables import journal_tables
from btq_assets.execution.live.ticks import bars_of, tick_rows
from btq_assets.risk.limits import OrderLimits

BEGIN = dt.datetime(2024, 3, 4, 14, 30, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
SYMBOLS = ["A", "B", "C"]
N_MINUTES, N_PAST = 60, 30
START = BEGIN + N_PAST * MINUTE


@pytest.fixture(scope="module")
def tape() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trades and quotes of three symbols in the shape of the core tables; milliseconds, seeded."""
    random = np.random.default_rng(11)
    trades, quotes = [], []
    for number, symbol in enumerate(SYMBOLS):
        n = N_MINUTES * 8
        at = np.sort(random.choice(N_MINUTES * 60_000 - 2, n, replace=False) + 1)
        at = at + (at % 60_000 == 0)  # none at the very end of a minute
        price = np.round(50 * (number + 1) * np.exp(np.cumsum(random.normal(0, 4e-4, n))), 2)
        half = np.round(random.integers(1, 4, n) * 0.01, 2)
        stamps = pl.Series(BEGIN.timestamp() * 1e6 + at * 1e3).cast(pl.Int64)
        head = {
            "universe": cases.UNIVERSE,
            "symbol": symbol,
            "ts": stamps.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "source": "test",
            "dataset": "exchange",
        }
        is_trade = random.random(n) < 0.5
        ids = np.cumsum(is_trade) + 1_000
        trades.append(
            pl.DataFrame({**head, "trade_id": ids, "price": price, "quantity": np.round(random.gamma(2, 400, n)) + 1})
            .filter(pl.Series(is_trade))
        )  # fmt: skip
        quotes.append(
            pl.DataFrame({
                **head, "update_id": np.arange(n) + 7,
                "bid_price": np.round(price - half, 2), "bid_quantity": np.round(random.gamma(2, 300, n)) + 1,
                "ask_price": np.round(price + half, 2), "ask_quantity": np.round(random.gamma(2, 300, n)) + 1,
            }).filter(pl.Series(~is_trade))
        )  # fmt: skip
    return pl.concat(trades).sort("ts"), pl.concat(quotes).sort("ts")


def settings(**more) -> LiveSettings:
    loose = OrderLimits(max_position=1.0, max_drawdown=0.9, max_turnover=100.0)
    base = {
        "decide": "bar",
        "daily_loss": None,
        "drawdown": 0.9,
        "stale_after": None,
        "limits": loose,
    }
    return LiveSettings(**base | more)


def run(feed, folder: Path, *, open_journal=Journal, targets=None, **more):
    engine = LiveTradingEngine(
        cases.live_config(max_position_size=1.0, initial_cash=200_000.0),
        targets=targets or cases.PlainTargets(SYMBOLS),
        feed=feed,
        folder=folder,
        settings=settings(**more),
        open_journal=open_journal,
    )
    summary = engine.start()
    return summary, journal_tables(folder / "engine.journal", cases.UNIVERSE)


def engine_run(tape, weights: np.ndarray, ends: list[dt.datetime]):
    """The same orders through the event engine, over all ticks from the start on."""
    ticks = tick_rows(*tape)
    config = cases.live_config()
    bars = bars_of(ticks, MINUTE).sort("symbol", "ts")
    moving = bars.with_columns(
        volatility=pl.col("close").pct_change().rolling_std(21).over("symbol"),
        daily_volume=pl.col("volume").rolling_mean(21).over("symbol"),
    ).select("symbol", "ts", "volatility", "daily_volume")
    spreads = ticks.filter(pl.col("bid").is_not_null()).select(
        "symbol", "ts", spread=(pl.col("ask") - pl.col("bid")) / (pl.col("ask") + pl.col("bid"))
    )
    live = ticks.filter(pl.col("ts") >= START)
    live = live.join_asof(moving.sort("ts"), on="ts", by="symbol", check_sortedness=False)
    # a loop that has just been started knows no quote of before
    spreads = spreads.filter(pl.col("ts") >= START)
    live = live.join_asof(spreads.sort("ts"), on="ts", by="symbol", check_sortedness=False)
    era = config.backtest.spread_eras[-1].half_spread_bps / 1e4
    half = np.where(live["price"].is_null(), np.nan, live["spread"].fill_null(era).to_numpy())
    stream = replace(
        stream_from_ticks(live, symbols=SYMBOLS), half_spread=np.ascontiguousarray(half)
    )
    times = [round(end.timestamp()) * 1_000_000_000 for end in ends]
    return simulate_orders(
        stream,
        orders_from_targets(times, weights),
        Account(200_000.0, on_short_cash="cut"),
        costs=OrderCosts(
            taker_bps=config.backtest.commission_bps,
            maker_bps=config.backtest.commission_bps,
            impact_coefficient=config.backtest.impact_coefficient,
        ),
        snapshots=times,
    )


@pytest.mark.parametrize("gross", [0.5, 1.0])
def test_fills_and_equity_are_those_of_the_event_engine(tape, tmp_path, gross) -> None:
    """Quotes offer a few hundred shares: orders fill in parts, and cash cuts some where all is in."""
    feed = ReplayTickFeed(*tape, START)
    summary, tables = run(feed, tmp_path, targets=cases.PlainTargets(SYMBOLS, gross))
    account = tables["execution.account"]
    ends = account["ts"].to_list()
    assert summary.n_bars == len(ends) == N_MINUTES - N_PAST
    again = cases.PlainTargets(SYMBOLS, gross)
    again.warm_up(feed.history(None))
    weights = []
    for _ in ends:
        again.observe(account)
        weights.append(list(again.weights(BEGIN).values()))
    peer = engine_run(tape, np.array(weights), ends)
    np.testing.assert_allclose(account["equity"], peer.equity, rtol=1e-9)
    fills = tables["execution.fills"].sort("filled_at", "symbol", "quantity")
    theirs = peer.fills[np.lexsort((peer.fills["shares"], peer.fills["asset"], peer.fills["time"]))]
    assert fills.height == theirs.size > 80
    assert tables["execution.orders"].filter(pl.col("filled") != 0).height < fills.height
    for mine, other in (
        ("quantity", "shares"), ("price", "price"), ("commission", "commission"),
        ("spread_cost", "spread"), ("impact_cost", "impact"),
    ):  # fmt: skip
        expected = np.asarray(theirs[other])
        scale = 1e-9 * np.abs(expected).max()
        np.testing.assert_allclose(fills[mine].to_numpy(), expected, rtol=1e-9, atol=scale)
    assert fills["impact_cost"].null_count() == 0
    if gross == 1.0:
        assert "short_of_cash" in tables["execution.orders"]["reason"].to_list()


def test_nothing_trades_before_or_at_its_decision(tape, tmp_path) -> None:
    _, tables = run(ReplayTickFeed(*tape, START), tmp_path)
    joined = tables["execution.fills"].join(
        tables["execution.orders"].select("client_id", "decided_at"), on="client_id"
    )
    assert (joined["filled_at"] > joined["decided_at"]).all()
    assert joined["filled_at"].min() < START + 2 * MINUTE


class Killed(BaseException):
    """Nothing catches it."""


def test_killed_at_any_write_the_end_is_the_same(tape, tmp_path) -> None:
    def start(folder: Path, at: int = -1, how: str = "") -> dict:
        count = iter(range(1_000_000))

        class Burning(Journal):
            def _write(self, line: bytes) -> None:
                here = next(count) == at
                if here and how == "before":
                    raise Killed
                super()._write(line[: len(line) // 2] if here and how == "torn" else line)
                if here:
                    raise Killed

        feed = ReplayTickFeed(*tape, START, end=START + 4 * MINUTE)
        return run(feed, folder, open_journal=lambda path: Burning(path, sync=False))[1]

    expected = start(tmp_path / "whole")
    assert expected["execution.fills"].height > 10
    for at in range(1, 17):
        folder, how = tmp_path / f"{at}", ("before", "torn", "after")[at % 3]
        with pytest.raises(Killed):
            start(folder, at, how)
        for name, frame in start(folder).items():
            assert frame.equals(expected[name]), (at, how, name)


class Tape:
    """Batches as given, each with the time at which it comes."""

    def __init__(self, history: pl.DataFrame, batches: list) -> None:
        self.clock = ReplayClock()
        self._history, self._batches = history, batches

    def history(self, until: dt.datetime | None) -> pl.DataFrame:
        return self._history

    def batches(self, after: dt.datetime | None):
        for now, ticks, until in self._batches:
            self.clock.set(now)
            yield BarBatch(None, ticks, until, MINUTE) if until or ticks is not None else None


def test_duplicates_late_and_broken_ticks_change_nothing(tape, tmp_path) -> None:
    ticks = tick_rows(*tape)
    history = ReplayTickFeed(*tape, START).history(None)
    ends = [START + k * MINUTE for k in range(1, 5)]
    parts = [ticks.filter((pl.col("ts") >= e - MINUTE) & (pl.col("ts") < e)) for e in ends]
    _, expected = run(
        Tape(history, [(e, p, e) for e, p in zip(ends, parts, strict=True)]), tmp_path / "plain"
    )
    trades = [part.filter(pl.col("price").is_not_null()) for part in parts]
    quotes = [part.filter(pl.col("bid").is_not_null()) for part in parts]
    soon = parts[3].with_columns(pl.col("ts") + 3 * MINUTE)
    faulty = [
        # in pieces, backwards, and half of it twice
        (ends[0], parts[0][::-1].head(9), None),
        (ends[0], parts[0], ends[0]),
        (ends[0], parts[0].head(4), None),  # of an interval that is over
        (ends[1], parts[1], None),
        (ends[1], trades[1].head(2).with_columns(pl.col("price") * 1.2), None),
        (ends[1], parts[1].head(3).with_columns(symbol=pl.lit("ZZ")), None),
        (ends[1], trades[1].head(1).with_columns(number=-1, price=-3.0), None),
        (ends[1], quotes[1].head(2).with_columns(number=-2, bid=pl.col("ask") + 1), ends[1]),
        (ends[1], parts[0].head(0), ends[1]),  # over twice
        (ends[1], soon, None),  # from the future
        (ends[1], parts[2].head(0), ends[2]),  # an end that has not come
        (ends[2], parts[2], ends[2]),
        (ends[1], parts[3].head(0), None),  # the clock goes back
        (ends[3], parts[3], ends[3]),
    ]
    summary, found = run(Tape(history, faulty), tmp_path / "faulty")
    for name, frame in found.items():
        assert frame.equals(expected[name]), name
    assert summary.refused == {
        "duplicate": 9,
        "late": 4 + 1,
        "revised": 2,
        "stranger": 3,
        "no_price": 1,
        "crossed": 2,
        "future": soon.height + 1,
        "clock_back": 1,
    }


def test_lost_trades_are_counted_and_a_silent_interval_decides_nothing(tape, tmp_path) -> None:
    ticks = tick_rows(*tape)
    history = ReplayTickFeed(*tape, START).history(None)
    ends = [START + k * MINUTE for k in range(1, 4)]
    parts = [ticks.filter((pl.col("ts") >= e - MINUTE) & (pl.col("ts") < e)) for e in ends]
    of_a = parts[0].filter((pl.col("symbol") == "A") & pl.col("price").is_not_null())
    lost = of_a["number"].to_list()[1:3]
    gap = parts[0].filter(~((pl.col("symbol") == "A") & pl.col("number").is_in(lost)
                            & pl.col("price").is_not_null()))  # fmt: skip
    only_quotes = parts[1].filter(pl.col("bid").is_not_null())
    feed = Tape(
        history,
        [(ends[0], gap, ends[0]), (ends[1], only_quotes, ends[1]), (ends[2], parts[2], ends[2])],
    )
    summary, found = run(feed, tmp_path)
    missing = {
        symbol: parts[1].filter((pl.col("symbol") == symbol) & pl.col("price").is_not_null()).height
        for symbol in SYMBOLS
    }
    assert summary.refused == {"lost_trades": 2 + sum(missing.values())}
    decided = found["execution.orders"]["decided_at"].unique().sort().to_list()
    assert decided == [ends[0], ends[2]]
    assert found["execution.account"]["ts"].to_list() == ends
    # orders of the first minute trade against the quotes of the second, and equity moves with them
    assert found["execution.fills"].filter(pl.col("filled_at") < ends[1]).height >= 3
    assert found["execution.account"]["equity"].n_unique() == 3


def test_stale_ticks_send_nothing(tape, tmp_path) -> None:
    """Three minutes without a tick, then one interval that arrives five minutes late."""
    ticks = tick_rows(*tape)
    history = ReplayTickFeed(*tape, START).history(None)
    ends = [START + MINUTE, START + 2 * MINUTE]
    parts = [ticks.filter((pl.col("ts") >= e - MINUTE) & (pl.col("ts") < e)) for e in ends]
    feed = Tape(
        history,
        [
            (ends[0], parts[0], ends[0]),
            (ends[0] + 3 * MINUTE, None, None),
            (ends[1] + 5 * MINUTE, parts[1], ends[1]),
        ],
    )
    summary, found = run(feed, tmp_path, stale_after=2 * MINUTE)
    assert summary.stopped == "stale_data"
    assert found["execution.orders"]["decided_at"].unique().to_list() == [ends[0]]
    assert found["execution.fills"].height > 0


def test_the_collar_compares_the_last_quote_with_the_close_of_the_bar(tape, tmp_path) -> None:
    """By hand: A last traded at some price, and is quoted a fifth higher when the minute ends."""
    ticks = tick_rows(*tape)
    history = ReplayTickFeed(*tape, START).history(None)
    end = START + MINUTE
    part = ticks.filter((pl.col("ts") >= START) & (pl.col("ts") < end))
    of_a = part.filter((pl.col("symbol") == "A") & pl.col("price").is_not_null())
    close = of_a["price"][-1]
    leap = part.filter(pl.col("bid").is_not_null()).head(1).with_columns(
        symbol=pl.lit("A"), number=pl.lit(999_999, pl.Int64), ts=pl.lit(end - dt.timedelta(microseconds=1)),
        bid=pl.lit(1.2 * close), ask=pl.lit(1.2 * close),
    )  # fmt: skip
    _, found = run(Tape(history, [(end, pl.concat([part, leap]), end)]), tmp_path)
    states = {r["symbol"]: r["reason"] for r in found["execution.orders"].iter_rows(named=True)}
    assert states == {"A": "price_collar: 0.2, allowed 0.1", "B": "", "C": ""}


def test_bars_of_ticks_by_hand() -> None:
    """Three trades, the last at the very end: it belongs to the next minute."""
    at = [dt.timedelta(seconds=1), dt.timedelta(seconds=59), MINUTE]
    trades = pl.DataFrame(
        {
            "universe": "u", "dataset": "d", "symbol": "X", "ts": [BEGIN + d for d in at],
            "trade_id": [1, 2, 3], "price": [10.0, 9.0, 11.0], "quantity": [5.0, 2.0, 1.0],
        }
    )  # fmt: skip
    bars = bars_of(tick_rows(trades, None), MINUTE)
    columns = ["ts", "open", "high", "low", "close", "volume", "adj_close"]
    assert bars.select(columns).rows() == [
        (BEGIN + MINUTE, 10.0, 10.0, 9.0, 9.0, 7.0, 9.0),
        (BEGIN + 2 * MINUTE, 11.0, 11.0, 11.0, 11.0, 1.0, 11.0),
    ]


def test_quotes_alone_make_bars_too(tape, tmp_path) -> None:
    feed = ReplayTickFeed(None, tape[1], START, end=START + 3 * MINUTE)
    summary, found = run(feed, tmp_path)
    assert summary.n_bars == 3
    assert found["execution.fills"].height > 0
    assert feed.history(None)["volume"].null_count() == feed.history(None).height


def test_a_replay_waits_as_its_speed_says_and_looks_up_in_gaps(tape) -> None:
    """By hand: sixty minutes at a minute per tenth of a second; five of them are silent."""
    waits: list[float] = []
    silent = (pl.col("ts") >= START + 5 * MINUTE) & (pl.col("ts") < START + 10 * MINUTE)
    thinned = [frame.filter(~silent) for frame in tape]
    feed = ReplayTickFeed(*thinned, START, speed=600.0, wait=waits.append)
    seen = list(feed.batches(None))
    assert sum(waits) == pytest.approx((N_MINUTES - N_PAST - 1) * 0.1)
    assert [batch is None for batch in seen].count(True) == 1
    assert feed.clock() == BEGIN + N_MINUTES * MINUTE


def test_columns_are_those_of_the_core_tables(tape) -> None:
    assert set(tape[0].columns) <= set(core_ticks.TRADES.schema)
    assert set(tape[1].columns) <= set(core_ticks.QUOTES.schema)
    assert set(venues.NEEDED) <= set(core_ticks.BOOK_CHANGES.schema)


def test_what_cannot_be_replayed_is_named(tape) -> None:
    with pytest.raises(LiveError, match="divides a day"):
        ReplayTickFeed(*tape, START, every=dt.timedelta(minutes=7))
    with pytest.raises(LiveError, match=r"lack \['price'\].*core\.trades"):
        ReplayTickFeed(tape[0].drop("price"), None, START)
    two = pl.concat([tape[0], tape[0].with_columns(dataset=pl.lit("other"))])
    with pytest.raises(LiveError, match=r"A come from \['exchange', 'other'\]|come from"):
        ReplayTickFeed(two, None, START)
    with pytest.raises(LiveError, match="speed"):
        ReplayTickFeed(*tape, START, speed=2.0)
