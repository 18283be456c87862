"""The generated market as an asset: opt-in, labelled, a function of its configuration."""

from __future__ import annotations

import dagster as dg

from btq_assets.config import TradingConfig
from btq_assets.contracts import quarantine, raw
from btq_assets.contracts.checks import CheckContext
from btq_assets.definitions import build_definitions
from btq_assets.sources.synthetic.assets import bars_synthetic
from btq_assets.sources.synthetic.checks import CHECKS


def configured(**settings) -> TradingConfig:
    section = {"enabled": True, "n_symbols": 2, "n_sessions": 3, **settings}
    return TradingConfig(sources={"synthetic": section})


def test_generated_bars_are_stored_and_another_seed_replaces_them(run):
    assert run(bars_synthetic, config=configured()).success
    first = run.warehouse.read(raw.BARS_SYNTHETIC)
    assert first.height == 2 * 3 * 390
    assert first["dataset"].str.starts_with("SYNTHETIC").all()
    assert run(bars_synthetic, config=configured(seed=8)).success
    second = run.warehouse.read(raw.BARS_SYNTHETIC)
    assert second.height == first.height
    assert not second["close"].equals(first["close"])


def test_planted_faults_that_are_impossible_go_to_quarantine(run):
    config = configured(n_sessions=6, bad_ticks_of_each_kind=2, outage_minutes=30)
    assert run(bars_synthetic, config=config).success
    stored = run.warehouse.read(raw.BARS_SYNTHETIC)
    refused = run.warehouse.read(quarantine.ROWS)
    # Two zero bars and both copies of two doubled ones; an outage of 30 minutes for two symbols.
    assert refused.height == 2 + 4
    assert stored.height == 2 * 6 * 390 - 2 * 30 - 2 - 2


def test_the_generator_is_opt_in():
    key = dg.AssetKey(["raw", "bars_synthetic"])
    without = build_definitions(TradingConfig()).resolve_asset_graph()
    assert key not in without.executable_asset_keys
    with_it = build_definitions(configured()).resolve_asset_graph()
    assert key in with_it.executable_asset_keys


def test_bars_without_the_word_are_refused():
    frame = raw.BARS_SYNTHETIC.empty()
    row = frame.clear(1).with_columns(dataset=frame["dataset"].clear(1).fill_null("yahoo"))
    (group,) = CHECKS
    for bad in (frame, row):
        (outcome,) = group.answer(CheckContext({raw.BARS_SYNTHETIC.table: bad}, {}, None))
        assert not outcome.passed
