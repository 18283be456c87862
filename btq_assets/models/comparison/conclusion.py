"""What a comparison says, in words.

Belongs here: one sentence out of its tables. Does not belong here: any figure.
"""

from __future__ import annotations

import polars as pl

from btq_assets.config.comparison import REFERENCES


def verdict_sentence(comparison: pl.DataFrame, pairs: pl.DataFrame) -> str:
    """Who leads, and what of it is shown; two sentences.

    Parameters
    ----------
    comparison, pairs
        ``models.comparison`` with at least one row, and ``models.comparison_pairs``.
    """
    best = comparison.sort("rank_ic", descending=True).row(0, named=True)
    lead = (
        f"The highest mean rank IC has {best['model']}, {best['rank_ic']:+.4f} "
        f"({best['rank_ic_low']:+.4f} to {best['rank_ic_high']:+.4f})."
    )
    said = []
    for reference in REFERENCES:
        rows = pairs.filter((pl.col("against") == reference) & (pl.col("measure") == "rank_ic"))
        for word in ("better", "worse"):
            names = rows.filter(pl.col("verdict") == word)["model"].sort().to_list()
            if names:
                said.append(f"{', '.join(names)} {word} than {reference}")
    shown = "; ".join(said) if said else "no architecture better or worse than ridge or LightGBM"
    return f"{lead} Shown by rank IC with all pairs counted: {shown}."
