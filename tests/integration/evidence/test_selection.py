"""The worth of selection with real ledgers: what ran is compared, and the answer follows the runs."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest, evidence
from btq_assets.contracts.base import ContractError
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.evidence.assets import SELECTION_CHECKS, selection
from btq_assets.evidence.trials import trial_rows
from btq_assets.warehouse import Step, TableOutput, Warehouse, table_asset
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource
from tests.integration.evidence.test_assets import START, equity_and_runs

CONFIG = TradingConfig(backtest={"bootstrap_samples": 100, "overfitting_blocks": 8})


def run(folder, equity, runs, recorded):
    rows = [
        trial_rows(
            equity.filter(pl.col("strategy") == row["strategy"]).select("ts", "net_return"),
            strategy=row["strategy"], universe="us20", purpose=row["role"], config={},
            data_hash=str(equity["net_return"].sum()), code_version="c", seed=0, run_id="run",
            recorded_at=START,
        )
        for row in runs.iter_rows(named=True)
        if row["strategy"] in recorded
    ]  # fmt: skip

    @table_asset(
        outputs=(backtest.EQUITY, backtest.RUNS, backtest.TRADES, backtest.POSITIONS),
        source_version=lambda config: str(equity["net_return"].sum()),
        reuse=False,
    )
    def upstream(step: Step) -> TableOutput:
        """A backtest."""
        return TableOutput(
            {
                backtest.EQUITY.table: equity,
                backtest.RUNS.table: runs,
                backtest.TRADES.table: backtest.TRADES.empty(),
                backtest.POSITIONS.table: backtest.POSITIONS.empty(),
            },
            ledgers={
                evidence.TRIALS: pl.concat([trial for trial, _ in rows]),
                evidence.TRIAL_RETURNS: pl.concat([returns for _, returns in rows]),
            },
        )

    return dg.materialize(
        [asset.definition(CONFIG) for asset in (upstream, selection)],
        resources={
            "trading": ConfigResource.of(CONFIG),
            "warehouse": WarehouseResource(path=str(folder), lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        },
        raise_on_error=False,
    )


def test_runs_are_compared_and_an_edge_in_them_changes_the_answer(tmp_path):
    warehouse = Warehouse(DataPaths(tmp_path), 5)
    equity, runs = equity_and_runs()
    everyone = set(runs["strategy"])
    assert run(tmp_path, equity, runs, everyone).success
    first = warehouse.read(evidence.SELECTION).row(0, named=True)
    assert first["n_compared"] == 11
    assert first["overfitting_splits"] == 70
    assert not warehouse.read(evidence.DISCOVERIES)["superior"].any()
    # No fills at all: every run is suspicious for that.
    findings = warehouse.read(evidence.FINDINGS)
    assert set(findings.filter(pl.col("symptom") == "few_fills")["strategy"]) == everyone

    lift = pl.when(pl.col("strategy") == "c07").then(0.006).otherwise(0.0)
    better = equity.with_columns(pl.col("net_return") + lift)
    assert run(tmp_path, better, runs, everyone).success
    second = warehouse.read(evidence.SELECTION).row(0, named=True)
    assert second["n_trials"] == 22
    assert second["spa_consistent_p"] < 0.05 < first["spa_consistent_p"]
    assert second["overfitting_probability"] < first["overfitting_probability"]
    standing = warehouse.read(evidence.DISCOVERIES)
    assert standing.filter("superior")["strategy"].to_list() == ["c07"]


def test_the_ledger_gives_the_series_of_some_trials_alone(tmp_path):
    warehouse = Warehouse(DataPaths(tmp_path), 5)
    equity, runs = equity_and_runs()
    assert run(tmp_path, equity, runs, set(runs["strategy"])).success
    whole = warehouse.read(evidence.TRIAL_RETURNS)
    some = whole["trial_id"].unique().sort()[3:5]
    found = warehouse.read_or_empty(evidence.TRIAL_RETURNS, beside=pl.DataFrame({"trial_id": some}))
    assert found.equals(whole.filter(pl.col("trial_id").is_in(some.implode())))
    nobody = pl.DataFrame({"trial_id": []}, schema={"trial_id": pl.String})
    assert warehouse.read_or_empty(evidence.TRIAL_RETURNS, beside=nobody).is_empty()
    with pytest.raises(ContractError, match=r"trial_returns: rows by \['name'\]"):
        warehouse.read_or_empty(evidence.TRIAL_RETURNS, beside=pl.DataFrame({"name": ["x"]}))


@pytest.mark.parametrize("fault", ["step", "check", "series", "trial"])
def test_a_run_that_fails_leaves_no_half_trial(tmp_path, fault):
    """The step dies after its trials are made; its check fails; one of the two ledgers is refused:
    both ledgers and the table stay as they were."""
    warehouse = Warehouse(DataPaths(tmp_path), 5)
    equity, runs = equity_and_runs()
    everyone = set(runs["strategy"])
    assert run(tmp_path, equity, runs, everyone).success
    contracts = (evidence.TRIALS, evidence.TRIAL_RETURNS, backtest.RUNS)
    before = [warehouse.read(contract) for contract in contracts]
    trial, returns = trial_rows(
        equity.filter(pl.col("strategy") == "c03").select("ts", "net_return"),
        strategy="fresh", universe="us20", purpose="candidate", config={}, data_hash="new",
        code_version="c", seed=0, run_id="run", recorded_at=START,
    )  # fmt: skip
    if fault == "series":
        returns = returns.with_columns(net_return=pl.lit(None, pl.Float64))
    if fault == "trial":
        trial = trial.with_columns(purpose=pl.lit("guess"))
    refusing = frame_check("never", "Fails.", lambda context: CheckOutcome("never", False, "no"))

    @table_asset(
        outputs=(backtest.RUNS,), reuse=False, checks=(refusing,) if fault == "check" else ()
    )
    def failing(step: Step) -> TableOutput:
        """A backtest that fails."""
        if fault == "step":
            raise ValueError("out of memory")
        return TableOutput(
            runs.head(1), ledgers={evidence.TRIALS: trial, evidence.TRIAL_RETURNS: returns}
        )

    done = dg.materialize(
        [failing.definition(CONFIG)],
        resources={
            "trading": ConfigResource.of(CONFIG),
            "warehouse": WarehouseResource(path=str(tmp_path), lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        },
        raise_on_error=False,
    )
    assert not done.success
    for contract, frame in zip(contracts, before, strict=True):
        assert warehouse.read(contract).equals(frame), contract.table


def test_a_candidate_that_hides_is_refused_and_the_stored_answer_stays(tmp_path):
    warehouse = Warehouse(DataPaths(tmp_path), 5)
    equity, runs = equity_and_runs()
    everyone = set(runs["strategy"])
    assert run(tmp_path, equity, runs, everyone).success
    stored = warehouse.read(evidence.SELECTION)
    other, _ = equity_and_runs(1e-4)
    renamed = runs.with_columns(pl.col("strategy").replace("c03", "hidden"))
    other = other.with_columns(pl.col("strategy").replace("c03", "hidden"))
    assert not run(tmp_path, other, renamed, everyone - {"c03"}).success
    assert warehouse.read(evidence.SELECTION).equals(stored)


def test_tests_that_see_no_planted_edge_are_refused():
    from btq_assets.evidence.assets import _planted_edge_answer
    from btq_assets.evidence.controls import PlantedEdge

    answer = _planted_edge_answer([PlantedEdge("us20", "c01", 0.3, False)])
    context = CheckContext({}, {}, CONFIG, {answer.name: answer})
    (group,) = [g for g in SELECTION_CHECKS if g.specs[0].name == "planted_edge_is_found"]
    (outcome,) = group.answer(context)
    assert not outcome.passed
    assert "c01 was given an edge of +30.0% a year" in outcome.message
