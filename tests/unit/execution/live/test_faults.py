"""What goes wrong with feeds, clocks, brokers and money, and what the loop makes of it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import live_cases as cases
import polars as pl
import pytest

from btq_assets import LiveTradingEngine as PublicEngine
from btq_assets.engine.terms import Account, Instruments
from btq_assets.execution.live import (
    BarBatch,
    Journal,
    LiveError,
    LiveSettings,
    LiveTradingEngine,
    PaperBroker,
    RealTradingError,
    ReplayClock,
    ReplayFeed,
)
from btq_assets.execution.live.market import fill_terms
from btq_assets.execution.live.tables import all_accounts, journal_tables

DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return cases.market(4, 80)


class ListFeed:
    """Batches as given, each with the time at which it comes."""

    def __init__(self, history: pl.DataFrame, batches: list) -> None:
        self.clock = ReplayClock()
        self._history, self._batches = history, batches

    def history(self, until: dt.datetime | None) -> pl.DataFrame:
        return self._history

    def batches(self, after: dt.datetime | None):
        for now, rows in self._batches:
            self.clock.set(now)
            yield None if rows is None else BarBatch(rows)


def split(bars: pl.DataFrame, n: int) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """History, and the last `n` sessions one by one."""
    ts = bars["ts"].unique().sort()
    history = bars.filter(pl.col("ts") < ts[-n])
    live = bars.filter(pl.col("ts") >= ts[-n]).sort("ts", "symbol")
    return history, live.partition_by("ts", maintain_order=True)


def on_time(sessions: list[pl.DataFrame]) -> list:
    return [(rows["ts"][0], rows) for rows in sessions]


def run(feed, folder: Path, config=None, **more):
    settings = more.pop("settings", LiveSettings(decide="bar", daily_loss=None, drawdown=0.9))
    engine = LiveTradingEngine(
        config or cases.live_config(max_position_size=1.0),
        targets=more.pop("targets", None) or cases.PlainTargets([f"S{i:02d}" for i in range(4)]),
        feed=feed,
        folder=folder,
        settings=settings,
        **more,
    )
    summary = engine.start()
    return summary, journal_tables(folder / "engine.journal", cases.UNIVERSE)


def test_duplicates_late_bars_and_strangers_change_nothing(bars, tmp_path) -> None:
    history, live = split(bars, 5)
    _, expected = run(ListFeed(history, on_time(live)), tmp_path / "plain")
    strange = live[2].with_columns(symbol=pl.lit("ZZZ"))
    higher = live[1].with_columns(pl.col("adj_close") * 1.1)
    broken = live[3].with_columns(adj_close=pl.lit(-1.0), ts=pl.col("ts") + dt.timedelta(hours=1))
    again = [
        (live[0]["ts"][0], pl.concat([live[0], live[0]])),
        (live[1]["ts"][0], live[1]),
        (live[1]["ts"][0], live[1]),
        (live[1]["ts"][0], higher),
        (live[2]["ts"][0], live[2]),
        (live[2]["ts"][0], strange),
        (live[2]["ts"][0], live[0]),
        (live[3]["ts"][0], live[3]),
        (live[3]["ts"][0] + DAY / 12, broken),
        # the bar of tomorrow, today
        (live[3]["ts"][0], live[4]),
        (live[4]["ts"][0], live[4]),
    ]
    summary, found = run(ListFeed(history, again), tmp_path / "faulty")
    for name, frame in found.items():
        assert frame.equals(expected[name]), name
    # by hand: four symbols each; live[0] twice in a batch and live[1] once more are duplicates,
    # higher is revised, live[0] after live[2] is late; the clock goes back with the last two
    assert summary.refused == {
        "duplicate": 8,
        "revised": 4,
        "stranger": 4,
        "late": 4,
        "no_price": 4,
        "future": 4,
        "clock_back": 1,
    }


def test_a_gap_of_one_symbol_leaves_its_order_waiting(bars, tmp_path) -> None:
    history, live = split(bars, 4)
    gap = live[1].filter(pl.col("symbol") != "S01")

    class Once(cases.PlainTargets):
        def weights(self, ts: dt.datetime) -> dict[str, float]:
            return super().weights(ts) if ts == live[0]["ts"][0] else {}

    feed = ListFeed(history, on_time([live[0], gap, live[2], live[3]]))
    _, found = run(feed, tmp_path, targets=Once([f"S{i:02d}" for i in range(4)]))
    fills = dict(found["execution.fills"].select("symbol", "filled_at").iter_rows())
    assert fills.pop("S01") == live[2]["ts"][0]
    assert set(fills.values()) == {live[1]["ts"][0]}


def test_stale_bars_fill_orders_and_send_none(bars, tmp_path) -> None:
    """The clock leaps ten days ahead of the bars: what is open trades, nothing new is sent."""
    history, live = split(bars, 4)
    late = [(live[0]["ts"][0], live[0])]
    late += [(rows["ts"][0] + 10 * DAY, rows) for rows in live[1:3]]
    late += [(live[2]["ts"][0] + 10 * DAY, None), (live[3]["ts"][0] + 10 * DAY, live[3])]
    summary, found = run(ListFeed(history, late), tmp_path)
    assert summary.stopped == "stale_data"
    assert found["execution.orders"]["decided_at"].unique().to_list() == [live[0]["ts"][0]]
    assert found["execution.fills"]["filled_at"].unique().to_list() == [live[1]["ts"][0]]
    beat = json.loads((tmp_path / "heartbeat.json").read_text())
    assert beat["stopped"] == "stale_data"
    assert beat["bar"] == live[3]["ts"][0].isoformat()


def test_the_kill_switch_takes_back_open_orders_and_sends_none(bars, tmp_path) -> None:
    history, live = split(bars, 4)
    switch = tmp_path / "STOP"

    class Feed(ListFeed):
        def batches(self, after: dt.datetime | None):
            for n, batch in enumerate(super().batches(after)):
                if n == 1:
                    switch.touch()
                if n == 3:
                    switch.unlink()
                yield batch

    now = live[0]["ts"][0]
    steps = [(now, live[0]), (now + DAY / 24, None), *on_time(live[1:])]
    settings = LiveSettings(decide="bar", daily_loss=None, drawdown=0.9, kill_switch=switch)
    _, found = run(Feed(history, steps), tmp_path / "a", settings=settings)
    orders = found["execution.orders"].sort("decided_at")
    first = orders.filter(pl.col("decided_at") == now)
    assert set(first["state"]) == {"cancelled"}
    assert set(first["reason"]) == {"kill_switch"}
    # the switch is there at live[1] and gone from live[2] on
    assert live[1]["ts"][0] not in orders["decided_at"].to_list()
    assert live[2]["ts"][0] in orders["decided_at"].to_list()


def falling(bars: pl.DataFrame, n: int) -> pl.DataFrame:
    """Every price 10 % lower from the second live session on."""
    since = bars["ts"].unique().sort()[-n + 1]
    names = ["open", "high", "low", "close", "adj_open", "adj_high", "adj_low", "adj_close"]
    fall = pl.when(pl.col("ts") > since).then(0.9).otherwise(1.0)
    return bars.with_columns(pl.col(names) * fall)


@pytest.mark.parametrize("flatten", [False, True])
def test_a_days_loss_stops_for_good_until_told_otherwise(bars, tmp_path, flatten) -> None:
    """By hand: 90 % invested, prices 10 % lower in a day lose about 9 %, above the 5 % allowed."""
    history, live = split(falling(bars, 5), 5)
    settings = LiveSettings(decide="bar", daily_loss=0.05, drawdown=0.9, flatten_on_stop=flatten)
    summary, found = run(ListFeed(history, on_time(live)), tmp_path, settings=settings)
    assert summary.stopped == "daily_loss"
    states = found["execution.account"]["stopped"].to_list()
    assert states == ["", "", "daily_loss", "daily_loss", "daily_loss"]
    decided = sorted(found["execution.orders"]["decided_at"].unique())
    assert decided[:2] == [live[0]["ts"][0], live[1]["ts"][0]]
    last = found["execution.account"].row(-1, named=True)
    if flatten:
        assert decided[2:] == [live[2]["ts"][0]]
        assert last["gross"] == 0.0
    else:
        assert len(decided) == 2
        assert last["gross"] > 0
    nothing = ListFeed(falling(bars, 5), [])
    again, _ = run(nothing, tmp_path, settings=settings)
    assert again.stopped == "daily_loss"
    engine = LiveTradingEngine(
        cases.live_config(max_position_size=1.0),
        targets=cases.PlainTargets(["S00"]),
        feed=nothing,
        folder=tmp_path,
        settings=settings,
    )
    engine.start(resume=True)
    assert engine.start().stopped == ""


def test_a_drawdown_is_that_of_the_configuration(bars, tmp_path) -> None:
    history, live = split(falling(bars, 5), 5)
    config = cases.live_config(max_position_size=1.0, max_drawdown_threshold=0.06)
    settings = LiveSettings(decide="bar", daily_loss=None)
    summary, _ = run(ListFeed(history, on_time(live)), tmp_path, config, settings=settings)
    assert summary.stopped == "drawdown"


def test_what_the_broker_refuses_stays_refused(bars, tmp_path) -> None:
    history, live = split(bars, 4)
    refuses = lambda terms: "halted" if terms.symbol == "S02" else None  # noqa: E731
    _, found = run(ListFeed(history, on_time(live)), tmp_path, refuses=refuses)
    orders = found["execution.orders"].filter(pl.col("symbol") == "S02")
    assert orders.height == 4
    assert set(orders["state"]) == {"rejected"}
    assert set(orders["reason"]) == {"halted"}
    assert "S02" not in found["execution.fills"]["symbol"].to_list()


def test_partial_fills_wait_for_volume(bars, tmp_path) -> None:
    """By hand: 1 % of 10,000 shares a bar is 100; an order of more takes several bars."""
    thin = bars.with_columns(volume=pl.lit(10_000.0))
    history, live = split(thin, 5)

    class Once(cases.PlainTargets):
        def weights(self, ts: dt.datetime) -> dict[str, float]:
            return {"S00": 0.5} if ts == live[0]["ts"][0] else {}

    settings = LiveSettings(
        decide="bar", instruments=Instruments(participation=0.01), daily_loss=None, drawdown=0.9
    )
    _, found = run(ListFeed(history, on_time(live)), tmp_path, settings=settings, targets=Once([]))
    assert found["execution.fills"]["quantity"].to_list() == [100.0] * 4
    order = found["execution.orders"].row(0, named=True)
    assert order["state"] == "partially_filled"
    assert order["filled"] == 400.0


def test_real_orders_do_not_exist(bars, tmp_path) -> None:
    for wish in (False, None, 0, "no"):
        with pytest.raises(RealTradingError, match="real orders do not exist"):
            PublicEngine(cases.live_config(), wish, tmp_path)


def test_bad_targets_send_nothing(bars, tmp_path) -> None:
    history, live = split(bars, 2)

    class Bad(cases.PlainTargets):
        def __init__(self, answer: dict[str, float]) -> None:
            super().__init__([])
            self.answer = answer

        def weights(self, ts: dt.datetime) -> dict[str, float]:
            return self.answer

    for n, (answer, message) in enumerate(
        (({"S00": float("nan")}, r"\['S00'\] are not numbers"), ({"QQ": 0.1}, r"name \['QQ'\]"))
    ):
        with pytest.raises(LiveError, match=message):
            run(ListFeed(history, on_time(live)), tmp_path / str(n), targets=Bad(answer))
        path = tmp_path / str(n) / "engine.journal"
        assert journal_tables(path, cases.UNIVERSE)["execution.orders"].is_empty()


def test_weights_above_the_limit_are_cut(bars, tmp_path) -> None:
    """0.9 wanted, 0.25 allowed: 250,000 of a million at the price of the decision."""
    history, live = split(bars, 2)

    class Greedy(cases.PlainTargets):
        def weights(self, ts: dt.datetime) -> dict[str, float]:
            return {"S00": 0.9}

    _, found = run(
        ListFeed(history, on_time(live)), tmp_path, cases.live_config(), targets=Greedy([])
    )
    order = found["execution.orders"].row(0, named=True)
    assert order["quantity"] * order["reference_price"] == pytest.approx(250_000, rel=1e-12)


def test_missing_pieces_are_named(bars, tmp_path) -> None:
    config = cases.live_config()
    with pytest.raises(LiveError, match="give feed="):
        LiveTradingEngine(config, True, tmp_path)
    feed = ReplayFeed(bars, bars["ts"].max())
    with pytest.raises(LiveError, match="model_path"):
        LiveTradingEngine(config, feed=feed, folder=tmp_path)
    with pytest.raises(LiveError, match=r"no model\.json there"):
        LiveTradingEngine(config, True, tmp_path / "none", feed=feed, folder=tmp_path).start()
    early = ReplayFeed(bars, bars["ts"].min())
    with pytest.raises(LiveError, match="need a history"):
        LiveTradingEngine(
            config, targets=cases.PlainTargets([]), feed=early, folder=tmp_path / "b"
        ).start()
    with pytest.raises(LiveError, match="financing"):
        PaperBroker(
            Journal(tmp_path / "b.journal"),
            fill_terms(config, Instruments()),
            Account(1.0, debit_rate=0.1),
        )


def test_a_replay_waits_as_its_speed_says(bars, tmp_path) -> None:
    """By hand: three sessions a day apart at a day per two seconds are two waits of two seconds."""
    waits: list[float] = []
    ts = bars["ts"].unique().sort()
    start = next(t for t in ts[-8:] if t.weekday() == 0)
    feed = ReplayFeed(
        bars, start, end=start + 2 * DAY, speed=43_200.0, wait=waits.append, look_up_s=0.5
    )
    seen = list(feed.batches(None))
    assert sum(waits) == pytest.approx(4.0)
    assert [batch is None for batch in seen].count(True) == 2 * 3
    assert feed.clock() == start + 2 * DAY


def test_accounts_in_two_folders_are_two_accounts(bars, tmp_path) -> None:
    history, live = split(bars, 3)
    for name in ("a", "b"):
        settings = LiveSettings(decide="bar", account=name)
        run(ListFeed(history, on_time(live)), tmp_path / name, settings=settings)
    frames, seen = all_accounts(tmp_path, cases.UNIVERSE)
    assert seen == ["a", "b"]
    ids = frames["execution.orders"].group_by("account").agg(pl.col("client_id"))
    assert not set(ids["client_id"][0]) & set(ids["client_id"][1])
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "engine.journal").write_bytes(
        (tmp_path / "b" / "engine.journal").read_bytes()
    )
    with pytest.raises(LiveError, match=r"\['b'\] are in two folders"):
        all_accounts(tmp_path, cases.UNIVERSE)
