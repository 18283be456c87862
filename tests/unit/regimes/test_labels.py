"""Names of states by moments, and kept between refits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.regimes import labels


def test_states_like_the_prototypes_get_their_names_in_any_order():
    for names in itertools.permutations(labels.LABELS):
        places = np.array([labels.PROTOTYPES[name] for name in names])
        assert labels.assign(places) == names


def test_two_typical_states_are_bull_and_bear():
    # Means of 20 % and -30 % a year, volatilities of 10 % and 30 %, over a window of 20 %.
    places = labels.coordinates(
        np.array([0.20, -0.30]) / 252, np.array([0.10, 0.30]) / np.sqrt(252), 0.20 / np.sqrt(252)
    )
    np.testing.assert_allclose(places, [[1.0, -1.0], [-1.5, np.log2(1.5)]])
    assert labels.assign(places) == ("bull", "bear")


def test_a_name_is_kept_where_the_states_are_the_same_and_lost_where_moments_deny_it():
    # Two states halfway between sideways and bull: moments prefer the second as bull, barely.
    places = np.array([[0.50, -0.5], [0.55, -0.5]])
    assert labels.assign(places) == ("sideways", "bull")
    before = {"bull": np.array([0.9, 0.1]), "sideways": np.array([0.1, 0.9])}
    assert labels.assign(places, before, weight=2.0) == ("bull", "sideways")
    # A "bull" that has come to fall twice the volatility a year is one no more.
    fallen = np.array([[-2.0, 0.5], [0.5, -0.5]])
    assert labels.assign(fallen, before, weight=2.0)[0] == "bear"


def test_overlap_is_one_for_the_same_states_and_zero_for_others():
    a = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(labels.overlap(a, a[:, ::-1]), [[0, 1], [1, 0]])
    # A state that is never probable overlaps with none.
    never = np.array([[1.0, 0.0]] * 3)
    np.testing.assert_allclose(labels.overlap(a, never)[:, 1], 0)
    # cos((1, 1, 0), (1, 1, 1)) = 2 / sqrt(6).
    assert labels.overlap(a, never)[0, 0] == pytest.approx(2 / np.sqrt(6))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=2, max_size=4),
    st.permutations(range(4)),
)
def test_every_state_has_a_name_of_its_own_whatever_their_order(places, order):
    names = labels.assign(np.array(places))
    assert len(set(names)) == len(places)
    order = [k for k in order if k < len(places)]
    again = labels.assign(np.array([places[k] for k in order]))
    typical = np.array([labels.PROTOTYPES[name] for name in labels.LABELS])

    def cost(chosen, given):
        rows = [typical[labels.LABELS.index(name)] for name in chosen]
        return float(((np.array(given) - rows) ** 2).sum())

    assert cost(again, [places[k] for k in order]) == pytest.approx(cost(names, places))
