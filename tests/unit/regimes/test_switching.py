"""Named states through refits: planted regimes, labels that stay, failed fits."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from btq_assets.config import RegimesSection
from btq_assets.regimes import RegimeError, switching


@pytest.fixture(scope="module")
def rows(market_bars, small) -> pl.DataFrame:
    return switching.market_states(market_bars, "us20", small)


def test_a_planted_fall_is_seen_within_ten_sessions(market):
    # Quiet rises of 20 % a year at 8 %, wild falls of -60 % at 35 %, in spells of 120.
    fall = (np.arange(1_600) // 120) % 2 == 1
    random = np.random.default_rng(0)
    returns = random.normal(
        np.where(fall, -0.6, 0.2) / 252, np.where(fall, 0.35, 0.08) / np.sqrt(252)
    )
    settings = RegimesSection(refit_every_sessions=252, market_states={"n_states": 2})
    found = switching.market_states(market(returns), "us20", settings)
    state = found["state"].to_numpy()
    planted = np.where(fall, "bear", "bull")[-found.height :]
    assert (state == planted).mean() > 0.93
    begins = np.flatnonzero(np.diff(fall.astype(int)[-found.height :]) == 1) + 1
    assert all((state[begin : begin + 10] == "bear").any() for begin in begins)
    # The same states keep their names from refit to refit.
    assert found["matched_share"].drop_nulls().min() > 0.95
    assert set(state) == {"bear", "bull"}


def test_probabilities_are_filtered_by_the_fit_in_force(rows, market_bars, small):
    from btq_assets.regimes.gaussian_states import filtered_probabilities, fit
    from btq_assets.regimes.panel import panel_of

    # The second refit follows return 341 and looks back 300 returns.
    market = panel_of(market_bars, "us20").market[:, None]
    model = fit(market[42:342], small.market_states, 2)
    expected = np.sort(filtered_probabilities(market[42:400], model)[-1])
    row = rows.row(400 - 1 - 251, named=True)
    found = [row[f"p_{name}"] for name in ("bull", "bear", "sideways", "volatile")]
    assert np.sort([p for p in found if p is not None]) == pytest.approx(expected, rel=1e-9)
    assert sum(p is None for p in found) == 4 - model.n_states


@pytest.mark.parametrize("policy", ["previous", "null", "error"])
def test_a_failed_fit_is_handled_as_configured(policy, rows, market_bars, small, monkeypatch):
    real, calls = switching.fit, []

    def second_fails(*given):
        calls.append(1)
        return None if len(calls) == 2 else real(*given)

    monkeypatch.setattr(switching, "fit", second_fails)
    settings = small.model_copy(update={"on_failed_fit": policy})
    if policy == "error":
        with pytest.raises(RegimeError, match="on_failed_fit"):
            switching.market_states(market_bars, "us20", settings)
        return
    found = switching.market_states(market_bars, "us20", settings)
    second = found[90:180]
    assert found["converged"][:90].all()
    assert not second["converged"].any()
    assert found["converged"][180:].all()
    if policy == "previous":
        assert (second["fitted_until"] == rows["fitted_until"][0]).all()
        assert second["state"].null_count() == 0
    else:
        assert second["state"].null_count() == second["p_bull"].null_count() == 90
        assert second["fitted_until"].null_count() == second["n_states"].null_count() == 90
    # Names are matched with the last usable fit all the same.
    assert found["matched_share"][180:].null_count() == 0


def test_inputs_of_the_hidden_model_by_hand(market):
    moves = np.random.default_rng(3).normal(0, 0.01, (80, 3))
    from btq_assets.regimes.panel import panel_of

    section = RegimesSection().hidden_states.model_copy(
        update={"volatility_window_sessions": 10, "correlation_window_sessions": 20}
    )
    inputs = switching.hidden_inputs(panel_of(market(moves), "us20"), section)
    equal = np.log1p(np.expm1(moves).mean(axis=1))
    correlation = np.corrcoef(moves[60:], rowvar=False)[np.triu_indices(3, 1)].mean()
    assert np.isnan(inputs[:19, 2]).all()
    assert inputs[79] == pytest.approx(
        [equal[79], 0.5 * np.log(252 * (equal[70:] ** 2).mean()), np.arctanh(correlation)]
    )


def test_every_refit_is_named_by_the_fit_before(market_bars, small, monkeypatch):
    real, given = switching.naming.assign, []

    def assign(places, previous=None, weight=0.0):
        given.append((previous, weight))
        return real(places, previous, weight)

    monkeypatch.setattr(switching.naming, "assign", assign)
    switching.market_states(market_bars, "us20", small)
    assert given[0][0] is None
    assert len(given) > 2
    for previous, weight in given[1:]:
        assert weight == small.market_states.label_weight > 0
        assert set(previous) <= {"bull", "bear", "sideways", "volatile"}
        assert all(0 <= overlap.max() <= 1 + 1e-9 for overlap in previous.values())
