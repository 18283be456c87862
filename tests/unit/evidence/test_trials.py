"""Identity of trials: what makes two trials the same, and what makes them compete."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.evidence import TRIAL_RETURNS, TRIALS
from btq_assets.evidence.trials import TrialError, count_trials, frequency_of, trial_rows

START = dt.datetime(2005, 1, 3, 21, tzinfo=dt.UTC)
NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def series(n=300, seed=0, step=1):
    values = np.random.default_rng(seed).normal(1e-4, 0.01, n).tolist()
    return pl.DataFrame(
        {
            "ts": [START + dt.timedelta(days=step * i) for i in range(n + 1)],
            "net_return": [None, *values],
        },
        schema={"ts": pl.Datetime("us", "UTC"), "net_return": pl.Float64},
    )


def rows(returns=None, **changes):
    settings = {
        "strategy": "ridge",
        "universe": "us20",
        "purpose": "candidate",
        "config": {"alpha": 1.0, "costs": {"bps": 2}},
        "data_hash": "d",
        "code_version": "c",
        "seed": 7,
        "run_id": "r",
        "recorded_at": NOW,
    }
    return trial_rows(series() if returns is None else returns, **(settings | changes))


def test_rows_fit_their_contracts():
    for frame, contract in zip(rows(), (TRIALS, TRIAL_RETURNS), strict=True):
        assert violations(cast_to_contract(frame, contract), contract).is_empty()
    trial, returns = rows()
    assert trial["n_returns"][0] == returns.height == 300
    assert trial["first_ts"][0] == START + dt.timedelta(days=1)
    values = series()["net_return"].drop_nulls().to_numpy()
    assert trial["sharpe_per_period"][0] == pytest.approx(values.mean() / values.std(ddof=1))


def test_identical_rerun_has_the_same_key_whoever_and_whenever():
    one, _ = rows()
    two, _ = rows(run_id="other", recorded_at=NOW + dt.timedelta(days=1))
    reordered, _ = rows(config={"costs": {"bps": 2}, "alpha": 1.0})
    assert one["trial_id"][0] == two["trial_id"][0] == reordered["trial_id"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"alpha": 2.0}},
        {"data_hash": "e"},
        {"seed": 8},
        {"code_version": "x"},
        {"strategy": "lightgbm"},
        {"universe": "fx"},
    ],
)
def test_any_part_of_the_identity_makes_another_trial(change):
    assert rows(**change)[0]["trial_id"][0] != rows()[0]["trial_id"][0]


def test_question_is_universe_dates_and_frequency():
    base = rows()[0]["question"][0]
    assert rows(strategy="x", config={}, seed=1, returns=series(seed=5))[0]["question"][0] == base
    assert rows(universe="fx")[0]["question"][0] != base
    assert rows(returns=series(299))[0]["question"][0] != base
    # Same first and last day, other frequency.
    weekly = series().filter(pl.int_range(pl.len()) % 13 != 5)
    assert rows(returns=weekly)[0]["question"][0] == base
    sparse = series().filter((pl.int_range(pl.len()) - 1) % 23 == 0)
    assert rows(returns=sparse)[0]["last_ts"][0] == rows()[0]["last_ts"][0]
    assert rows(returns=sparse)[0]["question"][0] != base


@pytest.mark.parametrize(
    ("days", "name"),
    [(0.1, "intraday"), (1, "day"), (7, "week"), (30, "month"), (91, "quarter"), (365, "year")],
)
def test_frequency_by_the_median_gap(days, name):
    assert frequency_of(series(20, step=days)["ts"]) == name


def test_only_candidates_of_the_question_count():
    ledger = pl.concat(
        [
            rows(seed=1)[0],
            rows(seed=2)[0],
            rows(seed=1)[0],
            rows(seed=3, purpose="baseline")[0],
            rows(seed=4, purpose="replica")[0],
            rows(seed=5, universe="fx")[0],
        ]
    )
    assert count_trials(ledger, rows()[0]["question"][0]) == 2


@pytest.mark.parametrize(
    ("returns", "changes", "message"),
    [
        (series(1), {}, "at least two"),
        (pl.concat([series(), series()]), {}, "twice"),
        (series().with_columns(net_return=pl.lit(float("inf"))), {}, "infinite"),
        (series(), {"purpose": "champion"}, "champion"),
    ],
)
def test_bad_trials_are_refused(returns, changes, message):
    with pytest.raises(TrialError, match=message):
        rows(returns, **changes)


def test_constant_returns_have_no_sharpe():
    flat = series().with_columns(net_return=pl.lit(0.0))
    assert rows(flat)[0]["sharpe_per_period"][0] is None
