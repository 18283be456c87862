"""Every edge up to the forecasts is real: change an upstream table, and what reads it moves.

Targets, backtests and risk have such a test in their own rooms, with changes that stay legal there.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import polars as pl
import pytest


def load(name: str):
    file = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


small_house = load("small_house")
ASSETS = small_house.computing_assets()
EDGES = [
    pytest.param(asset, contract, id=f"{contract.table}->{asset.outputs[0].table}")
    for asset in ASSETS
    if asset.outputs[0].layer in {"features", "regimes", "models"}
    for contract in small_house.fed(asset)
]


@pytest.fixture(scope="module")
def house(tmp_path_factory, make_bars_function):
    root = tmp_path_factory.mktemp("house")
    return small_house.build(make_bars_function, root), root


@pytest.mark.parametrize(("asset", "upstream"), EDGES)
def test_changing_the_upstream_table_changes_what_reads_it(house, asset, upstream):
    tables, root = house
    assert tables[upstream.table].height, f"{upstream.table} is empty: the edge would not be tested"
    moved = tables | {upstream.table: small_house.changed(upstream, tables[upstream.table])}
    outputs = small_house.compute(asset, moved, root)
    numbers = {
        name: frame.select(pl.exclude("run_id", "model_id", "sha256"))
        for name, frame in outputs.items()
    }
    assert any(
        not frame.equals(tables[name].select(frame.columns)) for name, frame in numbers.items()
    ), f"{asset.outputs[0].table} does not depend on {upstream.table}: the edge moves nothing"


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.outputs[0].table)
def test_the_same_inputs_give_the_same_numbers(house, asset):
    tables, root = house
    again = small_house.compute(asset, tables, root)
    for name, frame in again.items():
        assert frame.equals(tables[name]), f"{name} differs on a second run with the same inputs"
