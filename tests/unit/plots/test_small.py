"""Small plots: a curve survives its text, gaps stay gaps, a sheet is a sound and equal image."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from btq_assets.plots import small


@given(
    arrays(
        float, st.integers(1, 60), elements=st.floats(-1e9, 1e9) | st.just(float("nan"))
    )
)  # fmt: skip
def test_a_curve_survives_its_text_to_half_a_level(values: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size and np.ptp(finite) > 1e-6 else (0, 1)
    back = small.decoded(small.encoded(values, low, high))
    assert (np.isfinite(back) == np.isfinite(values)).all()
    expected = (np.clip(values, low, high) - low) / (high - low)
    np.testing.assert_allclose(back, expected, atol=0.5 / small.LEVELS + 1e-9)


def test_ends_lie_on_the_ends_and_wilder_values_too() -> None:
    # By hand: 85 characters from # to }; -5 lies below the axis, 9 above it.
    assert small.LEVELS == 84
    assert small.encoded(np.array([0.0, 1.0, np.nan, -5.0, 9.0]), 0.0, 1.0) == "#} #}"
    with pytest.raises(ValueError, match="upper end"):
        small.encoded(np.zeros(2), 1.0, 1.0)
    with pytest.raises(ValueError, match="no level"):
        small.decoded("&")


def test_the_alphabet_needs_no_escaping() -> None:
    assert not set(small.ALPHABET) & set("&<>\"'\\`")
    assert len(set(small.ALPHABET)) == len(small.ALPHABET)


def cells() -> list[small.SmallPlot]:
    return [
        small.SmallPlot("return_1d", "−1 to 1 · 1990–2022", "#0 }}", "## #0", "00 }}", "#5}5#"),
        small.SmallPlot("flag <b>", "mean", middle="##}}", counts="}####"),
        small.SmallPlot("no_source", "no data bundled"),
    ]


def test_a_sheet_is_a_sound_image_and_equal_for_equal_input() -> None:
    image = small.sheet(cells(), "three features", columns=2)
    assert image == small.sheet(cells(), "three features", columns=2)
    root = ElementTree.fromstring(image)
    space = {"s": "http://www.w3.org/2000/svg"}
    texts = [text.text for text in root.iterfind(".//s:text", space)]
    assert texts == [
        "return_1d", "−1 to 1 · 1990–2022", "flag <b>", "mean", "no_source", "no data bundled",
    ]  # fmt: skip
    # A gap cuts the curve in two; without quantiles there is no band, without values no path.
    kinds = [
        [p.get("class") for p in g.iterfind("s:path", space)] for g in root.iterfind("s:g", space)
    ]
    assert kinds == [["z", "b", "m", "h"], ["z", "m", "h"], []]
    middle = root.find(".//s:path[@class='m']", space)
    assert middle is not None
    assert middle.get("d", "").count("M") == 2


def test_the_curve_of_a_sheet_is_the_curve_of_the_text() -> None:
    # By hand: the axis is 38 pixels high from 15 to 53; # lies at 53, } at 15.
    image = small.sheet([small.SmallPlot("a", "", middle="#}#", counts="}")], "one")
    assert 'class="m" transform="scale(61 1)" d="M0 53l1-38 1 38"' in image


def test_an_empty_sheet_is_still_an_image() -> None:
    assert ElementTree.fromstring(small.sheet([], "nothing")).tag.endswith("svg")
