"""View in, one HTML string out. No file is read but the package's own template.

Belongs here: filling the template. Does not belong here: what the report says (`assemble.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from markupsafe import Markup

from btq_assets.reports import charts, curves, stacked
from btq_assets.reports.view import (
    BarChart,
    Block,
    Caveat,
    CellChart,
    Chart,
    CurveChart,
    Interval,
    LineChart,
    Link,
    ReportView,
    Table,
)

if TYPE_CHECKING:
    from jinja2 import Environment

FOOTER = (
    "Every number comes from the tables named below each table and chart, with the hash of their "
    "content, the run that computed them and the code of their asset; the trial of each strategy is "
    "in the part on provenance. Past returns of a simulated strategy say little about future ones."
)


def render(view: ReportView, *, over: str = "BTQuant risk report", footer: str = FOOTER) -> str:
    """Lay `view` out as one self-contained HTML page.

    Parameters
    ----------
    view
        What the report says.
    over, footer
        Lines above the title and at the end.

    Returns
    -------
    str
        Complete page: style and script inline, nothing loaded from anywhere.

    Raises
    ------
    jinja2.UndefinedError
        The template names something the view does not have.
    """
    environment = page_environment()
    page = environment.get_template("report.html.j2")
    return page.render(
        view=view,
        style=Markup(source_of(environment, "style.css.j2")),  # noqa: S704 - our own file
        script=Markup(source_of(environment, "charts.js.j2")),  # noqa: S704 - our own file
        over=over,
        footer=footer,
    )


@cache
def page_environment() -> Environment:
    """Templates of the room, every text escaped, every unknown name an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("btq_assets.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        kind_of=_kind_of,
        drawn=_drawn,
        height=_height,
        tint=charts.colour_of,
        whisker=_whisker,
        whisker_scales=_whisker_scales,
        grouped_caveats=_grouped_caveats,
    )
    return environment


def source_of(environment: Environment, name: str) -> str:
    """Text of a template that is put into a page as it is."""
    if environment.loader is None:
        raise ValueError("the report environment has no template loader")
    return environment.loader.get_source(environment, name)[0]


def _kind_of(block: Block) -> str:
    kinds = {str: "text", Table: "table", Link: "link"}
    return kinds.get(type(block), "chart")


_DRAWN_BY: dict[type, Callable[..., str]] = {
    LineChart: charts.line_chart,
    CellChart: charts.cell_chart,
    CurveChart: curves.curve_chart,
    BarChart: stacked.bar_chart,
}


def _drawn(chart: Chart) -> Markup:
    return Markup(_DRAWN_BY[type(chart)](chart))  # noqa: S704 - charts escape their texts


def _height(chart: Chart) -> int:
    """About how many pixels high a chart is: the room kept for it until it is laid out."""
    if isinstance(chart, BarChart):
        return 130 + 24 * len(chart.rows)
    if isinstance(chart, CellChart):
        return (100 + 25 * len(chart.rows)) if chart.written else (140 + 15 * len(chart.rows))
    return 500 + 26 * (len(chart.lines) // 8)


def _whisker_scales(table: Table) -> list[tuple[float, float]]:
    """Common scale of the whiskers of each column; zero is always on it."""
    scales = []
    for place in range(len(table.heads)):
        drawn = [
            row.cells[place].interval
            for row in table.rows
            if len(row.cells) > place and row.cells[place].interval
        ]
        low = min((interval.low for interval in drawn if interval), default=0.0)
        high = max((interval.high for interval in drawn if interval), default=0.0)
        scales.append((min(low, 0.0), max(high, 0.0)))
    return scales


def _whisker(interval: Interval, scale: Sequence[float]) -> Markup:
    low, high = scale
    width = (high - low) or 1.0

    def at(value: float) -> float:
        return 100 * (value - low) / width

    side = " above" if interval.low > 0 else " below" if interval.high < 0 else ""
    return Markup(
        '<div class="whisker{}"><i class="zero" style="left:{:.1f}%"></i>'
        '<i class="span" style="left:{:.1f}%;width:{:.1f}%"></i>'
        '<i class="dot" style="left:{:.1f}%"></i></div>'
    ).format(
        side,
        at(0.0),
        at(interval.low),
        at(interval.high) - at(interval.low),
        at(interval.value),
    )


def _grouped_caveats(view: ReportView) -> list[tuple[str, list[Caveat]]]:
    return [(name, list(found)) for name, found in groupby(view.caveats, lambda c: c.group)]
