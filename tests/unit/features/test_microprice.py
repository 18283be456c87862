"""Stoikov's micro-price: the known adjustment of a generated chain is recovered, and is a martingale."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.features import microprice
from btq_assets.features.microprice import MIRROR, N_IMBALANCES, N_STATES

SERIES = ("universe", "symbol", "source", "dataset")
TICK = 1e-4
MAX_AGE = dt.timedelta(minutes=10)


def chain(stay: float) -> tuple[np.ndarray, np.ndarray]:
    """Transition matrix and up-move chances of a book whose imbalance moves by neighbours.

    From imbalance i the price goes up by a tick with chance 0.3 (2 i + 1) / 20, down with the mirror
    image's; the imbalance then starts anew, else it stays or goes to a neighbour.
    """
    i = np.arange(N_IMBALANCES)
    up = 0.3 * (2 * i + 1) / (2 * N_IMBALANCES)
    moves = up + up[::-1]
    walk = stay * np.eye(N_IMBALANCES)
    for place in i:
        for other in (max(place - 1, 0), min(place + 1, N_IMBALANCES - 1)):
            walk[place, other] += (1 - stay) / 2
    fresh = np.full((N_IMBALANCES, N_IMBALANCES), 1 / N_IMBALANCES)
    return (1 - moves)[:, None] * walk + moves[:, None] * fresh, up


def closed_form(stay: float) -> np.ndarray:
    """The fixed point g = r + P g of the chain, odd in the imbalance, by its sum of expected moves."""
    transition, up = chain(stay)
    expected = TICK * (up - up[::-1])
    total, part = np.zeros(N_IMBALANCES), expected
    for _ in range(5_000):
        total, part = total + part, transition @ part
    return total


def walk(stay: float, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """States and log mid prices of a generated book; the spread is one unit throughout."""
    transition, up = chain(stay)
    random = np.random.default_rng(seed)
    state, log_mid = np.zeros(n, int), np.zeros(n)
    state[0] = 4
    draws = random.random((n, 3))
    moves = up + up[::-1]
    still = (transition - moves[:, None] / N_IMBALANCES) / (1 - moves)[:, None]
    steps = np.cumsum(still, axis=1)
    for t in range(1, n):
        here, draw = state[t - 1], draws[t, 0]
        if draw < moves[here]:
            log_mid[t] = log_mid[t - 1] + (TICK if draw < up[here] else -TICK)
            state[t] = int(draws[t, 1] * N_IMBALANCES)
        else:
            log_mid[t] = log_mid[t - 1]
            state[t] = min(int(np.searchsorted(steps[here], draws[t, 2])), N_IMBALANCES - 1)
    return state, log_mid


@pytest.mark.parametrize("stay", [0.2, 0.9])
def test_the_adjustment_of_a_known_chain_is_recovered(stay):
    state, log_mid = walk(stay, 200_000, seed=1)
    follows = np.ones(state.size, bool)
    found = microprice.adjustment(*microprice.transitions(state, log_mid, follows))
    expected = closed_form(stay)
    # Standard error of an estimate from 200,000 steps is about a hundredth of the largest value.
    np.testing.assert_allclose(found[:N_IMBALANCES], expected, atol=0.04 * np.abs(expected).max())
    np.testing.assert_array_equal(found, -found[MIRROR])
    assert np.isnan(found[N_IMBALANCES:]).all()


def test_independent_imbalances_leave_the_next_move_alone():
    # Closed form: if the next state does not depend on this one, g is the expected next move.
    random = np.random.default_rng(3)
    n = 400_000
    state = random.integers(0, N_IMBALANCES, n)
    up = 0.5 * (2 * state + 1) / (2 * N_IMBALANCES)
    step = np.where(random.random(n) < 0.5, 0.0, np.where(random.random(n) < 2 * up, TICK, -TICK))
    log_mid = np.append(0.0, np.cumsum(step[:-1]))
    found = microprice.adjustment(*microprice.transitions(state, log_mid, np.ones(n, bool)))[
        :N_IMBALANCES
    ]
    share = (2 * np.arange(N_IMBALANCES) + 1) / (2 * N_IMBALANCES)
    np.testing.assert_allclose(found, 0.5 * TICK * (2 * share - 1), atol=0.01 * TICK)


def test_the_micro_price_is_a_martingale_where_the_mid_price_is_not():
    """On fresh steps its mean move from each state is within 4 standard errors of zero."""
    estimate = microprice.adjustment(
        *microprice.transitions(*walk(0.9, 200_000, seed=5), np.ones(200_000, bool))
    )
    state, log_mid = walk(0.9, 100_000, seed=6)

    def worst(price: np.ndarray) -> float:
        move = np.diff(price)
        scores = [
            move[state[:-1] == s].mean()
            / (move[state[:-1] == s].std() / np.sqrt((state[:-1] == s).sum()))
            for s in range(N_IMBALANCES)
        ]
        return float(np.abs(scores).max())

    assert worst(log_mid + estimate[state]) < 4
    assert worst(log_mid) > 20
    # And it is nearer to where the price will be.
    ahead = log_mid[20:] - log_mid[:-20]
    assert np.mean((ahead - estimate[state[:-20]]) ** 2) < np.mean(ahead**2)


def test_states_by_hand():
    # Imbalances 0.75, 0 and 1; spreads of 1, 2.4 and 9 units; then a crossed and an empty quote.
    found = microprice.states(
        np.array([0.01, 0.024, 0.09, -0.01, 0.01]),
        np.array([3.0, 0.0, 5.0, 1.0, 0.0]),
        np.array([1.0, 4.0, 0.0, 1.0, 0.0]),
        0.01,
    )
    assert found.tolist() == [7, 10, 29, -1, -1]
    assert MIRROR[[7, 10, 29]].tolist() == [2, 19, 20]
    assert (MIRROR[MIRROR] == np.arange(N_STATES)).all()


def quotes_of(stay: float, per_day: int, days: int, seed: int) -> pl.DataFrame:
    """Quotes of a generated book, `per_day` on each of some days."""
    state, log_mid = walk(stay, per_day * days, seed)
    mid = 100 * np.exp(log_mid)
    share = (state + 0.5) / N_IMBALANCES
    first = dt.datetime(2024, 1, 1, 9, tzinfo=dt.UTC)
    stamps = [first + dt.timedelta(days=n // per_day, seconds=n % per_day) for n in range(mid.size)]
    return pl.DataFrame(
        {
            **dict.fromkeys(SERIES, "x"), "known_at": stamps,
            "bid_price": mid - 0.005, "ask_price": mid + 0.005, "mid_price": mid,
            "bid_quantity": 10 * share, "ask_quantity": 10 * (1 - share),
        }
    )  # fmt: skip


def test_a_day_is_judged_by_the_days_before_it_alone():
    quotes = quotes_of(0.9, 3_000, 3, seed=9)
    found = microprice.with_adjustment(quotes, SERIES, MAX_AGE)["_adjustment"]
    assert found[:3_000].is_null().all()
    state, log_mid = walk(0.9, 9_000, seed=9)
    for day in (1, 2):
        past = slice(0, 3_000 * day)
        follows = np.arange(3_000 * day) % 3_000 > 0  # no transition over a night
        own = microprice.adjustment(*microprice.transitions(state[past], log_mid[past], follows))
        today = slice(3_000 * day, 3_000 * (day + 1))
        np.testing.assert_allclose(found[today].to_numpy(), own[state[today]], rtol=1e-6)
    # Cut anywhere, the past stays as it was.
    for cut in (3_001, 5_000, 6_001):
        again = microprice.with_adjustment(quotes.head(cut), SERIES, MAX_AGE)["_adjustment"]
        assert again.equals(found.head(cut))


def test_too_few_quotes_or_states_apart_have_no_micro_price():
    few = quotes_of(0.9, 15, 2, seed=4)
    assert microprice.with_adjustment(few, SERIES, MAX_AGE)["_adjustment"].is_null().all()
    # Two states that never meet, one with rising prices: no one price makes both martingales.
    counts, moves = np.zeros((2, N_STATES, N_STATES))
    counts[7, 7], moves[7, 7] = 100, 1.0
    assert np.isnan(microprice.adjustment(counts, moves)).all()
    assert microprice.with_adjustment(few.clear(), SERIES, MAX_AGE).is_empty()
    spoilt = few.with_columns(bid_quantity=pl.lit(None, pl.Float64), mid_price=pl.lit(float("nan")))
    assert microprice.with_adjustment(spoilt, SERIES, MAX_AGE)["_adjustment"].is_null().all()
