"""Charts say what the numbers say: paths decode to the values they were made from."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pytest

from btq_assets.reports import charts
from btq_assets.reports.view import CellChart, Line, LineChart

DAYS = [dt.date(2019, 11, 4) + dt.timedelta(days=7 * n) for n in range(60)]


def decode(path: str) -> dict[int, int]:
    """Day → step of a path, read as SVG reads it (M absolute, l and h relative)."""
    found: dict[int, int] = {}
    for run in path.split("M")[1:]:
        values = [int(text) for text in re.findall(r"-?\d+", run)]
        x, y = values[:2]
        found[x] = y
        if "h" in run:
            continue
        for dx, dy in zip(values[2::2], values[3::2], strict=True):
            x, y = x + dx, y + dy
            found[x] = y
    return found


def attribute(markup: str, name: str) -> str:
    found = re.search(rf' {name}="([^"]*)"', markup)
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize("log", [False, True])
def test_a_path_holds_the_values_and_their_gaps(log: bool) -> None:
    values = np.exp(np.sin(np.arange(60.0) / 7))
    values[[0, 10, 11, 30, 59]] = np.nan
    values[32] = values[33] = np.nan
    values[31] = 2.0
    chart = LineChart("k", "t", DAYS, (Line("a", values),), log=log)
    markup = charts.line_chart(chart)
    bottom, top = (float(attribute(markup, f"data-{end}")) for end in ("bottom", "top"))
    steps = decode(attribute(markup, "d"))
    assert sorted(steps) == [7 * n for n in range(60) if np.isfinite(values[n])]
    decoded = {x: top - y / charts.PLOT_HEIGHT * (top - bottom) for x, y in steps.items()}
    for x, value in decoded.items():
        expected = np.log10(values[x // 7]) if log else values[x // 7]
        assert value == pytest.approx(expected, abs=0.51 * (top - bottom) / charts.PLOT_HEIGHT)


def test_a_line_of_another_length_is_named() -> None:
    with pytest.raises(ValueError, match="'a' of chart 'k' has 3 values for 60 dates"):
        charts.line_chart(LineChart("k", "t", DAYS, (Line("a", np.ones(3)),)))
    with pytest.raises(ValueError, match="needs two"):
        charts.line_chart(LineChart("k", "t", DAYS[:1], (Line("a", np.ones(1)),)))


def test_an_empty_line_and_a_constant_one_are_drawn() -> None:
    lines = (Line("none", np.full(60, np.nan)), Line("flat", np.full(60, 3.0)))
    markup = charts.line_chart(LineChart("k", "t", DAYS, lines, filled=True))
    assert "nan" not in markup
    assert len(decode(re.findall(r'd="(M[^"]*l[^"]*)"', markup)[-1])) == 60


def test_labels_are_escaped() -> None:
    markup = charts.line_chart(LineChart("k", "<t>", DAYS, (Line("<b>&", np.arange(60.0)),)))
    assert "<b>&" not in markup
    assert "&lt;b&gt;&amp;" in markup
    cells = CellChart("k", "t", ("<r>",), ("<c>",), np.array([[0.1]]), written=True)
    assert "<r>" not in charts.cell_chart(cells)
    assert "<c>" not in charts.cell_chart(cells)


def test_ticks_are_round_and_inside() -> None:
    # 0.62 to 2.1 in log10: too narrow for decades, so finer round numbers are taken.
    texts = [text for _, _, text in charts._value_ticks(-0.21, 0.32, log=True, unit="growth")]
    assert texts == ["0.7×", "1×", "1.5×", "2×"]
    values = [value for value, _, _ in charts._value_ticks(-0.43, 0.0, log=False, unit="percent")]
    assert values == pytest.approx([-0.4, -0.3, -0.2, -0.1, 0.0])
    # Years: never more than ten labels.
    assert len(charts._year_ticks(dt.date(1990, 1, 2), dt.date(2022, 12, 28))) <= 10


def test_cells_write_per_cent_and_leave_gaps_white() -> None:
    values = np.array([[0.05, np.nan], [-0.05, 0.0]])
    markup = charts.cell_chart(CellChart("k", "t", ("a", "b"), ("x", "y"), values, written=True))
    assert re.findall(r">([^<>]*)</td>", markup) == ["5.0", "", "−5.0", "0.0"]
    with pytest.raises(ValueError, match="3 columns"):
        charts.cell_chart(CellChart("k", "t", ("a", "b"), ("x", "y", "z"), values))


def test_a_strip_covers_each_coloured_cell_once() -> None:
    values = np.array([[0.0, 0.1, 0.1, 0.2], [0.2, 0.2, 0.2, 0.2]])
    markup = charts.cell_chart(
        CellChart("k", "t", ("a", "b"), ("2020-01", "2020-02", "2021-01", "2021-02"), values)
    )
    found = [
        tuple(int(text) for text in match)
        for match in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)"', markup)
    ]
    # (column, row, columns): equal neighbours are one rectangle, a weight of zero has none.
    assert found == [(1, 0, 2), (3, 0, 1), (0, 1, 4)]


def test_colours_diverge_from_white() -> None:
    assert charts.colour_of(0.0) == "#ffffff"
    assert charts.colour_of(1.0) == charts.colour_of(5.0)
    blue, orange = charts.colour_of(0.6), charts.colour_of(-0.6)
    assert int(blue[5:], 16) > int(blue[1:3], 16)
    assert int(orange[1:3], 16) > int(orange[5:], 16)
