"""The labels in the asset graph: computed, checked, and read by nothing that forecasts."""

from __future__ import annotations

import datetime as dt
import re

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.definitions import build_definitions, declared_assets
from btq_assets.features import assets
from btq_assets.warehouse import Step
from btq_assets.warehouse.paths import project_root

#: Assets that fit on labels and on nothing else; none does so far.
TRAINING: frozenset[str] = frozenset()

#: They count the rows of every table, and hand the warehouse on.
BOOKKEEPING = frozenset({"mart/data_health", "published/btq"})


def test_labels_are_computed_checked_and_shown(make_bars_function):
    config = TradingConfig()
    bars = make_bars_function(3, 400, universe="us20")
    step = Step(
        config=config,
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=lambda message: None,
        code_version="test",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,  # type: ignore[arg-type]
    )
    output = assets.labels.compute(step, bars=bars)
    assert isinstance(output.frames, pl.DataFrame)
    frame = cast_to_contract(output.frames, contracts.LABELS)
    assert violations(frame, contracts.LABELS).is_empty()
    context = CheckContext({contracts.LABELS.table: frame}, {"bars": bars}, config)
    for group in assets.labels.checks:
        for outcome in group.answer(context):
            assert outcome.passed, outcome.message
    assert output.plots
    assert output.metadata["labels"].height == 6


def test_no_asset_but_training_reads_labels():
    readers = {
        asset.outputs[0].table
        for asset in declared_assets()
        if contracts.LABELS in (*asset.inputs.values(), *asset.after)
    }
    assert readers <= TRAINING
    graph = build_definitions(TradingConfig()).resolve_asset_graph()
    (key,) = [k for k in graph.get_all_asset_keys() if k.to_user_string() == "features/labels"]
    below = {child.to_user_string() for child in graph.get(key).child_keys}
    assert below <= TRAINING | BOOKKEEPING


def test_no_family_and_no_dbt_model_holds_labels():
    assert contracts.LABELS not in contracts.FAMILY_CONTRACTS.values()
    own = {"value", "label", "path_return", "t_value", "label_end_ts", "average_uniqueness"}
    assert not own & set(contracts.PANEL.column_names)
    models = (project_root() / "dbt_project" / "models").rglob("*.sql")
    assert not [m.name for m in models if re.search(r"features['\"., ]+labels", m.read_text())]
