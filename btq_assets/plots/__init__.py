"""The one place that draws images for metadata and documents.

Belongs here: line, bar, heat-map, histogram and scatter plots of numbers somebody else computed,
in one look and one colour-blind-safe palette, as PNG bytes; and small multiples as SVG (`small.py`).
Does not belong here: any figure of merit, any table access, any file. Matplotlib is imported inside
the functions, its global state is never touched, and equal input gives equal bytes.
"""

from __future__ import annotations

from btq_assets.plots.canvas import PALETTE
from btq_assets.plots.categories import bars, stacked_bars
from btq_assets.plots.cells import (
    MAX_ANNOTATED_CELLS,
    MONTHS,
    heatmap,
    monthly_heatmap,
    monthly_returns,
)
from btq_assets.plots.distributions import histogram, scatter
from btq_assets.plots.over_time import MAX_POINTS, downsample, lines
from btq_assets.plots.parallel import parallel_coordinates
from btq_assets.plots.steps import network, waterfall

__all__ = [
    "MAX_ANNOTATED_CELLS",
    "MAX_POINTS",
    "MONTHS",
    "PALETTE",
    "bars",
    "downsample",
    "heatmap",
    "histogram",
    "lines",
    "monthly_heatmap",
    "monthly_returns",
    "network",
    "parallel_coordinates",
    "scatter",
    "stacked_bars",
    "waterfall",
]
