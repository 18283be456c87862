"""Deliberate leaks planted in real families are caught by the gate their assets run.

The honest families pass the same gate. Smoothed states are in `tests/unit/regimes`, an unfinished bar
of a longer timeframe in `test_multi_timeframe`; `leak_check` meets all six in `test_leaks`.
"""

from __future__ import annotations

import polars as pl
import pytest

from btq_assets.contracts.checks import CheckContext
from btq_assets.features import cross_asset, macro, volatility
from btq_assets.features.checks import truncation_gate
from btq_assets.features.definitions import SYMBOL
from btq_assets.features.families import FAMILY


def _centred_window(inputs, config):
    frame = volatility.compute(inputs["bars"])
    centred = pl.col("volatility_21_annual").rolling_mean(5, center=True)
    return frame.with_columns(centred.over(SYMBOL))


def _full_sample_scaling(inputs, config):
    frame = volatility.compute(inputs["bars"])
    column = pl.col("parkinson_21_annual")
    return frame.with_columns((column / column.mean()).over(SYMBOL))


def _last_revision_at_the_first_release(inputs, config):
    vintages = inputs["vintages"].sort("series_id", "period", "known_at")
    final = vintages.with_columns(pl.col("value").last().over("series_id", "period"))
    return macro.compute(inputs["bars"], final)


def _survivors_only(inputs, config):
    bars = inputs["bars"]
    last = bars.group_by("universe").agg(_end=pl.col("ts").max())
    alive = bars.join(last, on="universe").filter(pl.col("ts") == pl.col("_end"))
    return cross_asset.compute_from(
        {**inputs, "bars": bars.join(alive, on=["universe", "symbol"], how="semi")}, config
    )


LEAKS = {
    "centred window": ("volatility", _centred_window, "volatility_21_annual"),
    "full-sample scaling": ("volatility", _full_sample_scaling, "parkinson_21_annual"),
    "revised macro value": ("macro", _last_revision_at_the_first_release, "core_cpi_yoy"),
    "restated universe": ("cross_asset", _survivors_only, ""),
}


@pytest.fixture(scope="module")
def market(world) -> dict[str, pl.DataFrame]:
    """The world with a symbol that is delisted, so that survivors differ from members."""
    stops = world["bars"]["ts"].unique().sort()[-60]
    gone = (pl.col("symbol") == "S03") & (pl.col("ts") > stops)
    return {**world, "bars": world["bars"].filter(~gone)}


def _outcome(name, compute, inputs, config):
    family = FAMILY[name]
    frame = compute(inputs, config).select(family.contract.column_names)
    gate = truncation_gate(family.contract, compute)
    (outcome,) = gate.answer(CheckContext({family.contract.table: frame}, inputs, config))
    return outcome


@pytest.fixture(scope="module")
def often(small_config):
    """More dates than a run takes: here a leak must be found, not merely be likely to be."""
    features = small_config.features.model_copy(update={"truncation_dates": 12})
    return small_config.model_copy(update={"features": features})


@pytest.mark.parametrize("leak", LEAKS)
def test_the_gate_of_the_family_catches_it(leak, market, often):
    name, leaking, column = LEAKS[leak]
    found = _outcome(name, leaking, market, often)
    assert not found.passed
    assert column in found.message
    honest = _outcome(name, FAMILY[name].compute, market, often)
    assert honest.passed, honest.message
