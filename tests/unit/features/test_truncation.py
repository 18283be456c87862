"""No feature reads what was not known: cut anywhere, the past stays as it was."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.evidence.truncation import cut_inputs
from btq_assets.features import technical
from btq_assets.features.checks import truncation_gate
from btq_assets.features.definitions import SYMBOL


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize("family", contracts.FAMILIES)
def test_cutting_at_any_session_changes_nothing_before(
    family, stride, families, world, small_config
):
    compute = families[family]
    full = compute(world, small_config)
    sessions = world["bars"].filter(pl.col("universe") == "us20")["ts"].unique().sort()
    # The slow run cuts at every session; hundreds of columns at every fourth take too long here.
    seldom = (*contracts.NAMED_SETS, *contracts.NOT_DAILY)
    stride = 24 if stride > 1 and family in seldom else stride
    for cut in sessions[2::stride]:
        again = compute(cut_inputs(world, cut), small_config)
        kept = full.filter(pl.col("ts") <= cut)
        assert_frame_equal(again, kept, rel_tol=1e-10, abs_tol=1e-12)


def _tomorrow(inputs, config):
    frame = technical.compute(inputs["bars"])
    return frame.with_columns(return_1d=pl.col("return_1d").shift(-1).over(SYMBOL))


def _full_sample_scaling(inputs, config):
    frame = technical.compute(inputs["bars"])
    column = pl.col("return_5d")
    return frame.with_columns(((column - column.mean()) / column.std()).over(SYMBOL))


def _centred_window(inputs, config):
    frame = technical.compute(inputs["bars"])
    return frame.with_columns(pl.col("rsi_14").rolling_mean(5, center=True).over(SYMBOL))


@pytest.mark.parametrize(
    ("leak", "column"),
    [(_tomorrow, "return_1d"), (_full_sample_scaling, "return_5d"), (_centred_window, "rsi_14")],
)
def test_the_gate_catches_leaks(leak, column, world, config):
    gate = truncation_gate(contracts.TECHNICAL, leak, lambda _: 300, symbols=2)
    context = CheckContext({"features.technical": leak(world, config)}, world, config)
    (outcome,) = gate.answer(context)
    assert not outcome.passed
    assert column in outcome.message


def test_the_gate_passes_an_honest_family(families, world, config):
    gate = truncation_gate(contracts.TECHNICAL, families["technical"], lambda _: 700, symbols=2)
    frame = families["technical"](world, config)
    (outcome,) = gate.answer(CheckContext({"features.technical": frame}, world, config))
    assert outcome.passed, outcome.message
