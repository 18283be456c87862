"""From ledger to table: counting, refusing, matching. Formulas are tested in test_sharpe."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.evidence import DEFLATED_SHARPE, DEFLATION_CURVES, GATES
from btq_assets.evidence.deflation import (
    deflated_sharpe_table,
    deflation_curves,
    missing_trials,
)
from btq_assets.evidence.gates import deflated_sharpe_answers, gate_rows
from btq_assets.evidence.sharpe import deflated_sharpe, sharpe_moments
from btq_assets.evidence.trials import trial_rows

START = dt.datetime(2005, 1, 3, 21, tzinfo=dt.UTC)
NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
N = 400


def returns(seed, mean=3e-4, sd=0.01):
    return np.random.default_rng(seed).normal(mean, sd, N)


def equity_of(strategy, values):
    return pl.DataFrame(
        {
            "run_id": f"run of {strategy}",
            "strategy": strategy,
            "ts": [START + dt.timedelta(days=i) for i in range(N + 1)],
            "net_return": [None, *values.tolist()],
        },
        schema_overrides={"ts": pl.Datetime("us", "UTC")},
    )


def world(candidates, baselines=("one_over_n",)):
    """Equity, runs and ledger of candidates and baselines; seeds name the strategies."""
    series = {f"c{seed}": returns(seed) for seed in candidates}
    series |= {name: returns(999) for name in baselines}
    equity = pl.concat([equity_of(name, values) for name, values in series.items()])
    runs = pl.DataFrame(
        [
            {
                "run_id": f"run of {name}",
                "strategy": name,
                "universe": "us20",
                "role": "baseline" if name in baselines else "candidate",
            }
            for name in series
        ]
    )
    ledger = pl.concat(
        [trial(equity, name, "baseline" if name in baselines else "candidate") for name in series]
    )
    return equity, runs, ledger, series


def trial(equity, name, purpose="candidate", **changes):
    settings = {
        "strategy": name,
        "universe": "us20",
        "purpose": purpose,
        "config": {},
        "data_hash": "d",
        "code_version": "c",
        "seed": 1,
        "run_id": "r",
        "recorded_at": NOW,
    }
    own = equity.filter(pl.col("strategy") == name)
    return trial_rows(own.select("ts", "net_return"), **(settings | changes))[0]


def test_table_is_the_formula_on_the_counted_candidates():
    equity, runs, ledger, series = world(range(12))
    table = deflated_sharpe_table(equity, runs, ledger)
    assert violations(cast_to_contract(table, DEFLATED_SHARPE), DEFLATED_SHARPE).is_empty()
    assert table["strategy"].to_list() == sorted(f"c{i}" for i in range(12))
    assert table["n_trials"].unique().to_list() == [12]
    sharpes = [sharpe_moments(series[f"c{i}"]).sharpe for i in range(12)]
    m = sharpe_moments(series["c3"])
    expected = deflated_sharpe(
        m.sharpe, m.n, m.skewness, m.kurtosis, 12, float(np.var(sharpes, ddof=1))
    )
    row = table.row(by_predicate=pl.col("strategy") == "c3", named=True)
    assert row["deflated_sharpe"] == pytest.approx(expected, rel=1e-12)
    assert row["deflated_sharpe"] < row["probabilistic_sharpe"]


def test_nine_candidates_are_refused_with_a_note_and_ten_are_not():
    equity, runs, ledger, _ = world(range(9))
    table = deflated_sharpe_table(equity, runs, ledger)
    assert table["deflated_sharpe"].null_count() == table["expected_maximum_sharpe"].null_count()
    assert table["deflated_sharpe"].null_count() == 9
    assert "9 counted" in table["note"][0]
    assert table["probabilistic_sharpe"].null_count() == 0
    assert deflated_sharpe_table(*world(range(10))[:3])["deflated_sharpe"].null_count() == 0


def test_a_discarded_candidate_in_the_ledger_still_counts():
    equity, runs, ledger, _ = world(range(10))
    lost, _, _, _ = world([77])
    more = pl.concat([ledger, trial(lost, "c77")])
    before, after = (deflated_sharpe_table(equity, runs, rows) for rows in (ledger, more))
    assert after["n_trials"][0] == before["n_trials"][0] + 1 == 11


def test_baselines_other_questions_and_reruns_do_not_count():
    equity, runs, ledger, _ = world(range(10))
    elsewhere = trial(equity, "c1", universe="fx")
    replica = trial(equity, "c1", purpose="replica", seed=5)
    more = pl.concat([ledger, elsewhere, replica, trial(equity, "c1", run_id="again")])
    assert deflated_sharpe_table(equity, runs, more)["n_trials"].unique().to_list() == [10]


def test_unrecorded_and_stale_candidates_are_named():
    equity, runs, ledger, _ = world(range(10))
    without = ledger.filter(pl.col("strategy") != "c4")
    assert missing_trials(deflated_sharpe_table(equity, runs, without), runs) == ["c4"]
    changed = equity.with_columns(
        pl.when(pl.col("strategy") == "c4")
        .then(pl.col("net_return") * 2 + 1e-4)
        .otherwise("net_return")
        .alias("net_return")
    )
    assert missing_trials(deflated_sharpe_table(changed, runs, ledger), runs) == ["c4"]


def test_constant_returns_have_a_row_without_figures():
    equity, runs, _, _ = world(range(10))
    equity = equity.with_columns(
        pl.when((pl.col("strategy") == "c4") & pl.col("net_return").is_not_null())
        .then(0.0)
        .otherwise("net_return")
        .alias("net_return")
    )
    names = [f"c{i}" for i in range(10)]
    ledger = pl.concat([trial(equity, name) for name in names])
    table = deflated_sharpe_table(equity, runs, ledger)
    assert violations(cast_to_contract(table, DEFLATED_SHARPE), DEFLATED_SHARPE).is_empty()
    row = table.row(by_predicate=pl.col("strategy") == "c4", named=True)
    assert row["sharpe_per_period"] is None
    assert row["deflated_sharpe"] is None
    assert "constant" in row["note"]


def test_gate_passes_skill_and_fails_luck_and_ignorance():
    equity, runs, ledger, _ = world(range(10))
    table = deflated_sharpe_table(equity, runs, ledger).with_columns(
        deflated_sharpe=pl.Series([0.951, 0.95, None, *[0.2] * 7])
    )
    answers = deflated_sharpe_answers(table)
    assert [answer.passed for answer in answers] == [True] + [False] * 9
    rows = gate_rows(answers, run_id="r", recorded_at=NOW)
    assert violations(cast_to_contract(rows, GATES), GATES).is_empty()
    assert rows["gate"].unique().to_list() == ["deflated_sharpe"]


def test_a_curve_holds_the_stored_figure_and_falls_with_the_trials():
    equity, runs, ledger, series = world(range(11))
    table = deflated_sharpe_table(equity, runs, ledger)
    curves = deflation_curves(table, ledger, numbers=(10, 40, 1_000))
    assert violations(cast_to_contract(curves, DEFLATION_CURVES), DEFLATION_CURVES).is_empty()
    own = curves.filter(pl.col("strategy") == "c3").sort("n_trials")
    assert own["n_trials"].to_list() == [10, 11, 40, 1_000]
    stored = table.filter(pl.col("strategy") == "c3").row(0, named=True)
    counted = own.filter("counted").row(0, named=True)
    assert counted["n_trials"] == 11
    for column in ("deflated_sharpe", "expected_maximum_sharpe"):
        assert counted[column] == stored[column]
    # By hand, from the series: the same formula with 40 supposed trials and the ledger's variance.
    moments = sharpe_moments(series["c3"])
    sharpes = [sharpe_moments(series[f"c{seed}"]).sharpe for seed in range(11)]
    expected = deflated_sharpe(
        moments.sharpe, moments.n, moments.skewness, moments.kurtosis, 40, np.var(sharpes, ddof=1)
    )
    assert own["deflated_sharpe"][2] == pytest.approx(expected)
    assert (np.diff(own["deflated_sharpe"].to_numpy()) < 0).all()


def test_without_a_deflated_figure_there_is_no_curve():
    equity, runs, ledger, _ = world(range(4))
    assert deflation_curves(deflated_sharpe_table(equity, runs, ledger), ledger).is_empty()
