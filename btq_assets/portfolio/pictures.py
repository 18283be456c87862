"""Images of why weights are what they are, for the asset's metadata.

Belongs here: choosing what is drawn. Does not belong here: drawing (`plots`), computing (`reasons`).
"""

from __future__ import annotations

import polars as pl

from btq_assets import plots
from btq_assets.portfolio.reasons import parts_of_scores

#: Assets that have room in an image.
TOP_ASSETS = 10


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
