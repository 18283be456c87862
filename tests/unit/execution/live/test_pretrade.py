"""Limits before an order is sent: each refuses one order of the loop, and a kill changes nothing.

Values are worked by hand: equity is a million in cash, prices cost nothing to trade at, and orders
are sized by the close they are decided on.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import live_cases as cases
import numpy as np
import polars as pl
import pytest

from btq_assets.engine.codes import OrderKind
from btq_assets.execution.events import OrderTerms
from btq_assets.execution.live import BarBatch, LiveSettings, LiveTradingEngine, ReplayClock
from btq_assets.execution.live.account import Books
from btq_assets.execution.live.journal import Journal, read_journal
from btq_assets.execution.live.pretrade import PreTrade, is_intraday
from btq_assets.execution.live.tables import journal_tables
from btq_assets.execution.orders import Blotter
from btq_assets.risk.limits import OrderLimits

SYMBOLS = [f"S{i:02d}" for i in range(5)]
WIDE = {
    "max_position": 10.0, "max_drawdown": 0.99, "max_gross": 10.0, "max_net": 10.0,
    "max_turnover": 100.0, "price_collar": 0.99, "max_orders_per_minute": 10_000,
}  # fmt: skip
#: Tighter in one limit each, and the weights of the first decision.
CASES = {
    "max_position": (0.25, {"S00": 0.2, "S01": 0.26, "S02": -0.25}, {"S01": (0.26, 0.25)}),
    "max_gross": (1.0, {"S00": 0.4, "S01": -0.4, "S02": 0.3}, {"S02": (1.1, 1.0)}),
    "max_net": (0.5, {"S00": 0.4, "S01": 0.2, "S02": -0.3}, {"S01": (0.6, 0.5)}),
    "max_turnover": (0.5, {"S00": 0.3, "S01": -0.2, "S02": 0.1}, {"S02": (0.6, 0.5)}),
    "max_orders_per_minute": (2, {"S00": 0.1, "S01": 0.1, "S02": 0.1}, {"S02": (3, 2)}),
}


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return cases.market(5, 80)


class Script(cases.PlainTargets):
    """Weights by the number of the live session, nothing on others."""

    def __init__(self, *rows: dict[str, float]) -> None:
        super().__init__(SYMBOLS)
        self.rows, self.first = rows, 0

    def warm_up(self, history: pl.DataFrame) -> None:
        self.n = history["ts"].n_unique()

    def weights(self, ts: dt.datetime) -> dict[str, float]:
        at = self.n - 76
        return dict(self.rows[at]) if 0 <= at < len(self.rows) else {}


class Feed:
    """The last five sessions; `together` makes one batch of them."""

    def __init__(self, bars: pl.DataFrame, together: bool = False) -> None:
        self.clock = ReplayClock()
        self._bars, self._together = bars, together
        self._start = bars["ts"].unique().sort()[-5]

    def history(self, until: dt.datetime | None) -> pl.DataFrame:
        past = pl.col("ts") < self._start if until is None else pl.col("ts") <= until
        return self._bars.filter(past)

    def batches(self, after: dt.datetime | None):
        rows = self._bars.filter(pl.col("ts") >= self._start)
        if after is not None:
            rows = rows.filter(pl.col("ts") > after)
        rows = rows.sort("ts", "symbol")
        if self._together:
            self.clock.set(self._bars["ts"].max())
            yield BarBatch(rows)
            return
        for part in rows.partition_by("ts", maintain_order=True):
            self.clock.set(part["ts"][0])
            yield BarBatch(part)


def free_config():
    """No costs, and room for long and short."""
    config = cases.live_config(max_position_size=1.0, max_drawdown_threshold=0.9)
    backtest = {"commission_bps": 0.0, "impact_coefficient": 0.0}
    return config.model_copy(
        update={
            "backtest": config.backtest.model_copy(update=backtest),
            "portfolio": config.portfolio.model_copy(update={"max_gross_exposure": 3.0}),
        }
    )


def run(bars, folder: Path, targets, limits: OrderLimits, feed=None, open_journal=Journal):
    engine = LiveTradingEngine(
        free_config(),
        targets=targets,
        feed=feed or Feed(bars),
        folder=folder,
        settings=LiveSettings(
            decide="bar", daily_loss=None, drawdown=0.9, stale_after=None, limits=limits
        ),
        open_journal=open_journal,
    )
    return engine.start()


def tables(folder: Path) -> dict[str, pl.DataFrame]:
    return journal_tables(folder / "engine.journal", cases.UNIVERSE)


def breaches_of(folder: Path) -> dict[str, tuple[str, float, float]]:
    """Symbol: limit, value and bound, of everything the journal says was kept back."""
    records = read_journal(folder / "engine.journal")
    found = {}
    for record in records:
        names = {
            e["terms"]["client_id"]: e["terms"]["symbol"]
            for e in record.get("refused", ())
            if e["event"] == "submitted"
        }
        for breach in record.get("breaches", ()):
            symbol = names[breach["client_id"]]
            found[symbol] = (breach["limit"], breach["value"], breach["allowed"])
    return found


@pytest.mark.parametrize("name", sorted(CASES))
def test_each_limit_refuses_one_order_and_lets_the_others_pass(bars, tmp_path, name) -> None:
    bound, weights, refused = CASES[name]
    run(bars, tmp_path, Script(weights), OrderLimits(**WIDE | {name: bound}))
    found = breaches_of(tmp_path)
    assert found == {
        symbol: (name, pytest.approx(value, rel=1e-9), allowed)
        for symbol, (value, allowed) in refused.items()
    }
    orders = tables(tmp_path)["execution.orders"]
    assert dict(orders.select("symbol", "state").iter_rows()) == {
        symbol: "rejected" if symbol in refused else "filled" for symbol in weights
    }
    symbol, (value, allowed) = next(iter(refused.items()))
    reason = orders.filter(symbol=symbol)["reason"].item()
    assert reason == f"{name}: {value:g}, allowed {allowed:g}"
    # the broker never heard of it
    broker = read_journal(tmp_path / "broker.journal")
    heard = [e["terms"]["symbol"] for r in broker for e in r["events"] if e["event"] == "submitted"]
    assert sorted(heard) == sorted(set(weights) - set(refused))


def test_a_drawdown_refuses_what_grows_and_not_what_shrinks(bars, tmp_path) -> None:
    """By hand: nine tenths invested, prices a fifth lower: at least 15 % are lost."""
    names = ["open", "high", "low", "close", "adj_open", "adj_high", "adj_low", "adj_close"]
    since = bars["ts"].unique().sort()[-4]
    fallen = bars.with_columns(
        pl.col(names) * pl.when(pl.col("ts") > since).then(0.8).otherwise(1.0)
    )
    first = {"S00": 0.3, "S01": 0.3, "S02": 0.3}
    script = Script(first, {}, {"S00": 0.1, "S03": 0.2})
    run(fallen, tmp_path, script, OrderLimits(**WIDE | {"max_drawdown": 0.15}))
    found = breaches_of(tmp_path)
    assert list(found) == ["S03"]
    limit, value, allowed = found["S03"]
    account = tables(tmp_path)["execution.account"]
    # after two bars the peak is the highest of the million and the closes before
    lost = 1 - account["equity"][2] / max(1e6, account["equity"][:2].max())
    assert (limit, allowed) == ("max_drawdown", 0.15)
    assert value == pytest.approx(lost, rel=1e-9)
    states = dict(tables(tmp_path)["execution.orders"].select("symbol", "state").iter_rows())
    assert states["S03"] == "rejected"
    assert states["S00"] == "filled"


def test_the_collar_refuses_a_price_far_from_that_of_its_decision() -> None:
    books = Books(1_000.0, {}, {"A": 10.0, "B": 10.0})
    far, near = (
        OrderTerms(name, "s", "u", name, 5.0, 0, OrderKind.LIMIT, limit=price, reference_price=10.0)
        for name, price in (("A", 11.5), ("B", 10.5))
    )
    gate = PreTrade(OrderLimits(), "s", intraday=False)
    verdict = gate.judge([far, near], books, [], 1_000.0, lambda terms: terms.limit, 0)
    assert [terms.symbol for terms in verdict.admitted] == ["B"]
    # 11.5 is 15 % from 10; a tenth is allowed
    assert verdict.refused[1].reason == "price_collar: 0.15, allowed 0.1"


def test_a_full_rotation_fits_a_gross_limit_of_one(bars, tmp_path) -> None:
    """What is sold makes room for what is bought, though it comes later in the alphabet."""
    limits = OrderLimits(**WIDE | {"max_gross": 1.0})
    run(bars, tmp_path, Script({"S04": 0.9}, {}, {"S00": 0.9, "S04": 0.0}), limits)
    assert breaches_of(tmp_path) == {}


def test_orders_that_still_work_count_as_filled(bars, tmp_path) -> None:
    """S00 has no bar after the first: its order waits, and holds 0.4 of the gross of 1."""
    ts = bars["ts"].unique().sort()
    gaps = bars.filter(~((pl.col("symbol") == "S00") & (pl.col("ts") > ts[-5])))
    limits = OrderLimits(**WIDE | {"max_gross": 1.0})
    run(gaps, tmp_path, Script({"S00": 0.4}, {"S01": 0.5, "S02": 0.2}), limits)
    assert breaches_of(tmp_path) == {"S02": ("max_gross", pytest.approx(1.1, rel=1e-6), 1.0)}
    states = tables(tmp_path)["execution.orders"].select("symbol", "state")
    assert dict(states.iter_rows()) == {"S00": "accepted", "S01": "filled", "S02": "rejected"}


def test_the_rate_counts_by_the_clock_and_not_by_the_bars(bars, tmp_path) -> None:
    """Five sessions that come at once: three orders and three more within a minute of the clock."""
    rows = ({"S00": 0.1, "S01": 0.1, "S02": 0.1}, {"S00": 0.2, "S01": 0.2, "S02": 0.2})
    limits = OrderLimits(**WIDE | {"max_orders_per_minute": 4})
    run(bars, tmp_path / "daily", Script(*rows), limits)
    assert breaches_of(tmp_path / "daily") == {}
    run(bars, tmp_path / "once", Script(*rows), limits, Feed(bars, together=True))
    assert breaches_of(tmp_path / "once") == {
        "S01": ("max_orders_per_minute", 5, 4),
        "S02": ("max_orders_per_minute", 5, 4),
    }


class Killed(BaseException):
    """Nothing catches it."""


def deadly(at: int, how: str):
    """Opens journals that die at one of their writes, counted over both."""
    count = iter(range(1_000_000))

    class Burning(Journal):
        def _write(self, line: bytes) -> None:
            here = next(count) == at
            if here and how == "before":
                raise Killed
            super()._write(line[: len(line) // 2] if here and how == "torn" else line)
            if here:
                raise Killed

    return lambda path: Burning(path, sync=False)


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("max_gross", "max_orders_per_minute")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(CASES)
    ],
)
def test_killed_at_every_write_the_same_orders_are_refused(bars, tmp_path, name) -> None:
    bound, weights, _ = CASES[name]
    limits = OrderLimits(**WIDE | {name: bound})
    other = {symbol: weight * 1.3 for symbol, weight in weights.items()}

    def start(folder: Path, open_journal) -> None:
        script = Script(weights, other)
        run(bars, folder, script, limits, Feed(bars, together=name.startswith("max_orders")),
            open_journal)  # fmt: skip

    whole = tmp_path / "whole"
    start(whole, deadly(-1, ""))
    expected, refused = tables(whole), breaches_of(whole)
    assert refused
    n = sum(len(read_journal(whole / f"{kind}.journal")) for kind in ("engine", "broker"))
    for at in range(1, min(n, 11)):
        how = ("before", "torn", "after")[at % 3]
        folder = tmp_path / f"{at}"
        with pytest.raises(Killed):
            start(folder, deadly(at, how))
        start(folder, deadly(-1, ""))
        assert breaches_of(folder) == refused, (at, how)
        for table, frame in expected.items():
            assert tables(folder)[table].equals(frame), (at, how, table)


def test_turnover_of_a_day_goes_on_after_a_restart() -> None:
    """Intraday: what traded earlier in the day counts; yesterday does not."""
    from btq_assets.execution.events import Accepted, Filled, Submitted

    day = 86_400_000_000_000
    terms = OrderTerms("a", "s", "u", "A", 60.0, 10 * day, reference_price=10.0)
    events = [Submitted(10 * day, terms), Accepted(10 * day, "a")]
    events += [
        Filled(10 * day + 5, "a", "1", 20.0, 10.0),
        Filled(11 * day + 5, "a", "2", 40.0, 10.0),
    ]
    gate = PreTrade(OrderLimits(max_turnover=0.5), "s", intraday=True)
    gate.remember(Blotter(events), 11 * day + 7, [])
    books = Books(400.0, {"A": 60.0}, {"A": 10.0, "B": 10.0})
    more = OrderTerms("b", "s", "u", "B", 11.0, 11 * day + 7, reference_price=10.0)
    verdict = gate.judge([more], books, [], 1_000.0, lambda terms: 10.0, 11 * day + 7)
    # 400 of 1,000 traded today and 110 more: 0.51 of equity
    assert verdict.refused[1].reason == "max_turnover: 0.51, allowed 0.5"
    gate.count([], 12 * day)
    assert gate.judge([more], books, [], 1_000.0, lambda terms: 10.0, 12 * day).admitted == [more]


def test_bars_of_a_day_and_of_an_hour(bars) -> None:
    assert not is_intraday(bars)
    stamps = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=k) for k in range(9)]
    assert is_intraday(pl.DataFrame({"ts": stamps}))
    assert not is_intraday(pl.DataFrame({"ts": stamps[:1]}))


def test_limits_of_the_configuration_are_asked_unless_others_are_given(bars, tmp_path) -> None:
    """Gross 3 is allowed to targets; the default of the net is 1, and 1.2 are wanted."""
    engine = LiveTradingEngine(
        free_config(),
        targets=Script({"S00": 0.6, "S01": 0.6}),
        feed=Feed(bars),
        folder=tmp_path,
        settings=LiveSettings(decide="bar", daily_loss=None),
    )
    engine.start()
    assert breaches_of(tmp_path) == {"S01": ("max_net", pytest.approx(1.2), 1.0)}
    assert np.isclose(free_config().execution.max_net_exposure, 1.0)


def test_wide_limits_are_no_limits_and_admitted_orders_trade_as_in_the_engine(
    bars, tmp_path
) -> None:
    """The peer is the event engine, given the orders that both let through."""
    from btq_assets.engine import Account, OrderCosts, order_table, simulate_orders
    from btq_assets.engine import stream_from_panels as stream_of

    targets = lambda: cases.PlainTargets(SYMBOLS, 0.9)  # noqa: E731
    run(bars, tmp_path / "wide", targets(), OrderLimits(**WIDE))
    run(bars, tmp_path / "default", targets(), OrderLimits(max_position=0.9))
    for name, frame in tables(tmp_path / "wide").items():
        assert tables(tmp_path / "default")[name].equals(frame), name
    run(bars, tmp_path / "tight", targets(), OrderLimits(**WIDE | {"max_position": 0.2}))
    found = tables(tmp_path / "tight")
    orders = found["execution.orders"]
    refused = orders.filter(state="rejected")
    assert refused.height >= 3
    assert not found["execution.account"].equals(tables(tmp_path / "wide")["execution.account"])
    live = bars.filter(pl.col("ts") >= bars["ts"].unique().sort()[-5]).sort("ts", "symbol")
    panel = {
        name: live[f"adj_{name}"].to_numpy().reshape(5, -1)
        for name in ("open", "high", "low", "close")
    }
    stream = stream_of(
        live["ts"].unique().sort().dt.epoch("us").to_numpy() * 1_000,
        panel["close"],
        open=panel["open"],
        high=panel["high"],
        low=panel["low"],
        half_spread=np.full(5, 2e-4),
        symbols=SYMBOLS,
    )
    sent = orders.filter(pl.col("state") != "rejected").sort("decided_at", "symbol")
    peer = simulate_orders(
        stream,
        order_table(
            sent["decided_at"].dt.epoch("us").to_numpy() * 1_000,
            sent["symbol"].str.slice(1).cast(pl.Int32).to_numpy(),
            sent["quantity"].to_numpy(),
        ),
        Account(1e6, initial_margin=1 / 3),
        costs=OrderCosts(),
    )
    np.testing.assert_allclose(found["execution.account"]["equity"], peer.equity, rtol=1e-9)
