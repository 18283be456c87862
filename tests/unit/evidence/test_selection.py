"""Expected values: the same statistics by hand on the ledger's own series."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from btq_assets.contracts import backtest, evidence
from btq_assets.evidence.controls import planted_edges
from btq_assets.evidence.overfitting import probability_of_overfitting
from btq_assets.evidence.selection import (
    SelectionSettings,
    competitions,
    overfitting_ranks,
    overfittings,
    selection_tables,
)
from btq_assets.evidence.sharpe import probabilistic_sharpe, sharpe_moments
from btq_assets.evidence.trials import trial_rows

START = dt.datetime(2005, 1, 3, 21, tzinfo=dt.UTC)
SETTINGS = SelectionSettings(n_blocks=8, mean_block=5, n_samples=200)


def house(n_candidates=11, n=400, seed=0, versions=("a",)):
    """Runs, equity and both ledgers of independent candidates beside 1/N."""
    random = np.random.default_rng(seed)
    stamps = [START + dt.timedelta(days=k) for k in range(n)]
    runs, equity, trials, returns = [], [], [], []
    for name in [*(f"c{k:02d}" for k in range(n_candidates)), "one_over_n"]:
        role = "baseline" if name == "one_over_n" else "candidate"
        runs.append({"run_id": f"r-{name}", "strategy": name, "universe": "u", "role": role})
        for version in versions:
            series = pl.DataFrame({"ts": stamps, "net_return": random.normal(4e-4, 0.01, n)})
            rows = trial_rows(
                series, strategy=name, universe="u", purpose=role, config={}, data_hash="d",
                code_version=version, seed=0, run_id="run",
                recorded_at=START + dt.timedelta(days=ord(version)),
            )  # fmt: skip
            trials.append(rows[0])
            returns.append(rows[1])
        equity.append(series.with_columns(run_id=pl.lit(f"r-{name}"), strategy=pl.lit(name)))
    schema = {k: backtest.RUNS.schema[k] for k in ("run_id", "strategy", "universe", "role")}
    return (
        pl.DataFrame(runs, schema=schema),
        pl.concat(equity),
        pl.concat(trials),
        pl.concat(returns),
    )


def test_only_the_series_that_are_compared_are_read():
    """Three versions of eleven candidates and 1/N: 36 series, of which eleven are asked for."""
    runs, equity, trials, returns = house(versions=("a", "b", "c"))
    asked = []

    def read(names):
        asked.append(list(names))
        return returns.filter(pl.col("trial_id").is_in(names))

    (one,) = competitions(runs, equity, trials, read)
    (whole,) = competitions(runs, equity, trials, returns)
    assert len(asked) == 1
    assert asked[0] == one.trials["trial_id"].to_list()
    assert len(asked[0]) == 11 < trials.height == 36
    assert one.returns.tolist() == whole.returns.tolist()
    assert one.n_counted == whole.n_counted == 33


def test_each_figure_is_that_of_the_series_in_the_ledger():
    runs, equity, trials, returns = house()
    (one,) = competitions(runs, equity, trials, returns)
    table, standing = selection_tables([one], SETTINGS)
    assert table.schema == evidence.SELECTION.schema
    assert standing.schema == evidence.DISCOVERIES.schema
    row = table.row(0, named=True)
    columns = [
        equity.filter(pl.col("strategy") == name)["net_return"].to_numpy()
        for name in (*(f"c{k:02d}" for k in range(11)), "one_over_n")
    ]
    by_hand = probability_of_overfitting(np.column_stack(columns[:-1]), n_blocks=8)
    assert row["overfitting_probability"] == by_hand.probability
    assert (row["overfitting_splits"], row["n_returns"]) == (70, 400)
    assert row["years"] == pytest.approx(400 / 252)
    gamma = 0.5772156649015329
    maximum = (1 - gamma) * norm.ppf(1 - 1 / 11) + gamma * norm.ppf(1 - 1 / (11 * np.e))
    assert row["minimum_backtest_years"] == pytest.approx(maximum**2)
    m = sharpe_moments(columns[3] - columns[-1])
    own = standing.filter(pl.col("strategy") == "c03").row(0, named=True)
    expected = 1 - probabilistic_sharpe(m.sharpe, m.n, m.skewness, m.kurtosis)
    assert own["p_value"] == pytest.approx(expected)


def test_older_versions_are_counted_and_compared_once():
    runs, equity, trials, returns = house(versions=("a", "b"))
    (one,) = competitions(runs, equity, trials, returns)
    assert one.n_counted == 22
    assert one.trials["code_version"].unique().to_list() == ["b"]
    np.testing.assert_array_equal(
        one.returns[:, 0], equity.filter(pl.col("strategy") == "c00")["net_return"]
    )


def test_an_order_of_the_ledgers_does_not_matter():
    runs, equity, trials, returns = house()
    mixed = (frame.sample(fraction=1, shuffle=True, seed=3) for frame in (trials, returns))
    first = selection_tables(competitions(runs, equity, trials, returns), SETTINGS)
    again = selection_tables(competitions(runs, equity, *mixed), SETTINGS)
    assert first[0].equals(again[0])
    assert first[1].equals(again[1])


def test_few_candidates_and_few_days_are_not_judged_and_say_so():
    for made, words in ((house(9), "9 candidates"), (house(11, 39), "39 days")):
        table, standing = selection_tables(competitions(*made), SETTINGS)
        row = table.row(0, named=True)
        assert words in row["note"]
        assert row["overfitting_probability"] is None
        assert row["spa_consistent_p"] is None
        assert standing["superior"].null_count() == standing.height
        assert planted_edges(competitions(*made), SETTINGS) == []


def test_an_edge_planted_in_the_worst_is_found_and_one_that_tests_cannot_see_is_not():
    found = competitions(*house())
    (answer,) = planted_edges(found, SETTINGS)
    assert answer.found
    means = found[0].returns.mean(axis=0)
    assert answer.strategy == found[0].trials["strategy"][int(means.argmin())]
    # The same question to a bootstrap too small to say anything at 5 %.
    blind = SelectionSettings(n_blocks=8, mean_block=200, n_samples=3, seed=4)
    broken = planted_edges([_without_difference(found[0])], blind)
    assert not broken[0].found


def _without_difference(one):
    """Trials so wild that ten standard errors of the mildest are lost among them."""
    from dataclasses import replace

    returns = one.returns.copy()
    returns[:, 1:] += np.random.default_rng(5).standard_t(1.5, returns[:, 1:].shape)
    return replace(one, returns=returns)


def test_a_candidate_that_held_one_over_n_is_no_discovery():
    runs, equity, trials, returns = house()
    (one,) = competitions(runs, equity, trials, returns)
    one.returns[:, 4] = one.reference
    _, standing = selection_tables([one], SETTINGS)
    row = standing.row(4, named=True)
    assert row["p_value"] is None
    assert row["superior"] is False


def test_the_stored_ranks_are_those_behind_the_stored_probability():
    found = competitions(*house())
    judged = overfittings(found, SETTINGS)
    ranks = overfitting_ranks(found, judged)
    row = selection_tables(found, SETTINGS, judged)[0].row(0, named=True)
    assert ranks.schema == evidence.OVERFITTING_RANKS.schema
    assert ranks["n_splits"].sum() == row["overfitting_splits"] == 70
    assert ranks.filter(pl.col("logit") <= 0)["share"].sum() == pytest.approx(
        row["overfitting_probability"]
    )
    assert ranks["loss_share"].sum() == pytest.approx(row["loss_probability"])
    assert ranks["rank"].is_between(1, row["n_compared"]).all()


def test_what_cannot_be_judged_has_no_ranks():
    found = competitions(*house(n_candidates=4))
    assert overfitting_ranks(found, overfittings(found, SETTINGS)).is_empty()
