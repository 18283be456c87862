"""Explanations in the graph: stored, summing to the stored forecasts, and refused where they do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fitted_house import CONFIG, House

from btq_assets.contracts import models
from btq_assets.contracts.checks import CheckContext
from btq_assets.models.explanation import assets as explained
from btq_assets.models.explanation.newest import sums_outcome
from btq_assets.models.explanation.pictures import pictures
from btq_assets.warehouse.artifacts import ArtifactError

NETWORKS = ("transformer_gnn",)


@pytest.fixture(scope="module")
def house(fitted, tmp_path_factory):
    copy = copied(fitted, tmp_path_factory.mktemp("explained"))
    copy.run(explained.explanations)
    return copy


def copied(house: House, folder: Path, **warehouse: object) -> House:
    shutil.copytree(house.root, folder / "data")
    settings = house.config.warehouse.model_copy(update=warehouse)
    return House(folder / "data", house.config.model_copy(update={"warehouse": settings}))


@pytest.fixture(scope="module")
def explanations(house) -> pl.DataFrame:
    return house.warehouse.read(models.EXPLANATIONS)


@pytest.fixture(scope="module")
def importance(house) -> pl.DataFrame:
    return house.warehouse.read(models.IMPORTANCE)


def test_every_forecast_of_the_last_decision_is_explained_each_way(house, explanations):
    for name in ("ridge", "lightgbm", "transformer_gnn"):
        stored = house.warehouse.read(models.forecasts_contract(name, ""))
        last = stored.filter(pl.col("ts") == pl.col("ts").max())
        own = explanations.filter(pl.col("model") == name)
        assert own["ts"].unique().to_list() == [last["ts"][0]]
        assert set(own["model_id"]) == set(last["model_id"])
        assert set(own["variant"]) == set(last["variant"])
        totals = own.filter((pl.col("part") == "total") & (pl.col("name") == "forecast"))
        key = ["symbol", "variant", "seed"]
        both = totals.join(last, on=key)
        assert both.height == last.height
        assert (both["value"] == both["forecast"]).all()
        parts = {"total", "feature"}
        if name in NETWORKS:
            parts |= {"source", "session", "edge", "attention"}
        assert set(own["part"]) == parts
        # By hand from the table, against forecasts of the other table.
        base = own.filter(pl.col("name") == "baseline").select(*key, base="value")
        for part in parts & {"feature", "source", "session"}:
            total = own.filter(pl.col("part") == part).group_by(key).agg(pl.col("value").sum())
            found = total.join(base, on=key).join(last, on=key)
            explains = found["forecast"] - found["base"]
            allowed = (1e-2 if name in NETWORKS else 1e-9) * explains.abs().max() + 1e-9
            np.testing.assert_allclose(found["value"], explains, atol=allowed)


def test_importance_finds_the_feature_that_leads(importance):
    """`return_5d` moves the returns; nothing else does."""
    features = importance.filter(pl.col("subject") == "feature")
    for model in ("ridge", "lightgbm"):
        own = features.filter((pl.col("model") == model) & (pl.col("variant") == "base"))
        assert own.sort("value")["name"][-1] == "return_5d"
    subjects = set(importance.filter(pl.col("model") == "transformer_gnn")["subject"])
    assert subjects == {"feature", "session", "feature by session", "edge", "family"}
    cells = importance.filter(pl.col("subject") == "feature by session")
    assert set(cells["beside"]) == {"0", "1", "2", "3"}
    families = importance.filter((pl.col("subject") == "family") & (pl.col("model") == "ridge"))
    assert set(families["name"]) == {"technical", "volatility", "cross_asset"}
    assert families["standard_error"].null_count() == 0
    assert (families["n_decisions"] == 6).all()


def test_contributions_that_do_not_sum_to_the_forecast_are_refused(explanations):
    assert sums_outcome(explanations, NETWORKS).passed

    def outcome(frame: pl.DataFrame):
        (group,) = explained.explanations.checks
        tables = {models.EXPLANATIONS.table: frame, models.IMPORTANCE.table: pl.DataFrame()}
        (found,) = group.answer(CheckContext(tables, {}, CONFIG))
        return found

    moved = pl.col("value") + 1e-5
    for condition in (
        (pl.col("part") == "feature") & (pl.col("name") == "return_5d"),
        (pl.col("part") == "total") & (pl.col("name") == "forecast"),
    ):
        own = condition & (pl.col("model") == "ridge") & (pl.col("symbol") == "S02")
        found = outcome(
            explanations.with_columns(value=pl.when(own).then(moved).otherwise("value"))
        )
        assert not found.passed
        assert "ridge" in found.message
        assert "S02" in found.message
    lost = (pl.col("model") == "lightgbm") & (pl.col("part") == "feature")
    assert "sum to nothing" in outcome(explanations.filter(~lost)).message
    assert not outcome(explanations.clear()).passed
    session = (pl.col("part") == "session") & (pl.col("name") == "0")
    assert "by session" in outcome(explanations.filter(~session)).message


def test_forecasts_of_other_weights_stop_the_step(house, tmp_path):
    """Stored forecasts that the weights did not make: nothing is committed."""
    other = copied(house, tmp_path, force_recompute=True)
    with other.warehouse.transaction() as connection:
        connection.execute("UPDATE models.forecasts_ridge SET forecast = 1.1 * forecast")
    found = other.run(explained.explanations, raise_on_error=False)
    assert not found.success
    (failed,) = [c for c in found.get_asset_check_evaluations() if not c.passed]
    assert failed.check_name == "sums_to_forecast"
    stored = other.warehouse.read(models.EXPLANATIONS)
    assert stored.equals(house.warehouse.read(models.EXPLANATIONS))
    # An artefact that was altered is not opened at all.
    registry = other.warehouse.read(models.REGISTRY).filter(pl.col("model") == "ridge")
    for path in registry["artifact_path"]:
        file = other.root / path / "model.json"
        file.write_text(file.read_text().replace("a", "b", 1))
    with pytest.raises(ArtifactError, match="was altered"):
        other.run(explained.explanations)


def test_every_model_has_its_pictures(explanations, importance):
    found = pictures(explanations, importance)
    networks = {"strongest forecast", "families", "features by session", "edges"}
    assert set(found) == {
        *(f"{model}: {what}" for model in ("ridge", "lightgbm")
          for what in ("strongest forecast", "families")),
        *(f"transformer_gnn: {what}" for what in networks),
    }  # fmt: skip
    assert all(image.startswith(b"\x89PNG") for image in found.values())
