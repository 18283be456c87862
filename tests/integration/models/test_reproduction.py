"""Fitting registered models again, in a real Dagster instance: the same bytes, or why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import fitted_house
import polars as pl
import pytest

from btq_assets.automation.reproduction import reproduce_job
from btq_assets.contracts import models
from btq_assets.definitions import _code_of_models
from btq_assets.models import reproduction
from btq_assets.models.chosen import training_set_table
from btq_assets.warehouse.paths import project_root
from btq_assets.warehouse.writing import replace_table

JOB = reproduce_job(_code_of_models())


@pytest.fixture
def house(fitted, tmp_path):
    """A copy that a test may spoil."""
    shutil.copytree(fitted.root, tmp_path / "data")
    return fitted_house.House(tmp_path / "data", fitted.config)


def model_of(house, model: str, variant: str = "base") -> dict:
    registry = house.warehouse.read(models.REGISTRY)
    rows = registry.filter((pl.col("model") == model) & (pl.col("variant") == variant))
    return rows.row(0, named=True)


def reproduce(house, model_id: str):
    """One run in an instance of its own; the last row of the ledger, or none."""
    config = {"ops": {"fit_again": {"config": {"model_id": model_id}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        found = JOB.execute_in_process(
            run_config=config, instance=instance, resources=house.resources, raise_on_error=False
        )
        said = [
            event.event_specific_data.user_failure_data.description
            for event in found.all_events
            if event.is_step_failure and event.event_specific_data.user_failure_data
        ]
    ledger = house.warehouse.read_or_empty(models.REPRODUCTIONS).sort("at")
    rows = ledger.filter(pl.col("model_id") == model_id)
    return found.success, rows.row(-1, named=True) if rows.height else None, said


@pytest.mark.parametrize("model", ["ridge", "transformer_gnn"])
def test_a_model_comes_out_again_to_the_last_byte(house, model):
    row = model_of(house, model)
    success, found, _ = reproduce(house, row["model_id"])
    assert found["verdict"] == "identical", found
    assert success
    assert found["identical_bytes"]
    assert found["same_versions"]
    assert found["largest_forecast_difference"] == 0
    assert found["rank_ic_difference"] == 0
    assert row["artifact_hash"] in found["reason"]
    if model == "transformer_gnn":
        assert json.loads(row["versions_json"])["device"].startswith("cpu ")


def test_a_tampered_artefact_and_changed_data_are_told_apart(house):
    row = model_of(house, "ridge")
    file = house.root / row["artifact_path"] / "weights.safetensors"
    intact = file.read_bytes()
    file.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    success, found, said = reproduce(house, row["model_id"])
    assert not success
    assert (found["verdict"], found["identical_bytes"]) == ("altered", True)
    assert "was altered" in found["reason"]
    assert "altered" in said[0]
    file.write_bytes(intact)
    table = training_set_table(house.config)
    frame = house.warehouse.read(table)
    other = frame.with_columns(return_1d=pl.col("return_1d") * 1.0000001)
    with house.warehouse.transaction() as connection:
        replace_table(connection, table, other)
    success, found, said = reproduce(house, row["model_id"])
    assert not success
    assert (found["verdict"], found["identical_bytes"]) == ("data changed", None)
    # The version it was fitted on is named, since its id bears it out.
    named = re.search(r"is (\w{32}) now, the model was fitted on (\w{32});", found["reason"])
    assert named, found["reason"]
    assert len(set(named.groups())) == 2
    with house.warehouse.transaction() as connection:
        replace_table(connection, table, frame)
    assert reproduce(house, row["model_id"])[1]["verdict"] == "identical"
    assert house.warehouse.read(models.REPRODUCTIONS).height == 3


def test_other_folds_and_other_code_are_named(house, monkeypatch):
    row = model_of(house, "ridge")
    splits = house.warehouse.read(models.SPLITS)
    moved = splits.with_columns(train_start=pl.col("train_start") + pl.duration(days=7))
    with house.warehouse.transaction() as connection:
        replace_table(connection, models.SPLITS, moved)
    _, found, _ = reproduce(house, row["model_id"])
    assert found["verdict"] == "data changed"
    assert "fold 0 of models.splits starts" in found["reason"]
    monkeypatch.setattr("btq_assets.automation.reproduction.code_version", lambda _: "newer")
    success, found, said = reproduce(house, row["model_id"])
    assert not success
    assert found["verdict"] == "code changed"
    assert f"fitted by code {row['code_version']}, the code of ridge is newer now" in said[0]


def test_an_unknown_id_names_the_nearest_and_an_agent_is_none(house):
    row = model_of(house, "ridge")
    near = row["model_id"][:-1] + ("0" if row["model_id"][-1] != "0" else "1")
    success, found, said = reproduce(house, near)
    assert not success
    assert found is None
    assert f"no model {near!r}; nearest are" in said[0]
    assert f"{row['model_id']} (ridge base, fold 0, seed 0)" in said[0]
    registry = house.warehouse.read(models.REGISTRY)
    agent = registry.head(1).with_columns(model=pl.lit("ppo"), model_id=pl.lit("agent"))
    with pytest.raises(reproduction.UnknownModelError, match="agent is of 'ppo'"):
        reproduction.registered(agent, "agent")
    with pytest.raises(reproduction.UnknownModelError, match="it holds 0 models"):
        reproduction.registered(registry.clear(), "x")


def test_other_libraries_are_judged_by_figures(fitted):
    """Verdicts over one fit: only versions, figures and tolerances differ."""
    house = fitted
    row = model_of(house, "ridge", "macro")
    table, splits = (
        house.warehouse.read(contract)
        for contract in (training_set_table(house.config), models.SPLITS)
    )
    books = house.warehouse.read(models.forecasts_contract("ridge", ""))
    stored = books.filter(pl.col("model_id") == row["model_id"])
    fit = reproduction.fit_again(row, table, splits, house.config, data_hash="any")
    versions = json.loads(row["versions_json"]) | {"numpy": "1.0"}
    older = row | {"versions_json": json.dumps(versions), "artifact_hash": "other"}

    def verdict(row, stored=stored, **settings):
        section = house.config.models.reproduction.model_copy(update=settings)
        chosen = house.config.models.model_copy(update={"reproduction": section})
        config = house.config.model_copy(update={"models": chosen})
        return reproduction.judge(row, fit, stored, config, hash_of_folder=lambda _: "this")

    same = verdict(older)
    assert same.verdict == "within tolerance"
    assert same.passed
    assert "numpy 1.0 then" in same.reason
    spread = stored["forecast"].std()
    moved = stored.with_columns(pl.col("forecast") + 0.2 * spread)
    found = verdict(older, moved)
    assert found.largest_forecast_difference == pytest.approx(0.2)
    assert (found.verdict, found.same_versions) == ("differs", False)
    assert verdict(older, moved, forecast_tolerance=0.3).passed
    metrics = json.loads(row["metrics_json"]) | {"test_rank_ic": fit.test_rank_ic - 0.05}
    worse = older | {"metrics_json": json.dumps(metrics)}
    assert verdict(worse).rank_ic_difference == pytest.approx(0.05)
    assert not verdict(worse).passed
    assert verdict(worse, rank_ic_tolerance=0.06).passed
    assert verdict(worse, stored.clear()).verdict == "differs"
    unknown = worse | {"metrics_json": "{}"}
    assert not verdict(unknown, stored.clear()).passed, "nothing was compared"
    # The same libraries allow no other bytes, however near the figures are.
    strict = verdict(row | {"artifact_hash": "other"})
    assert (strict.verdict, strict.same_versions) == ("differs", True)
    assert "not deterministic" in strict.reason
    kept = replace(strict, verdict="identical").row(row, run_id="r", at=fitted_at())
    assert kept.columns == list(models.REPRODUCTIONS.column_names)


def fitted_at():
    import datetime as dt

    return dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def documented_commands() -> list[str]:
    text = (project_root() / "docs" / "models.md").read_text()
    section = text.split("## Reproduction")[1].split("\n## ")[0]
    (block,) = re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)
    return block.strip().splitlines()


@pytest.mark.slow
def test_the_documented_command_works_as_typed(house, tmp_path):
    row = model_of(house, "ridge")
    lines = [line.replace("0123456789abcdef", row["model_id"]) for line in documented_commands()]
    assert any(row["model_id"] in line for line in lines)
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "BTQ_WAREHOUSE__PATH": str(house.root),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(project_root()),
    }
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    (found,) = house.warehouse.read(models.REPRODUCTIONS).iter_rows(named=True)
    assert (found["model_id"], found["verdict"]) == (row["model_id"], "identical")
