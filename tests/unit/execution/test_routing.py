"""The router against linear programming, against every split, and against one venue alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from btq_assets.engine.codes import OrderKind
from btq_assets.engine.fills import FillTerms, Quote, execute
from btq_assets.execution.events import OrderTerms
from btq_assets.execution.routing import (
    RouteTerms,
    RoutingError,
    Venue,
    route,
    share_costs,
)


def test_a_split_by_hand():
    """Buy 300. A: 100 at 10.00 and 200 at 10.02, fee 0; B: 150 at 10.01, fee 5 bps = 0.005005.

    A's first 100 cost 10.00, B's 150 cost 10.015005, A's next 10.02: 100 + 50 to A, 150 to B.
    Against 10.00: A 50 * 0.02 = 1, B 150 * 0.015005 = 2.25075.
    """
    a = Venue("A", [10.00, 10.02], [100, 200])
    b = Venue("B", [10.01], [150], fee_bps=5.0)
    done = route(300, [a, b])
    assert [(leg.venue, leg.quantity, leg.limit) for leg in done.legs] == [
        ("A", 150.0, 10.02),
        ("B", 150.0, 10.01),
    ]
    assert [leg.expected_cost for leg in done.legs] == pytest.approx([1.0, 2.25075])
    assert (done.reference, done.unrouted) == (10.0, 0.0)
    held = route(300, [a, b], limit=10.01)
    assert [leg.quantity for leg in held.legs] == [100.0, 150.0]
    assert held.unrouted == 50.0
    assert route(600, [a, b]).unrouted == 150.0


def test_fees_latency_fade_and_hidden_costs_each_move_shares_away():
    """Two equal books: whatever one of them costs more, the other gets the order first."""
    plain = Venue("A", [10.0], [100])
    terms = RouteTerms(volatility=0.02, latency_aversion=1.0)
    for worse in (
        Venue("B", [10.0], [100], fee_bps=1.0),
        Venue("B", [10.0], [100], latency_ns=1_000_000),
        Venue("B", [10.0], [100], hidden_cost_bps=1.0),
    ):
        for side in (1, -1):
            done = route(side * 100, [worse, plain], terms)
            assert [(leg.venue, leg.quantity) for leg in done.legs] == [("A", side * 100.0)]
    faded = route(100, [Venue("B", [10.0], [100], fade=0.25)])
    assert faded.unrouted == 25.0
    # a journey of one second at 2 % a day: 0.02 / sqrt(86,400) of the price
    cost, _ = share_costs(Venue("B", [10.0], [1], latency_ns=10**9), 1, terms)
    assert cost[0] == pytest.approx(10 * (1 + 0.02 / np.sqrt(86_400)))
    rebate, _ = share_costs(Venue("B", [10.0], [1], fee_bps=-2.0), -1, terms)
    assert rebate[0] == pytest.approx(-10.002)


@st.composite
def markets(draw, max_levels=4, most=5, unit=1.0):
    side = draw(st.sampled_from([1, -1]))
    venues = []
    for number in range(draw(st.integers(1, 4))):
        n = draw(st.integers(1, max_levels))
        steps = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
        prices = 10.0 + side * 0.01 * np.cumsum(steps)
        sizes = unit * np.array(draw(st.lists(st.integers(0, most), min_size=n, max_size=n)))
        venues.append(
            Venue(
                f"V{number}",
                prices,
                sizes,
                fee_bps=draw(st.sampled_from([-2.0, 0.0, 1.0, 5.0])),
                latency_ns=draw(st.sampled_from([0, 10**6, 10**9])),
                fade=draw(st.sampled_from([0.0, 0.3])),
                hidden_cost_bps=draw(st.sampled_from([0.0, 0.5, 3.0])),
            )
        )
    return side, venues


TERMS = RouteTerms(volatility=0.02, latency_aversion=0.5)


@settings(max_examples=60, deadline=None)
@given(markets(most=500), st.floats(0.01, 1.0))
def test_greedy_is_the_linear_programme_s_optimum(market, part):
    """scipy's HiGHS: min c'x, sum x = Q, 0 <= x <= size."""
    side, venues = market
    costs, sizes = zip(*(share_costs(v, side, TERMS) for v in venues), strict=True)
    cost, size = np.concatenate(costs), np.concatenate(sizes)
    wanted = part * size.sum()
    if wanted <= 0:
        return
    best = linprog(cost, A_eq=np.ones((1, size.size)), b_eq=[wanted], bounds=np.c_[0 * size, size])
    done = route(side * wanted, venues, TERMS)
    total = done.expected_cost + side * done.reference * wanted
    assert total == pytest.approx(best.fun, rel=1e-9, abs=1e-7)
    assert done.unrouted == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(markets(max_levels=2, most=3, unit=100.0))
def test_with_lots_no_other_split_is_cheaper(market):
    """Every split in whole lots, each venue filled from its best level: brute force."""
    side, venues = market
    venues = [v for v in venues if np.sum(v.sizes) > 0][:3]
    terms = RouteTerms(0.02, 0.5, lot=100.0)
    books = [share_costs(v, side, terms) for v in venues]
    room = [int(size.sum() / 100) for _, size in books]
    if not sum(room):
        return
    wanted = max(1, sum(room) // 2)

    def cost_of(book, lots):
        cost, size = book
        taken = np.diff(np.minimum(np.cumsum(size), 100.0 * lots), prepend=0.0)
        return float(taken @ cost)

    best = min(
        sum(cost_of(book, k) for book, k in zip(books, split, strict=True))
        for split in itertools.product(*(range(n + 1) for n in room))
        if sum(split) == wanted
    )
    done = route(side * wanted * 100.0, venues, terms)
    assert done.expected_cost + side * done.reference * wanted * 100 == pytest.approx(best)
    assert all(leg.quantity % 100 == 0 for leg in done.legs)


@settings(max_examples=150, deadline=None)
@given(markets(most=500), st.integers(1, 3_000), st.one_of(st.none(), st.integers(-5, 12)))
def test_shares_are_conserved_within_books_and_limit_and_never_dearer_than_one_venue(
    market, shares, ticks
):
    side, venues = market
    limit = None if ticks is None else 10.0 + side * 0.01 * ticks
    done = route(side * float(shares), venues, TERMS, limit=limit)
    routed = sum(leg.quantity for leg in done.legs)
    assert routed + done.unrouted == pytest.approx(side * shares)
    assert abs(done.unrouted) <= shares
    by_name = {v.name: v for v in venues}
    for leg in done.legs:
        venue = by_name[leg.venue]
        assert abs(leg.quantity) <= np.sum(venue.sizes) * (1 - venue.fade) + 1e-9
        assert leg.quantity * side > 0
        if limit is not None:
            assert side * (leg.limit - limit) <= 1e-12
    for venue in venues:
        alone = route(side * float(shares), [venue], TERMS, limit=limit)
        assert abs(alone.unrouted) >= abs(done.unrouted) - 1e-9
        if alone.unrouted == 0:
            offset = side * (alone.reference - done.reference) * shares
            assert done.expected_cost <= alone.expected_cost + offset + 1e-7


def test_children_are_limit_orders_that_the_fill_model_fills_within_their_limit():
    parent = OrderTerms("p", "s", "u", "A", 300.0, decided_at=0)
    venues = [Venue("A", [10.00, 10.02], [100, 200]), Venue("B", [10.01], [150], fee_bps=5.0)]
    children = route(300, venues).children(parent, account="paper")
    assert [child.venue for child in children] == ["A", "B"]
    assert {child.kind for child in children} == {OrderKind.LIMIT}
    assert {child.parent_id for child in children} == {"p"}
    assert sum(child.quantity for child in children) == 300.0
    again = route(300, venues).children(parent, account="paper")
    assert [c.client_id for c in again] == [c.client_id for c in children]
    later = route(300, venues).children(parent, account="paper", attempt=1)
    assert len({c.client_id for c in (*children, *later)}) == 4
    fill = execute(
        children[1].live(), Quote(time=1, bid=9.99, ask=10.01, ask_size=150), FillTerms()
    )
    assert (fill.quantity, fill.executed_price) == (150.0, pytest.approx(10.01))
    beyond = execute(
        children[1].live(), Quote(time=1, bid=9.99, ask=10.02, ask_size=150), FillTerms()
    )
    assert beyond is None


def test_slices_of_a_schedule_routed_to_one_venue_keep_ids_apart():
    from btq_assets.execution.schedules import twap

    parent = OrderTerms("p", "s", "u", "A", 300.0, decided_at=0)
    venue = Venue("A", [10.0], [1_000])
    ids = [
        child.client_id
        for piece in twap(300.0, 0, 30, 3).children(parent, account="paper")
        for child in route(piece.quantity, [venue]).children(piece, account="paper")
    ]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Venue("A", [10.0], [1, 2]), "A: 1 prices and 2 sizes"),
        (lambda: Venue("A", [0.0], [1]), "positive"),
        (lambda: Venue("A", [10.0], [1], fade=1.0), "fade"),
        (lambda: Venue("A", [10.0], [1], fee_bps=np.nan), "fee_bps"),
        (lambda: RouteTerms(lot=-1.0), "lot"),
        (lambda: route(0.0, [Venue("A", [10.0], [1])]), "quantity"),
        (lambda: route(150.0, [Venue("A", [10.0], [1])], RouteTerms(lot=100)), "multiple"),
        (lambda: route(1.0, [Venue("A", [10.0], [1])] * 2), "twice"),
        (lambda: route(1.0, [Venue("A", [], [])]), "no venue"),
        (lambda: route(1.0, [Venue("A", [10.1, 10.0], [1, 1])]), "best price to the worst"),
        (lambda: route(-1.0, [Venue("A", [10.0], [1], fee_bps=10_000)]), "leave nothing"),
    ],
)
def test_what_cannot_be_routed_is_named(wrong, message):
    with pytest.raises(RoutingError, match=message):
        wrong()
