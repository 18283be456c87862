"""Plans of every architecture: it joins by being in the catalogue, and says what it does not have."""

from __future__ import annotations

import polars as pl
import pytest

from btq_assets.config import ConfigError, TradingConfig
from btq_assets.contracts import comparison as tables
from btq_assets.models.catalogue import FAMILIES
from btq_assets.models.chosen import columns_of_family
from btq_assets.models.comparison import architectures, components
from btq_assets.models.comparison import assets as made
from btq_assets.models.comparison.measures import Resampling
from btq_assets.models.forecaster import ModelError

CONFIG = TradingConfig()
COMPONENTS = CONFIG.models.comparison.components


def test_every_family_of_the_catalogue_has_its_tables_and_steps():
    assert set(tables.COMPARED) == set(tables.ABLATED) == set(FAMILIES)
    assert [a.outputs[0].name for a in made.compared] == [f"compared_{name}" for name in FAMILIES]
    assert [a.outputs[0].name for a in made.ablated] == [f"ablated_{name}" for name in FAMILIES]
    assert [family.name for family in architectures.compared_families(CONFIG)] == list(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_each_is_fitted_with_every_seed_and_few_epochs(name):
    plan = architectures.compared_plan(name, CONFIG, code_version="t")
    assert plan.variants == ("base",)
    assert plan.seeds == ((0,) if name == "ridge" else (7, 11, 13, 17, 19))
    specs = [plan.make("base", seed).spec for seed in plan.seeds]
    assert [spec.seed for spec in specs] == list(plan.seeds)
    if FAMILIES[name].is_deep:
        assert {spec.epochs for spec in specs} == {3}
        whole = TradingConfig(models={"comparison": {"epochs": None}})
        own = getattr(whole.models, FAMILIES[name].section).epochs
        full = architectures.compared_plan(name, whole, code_version="t")
        assert full.make("base", 7).spec.epochs == own


@pytest.mark.parametrize("name", FAMILIES)
def test_a_component_is_left_out_or_the_reason_is_given(name):
    whole = architectures.compared_plan(name, CONFIG, code_version="t")
    for component in COMPONENTS:
        why = architectures.nothing_to_leave_out(name, CONFIG, component)
        if why:
            with pytest.raises(ModelError, match=why):
                architectures.compared_plan(name, CONFIG, code_version="t", without=component)
            continue
        plan = architectures.compared_plan(name, CONFIG, code_version="t", without=component)
        assert plan.seeds == whole.seeds[:2]
        spec, own = plan.make("base", 7).spec, whole.make("base", 7).spec
        if component in ("graph", "temporal_attention"):
            option = {"graph": "use_graph"}.get(component, component)
            assert (getattr(own, option), getattr(spec, option)) == (True, False)
            assert plan.asset_features == whole.asset_features
        else:
            family = set(columns_of_family(CONFIG, component))
            assert set(whole.asset_features) - set(plan.asset_features) <= family
            assert not architectures.features_left_in(plan.asset_features, component, CONFIG)


def test_what_each_lacks_is_named():
    said = {
        (name, part): architectures.nothing_to_leave_out(name, CONFIG, part)
        for name, part in (("lstm", "graph"), ("gat", "temporal_attention"), ("mlp", "sentiment"))
    }
    assert said == {
        ("lstm", "graph"): "it has no edges between assets",
        ("gat", "temporal_attention"): "it has no attention over time",
        ("mlp", "sentiment"): "it reads no sentiment feature",
    }
    columns = columns_of_family(CONFIG, "sentiment")
    silent = pl.DataFrame({name: [None, None] for name in columns}, schema=dict.fromkeys(columns, pl.Float64))  # fmt: skip
    why = architectures.nothing_to_leave_out("ridge", CONFIG, "sentiment", silent)
    assert why == "no sentiment feature has a value"
    spoken = silent.with_columns(pl.lit(0.5).alias(columns[0]))
    assert not architectures.nothing_to_leave_out("ridge", CONFIG, "sentiment", spoken)
    alone = TradingConfig(models={"feature_families": ("quantum",)})
    why = architectures.nothing_to_leave_out("ridge", alone, "quantum")
    assert why == "it reads nothing but quantum features"


def test_an_unknown_architecture_and_impossible_settings_are_named():
    wrong = TradingConfig(models={"comparison": {"families": ("ridge", "lightgbm", "cnn")}})
    with pytest.raises(ModelError, match="no model family 'cnn'"):
        architectures.compared_families(wrong)
    for settings, said in (
        ({"families": ("gat", "ridge")}, "lacks lightgbm"),
        ({"seeds": (7, 7)}, "names something twice"),
        ({"horizons_sessions": (5, 1)}, "must ascend"),
        ({"seeds": (7,)}, "seeds"),
    ):
        with pytest.raises(ConfigError, match=said):
            TradingConfig(models={"comparison": settings})


def test_worth_of_a_component_needs_the_same_forecasts_and_reads_its_interval():
    assert [components.worth(*ends) for ends in ((0.01, 0.02), (-0.02, -0.01), (-0.01, 0.01))] == [
        "shown", "costs", "not shown",
    ]  # fmt: skip
    frame = pl.DataFrame(
        {
            "universe": "u",
            "symbol": ["A", "B"],
            "ts": [1, 1],
            "seed": [7, 7],
            "forecast": [0.1, 0.2],
        }
    )
    with pytest.raises(ModelError, match="2 forecasts with and 1 without"):
        components.component_worth(frame, frame.head(1), frame, Resampling(4.0, 100, 0))
