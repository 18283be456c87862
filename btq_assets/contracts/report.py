"""Tables of the reports room."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import count, flag, number, stamp, text

_STRETCHES = ("1d", "1w", "1mo", "1q")

RISK_REPORT = TableContract(
    layer="report",
    name="risk_report",
    description="Where the last self-contained HTML report lies, and the hash of what it says.",
    columns=(
        text("report", "Name of the report."),
        text("path", "Path relative to the data folder."),
        text("sha256", "Hash of the file."),
        text("verdict", "The sentence the report opens with."),
        count("n_caveats", "Skips, fallbacks, null families and quick settings it lists."),
        text("results_hash", "Hash over forecasts, targets, equity and metrics."),
    ),
    key=("report",),
)

NUMBERS = TableContract(
    layer="report",
    name="numbers",
    description="Every number the last report shows, with the tables, content hashes, runs and code it comes from.",
    columns=(
        text("report", "Name of the report."),
        count("place", "Place on the page, from 0."),
        text("part", "Part of the report."),
        text("figure", "Caption of the table, or title of the chart."),
        text("row", "Row of the table (often a strategy), or name of the line."),
        text("column", "Column of the table, or day or month of the point."),
        text("shown", "Text on the page, interval included; empty for the points of a chart."),
        number("value", "The number shown, rounded as the page rounds it, points of charts not; a percentage as a fraction; null where a text holds no single number."),
        text("source", "Tables behind it, each with the hash of its content, run and code."),
        text("trial_id", "Trial of the strategy in that row; null for others.", nullable=True),
    ),
    key=("report", "place"),
)  # fmt: skip

FEATURE_PLOTS = TableContract(
    layer="report",
    name="feature_plots",
    description="A small plot of each feature: curves over time and a histogram, as texts of one character a point; reports/features.html and the sheets of the docs draw them.",
    columns=(
        text("feature", "Column name."),
        count("place", "Place in the catalogue, from 0."),
        text("family", "Family of the feature."),
        text(
            "universe",
            "Universe shown, the first of the configured ones that has values; null where none has.",
            nullable=True,
        ),
        text(
            "freq",
            "Bar length shown: daily, or of a family with several the one with most rows.",
            nullable=True,
        ),
        flag(
            "in_a_table",
            "Whether the values are those of the family's table; else the family is off in this configuration and was computed from core.bars_1d for the plot alone.",
        ),
        count(
            "n_symbols", "Symbols of the universe; null for a market-wide family.", nullable=True
        ),
        count("n_values", "Values behind the plot; 0: there is no plot."),
        stamp("first_ts", "Begin of the first stretch.", nullable=True),
        stamp("last_ts", "Begin of the last stretch.", nullable=True),
        text(
            "stretch", "Time a point stands for; empty without a plot.", allowed=("", *_STRETCHES)
        ),
        text(
            "shown",
            "What the middle curve is of all values in a stretch; empty without a plot.",
            allowed=("", "median", "mean"),
        ),
        text("lower", "10 % quantile of each stretch, as text; empty beside a mean."),
        text("middle", "Median or mean of each stretch, as text: # is axis_low, } is axis_high."),
        text("upper", "90 % quantile of each stretch, as text; empty beside a mean."),
        number("axis_low", "Lower end of the curves' axis, in the feature's unit."),
        number("axis_high", "Upper end."),
        text("bars", "Histogram between bars_low and bars_high, as text: } is the tallest bar."),
        number("bars_low", "1 % quantile of all values; smaller ones are in the first bar."),
        number("bars_high", "99 % quantile; larger ones are in the last bar."),
        number("minimum", "Smallest value."),
        number("p10", "10 % quantile of all values."),
        number("median", "Median of all values."),
        number("p90", "90 % quantile of all values."),
        number("maximum", "Largest value."),
    ),
    key=("feature",),
)
