"""Decisions with features and labels, out of bars: what models of a walk-forward learn from.

Belongs here: features and labels side by side by decision, and the refusal of features that know
the future. Does not belong here: laying out folds (`folds`), and models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import polars as pl

from btq_assets.backtest import frames
from btq_assets.backtest.market import BacktestError
from btq_assets.contracts.models import DEFAULT_COLUMNS
from btq_assets.timeline import decision_times, forward_returns

#: Bars in, a frame with time, symbol and feature columns out.
Features = Callable[[pl.DataFrame], Any]

#: Absolute rank correlation with the label from which a feature is the label in disguise.
DISGUISE = 0.9

#: Rows below which a rank correlation of `DISGUISE` may be chance.
LEAST_ROWS = 30

#: Largest difference, relative to the larger value, between a feature and itself recomputed.
TOLERANCE = 1e-9


class LeakError(BacktestError):
    """A feature that knows what comes after the decision."""


@dataclass(frozen=True)
class Samples:
    """Rows by decision and symbol.

    Attributes
    ----------
    decided_at, label_end
        One per decision, UTC, ascending: when it is taken, and when its label's last fill is
        (null where that lies beyond the data).
    decision
        ``int64[n]``, position of each row's decision, ascending.
    symbols
        Symbol of each row.
    x
        ``float64[n, k]``; NaN where a feature is missing.
    y
        ``float64[n]``, simple return from fill to fill; NaN where not filled.
    features
        Names of the columns of `x`.
    """

    decided_at: pl.Series
    label_end: pl.Series
    decision: np.ndarray
    symbols: np.ndarray
    x: np.ndarray
    y: np.ndarray
    features: tuple[str, ...]

    def rows(self, decisions: np.ndarray) -> np.ndarray:
        """Positions of the rows of some decisions, ascending."""
        return np.flatnonzero(np.isin(self.decision, decisions))


def make_samples(
    bars: pl.DataFrame,
    table: pl.DataFrame,
    columns: Sequence[str],
    *,
    horizon_sessions: int,
    decide: Literal["day", "week", "month"],
) -> Samples:
    """Join features and labels at the decisions.

    Parameters
    ----------
    bars
        As `frames.as_bars` gives them.
    table
        ``symbol``, ``ts`` and the feature columns.
    columns
        Features.
    horizon_sessions
        Sessions from fill to fill of the label.
    decide
        Decisions are the first sessions of weeks or months, or every session.
    """
    sessions = bars["ts"].unique().sort()
    at = sessions if decide == "day" else decision_times(sessions, decide)
    labelled = forward_returns(bars, horizon_sessions).filter(pl.col("ts").is_in(at.implode()))
    ends = labelled.group_by("ts").agg(pl.col("label_end_ts").first()).sort("ts")
    rows = labelled.join(
        table.select("symbol", "ts", *columns), on=["symbol", "ts"], how="left"
    ).sort("ts", "symbol")
    if rows.is_empty():
        raise BacktestError(f"{len(sessions)} session(s) hold no decision by {decide}")
    position = np.searchsorted(
        ends["ts"].dt.timestamp("us").to_numpy(), rows["ts"].dt.timestamp("us").to_numpy()
    )
    return Samples(
        decided_at=ends["ts"],
        label_end=ends["label_end_ts"],
        decision=position,
        symbols=np.array(rows["symbol"].to_list(), dtype=object),
        x=rows.select(pl.col(list(columns)).cast(pl.Float64).fill_null(np.nan)).to_numpy(),
        y=rows["label"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        features=tuple(columns),
    )


def feature_table(
    bars: pl.DataFrame, data: Any, columns: Sequence[str] | None, compute: Features | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Features of every bar: computed, taken from the data, or the house's default ones.

    Parameters
    ----------
    bars
        As `frames.as_bars` gives them.
    data
        What the caller gave; its numeric columns beside OHLCV are features.
    columns
        Those wanted; default all there are.
    compute
        Makes features from bars; then the columns of `data` are not read.

    Returns
    -------
    (polars.DataFrame, tuple of str)
        ``symbol``, ``ts`` and the features; and their names.
    """
    if compute is not None:
        table = _keyed(compute(bars))
    else:
        table = _keyed(data)
        if not _numeric(table) and columns is None:
            from btq_assets.features.engine import QuantumFeatureEngine

            engineered = QuantumFeatureEngine().engineer_features(bars.select(_PRICES))
            table = _keyed(engineered)
            columns = [name for name in DEFAULT_COLUMNS.asset if name in table.columns]
    names = tuple(columns) if columns is not None else _numeric(table)
    unknown = sorted(set(names) - set(table.columns))
    if unknown or not names:
        raise BacktestError(
            f"feature column(s) {unknown or '[]'}: there are {sorted(_numeric(table))[:20]}"
        )
    return table, names


_PRICES = ("symbol", "ts", "open", "high", "low", "close", "volume", "adj_close")


def _keyed(data: Any) -> pl.DataFrame:
    """The frame with ``symbol`` and ``ts`` as `frames.as_bars` names them."""
    frame = frames.to_polars(data)
    stamps = frames.time_column(data)
    symbol = next((n for n in frame.columns if n.strip().lower() in frames.SYMBOL_NAMES), None)
    return frame.with_columns(
        pl.col(symbol).cast(pl.String).alias("symbol")
        if symbol
        else pl.lit(frames.ONLY_SYMBOL).alias("symbol"),
        stamps.alias("ts"),
    )


_NOT_FEATURES = {
    *("open", "high", "low", "close", "volume", "adj close", "universe", "known_at", "session"),
    *(f"adj_{name}" for name in ("open", "high", "low", "close")),
    *frames.TIME_NAMES,
    *frames.SYMBOL_NAMES,
}


def _numeric(table: pl.DataFrame) -> tuple[str, ...]:
    return tuple(
        name
        for name, dtype in table.schema.items()
        if dtype.is_numeric() and name.strip().lower() not in _NOT_FEATURES
    )


def refuse_disguised_labels(samples: Samples) -> None:
    """Refuse a feature whose ranks are those of the label.

    Raises
    ------
    LeakError
        The absolute rank correlation of a feature with the label exceeds 0.9: nothing known at
        the decision orders returns so well.
    """
    for number, name in enumerate(samples.features):
        both = np.isfinite(samples.x[:, number]) & np.isfinite(samples.y)
        if both.sum() < LEAST_ROWS:
            continue
        found = rank_correlation(samples.x[both, number], samples.y[both])
        if abs(found) > DISGUISE:
            raise LeakError(
                f"feature {name!r} has a rank correlation of {found:+.3f} with the return after "
                "the decision: it is the label in disguise; leave it out or lag it"
            )


def refuse_features_from_the_future(
    bars: pl.DataFrame,
    table: pl.DataFrame,
    columns: Sequence[str],
    compute: Features,
    cuts: Sequence[datetime],
) -> None:
    """Compute the features again from bars up to each cut: nothing before it may change.

    Raises
    ------
    LeakError
        A value at or before a cut differs once later bars are gone; it names feature and time.
    """
    for cut in cuts:
        again = _keyed(compute(bars.filter(pl.col("ts") <= cut)))
        both = (
            table.filter(pl.col("ts") <= cut)
            .select("symbol", "ts", *columns)
            .join(again.select("symbol", "ts", *columns), on=["symbol", "ts"], suffix="_cut")
            .sort("ts", "symbol")
        )
        for name in columns:
            was, now = (
                both[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in (name, f"{name}_cut")
            )
            near = np.abs(was - now) <= TOLERANCE * np.maximum(np.abs(was), np.abs(now))
            moved = ~(near | (np.isnan(was) & np.isnan(now)))
            if moved.any():
                row = int(moved.argmax())
                raise LeakError(
                    f"feature {name!r} of {both['symbol'][row]} at {both['ts'][row]} is "
                    f"{was[row]:.6g}, and {now[row]:.6g} without the bars after {cut}: it reads "
                    "what comes later"
                )


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation with mean ranks for ties; NaN where a side is constant."""
    ranks = [pl.Series(side).rank("average").to_numpy() for side in (a, b)]
    centred = [rank - rank.mean() for rank in ranks]
    scale = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum() / scale) if scale > 0 else float("nan")
