"""The state machine of orders: every transition, repeats, conflicts, and journals."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.engine.fills import Bar, FillTerms, OrderKind, TimeInForce, execute
from btq_assets.execution import orders
from btq_assets.execution.orders import (
    Accepted,
    Blotter,
    Cancelled,
    ConflictingOrderError,
    Expired,
    FillBeyondLimitError,
    Filled,
    IllegalTransitionError,
    OrderError,
    OrderState,
    OrderTerms,
    OverFillError,
    Rejected,
    Submitted,
    UnknownOrderError,
    apply,
    client_order_id,
    from_record,
    replay,
    to_record,
)

ID = client_order_id("paper", "ridge", "us20", "KO", 1)


def terms(quantity=100.0, **more):
    return OrderTerms(ID, "ridge", "us20", "KO", quantity, decided_at=1, **more)


def fill(name, quantity, price=10.0, **more):
    return Filled(5, ID, name, quantity, price, **more)


#: One event that leads to each state, and events that lead an order of 100 into each.
TO = {
    OrderState.ACCEPTED: Accepted(3, ID, "b"),
    OrderState.PARTIALLY_FILLED: fill("f1", 10.0),
    OrderState.FILLED: fill("f2", 100.0),
    OrderState.CANCELLED: Cancelled(9, ID, "owner"),
    OrderState.REJECTED: Rejected(9, ID, "no"),
    OrderState.EXPIRED: Expired(9, ID),
}
INTO = {
    OrderState.NEW: (),
    OrderState.ACCEPTED: (Accepted(2, ID),),
    OrderState.PARTIALLY_FILLED: (Accepted(2, ID), fill("f0", 30.0)),
    OrderState.FILLED: (Accepted(2, ID), fill("f0", 100.0)),
    OrderState.CANCELLED: (Cancelled(2, ID),),
    OrderState.REJECTED: (Rejected(2, ID, "no"),),
    OrderState.EXPIRED: (Expired(2, ID, "day"),),
}
#: The table of the module by hand: what may follow what.
ALLOWED = {
    ("new", "accepted"), ("new", "rejected"), ("new", "cancelled"), ("new", "expired"),
    ("accepted", "partially_filled"), ("accepted", "filled"), ("accepted", "cancelled"),
    ("accepted", "expired"),
    ("partially_filled", "partially_filled"), ("partially_filled", "filled"),
    ("partially_filled", "cancelled"), ("partially_filled", "expired"),
}  # fmt: skip


@pytest.mark.parametrize("before", list(OrderState))
@pytest.mark.parametrize("after", list(TO))
def test_every_pair_of_states_is_allowed_or_a_named_error(before, after):
    order = replay([Submitted(1, terms()), *INTO[before]])[ID]
    event = TO[after]
    if (before, after) == ("partially_filled", "filled"):
        event = fill("f2", 70.0)
    if (before.value, after.value) in ALLOWED:
        assert apply(order, event).state is after
    else:
        with pytest.raises(IllegalTransitionError, match=f"{before.value} -> "):
            apply(order, event)


def test_an_event_twice_is_one_event():
    events = [Submitted(1, terms()), Accepted(2, ID), fill("a", 40.0), fill("b", 60.0, 11.0)]
    doubled = [event for event in events for _ in range(3)]
    assert replay(doubled)[ID] == replay(events)[ID]
    assert replay(events + events)[ID] == replay(events)[ID]


def test_progress_by_hand():
    """40 at 10 and 60 at 11, costs 1 and 2: value 1060, mean 10.6, cost 3."""
    order = replay(
        [Submitted(1, terms()), Accepted(2, ID), fill("a", 40.0, commission=1.0),
         fill("b", 60.0, 11.0, spread=1.5, slippage=0.5, impact=None)]
    )[ID]  # fmt: skip
    assert (order.state, order.filled, order.value) == (OrderState.FILLED, 100.0, 1060.0)
    assert order.average_price == pytest.approx(10.6)
    assert order.cost == pytest.approx(3.0)
    assert not order.is_open
    assert order.remaining == 0.0


def test_one_id_with_other_contents_is_refused():
    order = replay([Submitted(1, terms()), Accepted(2, ID), fill("a", 40.0)])[ID]
    with pytest.raises(ConflictingOrderError, match=r"quantity 100.0 and 90.0"):
        apply(order, Submitted(1, terms(90.0)))
    with pytest.raises(ConflictingOrderError, match="fill a"):
        apply(order, fill("a", 40.0, 10.5))


def test_fills_that_cannot_be_are_refused():
    order = replay([Submitted(1, terms(limit=10.0, kind=OrderKind.LIMIT)), Accepted(2, ID)])[ID]
    with pytest.raises(OverFillError):
        apply(order, fill("a", 100.1))
    with pytest.raises(OverFillError):
        apply(order, fill("a", -10.0))
    with pytest.raises(FillBeyondLimitError, match="limit 10"):
        apply(order, fill("a", 10.0, 10.01))
    sell = replay([Submitted(1, terms(-100.0, limit=10.0, kind=OrderKind.LIMIT)), Accepted(2, ID)])[
        ID
    ]
    with pytest.raises(FillBeyondLimitError):
        apply(sell, fill("a", -10.0, 9.99))
    assert apply(sell, fill("a", -10.0, 10.01, commission=5.0)).filled == -10.0
    with pytest.raises(FillBeyondLimitError, match="spread and impact included"):
        apply(sell, fill("a", -10.0, 10.01, executed_price=9.99))
    with pytest.raises(OrderError, match="price"):
        fill("a", 10.0, 0.0)


def test_bad_terms_are_refused():
    with pytest.raises(OrderError, match="quantity"):
        terms(0.0)
    with pytest.raises(OrderError, match="LIMIT needs a positive limit"):
        terms(kind=OrderKind.LIMIT)
    with pytest.raises(OrderError, match="active_at"):
        terms(active_at=0)
    with pytest.raises(UnknownOrderError, match="never submitted"):
        replay([Accepted(1, ID)])


def test_an_error_leaves_the_blotter_as_it_was():
    blotter = Blotter([Submitted(1, terms()), Accepted(2, ID)])
    before = blotter[ID]
    with pytest.raises(OverFillError):
        blotter.record(fill("a", 500.0))
    assert blotter[ID] is before
    assert blotter.open_orders("KO") == [before]
    assert blotter.open_orders("MMM") == []
    assert blotter.filled_shares() == {}


def test_ids_differ_by_decision_and_not_by_quantity():
    same = client_order_id("paper", "ridge", "us20", "KO", 1)
    assert same == ID
    assert len(same) == 32
    others = {
        client_order_id("replay", "ridge", "us20", "KO", 1),
        client_order_id("paper", "hrp", "us20", "KO", 1),
        client_order_id("paper", "ridge", "fx", "KO", 1),
        client_order_id("paper", "ridge", "us20", "MMM", 1),
        client_order_id("paper", "ridge", "us20", "KO", 2),
        client_order_id("paper", "ridge", "us20", "KO", 1, child=1),
        client_order_id("paper", "ridge", "us20", "KO", 1, venue="A"),
    }
    assert len(others | {ID}) == 8
    # SHA-256 of the JSON list, worked with `printf '%s' '[...]' | sha256sum`
    assert ID == "83f7de21356e36cb83233c2016881630"


def test_the_order_of_the_fill_model_is_the_order_of_the_blotter():
    """A limit of 10 under a bar that falls to 9.9: one fill at 10, as in `engine.fills`."""
    asked = terms(kind=OrderKind.LIMIT, force=TimeInForce.DAY, limit=10.0)
    live = asked.live()
    bar = Bar(time=3, start=2, open=10.2, high=10.4, low=9.9, close=10.1, volume=5_000)
    done = execute(live, bar, FillTerms())
    order = replay([Submitted(1, asked), Accepted(2, ID), Filled.of(done, ID, "1", venue="paper")])[
        ID
    ]
    assert (order.filled, order.average_price, order.state) == (100.0, 10.0, OrderState.FILLED)
    assert order.fills[0].liquidity == "maker"
    assert order.fills[0].impact == 0.0


shares = st.floats(0.001, 1e6, allow_nan=False)


@st.composite
def stories(draw):
    """Any events of one order, sensible or not."""
    quantity = draw(shares) * draw(st.sampled_from([1, -1]))
    story = [Submitted(1, terms(quantity))]
    for number in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["accept", "fill", "cancel", "reject", "expire"]))
        story.append(
            {
                "accept": Accepted(number + 2, ID),
                "fill": fill(f"f{number}", quantity * draw(st.floats(0.01, 1.2)), draw(shares)),
                "cancel": Cancelled(number + 2, ID),
                "reject": Rejected(number + 2, ID, "r"),
                "expire": Expired(number + 2, ID),
            }[kind]
        )
    return story


@settings(max_examples=150, deadline=None)
@given(stories())
def test_quantity_is_conserved_and_a_journal_gives_the_order_back(story):
    blotter, kept = Blotter(), []
    for event in story:
        try:
            blotter.record(event)
            kept.append(event)
        except OrderError:
            continue
    order = blotter[ID]
    assert order.filled == pytest.approx(sum(f.quantity for f in order.fills), rel=1e-9)
    assert abs(order.filled) + order.remaining == pytest.approx(abs(order.terms.quantity))
    assert (order.state is OrderState.FILLED) == (order.remaining == 0.0)
    lines = [json.dumps(to_record(event)) for event in kept]
    again = replay(from_record(json.loads(line)) for line in lines)
    assert again[ID] == order


def test_records_of_something_else_are_refused():
    with pytest.raises(OrderError, match="not known"):
        from_record({"event": "bought"})
    with pytest.raises(OrderError, match="accepted"):
        from_record({"event": "accepted", "at": 1})
    with pytest.raises(OrderError, match="submitted"):
        from_record({"event": "submitted", "at": 1, "terms": {"kind": "SOMETIMES"}})


def test_the_table_of_transitions_is_the_one_by_hand():
    listed = {(a.value, b.value) for a, after in orders.TRANSITIONS.items() for b in after}
    assert listed == ALLOWED
