"""What a component is worth: an architecture against itself without it, on the same folds and seeds.

Belongs here: rows of ``models.comparison_ablations``. Does not belong here: the fits (`fits`), and
choosing anything by the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import comparison as tables
from btq_assets.models.comparison.architectures import nothing_to_leave_out, seeds_of
from btq_assets.models.comparison.measures import Resampling, by_decision, correlations
from btq_assets.models.comparison.pairs import paired_difference
from btq_assets.models.forecaster import ModelError


def ablations_table(
    whole: Mapping[str, pl.DataFrame],
    reduced: Mapping[str, pl.DataFrame],
    training_set: pl.DataFrame,
    config: TradingConfig,
) -> pl.DataFrame:
    """Every configured component of every architecture; a row also where there is nothing to leave out.

    Parameters
    ----------
    whole, reduced
        ``models.compared_<architecture>`` and ``models.ablated_<architecture>`` by architecture.
    training_set
        ``models.training_set``: the labels, and which features hold values.
    """
    labels = training_set.select("universe", "symbol", "ts", "label")
    rows = []
    for name, frame in whole.items():
        for component in config.models.comparison.components:
            row = {"universe": frame["universe"][0], "model": name, "without": component}
            why = nothing_to_leave_out(name, config, component, training_set)
            if why:
                row |= {"n_seeds": 0, "n_decisions": 0, "verdict": "nothing to leave out"}
            else:
                seeds = seeds_of(name, config, without=component)
                own = frame.filter(pl.col("seed").is_in(seeds))
                without = reduced[name].filter(pl.col("without") == component)
                row |= component_worth(own, without, labels, Resampling.of(config))
            rows.append(row | {"why": why})
    return pl.DataFrame(rows, schema=tables.ABLATIONS.schema).sort(tables.ABLATIONS.key)


def component_worth(
    whole: pl.DataFrame, reduced: pl.DataFrame, labels: pl.DataFrame, resampling: Resampling
) -> dict[str, Any]:
    """Rank correlations with and without, by decision and averaged over seeds, and their difference.

    Raises
    ------
    ModelError
        The two are not of the same assets, decisions and seeds.
    """
    key = ["universe", "symbol", "ts", "seed"]
    if not whole.select(key).sort(key).equals(reduced.select(key).sort(key)):
        raise ModelError(
            f"{whole.height} forecasts with and {reduced.height} without are not of the same assets, "
            "decisions and seeds; fit both on the same splits"
        )
    one, other = (by_decision(correlations(frame, labels)) for frame in (whole, reduced))
    paired = one.join(other, on="ts", suffix="_without").sort("ts")
    found = paired_difference(
        paired["rank_ic"].to_numpy(), paired["rank_ic_without"].to_numpy(), resampling
    )
    return {
        "n_seeds": whole["seed"].n_unique(),
        "n_decisions": found.n,
        "rank_ic_with": paired["rank_ic"].mean(),
        "rank_ic_without": paired["rank_ic_without"].mean(),
        "difference": found.difference,
        "ci_low": found.low,
        "ci_high": found.high,
        "verdict": worth(found.low, found.high),
    }


def worth(low: float, high: float) -> str:
    """``shown`` or ``costs`` where the interval lies wholly on one side of zero, else ``not shown``."""
    if low > 0:
        return "shown"
    return "costs" if high < 0 else "not shown"
