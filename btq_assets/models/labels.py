"""What is learnt: labels of a training set, further horizons, and weights of rows.

Belongs here: choosing labels as ``models.label`` says, and laying them beside decisions. Does not
belong here: how a barrier or a trend is found (`features.labels`), features (`training_set`), folds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets import timeline
from btq_assets.contracts.features import LABELS
from btq_assets.models.design import WEIGHT
from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    from btq_assets.config import TradingConfig

_KEY = ["universe", "symbol", "ts"]

#: Labels that walk along the path after the fill; ``features.labels`` holds them.
PATH_LABELS = ("triple_barrier", "trend_scanning")


def reads_table(config: TradingConfig) -> bool:
    """Whether the training set needs ``features.labels``."""
    return config.models.label in PATH_LABELS or config.models.sample_weights != "none"


def labels_of(
    bars: pl.DataFrame, config: TradingConfig, table: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Labels of every session of a universe.

    Labels are relative: less their mean over the universe at the same session. A row ends when the
    longest path that any of its labels may read is over, whatever was touched before: which rows
    enter a fit must not depend on how fast a barrier was hit. Until then all its labels are null.

    Parameters
    ----------
    bars
        ``core.bars_1d`` of one universe.
    config
        ``models.label``, ``models.horizon_sessions``, ``models.horizons_sessions``,
        ``models.sample_weights``, ``features.labels``.
    table
        ``features.labels``; needed where `reads_table`.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``ts``, ``label``, ``label_raw`` (fill-to-fill return over
        ``horizon_sessions``), ``label_start_ts``, ``label_end_ts``; ``label_<h>`` and
        ``label_raw_<h>`` of each further horizon; with weights ``sample_weight`` and
        ``sample_weight_<h>``.

    Raises
    ------
    ModelError
        ``features.labels`` is needed and not given, or lacks the kind asked for.
    """
    settings = config.models
    horizons = (settings.horizon_sessions, *settings.further_horizons)
    frames = [_forward(bars, horizon, config) for horizon in horizons]
    longest = max(horizons)
    if settings.label in PATH_LABELS:
        kind, longest_path = _kind(table, settings.label)
        longest = max(longest, longest_path)
        frames[0] = frames[0].drop("label").join(_relative(kind, "value"), on=_KEY, how="left")
    found = frames[0].select(*_KEY, "label", "label_raw", "label_start_ts", "label_end_ts")
    for horizon, frame in zip(horizons[1:], frames[1:], strict=True):
        found = found.join(
            frame.select(
                *_KEY,
                pl.col("label").alias(f"label_{horizon}"),
                pl.col("label_raw").alias(f"label_raw_{horizon}"),
            ),
            on=_KEY,
            how="left",
        )
    if settings.sample_weights != "none":
        for place, horizon in enumerate(horizons):
            name = WEIGHT if place == 0 else f"{WEIGHT}_{horizon}"
            kind, _ = _kind(table, _named(settings.label, horizon))
            own = kind.select(*_KEY, pl.col("average_uniqueness").alias(name))
            found = found.join(own, on=_KEY, how="left")
    return _ended(bars, found, longest) if longest > settings.horizon_sessions else found


def value_columns(config: TradingConfig) -> tuple[str, ...]:
    """Columns of `labels_of` that are null until a row has ended."""
    further = config.models.further_horizons
    names = ["label", "label_raw"]
    names += [f"{name}_{horizon}" for horizon in further for name in ("label", "label_raw")]
    if config.models.sample_weights != "none":
        names += [WEIGHT, *(f"{WEIGHT}_{horizon}" for horizon in further)]
    return tuple(names)


def for_horizon(training_set: pl.DataFrame, horizon: int | None) -> pl.DataFrame:
    """The training set with the labels and weights of one further horizon in place of its own.

    Parameters
    ----------
    training_set
        ``models.training_set``.
    horizon
        Sessions; ``None`` leaves it as it is.

    Raises
    ------
    ModelError
        The training set has no labels of this horizon.
    """
    if horizon is None:
        return training_set
    if f"label_{horizon}" not in training_set.columns:
        raise ModelError(
            f"the training set has no labels over {horizon} sessions; name the horizon in "
            "models.horizons_sessions and build it again"
        )
    moved = {"label": f"label_{horizon}", "label_raw": f"label_raw_{horizon}"}
    if WEIGHT in training_set.columns:
        moved[WEIGHT] = f"{WEIGHT}_{horizon}"
    return training_set.with_columns(pl.col(other).alias(name) for name, other in moved.items())


def _forward(bars: pl.DataFrame, horizon: int, config: TradingConfig) -> pl.DataFrame:
    """Fill-to-fill returns, raw, and relative as ``models.label`` says."""
    raw = timeline.forward_returns(bars, horizon).rename({"label": "label_raw"})
    if config.models.label != "volatility_scaled":
        return _joined(raw, _relative(raw, "label_raw"))
    scaled = raw.join(_volatility(bars, config), on=_KEY, how="left").with_columns(
        value=pl.col("label_raw") / (pl.col("_volatility") * float(np.sqrt(horizon)))
    )
    return _joined(raw, _relative(scaled, "value"))


def _joined(raw: pl.DataFrame, relative: pl.DataFrame) -> pl.DataFrame:
    return raw.join(relative, on=_KEY, how="left", maintain_order="left")


def _relative(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    value = pl.col(column)
    return frame.select(*_KEY, (value - value.mean().over("universe", "ts")).alias("label"))


def _volatility(bars: pl.DataFrame, config: TradingConfig) -> pl.DataFrame:
    """Volatility of a session's return known at each session, as behind the barriers."""
    from btq_assets.features.labels.barriers import daily_volatility
    from btq_assets.features.labels.paths import paths_of

    span = config.features.labels.volatility_span_sessions
    mine = bars.filter(pl.col("adj_close").is_finite() & (pl.col("adj_close") > 0))
    values, paths = daily_volatility(mine, span), paths_of(mine)
    n_sessions, n_symbols = values.shape
    return pl.DataFrame(
        {
            "universe": [paths.universe] * values.size,
            "symbol": np.tile(np.array(paths.symbols, dtype=object), n_sessions).tolist(),
            "ts": paths.ts.gather(np.repeat(np.arange(n_sessions), n_symbols)),
            "_volatility": values.ravel(),
        },
        schema_overrides={"universe": pl.String, "symbol": pl.String},
    ).with_columns(pl.col("_volatility").fill_nan(None))


def _named(label: str, horizon: int) -> str:
    """Kind of ``features.labels`` whose rows overlap as these labels do."""
    return label if label in PATH_LABELS else f"forward_return_{horizon}"


def _kind(table: pl.DataFrame | None, name: str) -> tuple[pl.DataFrame, int]:
    """Rows of one kind, and the longest path they may read."""
    if table is None:
        raise ModelError(f"{name} is a label of {LABELS.table}, which was not given")
    rows = table.filter(pl.col("label") == name)
    if rows.is_empty():
        known = sorted(table["label"].unique())
        raise ModelError(
            f"{LABELS.table} holds no labels {name!r} (it has {', '.join(known) or 'no row'}); add the "
            "horizon to features.labels.horizons_sessions, or choose another label"
        )
    return rows, int(rows["horizon_sessions"].max())  # type: ignore[arg-type]


def _ended(bars: pl.DataFrame, labels: pl.DataFrame, longest: int) -> pl.DataFrame:
    """Labels that end with the longest path, null where that lies beyond the data."""
    ahead = timeline.FILL_LAG_SESSIONS + longest
    sessions = (
        bars.select("universe", "ts")
        .unique()
        .sort("universe", "ts")
        .with_columns(label_end_ts=pl.col("ts").shift(-ahead).over("universe"))
    )
    values = [
        name for name in labels.columns if name not in (*_KEY, "label_start_ts", "label_end_ts")
    ]
    over = pl.col("label_end_ts").is_not_null()
    return (
        labels.drop("label_end_ts")
        .join(sessions, on=["universe", "ts"], how="left", maintain_order="left")
        .with_columns(pl.when(over).then(pl.col(values)))
    )
