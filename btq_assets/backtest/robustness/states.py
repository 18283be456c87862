"""The state each day began in, as known at the bar before it, and the slices that follow.

Belongs here: from rows of the regimes tables to slices of a finished path. Does not belong here:
how a state is found (the regimes room) and what the figures of a slice are (`scenarios`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.backtest.scenarios import UNKNOWN, ScenarioResult, slice_result
from btq_assets.contracts.backtest import DAY_STATES as STATES
from btq_assets.timeline import asof_join

#: Dimension of both kinds of state at once.
COMBINED = "market_volatility"

#: A state older than this says nothing about the day.
MAX_AGE = timedelta(days=10)


def known_states(ts: pl.Series, states: pl.DataFrame) -> pl.Series:
    """State in force when each bar began: the newest one at or before the bar before it.

    A position held over bar ``t`` was decided at ``t - 1`` at the latest, so the state of bar
    ``t`` itself must not choose the slice that bar's return falls into.

    Parameters
    ----------
    ts
        Bar ends, UTC, ascending.
    states
        ``ts`` and ``state`` of one scope.

    Returns
    -------
    polars.Series
        Strings, length of `ts`; ``"unknown"`` at the first bar, where the state is null, and
        where the newest one is older than 10 days.
    """
    if len(ts) == 0:
        return pl.Series("state", [], dtype=pl.String)
    decided = pl.DataFrame({"decided_at": ts.head(len(ts) - 1)})
    found = asof_join(
        decided,
        states.select(known_at="ts", state="state"),
        at="decided_at",
        max_age=MAX_AGE,
    )["state"].cast(pl.String)
    return pl.concat([pl.Series("state", [None], dtype=pl.String), found]).fill_null(UNKNOWN)


def state_labels(
    ts: pl.Series, states: Mapping[str, pl.DataFrame], scope: str
) -> dict[str, pl.Series]:
    """Label of each bar by dimension: the one source of states for every table of the room.

    Parameters
    ----------
    ts
        Bar ends, UTC, ascending.
    states
        ``market`` → `regimes.market_states`, ``volatility`` → `regimes.volatility_states`; either
        may be absent.
    scope
        Universe whose states label the bars.

    Returns
    -------
    dict of polars.Series
        As `known_states` gives them, by dimension. With both tables also ``market_volatility``,
        ``"unknown"`` wherever one of the two is.
    """
    labels = {
        dimension: known_states(ts, states[dimension].filter(pl.col("scope") == scope))
        for dimension in STATES
        if dimension in states
    }
    if len(labels) == 2:
        labels[COMBINED] = combined_labels(labels["market"], labels["volatility"])
    return labels


def combined_labels(market: pl.Series, volatility: pl.Series) -> pl.Series:
    """Both labels of each bar as one; ``"unknown"`` wherever one of the two is."""
    known = (pl.col("market") != UNKNOWN) & (pl.col("volatility") != UNKNOWN)
    name = pl.concat_str("market", pl.lit("_"), "volatility", pl.lit("_volatility"))
    return (
        pl.DataFrame({"market": market, "volatility": volatility})
        .select(pl.when(known).then(name).otherwise(pl.lit(UNKNOWN)).alias("state"))
        .to_series()
    )


def sliced(
    dimension: str, net_returns: np.ndarray, labels: pl.Series
) -> list[tuple[ScenarioResult, float]]:
    """Slices of one path by the labels of its bars, each with the sum of its log returns.

    Parameters
    ----------
    dimension
        ``market``, ``volatility`` or ``market_volatility``.
    net_returns
        Simple net returns of the bars; NaN at the first.
    labels
        State known before each bar.

    Returns
    -------
    list of (ScenarioResult, float)
        One per state of the dimension and one for ``unknown``: together every return once. The
        sum is NaN where a return is -100 % or worse.
    """
    known = np.isfinite(net_returns)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log1p(net_returns)
    found = []
    for state in (*STATES[dimension], UNKNOWN):
        days = (labels == state).to_numpy()
        growth = float(logs[days & known].sum())
        meaning = f"{dimension.replace('_', ' and ')} state known at the bar before: {state}"
        found.append(
            (
                slice_result(state, net_returns, days, meaning),
                growth if np.isfinite(growth) else np.nan,
            )
        )
    return found
