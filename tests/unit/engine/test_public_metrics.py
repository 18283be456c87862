"""Every figure is importable from `btq_assets` and `btq_assets.engine`, and the page lists it."""

from __future__ import annotations

import re
from pathlib import Path

import btq_assets
from btq_assets import engine
from btq_assets.api import METRICS
from btq_assets.engine import metrics

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"

#: What figures are made of: public in the engine, not from a notebook.
BLOCKS = {
    "PERIODS_PER_YEAR",
    "Drawdowns",
    "adverse_excursions",
    "central_moments",
    "fall_path",
    "falls_of",
    "tail_losses",
    "tail_size",
}


def test_every_figure_is_public_and_in_the_page():
    assert set(METRICS) == set(metrics.__all__) - BLOCKS
    table = PAGE.read_text().split("| about | from `btq_assets` |")[1].split("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(METRICS)
    for name in METRICS:
        assert getattr(btq_assets, name) is getattr(metrics, name)


def test_the_engine_has_the_building_blocks_too():
    for name in metrics.__all__:
        assert name in engine.__all__
        assert getattr(engine, name) is getattr(metrics, name)
