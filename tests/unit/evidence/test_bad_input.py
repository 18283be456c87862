"""Bad input of evidence and of what is recorded: a named error or the documented behaviour.

The table in docs/evidence.md names these tests.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import backtest, evidence
from btq_assets.engine import EngineError, metrics
from btq_assets.evidence.bootstrap import BootstrapError, paired_block_bootstrap
from btq_assets.evidence.deflation import deflated_sharpe_table
from btq_assets.evidence.diagnosis import RunRecord, diagnose
from btq_assets.evidence.overfitting import OverfittingError, probability_of_overfitting
from btq_assets.evidence.selection import SelectionSettings, competitions, selection_tables
from btq_assets.evidence.sharpe import SharpeError, deflated_sharpe, sharpe_moments
from btq_assets.evidence.trials import TrialError, trial_rows

START = dt.datetime(2020, 1, 6, 21, tzinfo=dt.UTC)


def series(returns, zone="UTC"):
    stamps = pl.Series([START + dt.timedelta(days=k) for k in range(len(returns))]).cast(
        pl.Datetime("us", "UTC")
    )
    stamps = stamps.dt.convert_time_zone(zone) if zone else stamps.dt.replace_time_zone(None)
    return pl.DataFrame(
        {"ts": stamps, "net_return": returns}, schema_overrides={"net_return": pl.Float64}
    )


def recorded(frame, strategy="s", purpose="candidate"):
    return trial_rows(
        frame, strategy=strategy, universe="u", purpose=purpose, config={}, data_hash="d",
        code_version="c", seed=0, run_id="r", recorded_at=START,
    )  # fmt: skip


def test_a_benchmark_of_another_length_is_refused_by_name():
    own, other = [0.01, 0.02, -0.01], [0.01, 0.02]
    for figure in (metrics.beta, metrics.calculate_information_ratio, metrics.up_capture):
        with pytest.raises(EngineError, match="3 returns against 2 benchmark returns"):
            figure(own, other)
    with pytest.raises(BootstrapError, match="equal length"):
        paired_block_bootstrap(own, other, mean_block=1, n_samples=10, seed=0)


def test_a_diagnosis_pairs_by_time_whatever_the_length_or_the_zone():
    """Own 300 days, benchmark 250 of them and 50 others, its clock in New York: paired by instant.
    Half of the benchmark's move explains nearly all; an hour's misreading would pair nothing."""
    random = np.random.default_rng(0)
    base = random.normal(3e-4, 0.01, 350)
    other = series(base).slice(50)
    own = series(base / 2 + random.normal(0, 1e-4, 350)).head(300)
    empty = pl.DataFrame(
        schema={"symbol": pl.String, "ts": pl.Datetime("us", "UTC"), "close": float}
    )
    plain = RunRecord(own, backtest.TRADES.empty(), empty, benchmark=other)
    abroad = RunRecord(
        own,
        backtest.TRADES.empty(),
        empty,
        benchmark=other.with_columns(pl.col("ts").dt.convert_time_zone("America/New_York")),
    )
    found = [f for f in diagnose(plain) if f.symptom == "exposure_explains_return"]
    assert found[0].value > 0.99
    assert diagnose(abroad) == diagnose(plain)


def test_the_same_returns_in_another_zone_are_the_same_trial_and_none_without_one():
    random = np.random.default_rng(1)
    returns = random.normal(0, 0.01, 50)
    here, abroad = recorded(series(returns)), recorded(series(returns, "Asia/Tokyo"))
    assert here[0].equals(abroad[0])
    assert here[1].equals(abroad[1])
    with pytest.raises(TrialError, match="times need a zone"):
        recorded(series(returns, None))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_return_that_is_not_a_number_is_no_trial(bad):
    with pytest.raises(TrialError, match="NaN or infinite"):
        recorded(series([0.01, bad, 0.02]))
    # a figure leaves NaN out, and refuses infinity
    if np.isinf(bad):
        with pytest.raises(EngineError, match="infinite value at position 1"):
            metrics.calculate_sharpe([0.01, bad, 0.02])
    else:
        assert metrics.calculate_sharpe([0.01, bad, 0.02]) == metrics.calculate_sharpe([0.01, 0.02])
    with pytest.raises(BootstrapError, match="missing value"):
        paired_block_bootstrap([0.1, bad], [0.1, 0.2], mean_block=1, n_samples=10, seed=0)
    with pytest.raises(OverfittingError):
        probability_of_overfitting(np.full((80, 12), bad), n_blocks=4)


def test_constant_returns_are_a_trial_without_a_sharpe_ratio():
    trial, returns = recorded(series([0.001] * 60))
    assert trial["sharpe_per_period"][0] is None
    assert trial["n_returns"][0] == returns.height == 60
    assert np.isnan(sharpe_moments([0.001] * 60).sharpe)
    with pytest.raises(SharpeError, match="at least 10 counted"):
        deflated_sharpe(0.1, 60, 0.0, 3.0, 1, 0.01)


@pytest.mark.parametrize("returns", [[], [0.01], [None, 0.01]])
def test_fewer_than_two_returns_are_no_trial(returns):
    with pytest.raises(TrialError, match="at least two"):
        recorded(series(returns))


def test_one_trial_alone_is_not_judged_and_the_tables_say_why():
    random = np.random.default_rng(2)
    frames = {name: series(random.normal(0, 0.01, 100)) for name in ("c00", "one_over_n")}
    made = [recorded(f, n, "candidate" if n == "c00" else "baseline") for n, f in frames.items()]
    trials, returns = pl.concat([t for t, _ in made]), pl.concat([r for _, r in made])
    runs = pl.DataFrame(
        [{"run_id": n, "strategy": n, "universe": "u",
          "role": "candidate" if n == "c00" else "baseline"} for n in frames]
    )  # fmt: skip
    equity = pl.concat(
        f.with_columns(run_id=pl.lit(n), strategy=pl.lit(n)) for n, f in frames.items()
    )
    (row,) = deflated_sharpe_table(equity, runs, trials).rows(named=True)
    assert (row["n_trials"], row["deflated_sharpe"]) == (1, None)
    assert row["note"].startswith("1 counted candidates")
    settings = SelectionSettings(n_samples=50)
    table, standing = selection_tables(competitions(runs, equity, trials, returns), settings)
    assert table["overfitting_probability"].to_list() == [None]
    assert table["note"][0].startswith("1 candidates with comparable returns")
    assert standing["superior"].to_list() == [None]
    assert evidence.SELECTION.schema == table.schema
