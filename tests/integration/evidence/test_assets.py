"""The deflated Sharpe asset with a real ledger: counts grow, identical re-runs add nothing."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest, evidence
from btq_assets.contracts.checks import CheckContext
from btq_assets.evidence.assets import DEFLATED_SHARPE_CHECKS, deflated_sharpe
from btq_assets.evidence.deflation import deflated_sharpe_table
from btq_assets.evidence.trials import trial_rows
from btq_assets.warehouse import Step, TableOutput, Warehouse, table_asset
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

START = dt.datetime(2005, 1, 3, 21, tzinfo=dt.UTC)
NAMES = tuple(f"c{i:02d}" for i in range(11))


def equity_and_runs(shift: float = 0.0) -> tuple[pl.DataFrame, pl.DataFrame]:
    random = np.random.default_rng(0)
    stamps = [START + dt.timedelta(days=i) for i in range(301)]
    frames, runs = [], []
    for name in (*NAMES, "one_over_n"):
        returns = random.normal(4e-4, 0.01, 300) + shift
        frames.append(
            pl.DataFrame(
                {
                    "run_id": f"r-{name}",
                    "strategy": name,
                    "ts": stamps,
                    "equity": 1e6 * np.cumprod([1.0, *(1 + returns)]),
                    "cash": 0.0,
                    "gross_exposure": 1.0,
                    "net_exposure": 1.0,
                    "turnover": 0.0,
                    "cost": 0.0,
                    "net_return": [None, *returns.tolist()],
                },
                schema=backtest.EQUITY.schema,
            )
        )
        runs.append(
            {
                "run_id": f"r-{name}",
                "strategy": name,
                "universe": "us20",
                "role": "candidate" if name in NAMES else "baseline",
                "first_ts": stamps[0],
                "last_ts": stamps[-1],
                "initial_cash": 1e6,
                "costs_json": "{}",
                "identity_error": 0.0,
                "n_rejected_orders": 0,
                "notes": "",
            }
        )
    return pl.concat(frames), pl.DataFrame(runs, schema=backtest.RUNS.schema)


def ledger_of(equity: pl.DataFrame, runs: pl.DataFrame, data_hash: str = "d") -> pl.DataFrame:
    return pl.concat(
        [
            trial_rows(
                equity.filter(pl.col("strategy") == row["strategy"]).select("ts", "net_return"),
                strategy=row["strategy"],
                universe="us20",
                purpose=row["role"],
                config={},
                data_hash=data_hash,
                code_version="c",
                seed=0,
                run_id="run",
                recorded_at=START,
            )[0]
            for row in runs.iter_rows(named=True)
        ]
    )


def check(table: pl.DataFrame, equity: pl.DataFrame, runs: pl.DataFrame):
    context = CheckContext(
        {evidence.DEFLATED_SHARPE.table: table}, {"equity": equity, "runs": runs}, TradingConfig()
    )
    return {
        outcome.name: outcome
        for group in DEFLATED_SHARPE_CHECKS
        for outcome in group.answer(context)
    }


def test_honest_table_passes():
    equity, runs = equity_and_runs()
    found = check(deflated_sharpe_table(equity, runs, ledger_of(equity, runs)), equity, runs)
    assert all(outcome.passed for outcome in found.values()), found


def test_a_candidate_without_trial_and_one_with_another_question_are_refused():
    equity, runs = equity_and_runs()
    ledger = ledger_of(equity, runs)
    without = ledger.filter(pl.col("strategy") != "c03")
    found = check(deflated_sharpe_table(equity, runs, without), equity, runs)
    assert not found["every_candidate_is_counted"].passed
    assert "c03" in found["every_candidate_is_counted"].message
    astray = ledger.with_columns(
        question=pl.when(pl.col("strategy") == "c03").then(pl.lit("other")).otherwise("question")
    )
    found = check(deflated_sharpe_table(equity, runs, astray), equity, runs)
    assert not found["every_candidate_is_counted"].passed
    assert "different questions" in found["every_candidate_is_counted"].message


@pytest.mark.parametrize("column", [pl.lit(0.5), 1 - pl.col("probabilistic_sharpe")])
def test_hollow_probabilities_are_refused(column):
    equity, runs = equity_and_runs()
    table = deflated_sharpe_table(equity, runs, ledger_of(equity, runs))
    table = table.with_columns(probabilistic_sharpe=column)
    assert not check(table, equity, runs)["not_hollow"].passed


def test_through_dagster_counts_grow_and_an_identical_rerun_adds_nothing(tmp_path):
    config = TradingConfig()

    def run(shift: float, data_hash: str, record: bool = True):
        equity, runs = equity_and_runs(shift)

        @table_asset(
            outputs=(backtest.EQUITY, backtest.RUNS),
            source_version=lambda config: data_hash,
            reuse=False,
        )
        def upstream(step: Step) -> TableOutput:
            """A backtest."""
            return TableOutput(
                {backtest.EQUITY.table: equity, backtest.RUNS.table: runs},
                ledgers={evidence.TRIALS: ledger_of(equity, runs, data_hash)} if record else {},
            )

        return dg.materialize(
            [asset.definition(config) for asset in (upstream, deflated_sharpe)],
            resources={
                "trading": ConfigResource.of(config),
                "warehouse": WarehouseResource(path=str(tmp_path), lock_timeout_s=5),
                "device": DeviceResource(device="cpu"),
            },
            raise_on_error=False,
        )

    warehouse = Warehouse(DataPaths(tmp_path), 5)
    assert run(0.0, "d1").success
    first = warehouse.read(evidence.DEFLATED_SHARPE)
    assert first["n_trials"].unique().to_list() == [11]
    assert run(0.0, "d1").success
    assert warehouse.read(evidence.DEFLATED_SHARPE).equals(first)
    # Other data are other trials of the same question: the luck to beat rises.
    assert run(1e-4, "d2").success
    second = warehouse.read(evidence.DEFLATED_SHARPE)
    assert second["n_trials"].unique().to_list() == [22]
    gates = warehouse.read(evidence.GATES)
    assert gates["gate"].unique().to_list() == ["deflated_sharpe"]
    # The identical run was re-used and asked no gate again.
    assert gates["run_id"].n_unique() == 2
    # A backtest that hides its trials is refused, and nothing is replaced.
    result = run(5e-4, "d3", record=False)
    assert not result.success
    assert warehouse.read(evidence.DEFLATED_SHARPE).equals(second)
