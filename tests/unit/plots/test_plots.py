"""Plots: valid, deterministic images that survive missing values, and the pure helpers."""

from __future__ import annotations

import datetime as dt
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from btq_assets import plots
from btq_assets.plots.canvas import plain_number

STAMPS = [dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC) + dt.timedelta(days=i) for i in range(50)]
VALUES = list(np.sin(np.arange(50.0)) + 2)

DRAWINGS = {
    "lines": lambda v: plots.lines(STAMPS, {"a": v, "b": v}, "t", "unit", log=True),
    "lines_fill": lambda v: plots.lines(pl.Series(STAMPS), {"a": v}, "t", fill=True),
    "bars": lambda v: plots.bars(["x", "y", "z"], v[:3], "t", low=v[:3], high=v[:3]),
    "bars_long": lambda v: plots.bars([f"label {i}" for i in range(50)], v, "t"),
    "stacked_bars": lambda v: plots.stacked_bars(list("xyz"), {"a": v[:3], "b": v[3:6]}, "t"),
    "waterfall": lambda v: plots.waterfall(list("xyz"), v[:3], "t", total="sum"),
    "network": lambda v: plots.network([("a", "b", v[0]), ("b", "c", v[1]), ("c", "a", v[2])], "t"),
    "heatmap": lambda v: plots.heatmap([v[:5], v[5:10]], list("abcde"), ["r", "s"], "t"),
    "monthly_heatmap": lambda v: plots.monthly_heatmap(STAMPS, v, "t"),
    "histogram": lambda v: plots.histogram(v, "t", marks={"m": 1.0}),
    "scatter": lambda v: plots.scatter(v, v, "t", labels=[str(i) for i in range(50)]),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_same_input_gives_the_same_bytes_and_a_readable_image(name: str) -> None:
    image = DRAWINGS[name](VALUES)
    assert image == DRAWINGS[name](VALUES)
    opened = Image.open(io.BytesIO(image))
    assert opened.format == "PNG"
    assert opened.width >= 400
    # No time stamp and no version string may enter the bytes.
    assert not set(opened.info) & {"Software", "Creation Time", "date"}
    assert image != DRAWINGS[name]([value + 0.5 * i for i, value in enumerate(VALUES)])


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("missing", [None, float("nan")])
def test_missing_values_never_break_a_drawing(name: str, missing: float | None) -> None:
    assert DRAWINGS[name]([missing, *VALUES[1:]])
    assert DRAWINGS[name]([missing] * 50)


def test_lengths_that_differ_are_named() -> None:
    with pytest.raises(ValueError, match="'a' has 3 values for 50 positions"):
        plots.lines(STAMPS, {"a": [1, 2, 3]}, "t")
    with pytest.raises(ValueError, match="2 labels for 3 values"):
        plots.bars(["x", "y"], [1, 2, 3], "t")
    with pytest.raises(ValueError, match="part 'a' has 1 values for 2 labels"):
        plots.stacked_bars(["x", "y"], {"a": [1]}, "t")
    with pytest.raises(ValueError, match="1 labels for 2 values"):
        plots.waterfall(["x"], [1, 2], "t")
    with pytest.raises(ValueError, match="rows, columns"):
        plots.heatmap([[1, 2]], ["a"], ["b"], "t")


@given(
    arrays(float, st.integers(1, 400), elements=st.floats(-1e6, 1e6) | st.just(float("nan"))),
    st.integers(4, 120),
)
@settings(max_examples=60, deadline=None)
def test_downsample_keeps_ends_and_extremes(values: np.ndarray, max_points: int) -> None:
    kept = plots.downsample(values, max_points)
    assert kept.size <= max(max_points, 0) or kept.size == values.size
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == values.size - 1
    finite = values[np.isfinite(values)]
    if finite.size:
        assert np.nanmin(values[kept]) == finite.min()
        assert np.nanmax(values[kept]) == finite.max()


def test_monthly_returns_compound_within_months() -> None:
    # By hand: 1.10 * 1.10 - 1 = 0.21 in January, -0.5 in March, February has no return.
    days = [dt.date(2021, 1, 4), dt.date(2021, 1, 5), dt.date(2021, 2, 1), dt.date(2021, 3, 1)]
    years, table = plots.monthly_returns(days, [0.1, 0.1, None, -0.5])
    assert years == [2021]
    assert table[0, 0] == pytest.approx(0.21)
    assert np.isnan(table[0, 1])
    assert table[0, 2] == -0.5


def test_a_log_axis_reads_in_plain_numbers() -> None:
    assert plain_number(10_000_000.0) == "10,000,000"
    assert plain_number(0.5) == "0.5"
