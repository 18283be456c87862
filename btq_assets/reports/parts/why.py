"""Why today's weights are what they are, and what the models lean on.

Belongs here: what `portfolio.weight_reasons`, `portfolio.weight_contributions` and `models.importance`
hold, laid out. Does not belong here: explaining (the models room), the chain from score to weight (the
portfolio room).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from btq_assets.portfolio.reasons import BASELINE, parts_of_scores
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames, label
from btq_assets.reports.view import BarChart, Block, Cell, CellChart, Head, Row, Section, Table

_TOP_ASSETS = 10
_TOLD = 3
#: Scores of `blend` are scaled ranks; those of the others are returns.
_BLEND = "blend"


def section(frames: ReportFrames, context: ReportContext) -> Section | None:
    """Today's largest weights from feature to weight; ``None`` where no weight is explained."""
    reasons = frames["weight_reasons"]
    if reasons.is_empty():
        return None
    explained = set(reasons["strategy"])
    strategy = next((s for s in frames.strategies("candidate") if s in explained), min(explained))
    return Section(
        "why",
        "Why these weights",
        tuple(_blocks(frames, context, strategy)),
        f"From feature to forecast, from forecast to rank, from rank to weight, for {label(strategy)} at "
        "its last decision. An explanation says what a model leans on, not what is true of the market.",
    )


def _blocks(frames: ReportFrames, context: ReportContext, strategy: str) -> Iterator[Block]:
    reasons = frames["weight_reasons"].filter(pl.col("strategy") == strategy)
    parts = frames["weight_contributions"].filter(pl.col("strategy") == strategy)
    top = reasons.sort("weight", "symbol", descending=[True, False]).head(_TOP_ASSETS)
    yield _weights(strategy, top, parts, context)
    if parts.height:
        yield _scores(strategy, top, parts, context)
    else:
        yield f"The forecasts behind {label(strategy)} have no explanation by features."
    importance = frames["importance"]
    if importance.height:
        yield from _families(importance, context)
        for (model,), own in importance.group_by("model", maintain_order=True):
            yield from _of_network(str(model), own, context)


def _weights(
    strategy: str, top: pl.DataFrame, parts: pl.DataFrame, context: ReportContext
) -> Table:
    heads = (
        Head("Asset", numeric=False),
        Head("Weight", "In portfolio.targets_rank; the rest is cash"),
        Head("Rank", "Of the score, 1 worst"),
        Head("By rank", "Weight by rank alone"),
        Head("Capped", "Under trading.max_position_size"),
        Head("At volatility", "Scaled to portfolio.target_volatility_annual"),
        Head("Exposure", "Factor of the market state known at the decision"),
        Head("Score", "Forecast in basis points; of blend the mean scaled rank"),
        Head("Made of", "Largest contributions to the score", numeric=False),
        Head(
            "Worth most",
            "Part of the score without which the weight would differ most, all else as it is",
            numeric=False,
        ),
    )
    rows = []
    for row in top.iter_rows(named=True):
        own = parts.filter((pl.col("symbol") == row["symbol"]) & (pl.col("name") != BASELINE))
        largest = own.sort(pl.col("contribution").abs(), "name", descending=[True, False])
        told = [
            f"{one['name']} {_score(strategy, one['contribution'])}"
            for one in largest.head(_TOLD).iter_rows(named=True)
        ]
        worth = own.sort(pl.col("weight_change").abs(), "name", descending=[True, False])
        rows.append(
            Row(
                (
                    Cell(row["symbol"]),
                    Cell(fmt.percent(row["weight"])),
                    Cell(fmt.number(row["rank"], 0), detail=f"of {row['n_ranked']}"),
                    *(
                        Cell(fmt.percent(row[name]))
                        for name in ("weight_ranked", "weight_capped", "weight_at_volatility")
                    ),
                    Cell(fmt.number(row["exposure_scale"])),
                    Cell(_score(strategy, row["score"])),
                    Cell(", ".join(told) or fmt.MISSING),
                    Cell(
                        worth["name"][0] if worth.height else fmt.MISSING,
                        detail=_change(worth.row(0, named=True)) if worth.height else "",
                    ),
                )
            )
        )
    day = fmt.day(top["ts"][0])
    return Table(
        heads,
        tuple(rows),
        f"Largest weights of {label(strategy)}, decided on {day}",
        (
            "Forecasts of several seeds are averaged, and so are their contributions. What a part is "
            "worth in weight does not add up over parts: a rank depends on all scores.",
        ),
        context.source("weight_reasons", "weight_contributions"),
    )


def _score(strategy: str, value: float | None) -> str:
    return fmt.number(value, 3) if strategy == _BLEND else fmt.number(_bp(value), 1)


def _bp(value: float | None) -> float | None:
    return None if value is None else 1e4 * value


def _change(row: dict[str, Any]) -> str:
    return f"{fmt.percent(row['weight_change'], 2)} of equity"


def _scores(
    strategy: str, top: pl.DataFrame, parts: pl.DataFrame, context: ReportContext
) -> BarChart:
    names, matrix = parts_of_scores(parts, top["symbol"].to_list())
    blend = strategy == _BLEND
    return BarChart(
        "why-scores",
        f"What makes up the scores of {label(strategy)}" + ("" if blend else ", basis points"),
        tuple(top["symbol"]),
        names,
        matrix if blend else 1e4 * matrix,
        digits=3 if blend else 1,
        total="score",
        note="The largest weights, largest first.",
        source=context.source("weight_contributions"),
    )


def _families(importance: pl.DataFrame, context: ReportContext) -> Iterator[Table]:
    rows = importance.filter(pl.col("subject") == "family")
    if rows.is_empty():
        return
    # Fits of several seeds: the mean, and the error of the mean of independent shuffles.
    mean = (
        rows.sort("seed")
        .group_by("model", "variant", "name", maintain_order=True)
        .agg(
            pl.col("value").mean(),
            error=(pl.col("standard_error") ** 2).sum().sqrt() / pl.len(),
        )
    )
    found = {
        (model, variant, name): (value, error)
        for model, variant, name, value, error in mean.iter_rows()
    }
    fits = sorted({key[:2] for key in found})
    heads = (
        Head("Family", numeric=False),
        *(Head(f"{model} {variant}", "Rank correlation lost") for model, variant in fits),
    )
    lines = []
    for name in sorted({key[2] for key in found}):
        cells = [Cell(name)]
        for model, variant in fits:
            value, error = found.get((model, variant, name), (None, None))
            told = "" if error is None else f"± {fmt.number(error, 3)}"
            cells.append(Cell(fmt.number(value, 3), detail=told))
        lines.append(Row(tuple(cells)))
    n = max(rows["n_decisions"].to_list())
    yield Table(
        heads,
        tuple(lines),
        "Rank correlation lost when a family of features is shuffled among the assets of each date",
        (
            f"Over the last {n} decisions with labels, out of sample, with the standard error over "
            "shuffles. Few decisions: differences of a few hundredths are luck. Coefficients and gain of "
            "the training segments stand under Features.",
        ),
        context.source("importance"),
    )


def _of_network(model: str, own: pl.DataFrame, context: ReportContext) -> Iterator[CellChart]:
    source = context.source("importance")
    cells = own.filter(pl.col("subject") == "feature by session")
    if cells.height:
        features, sessions, matrix = _matrix(cells, numbered=True)
        yield CellChart(
            f"why-{model}-sessions",
            f"{model}: mean absolute contribution by feature and session, basis points",
            features,
            tuple(f"t-{back}" if back != "0" else "t" for back in sessions),
            1e4 * matrix,
            unit="number",
            digits=2,
            note="Integrated gradients; t is the session of the decision.",
            source=source,
        )
    edges = own.filter(pl.col("subject") == "edge")
    if edges.height:
        sources, targets, matrix = _matrix(edges, numbered=False)
        yield CellChart(
            f"why-{model}-edges",
            f"{model}: what an edge of the graph moves the forecast by, basis points",
            sources,
            targets,
            1e4 * matrix,
            unit="number",
            digits=2,
            note="Rows lead to columns: mean absolute change of the column's forecast without the edge; "
            "empty where there was none.",
            source=source,
        )


def _matrix(
    rows: pl.DataFrame, *, numbered: bool
) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray]:
    """Mean over fits by name and what stands beside; sessions run towards the decision."""
    mean = (
        rows.sort("variant", "seed")
        .group_by("name", "beside", maintain_order=True)
        .agg(pl.col("value").mean())
    )
    names = sorted(set(mean["name"]))
    beside = sorted(
        set(mean["beside"]), key=lambda text: (-int(text), "") if numbered else (0, text)
    )
    matrix = np.full((len(names), len(beside)), np.nan)
    for name, other, value in mean.iter_rows():
        matrix[names.index(name), beside.index(other)] = value
    return tuple(names), tuple(beside), matrix
