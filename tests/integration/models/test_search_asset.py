"""The job `search` in a real Dagster instance: trials kept, counted, shown, and gone on with."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

optuna = pytest.importorskip("optuna")

import dagster as dg  # noqa: E402

from btq_assets.config import TradingConfig  # noqa: E402
from btq_assets.contracts import evidence, models  # noqa: E402
from btq_assets.contracts.base import cast_to_contract, violations  # noqa: E402
from btq_assets.contracts.checks import CheckContext  # noqa: E402
from btq_assets.contracts.search import SEARCH_TRIALS  # noqa: E402
from btq_assets.definitions import configured_assets  # noqa: E402
from btq_assets.evidence.trials import count_trials  # noqa: E402
from btq_assets.models.catalogue import FAMILIES  # noqa: E402
from btq_assets.models.chosen import training_set_table  # noqa: E402
from btq_assets.models.search.from_warehouse import question_of_family  # noqa: E402
from btq_assets.models.search.space import (  # noqa: E402
    Choice,
    Integers,
    Reals,
    as_yaml,
    fields_of,
    space_of,
)
from btq_assets.warehouse import TableOutput, Warehouse, table_asset  # noqa: E402
from btq_assets.warehouse.paths import DataPaths  # noqa: E402
from btq_assets.warehouse.resources import (  # noqa: E402
    ConfigResource,
    DeviceResource,
    WarehouseResource,
)

START = dt.datetime(2012, 1, 2, 21, tzinfo=dt.UTC)


def configuration(family: str = "mlp", n_trials: int = 3, **others: Any) -> TradingConfig:
    small = {"lookback_sessions": 3, "epochs": 1, "model_dim": 8}
    return TradingConfig(
        universe={"main": "test"},
        features={"correlation_window_sessions": 40},
        models={
            "feature_families": ("technical",),
            "mlp": small,
            "lightgbm": {"min_child_samples": 20, "n_estimators": 20},
            "search": {"family": family, "n_trials": n_trials, "n_folds": 1, **others},
        },
        trading={"device": "cpu"},
    )


def tables(config: TradingConfig) -> tuple[pl.DataFrame, pl.DataFrame]:
    """4 assets, 150 weeks, two sessions each; one feature says something of the label."""
    random = np.random.default_rng(1)
    n = 300
    ts = [START + dt.timedelta(days=7 * (i // 2) + i % 2) for i in range(n)]
    signal, noise = random.normal(size=(2, n, 4))
    label = 0.01 * (0.3 * signal + random.normal(size=(n, 4)))
    label -= label.mean(axis=1, keepdims=True)
    contract = training_set_table(config)
    rows = pl.DataFrame(
        {
            "universe": "test",
            "symbol": [f"S{j}" for _ in ts for j in range(4)],
            "ts": [t for t in ts for _ in range(4)],
            "is_decision": [i % 2 == 0 for i in range(n) for _ in range(4)],
            "session_return": random.normal(size=4 * n) * 0.01,
            "label": label.ravel(),
            "label_raw": label.ravel(),
            "return_1d": signal.ravel(),
            "return_5d": noise.ravel(),
        }
    ).with_columns(
        label_start_ts=pl.col("ts") + pl.duration(days=1),
        label_end_ts=pl.col("ts") + pl.duration(days=7),
    )
    missing = [c for c in contract.columns if c.name not in rows.columns]
    rows = rows.with_columns(pl.lit(None, c.dtype).alias(c.name) for c in missing)
    first = START + dt.timedelta(weeks=120)
    splits = pl.DataFrame(
        {
            "universe": "test", "fold": 0, "train_start": ts[0], "train_end": ts[160],
            "validation_start": ts[164], "validation_end": ts[230], "test_start": first,
            "test_end": ts[-2], "n_purged": 0,
        },
        schema=models.SPLITS.schema,
    )  # fmt: skip
    return cast_to_contract(rows, contract).sort(contract.key), splits


def run(config: TradingConfig, folder: Path) -> dg.ExecuteInProcessResult:
    """The asset of the job on tables that are given, in a Dagster instance of its own."""
    rows, splits = tables(config)

    @table_asset(outputs=(training_set_table(config), models.SPLITS), source_version=lambda _: "1")
    def given(step) -> TableOutput:
        """Rows as they are given."""
        return TableOutput({models.TRAINING_SET.table: rows, models.SPLITS.table: splits})

    (searched,) = [a for a in configured_assets(config) if SEARCH_TRIALS in a.outputs]
    return dg.materialize(
        [asset.definition(config) for asset in (given, searched)],
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=str(folder / "data"), lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        },
    )


def warehouse(folder: Path) -> Warehouse:
    return Warehouse(DataPaths(folder / "data"), 5)


def test_three_trials_are_kept_counted_and_shown(tmp_path: Path) -> None:
    config = configuration()
    result = run(config, tmp_path)
    assert result.success
    (event,) = [
        e.materialization
        for e in result.get_asset_materialization_events()
        if e.asset_key == dg.AssetKey(["models", "search_trials"])
    ]
    shown = {str(name): value for name, value in event.metadata.items()}
    for title in ("Optimisation history", "Importance of parameters", "Parallel coordinates"):
        assert any(title in name for name in shown), (title, sorted(shown))
    found = warehouse(tmp_path).read(SEARCH_TRIALS)
    assert found["number"].to_list() == [0, 1, 2]
    assert set(found["family"]) == {"mlp"}
    # Judged before the first test segment only.
    first = tables(config)[1]["test_start"][0]
    assert found["judged_until"].max() < first
    # Every trial is a candidate of one question.
    trials = warehouse(tmp_path).read(evidence.TRIALS)
    assert set(trials["trial_id"]) == set(found["trial_id"])
    assert count_trials(trials, trials["question"][0]) == 3
    # The best parameters stand as YAML that the configuration takes; nothing has applied them.
    best = found.sort("rank_ic", descending=True).row(0, named=True)
    (text,) = [v.value for n, v in shown.items() if "best" in n and "parameters" in n]
    pasted = TradingConfig(**yaml.safe_load(text)).models.mlp
    for name, value in json.loads(best["parameters_json"]).items():
        assert getattr(pasted, name) == value
    assert (tmp_path / "data" / "search.journal").is_file()


@pytest.mark.slow
def test_more_trials_go_on_from_those_there_are(tmp_path: Path) -> None:
    assert run(configuration(), tmp_path).success
    found = warehouse(tmp_path).read(SEARCH_TRIALS)
    assert run(configuration(n_trials=4), tmp_path).success
    more = warehouse(tmp_path).read(SEARCH_TRIALS)
    assert more[:3].equals(found)
    assert more.height == 4


_KILLED = """
import os, sys, pathlib
sys.path.insert(0, {folder!r})
import test_search_asset as t
from btq_assets.models.search.candidates import Question
judge, seen = Question.judge, []
def dying(self, parameters, go_on=None):
    seen.append(1)
    if len(seen) == 3:
        os.kill(os.getpid(), 9)
    return judge(self, parameters, go_on)
Question.judge = dying
t.run(t.configuration(n_trials=4), pathlib.Path({where!r}))
"""


@pytest.mark.slow
def test_a_killed_job_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGKILL in the third trial: the next run keeps the first two and ends as an unbroken one."""
    code = _KILLED.format(folder=str(Path(__file__).parent), where=str(tmp_path / "killed"))
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == -9
    assert not warehouse(tmp_path / "killed").has(SEARCH_TRIALS)
    config = configuration(n_trials=4)
    assert run(config, tmp_path / "killed").success
    assert run(config, tmp_path / "whole").success
    ours, theirs = (
        warehouse(tmp_path / name).read(SEARCH_TRIALS).drop("number")
        for name in ("killed", "whole")
    )
    assert ours.equals(theirs)
    ledger = warehouse(tmp_path / "killed").read(evidence.TRIALS)
    assert ledger.height == 4


def test_what_a_search_must_not_do_is_refused() -> None:
    config = configuration()
    (asset,) = [a for a in configured_assets(config) if SEARCH_TRIALS in a.outputs]
    first = tables(config)[1]["test_start"][0]
    row = {
        "universe": "test", "study": "s", "number": 0, "family": "mlp", "outcome": "complete",
        "rank_ic": 0.1, "parameters_json": "{}", "detail": "", "judged_from": START,
        "judged_until": first, "n_decisions": 5, "trial_id": "t",
    }  # fmt: skip
    frame = pl.DataFrame([row], schema=SEARCH_TRIALS.schema)
    context = CheckContext(
        {SEARCH_TRIALS.table: frame}, {"splits": tables(config)[1]}, config, answers={}
    )
    found = {o.name: o for group in asset.checks for o in group.answer(context)}
    assert "were judged on the test segment" in found["before_the_test"].message
    assert not found["counted"].passed  # the step did not answer
    pruned = frame.with_columns(outcome=pl.lit("pruned"))
    assert violations(pruned, SEARCH_TRIALS)["reason"].to_list() == [
        "rank_ic_of_an_unfinished_trial"
    ]


def test_the_test_segment_is_never_read() -> None:
    """Everything from the first test decision on, and labels filled after it, is replaced by noise."""
    config = configuration()
    rows, splits = tables(config)
    first = splits["test_start"][0]
    noise = pl.Series(np.random.default_rng(2).normal(size=rows.height))
    late = pl.col("ts") >= first
    changed = rows.with_columns(
        label=pl.when(pl.col("label_end_ts") > first).then(noise).otherwise("label"),
        return_1d=pl.when(late).then(noise).otherwise("return_1d"),
    )
    one, other = (question_of_family(table, splits, config) for table in (rows, changed))
    assert one.known.equals(other.known)
    assert one.folds == other.folds
    assert one.known["ts"].max() < first


@pytest.mark.parametrize("name", FAMILIES)
def test_every_corner_of_every_space_builds_and_can_be_pasted(name: str) -> None:
    """The least and the largest of all ranges, and the largest of one beside the least of others."""
    import torch

    space = space_of(name)
    assert space
    low = {n: r.values[0] if isinstance(r, Choice) else r.low for n, r in space.items()}
    high = {n: r.values[-1] if isinstance(r, Choice) else r.high for n, r in space.items()}
    corners = [low, high, *({**low, n: high[n]} for n in space)]
    family = FAMILIES[name]
    known = {field.name for field in fields(family.load().spec_type)}
    for point in corners:
        chosen = fields_of(point)
        assert set(chosen) <= known
        config = TradingConfig(**yaml.safe_load(as_yaml(name, point)))
        section = getattr(config.models, family.section)
        assert {n: getattr(section, n) for n in chosen} == chosen
        if family.is_deep:
            spec = family.load().spec_type(**chosen)
            network = family.load()(spec)
            with torch.device("meta"):  # sizes alone: the largest ones take room
                assert sum(p.numel() for p in network.new_network(3).parameters()) > 0


def test_ridge_and_trees_are_searched_as_networks_are() -> None:
    config = configuration("ridge")
    rows, splits = tables(config)
    for name, range_ in (("ridge", Reals(1.0, 1e6, log=True)), ("lightgbm", Integers(3, 63, 4))):
        question = question_of_family(rows, splits, configuration(name))
        assert range_ in space_of(name).values()
        point = {n: r.low for n, r in space_of(name).items()}
        judged = question.judge({**point, **({"min_child_samples": 20} if name != "ridge" else {})})
        assert judged.rank_ic > 0.1  # the planted signal
