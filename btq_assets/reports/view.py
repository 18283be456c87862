"""What a report says, as plain data: the seam between the numbers and the page.

Belongs here: frozen types that hold texts and numbers ready to be laid out. Does not belong here:
how anything is computed (`assemble.py`) or looks (`render.py`, `charts.py`, the template).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np

#: What stands where a number is missing.
MISSING = "–"

Unit = Literal["percent", "growth", "number"]


@dataclass(frozen=True)
class Interval:
    """A point estimate with its interval, drawn as a dot on a whisker.

    Parameters
    ----------
    low, value, high
        In the unit of the column.
    """

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Cell:
    """One table cell.

    Parameters
    ----------
    text
        Formatted value.
    detail
        Second line in small print (an interval, a date).
    title
        What a pointer resting on it shows (why a value is missing).
    tint
        Background from -1 (bad) over 0 (none) to 1 (good).
    interval
        Draws a whisker below the text, on the common scale of the column.
    link
        Page beside this one that the text leads to, with an anchor.
    """

    text: str
    detail: str = ""
    title: str = ""
    tint: float = 0.0
    interval: Interval | None = None
    link: str = ""


@dataclass(frozen=True)
class Head:
    """Heading of one column.

    Parameters
    ----------
    text
        Short heading.
    title
        Definition, shown when the pointer rests on it and in the notes.
    numeric
        Whether cells are aligned right with tabular figures.
    """

    text: str
    title: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Row:
    """One table row.

    Parameters
    ----------
    cells
        As many as there are headings.
    kind
        ``candidate``, ``baseline``, ``index``, ``group`` (a heading inside the table) or empty.
    """

    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its heads, and where its numbers come from.

    Parameters
    ----------
    heads, rows
        Content.
    caption
        What it shows, one line.
    notes
        Conventions, below the table.
    source
        Tables and data versions behind the numbers.
    """

    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a chart; `values` has one entry per x, NaN where missing."""

    label: str
    values: np.ndarray
    emphasis: bool = True
    dashed: bool = False
    ink: bool = False


@dataclass(frozen=True)
class Band:
    """Stretches of time a chart shades, such as those under a market state.

    Parameters
    ----------
    label
        Name in the legend.
    colour
        Hexadecimal, drawn faintly.
    spans
        (first day, first day after) of each stretch, ascending.
    """

    label: str
    colour: str
    spans: tuple[tuple[date, date], ...]


@dataclass(frozen=True)
class LineChart:
    """Lines over dates.

    Parameters
    ----------
    key
        Unique on the page.
    title, note
        Heading and one line of explanation.
    x
        Dates, ascending, length ``n``.
    lines
        Each ``n`` long.
    unit
        How values are written.
    log, filled, zero
        Logarithmic y axis; tinted area between line and zero; zero on the y axis without one.
    points
        Marks on top: label → (dates, values).
    bands
        Shaded behind the lines.
    source
        Tables and data versions behind the numbers.
    """

    key: str
    title: str
    x: Sequence[date]
    lines: tuple[Line, ...]
    unit: Unit = "number"
    note: str = ""
    log: bool = False
    filled: bool = False
    zero: bool = False
    points: Mapping[str, tuple[Sequence[date], np.ndarray]] = field(default_factory=dict)
    bands: tuple[Band, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class CellChart:
    """A matrix over time or categories as coloured cells (weights, monthly returns).

    Parameters
    ----------
    key, title, note
        As for `LineChart`.
    rows, columns
        Labels; `values` has shape ``(len(rows), len(columns))``, NaN where missing.
    diverging
        Whether colours diverge from zero.
    written
        Whether values are written into the cells.
    unit
        ``percent`` writes fractions as per cent, ``number`` as they are.
    digits
        Decimals written.
    blanks
        What stands in a cell without a value, same shape as `values`; by default nothing.
    source
        Tables and data versions behind the numbers.
    """

    key: str
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    diverging: bool = False
    written: bool = False
    unit: Unit = "percent"
    digits: int = 1
    blanks: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    source: str = ""


@dataclass(frozen=True)
class CurveChart:
    """Lines over a number: costs, bars of delay, number of trials.

    Parameters
    ----------
    key, title, note, unit
        As for `LineChart`.
    x
        Ascending, at least two, length ``n``.
    x_title
        What `x` counts, with its unit.
    lines
        Each ``n`` long.
    x_log
        Logarithmic x axis; `x` is positive.
    ticks
        Places labelled on the x axis; by default every `x` that has room.
    columns
        Columns from zero in place of lines, as for a histogram.
    marks
        Label → place on the x axis of a vertical line.
    source
        Tables and data versions behind the numbers.
    """

    key: str
    title: str
    x: Sequence[float]
    x_title: str
    lines: tuple[Line, ...]
    unit: Unit = "number"
    note: str = ""
    x_log: bool = False
    ticks: tuple[float, ...] = ()
    columns: bool = False
    marks: Mapping[str, float] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class BarChart:
    """Stacked bars, one a row: parts above zero to the right, parts below it to the left.

    Parameters
    ----------
    key, title, note, unit
        As for `LineChart`.
    rows, parts
        Labels; `values` has shape ``(len(rows), len(parts))``, NaN where not known.
    digits
        Decimals of the numbers written.
    total
        What the sum of the parts is called.
    source
        Tables and data versions behind the numbers.
    """

    key: str
    title: str
    rows: tuple[str, ...]
    parts: tuple[str, ...]
    values: np.ndarray
    unit: Unit = "number"
    digits: int = 1
    total: str = "sum"
    note: str = ""
    source: str = ""


@dataclass(frozen=True)
class Link:
    """A line that leads to a page beside this one.

    Parameters
    ----------
    page
        File name, in the same folder.
    text
        What is clicked.
    note
        What is found there.
    """

    page: str
    text: str
    note: str = ""


Chart = LineChart | CellChart | CurveChart | BarChart
Block = Table | Chart | Link | str


@dataclass(frozen=True)
class Section:
    """A numbered part of the report: paragraphs, tables and charts in reading order."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""


@dataclass(frozen=True)
class VerdictBox:
    """What the report opens with.

    Parameters
    ----------
    headline
        One sentence.
    positive
        Whether anything survived.
    statements
        What is claimed, what survives, what does not; one sentence each.
    n_trials
        Trials of the question counted in the ledger: at least this many were tried.
    """

    headline: str
    positive: bool
    statements: tuple[str, ...]
    n_trials: int


@dataclass(frozen=True)
class Caveat:
    """Something the reader must know before a number.

    Parameters
    ----------
    group
        Heading it stands under.
    text
        One sentence.
    subject
        Name that must occur in the page (a feature family, a source, a table).
    """

    group: str
    text: str
    subject: str = ""


@dataclass(frozen=True)
class ReportView:
    """The whole report.

    Parameters
    ----------
    title, subtitle
        Headings.
    banner
        Warning above everything, or empty (``quick: no verdict on deep models``).
    verdict
        Box the report opens with.
    caveats
        "Read this first".
    sections
        The rest, in order.
    facts
        Label → value under the title (span, universe, profile, run).
    """

    title: str
    subtitle: str
    banner: str
    verdict: VerdictBox
    caveats: tuple[Caveat, ...]
    sections: tuple[Section, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
