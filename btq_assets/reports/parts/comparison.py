"""Every architecture beside the others: who leads, by how much, and what of it is shown.

Belongs here: what `models.comparison` and its kin hold. Does not belong here: the comparison itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config.comparison import REFERENCES
from btq_assets.models.comparison.conclusion import verdict_sentence
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import (
    BarChart,
    Block,
    Cell,
    CellChart,
    CurveChart,
    Head,
    Line,
    Row,
    Section,
    Table,
)

#: Coloured lines; the others stay faint until the pointer is on their name.
_EMPHASISED = 6


def section(frames: ReportFrames, context: ReportContext) -> Section:
    """The table by rank IC, the spread of seeds, decay, pairs and components."""
    return Section(
        "comparison",
        "Comparison of architectures",
        tuple(_blocks(frames, context)),
        "Every architecture on the same folds with several seeds, whoever wins. A difference counts "
        "only where all pairs compared are counted with it.",
    )


def _blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    table = frames["comparison"].sort("rank_ic", "model", descending=[True, False])
    if table.is_empty():
        yield (
            "No comparison is stored: models.comparison is empty; the job `comparison` makes it."
        )
        return
    yield verdict_sentence(table, frames["comparison_pairs"])
    yield _architectures(table, context)
    yield _earnings(table, context)
    order = table["model"].to_list()
    if frames["comparison_pairs"].height:
        yield _pairs(frames["comparison_pairs"], order, context)
    if frames["comparison_seeds"].height:
        yield _seeds(frames["comparison_seeds"], order, context)
    if frames["comparison_decay"]["horizon_sessions"].n_unique() > 1:
        yield _decay(frames["comparison_decay"], order, context)
    yield from _components(frames["comparison_ablations"], order, context)


def _architectures(table: pl.DataFrame, context: ReportContext) -> Table:
    heads = (
        Head("Architecture", numeric=False),
        Head("Seeds"),
        Head("Mean rank IC", "Mean over decisions and seeds; interval by block bootstrap"),
        Head("Spread of seeds", "Standard deviation over seeds"),
        Head("Of the mean forecast", "Rank IC of the forecasts averaged over seeds"),
        Head("ICIR", "Mean over standard deviation by decision; small print: spread of seeds"),
        Head("Slope", "Of labels on forecasts less the mean of their date; 1 is calibrated"),
        Head("Inside 90 %", "Share of labels between the quantiles at 5 % and 95 %"),
        Head("Parameters"),
        Head("Seconds a seed", "To fit and forecast all folds; of the machine it ran on"),
    )
    rows = tuple(
        Row(
            (
                Cell(r["model"]),
                Cell(fmt.whole(r["n_seeds"])),
                fmt.estimate(r["rank_ic"], r["rank_ic_low"], r["rank_ic_high"], digits=4, whisker=True),
                Cell(fmt.number(r["rank_ic_spread"], 4)),
                Cell(fmt.number(r["rank_ic_of_mean"], 4)),
                Cell(fmt.number(r["icir"], 3), detail=_spread(r["icir_spread"], 3)),
                fmt.estimate(
                    r["relative_slope"], r["relative_slope_low"], r["relative_slope_high"]
                ),
                Cell(
                    fmt.percent(r["coverage_90"]),
                    title="" if r["coverage_90"] is not None else "it forecasts no distribution",
                ),
                Cell(fmt.whole(r["n_parameters"])),
                Cell(fmt.number(r["seconds"], 1)),
            )
        )
        for r in table.iter_rows(named=True)
    )  # fmt: skip
    n = int(table["n_decisions"].max())  # type: ignore[arg-type]
    notes = (f"Out of sample, {fmt.whole(n)} decisions; sorted by mean rank IC.",)
    return Table(heads, rows, "Architectures by rank IC", notes, context.source("comparison"))


def _earnings(table: pl.DataFrame, context: ReportContext) -> Table:
    heads = (
        Head("Architecture", numeric=False),
        Head(
            "Sharpe", "Annual, of its rank portfolio after costs, mean of seeds; no risk-free rate"
        ),
        Head("Spread of seeds", "Standard deviation over seeds"),
        Head("Turnover a year", "Purchases and sales over equity"),
        Head("Costs a year", "Over equity"),
        Head("Deflated Sharpe", "Of its best seed, every architecture and seed counted as a trial"),
        Head("Trials"),
    )
    rows = tuple(
        Row(
            (
                Cell(r["model"]),
                Cell(fmt.number(r["sharpe"])),
                Cell(fmt.number(r["sharpe_spread"], 3)),
                Cell(fmt.number(r["turnover_annual"], 1)),
                Cell(fmt.percent(r["cost_annual"], 2)),
                Cell(fmt.probability(r["deflated_sharpe"])),
                Cell(fmt.whole(r["n_trials"])),
            )
        )
        for r in table.iter_rows(named=True)
    )
    note = (
        "The rank portfolio of the strategies: long only, volatility-targeted, so that most of its "
        "Sharpe ratio is that of the market; deflation speaks of luck around zero, not of 1/N."
    )
    return Table(
        heads, rows, "What their forecasts earn after costs", (note,), context.source("comparison")
    )


def _pairs(pairs: pl.DataFrame, order: list[str], context: ReportContext) -> Table:
    found = {
        (row["model"], row["against"], row["measure"]): row for row in pairs.iter_rows(named=True)
    }
    columns = [
        (reference, measure, text)
        for measure, text in (("rank_ic", "rank IC"), ("net_return_annual", "return a year"))
        for reference in REFERENCES
    ]
    heads = (
        Head("Architecture", numeric=False),
        *(
            Head(f"{text} above {reference}", "Mean of seeds; interval, p-value with all pairs counted")
            for reference, _, text in columns
        ),
    )  # fmt: skip
    rows = tuple(
        Row(
            (Cell(model), *(_pair(found.get((model, ref, what)), what) for ref, what, _ in columns))
        )
        for model in order
        if any((model, ref, what) in found for ref, what, _ in columns)
    )
    note = (
        "Both on the same decisions or days, resampled together in blocks. p: two-sided, all pairs of "
        "the measure counted (Holm); at most 0.05 is called shown. LightGBM against ridge stands once."
    )
    return Table(
        heads, rows, "Against ridge and LightGBM", (note,), context.source("comparison_pairs")
    )


def _pair(row: dict[str, Any] | None, measure: str) -> Cell:
    if row is None:
        return Cell(fmt.MISSING, title="compared with itself, or in the other's row")
    percent = measure != "rank_ic"
    said = fmt.estimate(
        row["difference"], row["ci_low"], row["ci_high"], as_percent=percent, digits=1 if percent else 4
    )  # fmt: skip
    tint = {"better": 1.0, "worse": -1.0}.get(row["verdict"], 0.0)
    detail = f"{said.detail} p {fmt.probability(row['p_adjusted'])}"
    return Cell(said.text, detail=detail, title=row["verdict"], tint=tint)


def _seeds(seeds: pl.DataFrame, order: list[str], context: ReportContext) -> CellChart:
    columns = seeds["seed"].unique().sort().to_list()
    found = dict(zip(seeds.select("model", "seed").iter_rows(), seeds["rank_ic"], strict=True))
    values = [[found.get((model, seed)) for seed in columns] for model in order]
    return CellChart(
        "comparison-seeds",
        "Mean rank IC by seed, %",
        tuple(order),
        tuple(f"seed {seed}" for seed in columns),
        np.array(values, dtype=float),
        diverging=True,
        written=True,
        digits=2,
        note="What has no randomness has one seed, 0. Seeds differ by chance alone: a lead smaller than "
        "their spread is none.",
        source=context.source("comparison_seeds"),
    )


def _decay(decay: pl.DataFrame, order: list[str], context: ReportContext) -> CurveChart:
    horizons = decay["horizon_sessions"].unique().sort()
    wide = pl.DataFrame({"horizon_sessions": horizons})
    lines = []
    for place, model in enumerate(order):
        own = decay.filter(pl.col("model") == model)
        values = wide.join(own, on="horizon_sessions", how="left").sort("horizon_sessions")
        lines.append(
            Line(
                model,
                values["rank_ic"].fill_null(float("nan")).to_numpy(),
                emphasis=place < _EMPHASISED,
            )
        )
    return CurveChart(
        "comparison-decay",
        "Mean rank IC by horizon",
        [float(h) for h in horizons],
        "sessions from the fill",
        tuple(lines),
        x_log=True,
        note=f"Forecasts of {context.config.models.horizon_sessions} sessions held against relative "
        "returns from the same fill over other horizons. Long ones overlap: their intervals, in "
        "models.comparison_decay, are wide.",
        source=context.source("comparison_decay"),
    )


def _components(
    ablations: pl.DataFrame, order: list[str], context: ReportContext
) -> Iterator[Block]:
    if ablations.is_empty():
        yield (
            "No component was left out: models.comparison_ablations is empty; the job `comparison` "
            "makes it."
        )
        return
    place = {model: number for number, model in enumerate(order)}
    known = sorted(
        (row for row in ablations.iter_rows(named=True) if row["difference"] is not None),
        key=lambda row: (row["without"], place.get(row["model"], len(place))),
    )
    source = context.source("comparison_ablations")
    if known:
        yield BarChart(
            "comparison-components",
            "What a component is worth: mean rank IC with less without, hundredths",
            tuple(f"{row['model']}: {_named(row['without'])}" for row in known),
            ("difference",),
            np.array([[100 * row["difference"]] for row in known]),
            digits=2,
            total="difference",
            note="To the right the component helped, to the left the architecture did better without.",
            source=source,
        )
    heads = (
        Head("Architecture", numeric=False),
        Head("Without", numeric=False),
        Head("Seeds"),
        Head("Rank IC with"),
        Head("Rank IC without"),
        Head("Difference", "95 % interval, decisions resampled in pairs"),
        Head("Reading", numeric=False),
    )
    rows = tuple(
        Row(
            (
                Cell(row["model"]),
                Cell(_named(row["without"])),
                Cell(fmt.whole(row["n_seeds"])),
                Cell(fmt.number(row["rank_ic_with"], 4)),
                Cell(fmt.number(row["rank_ic_without"], 4)),
                fmt.estimate(
                    row["difference"], row["ci_low"], row["ci_high"], digits=4, whisker=True
                ),
                Cell(row["verdict"]),
            )
        )
        for row in known
    )
    none = ablations.filter(pl.col("difference").is_null())
    notes = tuple(
        f"Nothing to leave out ({_named(str(without))}) of {', '.join(rows['model'].sort())}: {why}."
        for (without, why), rows in none.sort("without", "why").group_by(
            "without", "why", maintain_order=True
        )
    )
    yield Table(heads, rows, "Components left out", notes, source)


def _named(component: str) -> str:
    return component.replace("_", " ")


def _spread(value: float | None, digits: int) -> str:
    return "" if value is None else f"± {fmt.number(value, digits)}"
