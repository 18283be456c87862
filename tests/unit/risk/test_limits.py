"""Limits: what breaches, what does not."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.config import TradingConfig, TradingSection
from btq_assets.risk.limits import (
    LimitError,
    OrderLimits,
    ProposedOrder,
    TradingState,
    admit,
    breaches,
    order_breaches,
)

LIMITS = TradingSection(max_position_size=0.25, max_drawdown_threshold=0.15)


def weights(*values):
    return pl.DataFrame(
        {"strategy": "s", "symbol": [f"S{i}" for i in range(len(values))], "weight": values}
    )


def test_within_limits_nothing_is_breached():
    assert breaches(weights(0.25, -0.25), {"s": np.array([1.0, 2.0, 1.7])}, LIMITS) == []


def test_long_short_and_drawdown_breaches_are_named():
    found = breaches(weights(0.26, -0.3), {"s": np.array([1.0, 2.0, 1.6])}, LIMITS)
    assert [(b.limit, b.detail) for b in found] == [
        ("max_drawdown_threshold", "drawdown at the last bar"),
        ("max_position_size", "S0"),
        ("max_position_size", "S1"),
    ]
    assert [b.value for b in found] == pytest.approx([0.2, 0.26, 0.3])


def test_a_drawdown_that_was_made_good_is_no_breach():
    assert breaches(weights(0.1), {"s": np.array([1.0, 0.5, 1.0])}, LIMITS) == []


MINUTE = 60_000_000_000


def ask(quantity, price=10.0, reference=10.0, symbol="A", now=MINUTE, **state):
    """Breaches of one order; equity 1,000, and unless said otherwise nothing held."""
    known = {"equity": 1_000.0, "peak_equity": 1_000.0} | state
    order = ProposedOrder(symbol, quantity, price, reference)
    return {
        b.limit: b.value for b in order_breaches(order, TradingState(**known), OrderLimits(), now)
    }


def test_each_limit_on_orders_by_hand():
    """Equity 1,000; limits 25 %, gross and net 100 %, turnover 200 %, collar 10 %, drawdown 15 %."""
    assert ask(25.0) == {}
    assert ask(26.0) == {"max_position": pytest.approx(0.26)}
    assert ask(-26.0) == {"max_position": pytest.approx(0.26)}
    full = {"B": 250.0, "C": 250.0, "D": 250.0, "E": 200.0}
    assert ask(5.0, holdings=dict(full)) == {}
    assert ask(6.0, holdings=dict(full)) == {
        "max_gross": pytest.approx(1.01),
        "max_net": pytest.approx(1.01),
    }
    # short 60 against 950 long: gross 1.01, and the net falls
    assert ask(-6.0, holdings=dict(full)) == {"max_gross": pytest.approx(1.01)}
    assert ask(5.0, traded_value=1_950.0) == {}
    assert ask(5.1, traded_value=1_950.0) == {"max_turnover": pytest.approx(2.001)}
    assert ask(1.0, price=11.0) == {}
    assert ask(1.0, price=11.01) == {"price_collar": pytest.approx(0.101)}
    assert ask(1.0, price=8.99) == {"price_collar": pytest.approx(0.101)}
    assert ask(1.0, peak_equity=1_000 / 0.85) == {}
    assert ask(1.0, peak_equity=1_250.0) == {"max_drawdown": pytest.approx(0.2)}
    assert list(ask(1.0, equity=-1.0)) == ["max_drawdown"]


def test_what_cannot_be_compared_is_refused():
    assert list(ask(1.0, price=np.nan)) == ["price_collar"]
    assert list(ask(1.0, reference=0.0)) == ["price_collar"]
    assert list(ask(np.nan)) == ["price_collar"]
    with pytest.raises(LimitError, match="peak"):
        ask(1.0, peak_equity=999.0)
    with pytest.raises(LimitError, match="max_gross"):
        OrderLimits(max_gross=0.0)


def test_a_position_may_always_shrink_and_not_turn_over():
    crowded = {"A": 900.0, "B": 900.0}
    held = {"holdings": crowded, "peak_equity": 2_000.0, "traded_value": 5_000.0}
    assert ask(-90.0, **held) == {}  # to flat
    assert ask(-90.0, price=5.0, **held) == {"price_collar": 0.5}
    assert "max_drawdown" in ask(-91.0, **held)  # through flat


def test_the_rate_counts_sixty_seconds_and_admitted_orders_count_for_the_next():
    sent = list(range(1, 301))
    assert ask(1.0, sent_at=sent, now=MINUTE) == {"max_orders_per_minute": 301}
    assert ask(1.0, sent_at=sent, now=MINUTE + 1) == {}
    state = TradingState(1_000.0, 1_000.0)
    orders = [ProposedOrder("A", 15.0, 10.0, 10.0)] * 2 + [ProposedOrder("A", -5.0, 10.0, 10.0)]
    answers = admit(orders, state, OrderLimits(), MINUTE)
    assert [[b.limit for b in found] for found in answers] == [[], ["max_position"], []]
    assert state.holdings == {"A": 100.0}
    assert state.traded_value == 200.0
    assert len(state.sent_at) == 2


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ABCDEF"),
            st.floats(-60, 60).filter(bool),
            st.floats(8.0, 12.0),
        ),
        max_size=40,
    )
)
def test_whatever_is_sent_the_book_stays_within_its_limits(wanted):
    """Starting flat, at one mark price: no sequence of admitted orders leads beyond a limit."""
    state, limits = TradingState(1_000.0, 1_000.0), OrderLimits()
    orders = [ProposedOrder(symbol, shares, 10.0, quote) for symbol, shares, quote in wanted]
    answers = admit(orders, state, limits, MINUTE)
    values = np.array([*state.holdings.values(), 0.0])
    assert np.abs(values).max() <= 250 + 1e-6
    assert np.abs(values).sum() <= 1_000 + 1e-6
    assert abs(values.sum()) <= 1_000 + 1e-6
    sent = sum(o.quantity for o, found in zip(orders, answers, strict=True) if not found)
    assert values.sum() == pytest.approx(10 * sent)


def test_limits_are_those_of_the_configuration():
    config = TradingConfig(
        trading={"max_position_size": 0.2, "max_drawdown_threshold": 0.1},
        portfolio={"max_gross_exposure": 1.5},
        execution={"max_net_exposure": 0.5, "price_collar": 0.03, "max_orders_per_minute": 7},
    )
    assert OrderLimits.of(config) == OrderLimits(0.2, 0.1, 1.5, 0.5, 2.0, 0.03, 7)
