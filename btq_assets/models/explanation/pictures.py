"""Images of explanations for the asset's metadata.

Belongs here: choosing what is drawn. Does not belong here: drawing (`plots`), explaining.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets import plots
from btq_assets.models.explanation.trees import BASELINE

#: Features, and edges, that have room in an image.
TOP_FEATURES, TOP_EDGES = 10, 40


def pictures(explanations: pl.DataFrame, importance: pl.DataFrame) -> dict[str, bytes]:
    """Each model's strongest forecast step by step, its features by session, families, its edges."""
    found = {}
    for (model,), rows in explanations.group_by("model", maintain_order=True):
        found[f"{model}: strongest forecast"] = strongest(str(model), rows)
    families = importance.filter(pl.col("subject") == "family")
    for (model,), rows in families.group_by("model", maintain_order=True):
        mean = rows.group_by("name").agg(pl.col("value").mean()).sort("value", descending=True)
        found[f"{model}: families"] = plots.bars(
            mean["name"].to_list(),
            mean["value"],
            f"{model}: rank correlation lost when a family is shuffled, mean over fits",
            "rank IC",
        )
    for (model,), rows in importance.group_by("model", maintain_order=True):
        cells = rows.filter(pl.col("subject") == "feature by session")
        if cells.height:
            features, sessions, matrix = table_of(cells, number=True)
            found[f"{model}: features by session"] = plots.heatmap(
                1e4 * matrix, sessions, features, f"{model}: mean absolute contribution, bp"
            )
        edges = rows.filter(pl.col("subject") == "edge")
        if edges.height:
            found[f"{model}: edges"] = plots.network(
                edge_values(edges, TOP_EDGES),
                f"{model}: the {TOP_EDGES} edges that move forecasts most",
            )
    return found


def strongest(model: str, explanations: pl.DataFrame) -> bytes:
    """From the baseline to the strongest stored forecast of a model, one feature after the other."""
    totals = explanations.filter((pl.col("part") == "total") & (pl.col("name") == "forecast"))
    key = ("variant", "seed", "symbol", "ts")
    row = totals.sort(
        pl.col("value").abs(), *key, descending=[True, False, False, False, False]
    ).row(0, named=True)
    own = explanations.filter(*(pl.col(name) == row[name] for name in key))
    base = own.filter((pl.col("part") == "total") & (pl.col("name") == BASELINE))["value"][0]
    parts = own.filter(pl.col("part") == "feature").sort(pl.col("value").abs(), descending=True)
    names, values = [BASELINE], [base]
    for name, value in parts.head(TOP_FEATURES).select("name", "value").iter_rows():
        names.append(name)
        values.append(value)
    rest = parts.tail(max(parts.height - TOP_FEATURES, 0))["value"].sum()
    names.append("all others")
    values.append(float(rest))
    return plots.waterfall(
        names,
        1e4 * np.array(values),
        f"{model} {row['variant']}, seed {row['seed']}: {row['symbol']} on {row['ts']:%Y-%m-%d}",
        "forecast, bp",
        total="forecast",
    )


def table_of(rows: pl.DataFrame, *, number: bool) -> tuple[list[str], list[str], np.ndarray]:
    """Names by `beside` as a matrix, mean over fits; NaN where there is none.

    Parameters
    ----------
    rows
        Of one subject of ``models.importance``.
    number
        Whether `beside` is a number, and sorted as one.
    """
    mean = rows.group_by("name", "beside").agg(pl.col("value").mean())
    names = sorted(mean["name"].unique().to_list())
    beside = sorted(
        mean["beside"].unique().to_list(), key=(lambda b: (-int(b), b)) if number else str
    )
    matrix = np.full((len(names), len(beside)), np.nan)
    at_name, at_beside = ({n: i for i, n in enumerate(one)} for one in (names, beside))
    for name, other, value in mean.iter_rows():
        matrix[at_name[name], at_beside[other]] = value
    return names, beside, matrix


def edge_values(edges: pl.DataFrame, n: int) -> list[tuple[str, str, float]]:
    """The `n` edges worth most, as (source, target, mean over fits)."""
    mean = edges.group_by("name", "beside").agg(pl.col("value").mean())
    top = mean.sort("value", "name", "beside", descending=[True, False, False]).head(n)
    return [(name, beside, value) for name, beside, value in top.iter_rows()]
