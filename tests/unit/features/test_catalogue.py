"""Definitions, contracts and what the code really needs agree."""

from __future__ import annotations

import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.features import catalogue
from btq_assets.features.families import FAMILY
from btq_assets.features.reference import markdown


@pytest.mark.parametrize("family", contracts.FAMILIES)
def test_definitions_and_contract_columns_agree(family):
    defined = [f.name for f in catalogue.definitions() if f.family == family]
    assert tuple(defined) == contracts.feature_names(family)


def test_names_are_unique_over_all_families():
    names = [feature.name for feature in catalogue.definitions()]
    assert len(names) == len(set(names))


def test_catalogue_rows_fit_their_contract_and_say_something(config):
    rows = cast_to_contract(catalogue.catalogue(config), contracts.CATALOGUE)
    assert violations(rows, contracts.CATALOGUE).is_empty()
    texts = rows.select("formula", "source", "unit", "needs")
    assert texts.select(pl.all().str.len_chars().min()).row(0) > (0, 0, 0, 0)


def test_catalogue_knows_what_is_switched_off():
    config = TradingConfig(
        features={"quantum_features": {"entanglement": False}}, use_sentiment=False
    )
    rows = catalogue.catalogue(config)
    # Families whose sources or switches are off by themselves are not what is asked about.
    on = catalogue.catalogue(TradingConfig()).filter("enabled")["name"]
    off = rows.filter(~pl.col("enabled"), pl.col("name").is_in(on.implode()))
    counted = dict(off.group_by("family").len().rows())
    assert counted == {"quantum": 3, "sentiment": 6, "sentiment_flow": 13}
    assert off.filter(family="quantum")["name"].str.starts_with("entanglement").all()


@pytest.mark.parametrize(
    "family", ["technical", "volatility", "microstructure", "quantum", "cross_asset"]
)
def test_the_first_value_comes_after_the_stated_lookback(family, families, make_bars):
    # 500 gap-free sessions: position of the first value counts the sessions before it.
    fx = make_bars(3, 500, universe="fx", seed=9).with_columns(
        symbol=pl.col("symbol").replace({"S00": "EURUSD", "S01": "EURJPY", "S02": "EURGBP"})
    )
    bars = pl.concat([make_bars(3, 500), fx])
    frame = families[family]({"bars": bars}, TradingConfig()).filter(pl.col("symbol") == "S00")
    stated = {f.name: f.lookback_sessions for f in catalogue.definitions() if f.family == family}
    found = {name: frame[name].is_not_null().arg_max() for name in stated}
    # Amihud needs 15 of its 21 sessions and dollar_volume_z_63 needs 42 of its 63.
    early = {"amihud_21": 15, "dollar_volume_z_63": 41}
    assert found == {**stated, **{name: n for name, n in early.items() if name in stated}}


@pytest.mark.parametrize("family", contracts.FAMILIES)
def test_values_are_possible_and_present(family, families, world, small_config):
    contract = contracts.FAMILY_CONTRACTS[family]
    frame = cast_to_contract(families[family](world, small_config), contract)
    assert violations(frame, contract).is_empty()
    empty = {name for name in contracts.feature_names(family) if frame[name].is_null().all()}
    # Among four symbols ranks hardly move, and #92 correlates them over seven sessions.
    empty -= {"alpha101_092"}
    assert empty == set(FAMILY[family].switched_off(small_config.features))
    assert frame.equals(frame.sort(contract.key))


def test_the_reference_page_is_true(pytestconfig):
    page = pytestconfig.rootpath / "docs" / "features.md"
    assert page.read_text() == markdown(), "run: python -m btq_assets.features > docs/features.md"
