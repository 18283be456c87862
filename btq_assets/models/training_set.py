"""The training set: the chosen feature families joined to sessions, with relative labels.

Belongs here: joining and labelling. Does not belong here: folds (`folds`), anything fitted, and
any computation of a feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from btq_assets import timeline
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.features import columns_of
from btq_assets.models.chosen import chosen_tables, training_set_table
from btq_assets.models.folds import null_columns
from btq_assets.models.forecaster import ModelError
from btq_assets.models.labels import labels_of

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

_TREND = {"bull": 1.0, "sideways": 0.0, "bear": -1.0}
_KEY = ["universe", "symbol", "ts"]


def build(
    bars: pl.DataFrame,
    features: Mapping[str, pl.DataFrame],
    regimes: pl.DataFrame,
    config: TradingConfig,
    membership: pl.DataFrame | None = None,
    labels: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Join the chosen feature families and the labels to the sessions of the main universe.

    Parameters
    ----------
    bars
        ``core.bars_1d``.
    features
        Feature tables by family name; a family that is absent or has no row for the universe
        gives null columns. Sentiment rows built on SYNTHETIC documents are left out: what was
        generated must never reach a forecast.
    regimes
        ``regimes.states``; may be empty.
    config
        Gives the universe, the families, labels, horizons, weights and the decision rhythm.
    membership
        ``raw.universe_membership``, for the sector of each session; without it none is known.
    labels
        ``features.labels``, where labels or weights are taken from it (`labels.reads_table`).

    Returns
    -------
    polars.DataFrame
        ``models.training_set``: one row per bar of the universe, sorted by its key.

    Raises
    ------
    ModelError
        The main universe has no bars.
    """
    universe = config.universe.main
    mine = bars.filter(pl.col("universe") == universe).sort(_KEY)
    if mine.is_empty():
        known = sorted(bars["universe"].unique())
        raise ModelError(f"universe.main = {universe!r} has no bars; there are bars of {known}")
    decisions = timeline.decision_times(mine["ts"], config.models.decision_every)
    frame = (
        mine.select(*_KEY)
        .with_columns(is_decision=pl.col("ts").is_in(decisions.implode()))
        .join(sectors_by_session(mine, membership), on=_KEY, how="left")
        .join(session_returns(mine), on=_KEY, how="left")
        .join(labels_of(mine, config, labels), on=_KEY, how="left")
    )
    for name, contract in chosen_tables(config).items():
        frame = _join(frame, features.get(name), contract)
    return (
        frame.join(_regime_features(regimes, universe), on="ts", how="left")
        .select(training_set_table(config).column_names)
        .sort(_KEY)
    )


def sectors_by_session(bars: pl.DataFrame, membership: pl.DataFrame | None) -> pl.DataFrame:
    """Sector of each bar's asset in its session, as the membership of that session says.

    An asset that changed sector has a membership for each; one without a membership in the session,
    or whose membership says none, has none.

    Parameters
    ----------
    bars
        ``universe``, ``symbol``, ``ts`` and, where it is another day, ``session``.
    membership
        Rows of ``raw.universe_membership``; the first and the last session belong to it.
    """
    day = pl.col("session") if "session" in bars.columns else pl.col("ts").dt.date()
    rows = bars.select(*_KEY, day=day).sort("day")
    if membership is None:
        return rows.select(*_KEY, pl.lit(None, pl.String).alias("sector"))
    said = membership.select(
        "universe", "symbol", "valid_from", "valid_to", pl.col("sector").cast(pl.String)
    ).sort("valid_from")
    over = pl.col("day") > pl.col("valid_to")
    return rows.join_asof(
        said,
        left_on="day",
        right_on="valid_from",
        by=["universe", "symbol"],
        check_sortedness=False,
    ).select(*_KEY, pl.when(~over.fill_null(False)).then("sector").alias("sector"))


def session_returns(bars: pl.DataFrame) -> pl.DataFrame:
    """Simple return since the universe's previous session; null across a gap.

    Parameters
    ----------
    bars
        ``universe``, ``symbol``, ``ts``, ``adj_close``.
    """
    previous = (
        bars.select("universe", "ts")
        .unique()
        .sort("universe", "ts")
        .with_columns(_previous=pl.col("ts").shift(1).over("universe"))
    )
    earlier = bars.select(
        "universe",
        "symbol",
        pl.col("ts").alias("_previous"),
        pl.col("adj_close").alias("_earlier"),
    )
    return (
        bars.join(previous, on=["universe", "ts"], how="left")
        .join(earlier, on=["universe", "symbol", "_previous"], how="left")
        .select(*_KEY, (pl.col("adj_close") / pl.col("_earlier") - 1).alias("session_return"))
    )


def relative_labels(bars: pl.DataFrame, horizon_sessions: int) -> pl.DataFrame:
    """Fill-to-fill returns, raw and minus the universe mean at the same decision time."""
    return timeline.forward_returns(bars, horizon_sessions).select(
        *_KEY,
        (pl.col("label") - pl.col("label").mean().over("universe", "ts")).alias("label"),
        pl.col("label").alias("label_raw"),
        "label_start_ts",
        "label_end_ts",
    )


def _join(
    frame: pl.DataFrame, family: pl.DataFrame | None, contract: TableContract
) -> pl.DataFrame:
    columns = list(columns_of(contract))
    if family is None:
        return frame.with_columns(
            pl.lit(None, contract.schema[column]).alias(column) for column in columns
        )
    on = [name for name in _KEY if name in contract.key]
    if "is_synthetic" in family.columns:
        family = family.filter(~pl.col("is_synthetic"))
    return frame.join(family.select(*on, *columns), on=on, how="left")


def _regime_features(regimes: pl.DataFrame, universe: str) -> pl.DataFrame:
    variance = (
        pl.col("p_calm") * pl.col("calm_volatility_annual") ** 2
        + pl.col("p_turbulent") * pl.col("turbulent_volatility_annual") ** 2
    )
    return regimes.filter(pl.col("scope") == universe).select(
        "ts",
        pl.col("p_turbulent").alias("regime_p_turbulent"),
        pl.col("trend")
        .replace_strict(_TREND, default=None, return_dtype=pl.Float64)
        .alias("regime_trend"),
        variance.sqrt().alias("regime_volatility_annual"),
    )


def null_families(training_set: pl.DataFrame, config: TradingConfig) -> dict[str, str]:
    """Families with null columns: ``"all null"`` or the names of the null columns."""
    report = {}
    for family, contract in chosen_tables(config).items():
        names = columns_of(contract)
        nulls = null_columns(training_set, names)
        if nulls:
            report[family] = "all null" if nulls == names else ", ".join(nulls)
    return report
