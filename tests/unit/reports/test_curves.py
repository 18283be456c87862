"""Charts over a number and stacked bars: geometry worked by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from btq_assets.reports import charts, curves, stacked
from btq_assets.reports.view import BarChart, CurveChart, Line

LINE = Line("a", np.array([0.0, 1.0, 3.0]))


def found(pattern: str, markup: str) -> list[str]:
    return re.findall(pattern, markup)


def test_places_are_in_proportion_and_named() -> None:
    markup = curves.curve_chart(CurveChart("k", "t", (0.0, 10.0, 50.0), "bps", (LINE,)))
    # Between the margins of 250: 0, a fifth and all of 9,500.
    assert found(r'data-at="([^"]*)"', markup) == ["250,2150,9750"]
    assert found(r'data-names="([^"]*)"', markup) == ["0|10|50"]
    assert found(r"<b>(\d+)</b></i>$|gx[^>]*><b>(\d+)</b>", markup)
    logged = CurveChart("k", "t", (10.0, 100.0, 1000.0), "n", (LINE,), x_log=True)
    assert found(r'data-at="([^"]*)"', curves.curve_chart(logged)) == ["250,5000,9750"]


def test_a_point_of_a_curve_has_a_mark_and_a_missing_one_none() -> None:
    line = Line("a", np.array([0.0, np.nan, 3.0]))
    markup = curves.curve_chart(CurveChart("k", "t", (0.0, 1.0, 2.0), "x", (line,)))
    (marks,) = found(r'class="at"[^>]*d="([^"]*)"', markup)
    assert [text.split()[0] for text in marks.split("M")[1:]] == ["250", "9750"]
    assert "nan" not in markup


def test_columns_stand_on_zero() -> None:
    chart = CurveChart("k", "t", (1.0, 2.0, 3.0), "x", (LINE,), columns=True)
    markup = curves.curve_chart(chart)
    bottom, top = (float(found(rf'data-{end}="([^"]*)"', markup)[0]) for end in ("bottom", "top"))
    zero = round(top / (top - bottom) * charts.PLOT_HEIGHT)
    (drawn,) = found(r'class="column"[^>]*d="([^"]*)"', markup)
    feet = {int(text) for text in re.findall(r"V(\d+)z", drawn)}
    assert feet == {zero}
    # Three columns, the highest three times the second.
    tops = [zero - int(text) for text in re.findall(r"M-?\d+ \d+V(\d+)H", drawn)]
    assert tops[2] == pytest.approx(3 * tops[1], abs=3)


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match="a curve needs two"):
        curves.curve_chart(CurveChart("k", "t", (1.0,), "x", ()))
    with pytest.raises(ValueError, match="must ascend: "):
        curves.curve_chart(CurveChart("k", "t", (2.0, 1.0, 3.0), "x", (LINE,)))
    with pytest.raises(ValueError, match="must ascend and be positive"):
        curves.curve_chart(CurveChart("k", "t", (0.0, 1.0, 3.0), "x", (LINE,), x_log=True))
    with pytest.raises(ValueError, match="'a' of chart 'k' has 3 values for 2 x"):
        curves.curve_chart(CurveChart("k", "t", (0.0, 1.0), "x", (LINE,)))
    with pytest.raises(ValueError, match="2 rows and 1 parts"):
        stacked.bar_chart(BarChart("k", "t", ("r", "s"), ("p",), np.zeros((1, 1))))


def test_parts_share_the_room_of_their_side_and_the_sum_is_written() -> None:
    """By hand: 6 to the right at most, 2 to the left at most, so zero lies at a quarter."""
    values = np.array([[4.0, 2.0, np.nan], [1.0, -2.0, 0.0]])
    chart = BarChart("k", "t", ("<one>", "two"), ("a", "b", "c"), values)
    markup = stacked.bar_chart(chart)
    assert "--zero:25.00%" in markup
    widths = found(
        r'data-part="(\d)" data-label="\w" data-text="([^"]*)" style="width:([\d.]+)%', markup
    )
    assert widths == [
        ("0", "4.0", "66.67"), ("1", "2.0", "33.33"), ("1", "−2.0", "100.00"), ("0", "1.0", "16.67"),
    ]  # fmt: skip
    assert found(r'<b title="sum">([^<]*)</b>', markup) == ["6.0", "−1.0"]
    assert "&lt;one&gt;" in markup
    assert "<one>" not in markup


def test_a_bar_of_nothing_known_has_no_sum() -> None:
    markup = stacked.bar_chart(BarChart("k", "t", ("r",), ("a",), np.array([[np.nan]])))
    assert found(r'<b title="sum">([^<]*)</b>', markup) == ["–"]
    assert "nan" not in markup
