"""Brackets and orders that cancel each other, by hand on single bars, and invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_cases import bars, fills, status

from btq_assets.engine.books import check_books
from btq_assets.engine.codes import ActionKind, OrderKind, Reason
from btq_assets.engine.errors import EngineError
from btq_assets.engine.linked_orders import bracket_orders
from btq_assets.engine.order_simulation import simulate_orders
from btq_assets.engine.orders import action_table, order_table
from btq_assets.engine.stream import stream_from_panels
from btq_assets.engine.terms import Account, Instruments

NAN = np.nan
FIRST = (100, 101, 99, 100)
RICH = Account(100_000.0)


def run(rows, orders, **options):
    done = simulate_orders(bars([FIRST, *rows]), orders, RICH, **options)
    check_books(done, 1e-12)
    return done


def reasons(done):
    return [Reason(code).name for code in done.orders["reason"]]


LONG = {"size": 10.0, "stop": 95.0, "target": 110.0}
SHORT = {"size": -10.0, "stop": 105.0, "target": 90.0}

#: Bars after the decision, entry, fills (time, shares, price), where the three orders end.
#: Worked by hand from the table of docs/engine.md.
CASES = {
    "target": (
        [(100, 104, 98, 103), (103, 111, 102, 109)],
        LONG,
        [(2, 10, 100), (3, -10, 110)],
        ["FILLED", "CANCELLED", "FILLED"],
    ),
    "stop": (
        [(100, 104, 98, 103), (103, 104, 94, 96), (120, 121, 119, 120)],
        LONG,
        [(2, 10, 100), (3, -10, 95)],
        ["FILLED", "FILLED", "CANCELLED"],
    ),
    "the bar of the entry counts for neither": (
        [(100, 120, 80, 100), (100, 104, 99, 100)],
        LONG,
        [(2, 10, 100)],
        ["FILLED", "WORKING", "WORKING"],
    ),
    "both in one bar: the stop": (
        [(100, 104, 98, 103), (103, 111, 94, 100)],
        LONG,
        [(2, 10, 100), (3, -10, 95)],
        ["FILLED", "FILLED", "CANCELLED"],
    ),
    "opened beyond the target, then fell: the target": (
        [(100, 104, 98, 103), (112, 113, 94, 100)],
        LONG,
        [(2, 10, 100), (3, -10, 112)],
        ["FILLED", "CANCELLED", "FILLED"],
    ),
    "opened below the stop": (
        [(100, 104, 98, 103), (93, 120, 92, 100)],
        LONG,
        [(2, 10, 100), (3, -10, 93)],
        ["FILLED", "FILLED", "CANCELLED"],
    ),
    "short target": (
        [(100, 104, 98, 103), (95, 96, 89, 92)],
        SHORT,
        [(2, -10, 100), (3, 10, 90)],
        ["FILLED", "CANCELLED", "FILLED"],
    ),
    "short, both in one bar: the stop": (
        [(100, 104, 98, 103), (103, 106, 89, 92)],
        SHORT,
        [(2, -10, 100), (3, 10, 105)],
        ["FILLED", "FILLED", "CANCELLED"],
    ),
    "entry by limit, filled later": (
        [(100, 104, 98, 103), (97, 112, 96, 99), (99, 110, 98, 100)],
        LONG | {"kind": OrderKind.LIMIT, "limit": 97.0},
        [(3, 10, 97), (4, -10, 110)],
        ["FILLED", "CANCELLED", "FILLED"],
    ),
    "entry by stop": (
        [(100, 104, 98, 103), (103, 111, 101, 109)],
        LONG | {"kind": OrderKind.STOP, "entry_stop": 102.0},
        [(2, 10, 102), (3, -10, 110)],
        ["FILLED", "CANCELLED", "FILLED"],
    ),
    "entry expires, and its exits with it": (
        [(100, 104, 98, 103), (103, 120, 98, 100), (100, 120, 80, 90)],
        LONG | {"kind": OrderKind.LIMIT, "limit": 90.0, "expire_at": 3},
        [],
        ["EXPIRED", "CANCELLED", "CANCELLED"],
    ),
    "entry cancelled, and its exits with it": (
        [(100, 104, 98, 103), (100, 120, 80, 90)],
        LONG | {"kind": OrderKind.LIMIT, "limit": 90.0, "cancel_at": 2},
        [],
        ["CANCELLED", "CANCELLED", "CANCELLED"],
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_golden_brackets(name):
    rows, given_, expected, ends = CASES[name]
    done = run(rows, bracket_orders(1, 0, **given_))
    assert fills(done) == expected
    assert status(done) == ends
    for end, reason in zip(ends[1:], reasons(done)[1:], strict=True):
        if end == "CANCELLED":
            assert reason == ("OTHER_FILLED" if expected else "PARENT_ENDED")


def test_a_refused_entry_ends_its_exits():
    done = run([(100, 104, 98, 103)], bracket_orders(1, 0, 5_000.0, stop=95.0, target=110.0))
    assert status(done) == ["REJECTED", "CANCELLED", "CANCELLED"]
    assert reasons(done) == ["SHORT_OF_CASH", "PARENT_ENDED", "PARENT_ENDED"]


def test_exits_of_a_part_filled_entry_are_cut_to_it():
    """1 % of 1,000 a bar: 10 of 25 until the entry expires after bar 2; the exits sell 10."""
    rows = [(100, 101, 99, 100, 1_000)] * 3 + [(100, 111, 99, 105, 9_000)]
    orders = bracket_orders(1, 0, 25.0, stop=90.0, target=110.0, expire_at=2)
    done = simulate_orders(
        bars([(*FIRST, 1_000), *rows]),
        orders,
        RICH,
        instruments=Instruments(participation=0.01),
    )
    check_books(done, 1e-12)
    assert fills(done) == [(2, 10, 100), (5, -10, 110)]
    assert status(done) == ["EXPIRED", "CANCELLED", "FILLED"]


def test_a_part_fill_cancels_the_other_and_goes_on():
    """The stop sells 10 of 25 in bar 3 and 15 in bar 4; the target is gone after the first."""
    rows = [(100, 101, 99, 100, 1e6), (100, 101, 94, 96, 1_000), (96, 120, 96, 110, 1_500)]
    done = simulate_orders(
        bars([(*FIRST, 1e6), *rows]),
        bracket_orders(1, 0, 25.0, stop=95.0, target=110.0),
        RICH,
        instruments=Instruments(participation=0.01),
    )
    assert fills(done) == [(2, 25, 100), (3, -10, 95), (4, -15, 96)]
    assert status(done) == ["FILLED", "FILLED", "CANCELLED"]


def test_splits_and_delistings_reach_the_exits():
    """2 for 1 before bar 3: 20 at a stop of 47.5; a delisting ends both."""
    rows = [(100, 101, 99, 100), (50, 51, 47, 49), (50, 51, 49, 50)]
    orders = bracket_orders(1, 0, 10.0, stop=95.0, target=110.0)
    split = action_table([(3, 0, ActionKind.SPLIT, 2.0)])
    assert fills(run(rows, orders, actions=split)) == [(2, 10, 100), (3, -20, 47.5)]
    ended = action_table([(2, 0, ActionKind.DELISTING, NAN)])
    done = run(rows[:1], orders, actions=ended)
    assert fills(done) == [(2, 10, 100), (2, -10, 100)]
    assert reasons(done) == ["NONE", "DELISTED", "DELISTED"]


def test_one_cancels_the_other_without_a_parent():
    """A breakout: buy above 105 or below 95, whichever comes first; the owner's cancel still holds."""
    orders = order_table(
        [1, 1], 0, [10.0, 10.0], kind=[2, 1], stop=[105, NAN], limit=[NAN, 95], group=7
    )
    done = run([(100, 106, 99, 104), (100, 101, 90, 95)], orders)
    assert fills(done) == [(2, 10, 105)]
    assert reasons(done) == ["NONE", "OTHER_FILLED"]
    done = run([(100, 101, 94, 96), (100, 110, 96, 99)], orders)
    assert fills(done) == [(2, 10, 95)]
    later = order_table([1, 2], 0, [10.0, 10.0], kind=1, limit=[99.5, 99.5], group=0)
    assert fills(run([(100, 101, 99, 100), (100, 101, 99, 100)], later)) == [(2, 10, 99.5)]


def test_rows_are_linked_by_their_given_number():
    """Sorted by time, a child still finds its parent; the same fills either way."""
    rows = [(100, 104, 98, 103), (103, 111, 102, 109)]
    plain = run(rows, bracket_orders(1, 0, 10.0, stop=95.0, target=110.0))
    turned = order_table(
        [2, 1, 1, 1],
        0,
        [1.0, 10.0, -10.0, -10.0],
        kind=[0, 0, 2, 1],
        limit=[NAN, NAN, NAN, 110],
        stop=[NAN, NAN, 95, NAN],
        parent=[-1, -1, 1, 1],
        group=[-1, -1, 5, 5],
    )
    found = [fill for fill in fills(run(rows, turned)) if abs(fill[1]) == 10]
    assert found == fills(plain)


def test_latency_holds_for_exits_too():
    """Three units after the entry's fill at 2: bars that begin at 5 or later."""
    rows = [(100, 101, 99, 100)] * 2 + [(100, 120, 99, 100)] * 4
    orders = bracket_orders(1, 0, 10.0, stop=95.0, target=110.0)
    assert fills(run(rows, orders)) == [(2, 10, 100), (4, -10, 110)]
    done = run(rows, orders, latency=1)
    assert fills(done) == [(3, 10, 100), (5, -10, 110)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parent": [9, -1, -1]}, "order 0: its parent is none of the 3"),
        ({"parent": [-1, 2, -1]}, "order 1: its parent must come before it"),
        ({"parent": [-1, 0, -1], "asset": [0, 1, 0]}, "order 1: its parent is an order of another"),
        ({"parent": [-1, 0, -1], "size_kind": 1}, "order 1: a child is sized in shares"),
        ({"parent": [0]}, r"parent has shape \(1,\)"),
        ({"group": [-1, 4, -1]}, "order 1: it is alone in its group"),
        (
            {"group": 1, "kind": [1, 2, 1], "limit": 9.0, "stop": 9.0},
            "order 1: in a group a stop comes before a limit",
        ),
    ],
)
def test_bad_links_are_named(change, message):
    given_ = {"time": 1, "asset": 0, "size": np.ones(3)} | change
    with pytest.raises(EngineError, match=message):
        order_table(
            np.full(3, 1),
            given_.pop("asset"),
            given_.pop("size"),
            **{name: value for name, value in given_.items() if name != "time"},
        )


def test_a_bracket_inside_out_is_named():
    with pytest.raises(EngineError, match="bracket 1: stop-loss 110 and take-profit 95"):
        bracket_orders([1, 2], 0, 10.0, stop=[95.0, 110.0], target=[110.0, 95.0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_brackets_end_flat_or_guarded(seed):
    """Never both exits, never an exit without its entry, and what is held is what is guarded."""
    random = np.random.default_rng(seed)
    n_bars, n = 40, 20
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.03, (n_bars, 2)), axis=0))
    open_ = close * np.exp(random.normal(0, 0.01, close.shape))
    market = stream_from_panels(
        np.arange(n_bars),
        close,
        open=open_,
        high=np.fmax(open_, close) * 1.01,
        low=np.fmin(open_, close) * 0.99,
        volume=np.full(close.shape, 1e5),
    )
    row, asset = np.sort(random.integers(0, n_bars - 1, n)), random.integers(0, 2, n)
    side, price = random.choice([-1.0, 1.0], n), close[row, asset]
    orders = bracket_orders(
        row,
        asset,
        side * random.integers(1, 50, n),
        stop=price * (1 - side * 0.04),
        target=price * (1 + side * 0.04),
        kind=random.integers(0, 2, n),
        limit=price * (1 - side * 0.005),
        expire_at=row + 3,
    )
    done = simulate_orders(
        market, orders, Account(1e7), instruments=Instruments(participation=0.0002)
    )
    check_books(done, 1e-9)
    entry, stop, target = (done.orders["filled"][k::3] for k in range(3))
    assert not np.any((stop != 0) & (target != 0))
    assert (np.abs(stop + target) <= np.abs(entry)).all()
    at = {int(f["order"]): int(f["time"]) for f in done.fills[::-1]}
    for exit_ in range(3 * n):
        if exit_ % 3 and exit_ in at:
            assert at[exit_] > at[exit_ - exit_ % 3]
    held = np.zeros(2)
    np.add.at(held, orders.asset, done.orders["filled"])
    assert np.allclose(held, done.shares[-1])
    ended = (done.orders["status"] >= 4)[::3] & (entry == 0)
    assert (done.orders["status"][1::3][ended] >= 4).all()
