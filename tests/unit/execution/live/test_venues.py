"""Orders of the loop over several venues: by hand, killed at any write, and as before with one venue."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import live_cases as cases
import polars as pl
import pytest

from btq_assets.execution.events import (
    Accepted,
    Cancelled,
    Filled,
    OrderTerms,
    OverFillError,
    Submitted,
)
from btq_assets.execution.live import (
    Journal,
    LiveError,
    LiveSettings,
    LiveTradingEngine,
    ReplayTickFeed,
)
from btq_assets.execution.live.journal import read_journal
from btq_assets.execution.live.recovery import remember
from btq_assets.execution.live.rounds import BookTick
from btq_assets.execution.live.settings import VenueTerms
from btq_assets.execution.live.tables import journal_tables
from btq_assets.execution.live.venues import BookFold
from btq_assets.execution.orders import OrderState, replay
from btq_assets.execution.parents import parent_orders
from btq_assets.risk.limits import OrderLimits

BEGIN = dt.datetime(2024, 3, 4, 14, 30, tzinfo=dt.UTC)
MINUTE, SECOND = dt.timedelta(minutes=1), dt.timedelta(seconds=1)
START = BEGIN + 2 * MINUTE
VENUES = {"east": VenueTerms(), "west": VenueTerms(fee_bps=5.0)}
#: Asks of the hand-worked case, and bids to have a middle: 99.9 and 100 at the best.
ASKS = {"east": {100.0: 50.0, 100.2: 100.0}, "west": {100.1: 80.0, 100.6: 500.0}}
BIDS = {"east": {99.8: 60.0}, "west": {99.9: 90.0}}


def tape(n_minutes: int = 6) -> pl.DataFrame:
    """One symbol that trades at 100, twice a minute."""
    at = [BEGIN + k * MINUTE + s * SECOND for k in range(n_minutes) for s in (10, 40)]
    return pl.DataFrame(
        {
            "universe": cases.UNIVERSE, "dataset": "east", "symbol": "X", "ts": at,
            "trade_id": range(len(at)), "price": 100.0, "quantity": 1_000.0,
        }
    )  # fmt: skip


def books(*venues: str, n_minutes: int = 6, seconds: tuple[int, ...] = (30,)) -> pl.DataFrame:
    """A whole book of each venue at these seconds of each minute."""
    rows = [
        {
            "universe": cases.UNIVERSE, "dataset": venue, "symbol": "X",
            "ts": BEGIN + k * MINUTE + s * SECOND, "update_id": 100 * k + s, "kind": "snapshot",
            "side": side, "price": price, "quantity": size,
        }
        for k in range(n_minutes)
        for s in seconds
        for venue in venues
        for side, levels in (("bid", BIDS[venue]), ("ask", ASKS[venue]))
        for price, size in levels.items()
    ]  # fmt: skip
    return pl.DataFrame(rows)


class Once(cases.PlainTargets):
    """A weight on the first live bar, another on the third."""

    def __init__(self, weight: float, then: float | None = None) -> None:
        super().__init__(["X"])
        self.by_bar = {3: weight} | ({} if then is None else {5: then})

    def weights(self, ts: dt.datetime) -> dict[str, float]:
        return {"X": self.by_bar[self.n]} if self.n in self.by_bar else {}


def run(folder: Path, weight: float = 0.075, then=None, *, book=None, open_journal=Journal, **more):
    """200,000 of cash: a weight of 0.075 is 150 shares at 100."""
    config = cases.live_config(max_position_size=1.0, initial_cash=200_000.0)
    limits = OrderLimits(max_position=1.0, price_collar=more.pop("collar", 0.1))
    settings = {"decide": "bar", "daily_loss": None, "drawdown": 0.9, "venues": VENUES}
    LiveTradingEngine(
        config,
        targets=Once(weight, then),
        feed=ReplayTickFeed(tape(), None, START, books=book),
        folder=folder,
        settings=LiveSettings(**settings | {"limits": limits} | more),
        open_journal=open_journal,
    ).start()
    memory = remember(read_journal(folder / "engine.journal"))
    return journal_tables(folder / "engine.journal", cases.UNIVERSE), memory


def test_an_order_is_split_to_the_cheapest_levels_and_filled_from_the_books(tmp_path) -> None:
    """150 shares: east 100.0 x 50; west 100.1, with its fee 100.15, x 80; east 100.2 x 20.

    East pays (50 * 100 + 20 * 100.2) / 70 a share and nothing else; west 100.1 and 5 bp of it.
    """
    tables, memory = run(tmp_path, book=books("east", "west"))
    (parent,) = parent_orders(memory.parents.values(), memory.orders).values()
    assert parent.terms.quantity == 150.0
    orders, fills = tables["execution.orders"], tables["execution.fills"]
    assert set(orders["parent_id"]) == {parent.terms.client_id}
    assert set(orders["venue"]) == set(fills["venue"]) == {"east", "west"}
    legs = {child.terms.venue: child for child in parent.children}
    assert {name: (leg.terms.quantity, leg.terms.limit) for name, leg in legs.items()} == {
        "east": (pytest.approx(70.0), 100.2),
        "west": (pytest.approx(80.0), 100.1),
    }
    east, west = (legs[name].fills[0] for name in ("east", "west"))
    assert east.executed_price == pytest.approx((50 * 100 + 20 * 100.2) / 70, rel=1e-12)
    assert west.executed_price == pytest.approx(100.1, rel=1e-12)
    assert east.commission == 0.0
    assert west.commission == pytest.approx(80 * 100.1 * 5e-4, rel=1e-12)
    assert east.venue == "east"
    # decided at 14:33, filled at the books of 14:33:30
    at = round((START + MINUTE).timestamp()) * 10**9
    assert {leg.terms.decided_at for leg in legs.values()} == {at}
    assert {fill.at for fill in (east, west)} == {at + 30 * 10**9}
    assert parent.state is OrderState.FILLED
    assert parent.filled == pytest.approx(150.0)
    paid = sum(leg.fills[0].executed_price * leg.filled for leg in legs.values())
    assert paid == pytest.approx(50 * 100 + 20 * 100.2 + 80 * 100.1)


def test_a_sale_goes_to_the_best_bids(tmp_path) -> None:
    """Of 150 shares held 100 are sold: west bids 99.9 less 5 bp, 99.85, for 90, then east 99.8."""
    tables, memory = run(tmp_path, 0.075, 0.025, book=books("east", "west"))
    fills = tables["execution.fills"].filter(pl.col("quantity") < 0)
    sold = -fills["quantity"].sum()
    assert sold == pytest.approx(100.0, rel=2e-3)
    children = [o for o in memory.orders.values() if o.terms.side < 0]
    assert {o.terms.venue: o.terms.limit for o in children} == {"east": 99.8, "west": 99.9}
    west = next(o for o in children if o.terms.venue == "west")
    assert west.terms.quantity == pytest.approx(-90.0)


def test_one_venue_is_as_no_venue_to_the_last_bit(tmp_path) -> None:
    plain, _ = run(tmp_path / "none", 0.5, 0.2)
    single, memory = run(tmp_path / "one", 0.5, 0.2, book=books("east"))
    assert memory.parents == {}
    for name, frame in plain.items():
        assert single[name].equals(frame), name
    assert plain["execution.orders"].select("parent_id", "venue").unique().rows() == [("", "")]
    two, _ = run(tmp_path / "two", 0.5, 0.2, book=books("east", "west"))
    assert not two["execution.orders"].equals(plain["execution.orders"])


def test_what_the_books_do_not_hold_is_not_sent(tmp_path) -> None:
    """1,600 shares wanted; the books hold 730, of which 500 lie beyond a collar of 0.3 %."""
    _, memory = run(tmp_path, 0.8, book=books("east", "west"), collar=0.003)
    (parent,) = parent_orders(memory.parents.values(), memory.orders).values()
    assert parent.terms.quantity == pytest.approx(1_600.0)
    assert sum(child.terms.quantity for child in parent.children) == pytest.approx(230.0)
    assert parent.filled == pytest.approx(230.0)
    assert parent.state is OrderState.CANCELLED


def test_a_book_that_is_old_counts_for_nothing(tmp_path) -> None:
    """West is silent after the first live minute; what the third decides goes as to east alone."""
    old = pl.concat([books("east"), books("west", n_minutes=3)])
    _, memory = run(tmp_path, 0.0, 0.075, book=old)
    assert memory.parents == {}
    assert [o.terms.venue for o in memory.orders.values()] == [""]


def test_an_order_that_arrives_late_meets_the_next_book(tmp_path) -> None:
    """West is 40 seconds away: the books of 14:33:30 are gone, those of 14:34:30 are met."""
    slow = {"east": VenueTerms(), "west": VenueTerms(latency_ns=40 * 10**9)}
    _, memory = run(tmp_path, book=books("east", "west"), venues=slow)
    at = {o.terms.venue: o.fills[0].at for o in memory.orders.values()}
    assert at["west"] - at["east"] == 60 * 10**9


def test_the_rate_counts_children(tmp_path) -> None:
    limits = OrderLimits(max_position=1.0, max_orders_per_minute=1)
    _, memory = run(tmp_path, book=books("east", "west"), limits=limits)
    (parent,) = parent_orders(memory.parents.values(), memory.orders).values()
    assert [c.state.value for c in parent.children] == ["filled", "rejected"]
    assert parent.children[1].reason == "max_orders_per_minute: 2, allowed 1"


class Killed(BaseException):
    """Nothing catches it."""


def test_killed_at_every_write_no_child_is_sent_twice(tmp_path) -> None:
    def start(folder: Path, at: int = -1, how: str = ""):
        count = iter(range(1_000_000))

        class Burning(Journal):
            def _write(self, line: bytes) -> None:
                here = next(count) == at
                if here and how == "before":
                    raise Killed
                super()._write(line[: len(line) // 2] if here and how == "torn" else line)
                if here:
                    raise Killed

        return run(
            folder,
            0.075,
            0.02,
            book=books("east", "west"),
            open_journal=lambda path: Burning(path, sync=False),
        )

    expected, whole = start(tmp_path / "whole")
    assert len(whole.parents) == 2
    n = sum(len(read_journal(tmp_path / "whole" / f"{k}.journal")) for k in ("engine", "broker"))
    for at in range(1, n):
        for how in ("before", "torn", "after"):
            folder = tmp_path / f"{at}-{how}"
            with pytest.raises(Killed):
                start(folder, at, how)
            tables, memory = start(folder)
            for name, frame in expected.items():
                assert tables[name].equals(frame), (at, how, name)
            assert memory.parents == whole.parents


def test_books_fold_snapshots_and_changes() -> None:
    """By hand: a level changed, one gone, one new; a second snapshot forgets the first."""

    def rows(kind, update, levels):
        return [
            {
                "universe": "u", "dataset": "v", "symbol": "X", "ts": BEGIN + update * SECOND,
                "update_id": update, "kind": kind, "side": side, "price": p, "quantity": q,
            }
            for side, p, q in levels
        ]  # fmt: skip

    changes = pl.DataFrame(
        rows("snapshot", 1, [("bid", 9.0, 1.0), ("ask", 11.0, 2.0), ("ask", 12.0, 3.0)])
        + rows("change", 2, [("ask", 11.0, 0.0), ("ask", 10.5, 4.0), ("bid", 9.0, 5.0)])
        + rows("snapshot", 3, [("bid", 8.0, 1.0)])
    )
    found = list(BookFold().states(changes))
    assert [(b.bids, b.asks) for b in found] == [
        (((9.0, 1.0),), ((11.0, 2.0), (12.0, 3.0))),
        (((9.0, 5.0),), ((10.5, 4.0), (12.0, 3.0))),
        (((8.0, 1.0),), ()),
    ]
    with pytest.raises(LiveError, match=r"lack \['kind'\].*core\.book_changes"):
        list(BookFold().states(changes.drop("kind")))


def test_a_book_as_a_quote_by_hand() -> None:
    """70 of 50 at 100 and 100 at 100.2; the middle of the best is 99.9."""
    book = BookTick(1, "X", "v", ((99.8, 60.0),), ((100.0, 50.0), (100.2, 100.0)))
    quote = book.quote(1, 70.0, 100.2)
    assert quote.ask == pytest.approx((50 * 100 + 20 * 100.2) / 70)
    assert 0.5 * (quote.ask + quote.bid) == pytest.approx(99.9)
    assert quote.ask_size == 150.0
    assert book.quote(1, 70.0, 100.0).ask_size == 50.0
    beyond = book.quote(1, 70.0, 99.9)
    assert beyond.ask == 100.0  # the limit then refuses it
    assert BookTick(1, "X", "v", (), ((100.0, 50.0),)).quote(1, 1.0, 100.0) is None


def test_a_parent_is_what_its_children_are() -> None:
    parent = OrderTerms("p", "s", "u", "X", 10.0, 0)
    child = {
        name: OrderTerms(name, "s", "u", "X", n, 0, parent_id="p") for name, n in (("a", 6.0), ("b", 4.0))
    }  # fmt: skip
    events = [Submitted(0, child["a"]), Submitted(0, child["b"])]

    def state(*more):
        whole = parent_orders([parent], replay([*events, *more]))["p"]
        return whole.state.value, whole.filled, whole.average_price

    taken = [Accepted(1, "a"), Accepted(1, "b")]
    assert state() == ("new", 0.0, None)
    assert state(*taken) == ("accepted", 0.0, None)
    some = [*taken, Filled(2, "a", "1", 6.0, 10.0)]
    assert state(*some) == ("partially_filled", 6.0, 10.0)
    assert state(*some, Cancelled(3, "b")) == ("cancelled", 6.0, 10.0)
    # (6 * 10 + 4 * 11) / 10
    assert state(*some, Filled(3, "b", "1", 4.0, 11.0)) == ("filled", 10.0, pytest.approx(10.4))
    beyond = Submitted(0, OrderTerms("c", "s", "u", "X", 1.0, 0, parent_id="p"))
    with pytest.raises(OverFillError, match="children ask for 11 of 10"):
        state(beyond)
    assert parent_orders([parent], {})["p"].state is OrderState.CANCELLED


def test_terms_of_venues_that_cannot_be() -> None:
    for wrong in ({"fee_bps": -1.0}, {"fade": 1.0}, {"latency_ns": -1}, {"hidden_cost_bps": -1.0}):
        with pytest.raises(LiveError):
            VenueTerms(**wrong)
