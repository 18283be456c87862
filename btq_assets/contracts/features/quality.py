"""What the columns of the features room are worth as data: missing, drifting, redundant."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import count, number, stamp, text
from btq_assets.contracts.features.panel import FREQUENCIES

QUALITY = TableContract(
    layer="features",
    name="quality",
    description="Each feature in each universe and at each bar length: how much is missing, how far its distribution has moved since the training window, and which features say the same.",
    columns=(
        text("universe", "Universe the values are of."),
        text("freq", "Bar length the feature is computed at.", allowed=FREQUENCIES),
        text("feature", "Column name."),
        text("family", "Family, the name of its table."),
        count("n_rows", "Bars of the universe, or sessions for a market-wide family."),
        number(
            "missing_share",
            "Share of them without a value, 0 to 1.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        stamp("first_ts", "First bar with a value.", nullable=True),
        stamp("last_ts", "Last bar with a value.", nullable=True),
        stamp("reference_start", "Start of the first fold's training window."),
        stamp("reference_end", "Its end, excluded."),
        count("n_reference", "Values in the training window."),
        count(
            "n_recent",
            "Values in the last 252 sessions of the universe, or its last 252 bars below a day.",
        ),
        number(
            "psi",
            "Population stability index of the recent values against deciles of the training window; null with fewer than 250 values on either side. Below 0.1 is usually called stable, above 0.25 shifted.",
            minimum=0,
        ),
        number(
            "ks_statistic",
            "Largest gap of the two distribution functions, 0 to 1.",
            minimum=0,
            maximum=1,
        ),
        text("cluster", "Representative of the cluster of like features.", nullable=True),
        count("cluster_size", "Features in that cluster."),
        text("nearest_feature", "Feature with the largest absolute correlation.", nullable=True),
        number(
            "nearest_correlation",
            "Spearman correlation with it, over the rows both have in the training window.",
            minimum=-1.000001,
            maximum=1.000001,
        ),
    ),
    key=("universe", "freq", "feature"),
)
