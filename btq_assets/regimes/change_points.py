"""Change points of mean and variance as they show: Adams and MacKay (2007).

Belongs here: scaling the returns by their warm-up, and rows from run lengths. Does not belong here:
the recursion (`kernels`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.config.regimes import RegimesSection
from btq_assets.contracts.regimes import CHANGE_POINTS
from btq_assets.regimes.panel import panel_of

#: Prior of a new run, of returns scaled by the warm-up: mean 0 worth one observation, variance
#: around 1 worth two (Murphy 2007, section 6: alpha 1, beta 1).
PRIOR = (0.0, 1.0, 1.0, 1.0)
#: Run lengths less probable than this are dropped.
_NEGLIGIBLE = 1e-6


def change_points(
    bars: pl.DataFrame, universe: str, settings: RegimesSection | None = None
) -> pl.DataFrame:
    """Probability of a recent change of a universe's equal-weight return, online.

    Returns are divided by the standard deviation of the first ``warm_up_sessions``; rows start
    after those.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    universe
        Universe wanted.

    Returns
    -------
    polars.DataFrame
        Rows of ``regimes.change_points``; none where the history is too short or constant.
    """
    settings = settings or RegimesSection()
    section = settings.change_points
    panel = panel_of(bars, universe)
    warm_up = section.warm_up_sessions
    if not (settings.enable and section.enable) or len(panel.market) <= warm_up:
        return CHANGE_POINTS.empty()
    scale = panel.market[:warm_up].std()
    if scale < 1e-10:
        return CHANGE_POINTS.empty()
    bound = section.clip_deviations
    scaled = np.clip(panel.market[warm_up:] / scale, -bound, bound)
    return _rows(panel.ts[warm_up:], scaled, universe, settings)


def _rows(
    ts: pl.Series, scaled: np.ndarray, universe: str, settings: RegimesSection
) -> pl.DataFrame:
    from btq_assets.regimes.kernels import run_lengths

    section = settings.change_points
    found = run_lengths(
        scaled,
        1 / section.expected_run_sessions,
        PRIOR,
        section.recent_sessions,
        section.declare_probability,
        _NEGLIGIBLE,
    )
    here = np.arange(scaled.size)
    declared = found[:, 4].astype(int)
    is_change = declared > 0
    return (
        pl.DataFrame(
            {
                "ts": ts,
                "p_recent_change": found[:, 0],
                "p_change_since_last": found[:, 3],
                "expected_run_sessions": found[:, 1],
                "run_sessions": found[:, 2].astype(int),
                "is_change": is_change,
            }
        )
        .with_columns(
            changed_at=pl.when(pl.col("is_change")).then(
                ts.gather(here - np.maximum(declared, 1) + 1)
            )
        )
        .with_columns(scope=pl.lit(universe))
        .select(CHANGE_POINTS.column_names)
    )
