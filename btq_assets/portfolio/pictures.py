"""Images of why weights are what they are, for the asset's metadata.

Belongs here: choosing what is drawn. Does not belong here: drawing (`plots`), computing (`reasons`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets import plots
from btq_assets.portfolio.reasons import BASELINE

#: Assets and features that have room in an image.
TOP_ASSETS, TOP_FEATURES = 10, 6


def pictures_of_reasons(reasons: pl.DataFrame, contributions: pl.DataFrame) -> dict[str, bytes]:
    """Largest weights of each strategy, and what makes up their scores, as PNG by title."""
    found = {}
    for (strategy,), rows in reasons.group_by("strategy", maintain_order=True):
        own = contributions.filter(pl.col("strategy") == strategy)
        if own.is_empty():
            continue
        top = rows.sort("weight", "symbol", descending=[True, False]).head(TOP_ASSETS)
        names, matrix = parts_of_scores(own, top["symbol"].to_list())
        found[f"Why these weights: {strategy}"] = plots.stacked_bars(
            [f"{row['symbol']} {row['weight']:.1%}" for row in top.iter_rows(named=True)],
            {name: matrix[:, place] for place, name in enumerate(names)},
            f"What makes up the scores behind the largest weights of {strategy}",
            "score",
        )
    return found


def parts_of_scores(
    contributions: pl.DataFrame, symbols: list[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The largest parts of some scores, all others together, and the baseline where it is not 0.

    Returns
    -------
    names : tuple of str
        Parts, largest mean absolute contribution first.
    matrix : numpy.ndarray
        ``float64[len(symbols), len(names)]``, rows summing to the scores.
    """
    own = contributions.filter(pl.col("symbol").is_in(symbols))
    features = own.filter(pl.col("name") != BASELINE)
    largest = (
        features.group_by("name")
        .agg(pl.col("contribution").abs().mean())
        .sort("contribution", "name", descending=[True, False])["name"]
        .head(TOP_FEATURES)
        .to_list()
    )
    named = own.with_columns(
        part=pl.when(pl.col("name").is_in([*largest, BASELINE]))
        .then("name")
        .otherwise(pl.lit("all others"))
    )
    sums = named.group_by("symbol", "part").agg(pl.col("contribution").sum())
    values = {(symbol, part): value for symbol, part, value in sums.iter_rows()}
    names = [*largest, "all others", BASELINE]
    matrix = np.array([[values.get((symbol, name), 0.0) for name in names] for symbol in symbols])
    kept = [place for place in range(len(names)) if np.abs(matrix[:, place]).any()]
    return tuple(names[place] for place in kept), matrix[:, kept]
