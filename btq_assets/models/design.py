"""Design matrices of the tabular models, and the target every model learns.

Belongs here: cross-sectional ranks, in-fold standardisation, interactions, targets. Does not
belong here: any model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.models.forecaster import ModelError

#: Smallest number of labelled assets on a date that still says who did better.
MIN_CROSS_SECTION = 2

NO_DISPERSION = (
    "the labels of the training segment ({n:,} rows) do not differ, so there is nothing to learn; "
    "check the prices behind them, or take a longer segment"
)

ONE_ASSET = (
    "{symbol} is the only labelled asset of the training segment, so there is nobody to rank it "
    "against; take a universe of two or more, or ModelTrainer, which learns the return of one"
)

#: Column of a panel that weighs its rows; without it all weigh the same.
WEIGHT = "sample_weight"

_BY = ("universe", "ts")


def cross_sectional_ranks(panel: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Replace each column by its rank among the assets of the same date, scaled to (-1, 1).

    The rank of the asset among the ``n`` with a value is ``2 r / (n + 1) - 1`` (average ranks on
    ties), so that it needs nothing fitted, no other date moves it, and one asset alone has 0.
    Missing stays missing; a value that is not finite counts as missing.

    Parameters
    ----------
    panel
        ``universe``, ``ts`` and the columns.
    columns
        Columns to rank.
    """

    def known(name: str) -> pl.Expr:
        value = pl.col(name)
        return pl.when(value.is_finite()).then(value)

    return panel.with_columns(
        (
            2 * known(name).rank("average").over(*_BY) / (known(name).count().over(*_BY) + 1) - 1
        ).alias(name)
        for name in columns
    )


def ranks_of_date(values: np.ndarray) -> np.ndarray:
    """`cross_sectional_ranks` of one date, ``(assets, columns)``; what is not finite is missing."""
    n = values.shape[0]
    if not n:
        return values
    if np.isinf(values).any():
        values = np.where(np.isinf(values), np.nan, values)
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    place = np.broadcast_to(np.arange(n)[:, None], values.shape)
    begins = np.ones(values.shape, dtype=bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    ends = np.ones(values.shape, dtype=bool)
    ends[:-1] = begins[1:]
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=0)
    last = np.minimum.accumulate(np.where(ends, place, n)[::-1], axis=0)[::-1]
    missing = np.isnan(ordered)
    scaled = (first + last + 2) / (n - missing.sum(axis=0) + 1) - 1
    found = np.empty(values.shape, order="F")
    np.put_along_axis(found, order, np.where(missing, np.nan, scaled), axis=0)
    return found


def columns_of_date(
    columns: Mapping[str, NDArray[np.float64]], names: Sequence[str]
) -> NDArray[np.float64]:
    """Columns as ``(assets, columns)``, laid out as `matrix` lays them out."""
    n = len(next(iter(columns.values()))) if columns else 0
    return np.array([columns[name] for name in names]).reshape(len(names), n).T


def relative_target(rows: pl.DataFrame, *, limit: float = 3.0) -> np.ndarray:
    """Labels as deviations from the date's mean, in the date's standard deviations.

    Every date then weighs the same, whether markets were quiet or in panic.

    Parameters
    ----------
    rows
        ``universe``, ``ts``, ``label``.
    limit
        Larger deviations are cut to it.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows,)``; NaN where the date has fewer than two labels or no dispersion.
    """
    label = pl.col("label")
    spread = label.std().over(*_BY)
    scaled = (label - label.mean().over(*_BY)) / pl.when(spread > 0).then(spread)
    return rows.select(scaled.clip(-limit, limit).cast(pl.Float64)).to_series().to_numpy()


def grades(rows: pl.DataFrame, n_grades: int) -> np.ndarray:
    """Labels as grades of their date, 0 the worst: its ranks in `n_grades` parts of equal size.

    Parameters
    ----------
    rows
        ``universe``, ``ts``, ``label``, none of them missing. Equal labels have equal grades.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows,)``, int64.
    """
    below = (pl.col("label").rank("average").over(*_BY) - 1) / pl.len().over(*_BY)
    return rows.select((below * n_grades).floor().cast(pl.Int64)).to_series().to_numpy()


def sample_weights(rows: pl.DataFrame) -> np.ndarray | None:
    """Weights of labelled rows, with mean one; ``None`` where the panel has no column of them.

    Only their ratios are of the table: the scale is that of the rows a fit is made on.

    Raises
    ------
    ModelError
        A weight is missing, negative or not finite, or all are 0.
    """
    if WEIGHT not in rows.columns:
        return None
    found = rows[WEIGHT].cast(pl.Float64).fill_null(np.nan).to_numpy()
    wrong = int((~np.isfinite(found) | (found < 0)).sum())
    if wrong or not found.sum() > 0:
        raise ModelError(
            f"{wrong or len(found)} of {len(found)} sample weights are missing, negative or all 0; a "
            "labelled row needs a weight, see models.sample_weights"
        )
    return np.asarray(found / found.mean())


def dispersion(rows: pl.DataFrame) -> float:
    """Median over dates of the cross-sectional standard deviation of the label.

    Turns forecasts in standard deviations back into label units.

    Raises
    ------
    ModelError
        There is a single asset, or on no date do the labels differ.
    """
    if rows.select("universe", "symbol").n_unique() < MIN_CROSS_SECTION and rows.height:
        raise ModelError(ONE_ASSET.format(symbol=rows["symbol"][0]))
    spreads = rows.group_by(*_BY).agg(pl.col("label").std())["label"].drop_nulls()
    value = spreads.filter(spreads > 0).median()
    if value is None:
        raise ModelError(NO_DISPERSION.format(n=rows.height))
    return float(value)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Standardiser:
    """Mean and standard deviation of each column, from the training segment alone.

    Parameters
    ----------
    mean, scale
        Shape ``(columns,)``. Constant columns have scale 1.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> Standardiser:
        """Estimate from ``(rows, columns)``; NaN is left out of both moments."""
        counted = np.maximum(np.isfinite(values).sum(axis=0), 1)
        mean = np.where(np.isfinite(values), values, 0.0).sum(axis=0) / counted
        centred = np.where(np.isfinite(values), values - mean, 0.0)
        scale = np.sqrt((centred**2).sum(axis=0) / counted)
        return cls(mean, np.where(scale > 1e-12, scale, 1.0))

    def apply(self, values: np.ndarray, limit: float = 5.0) -> np.ndarray:
        """Standardise, cut at `limit` standard deviations, and put missing values at the mean."""
        scaled = np.clip((values - self.mean) / self.scale, -limit, limit)
        return np.nan_to_num(scaled, nan=0.0)


def matrix(panel: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Columns as ``(rows, columns)`` float64; null, and what is not finite, as NaN."""
    if not columns:
        return np.empty((panel.height, 0))
    found = panel.select(pl.col(list(columns)).cast(pl.Float64)).fill_null(np.nan).to_numpy()
    return np.where(np.isinf(found), np.nan, found) if np.isinf(found).any() else found


def interactions(asset: np.ndarray, market: np.ndarray) -> np.ndarray:
    """Every asset column times every market column, shape ``(rows, asset * market)``.

    A market-wide value alone moves all assets together and cannot rank them.
    """
    return (asset[:, :, None] * market[:, None, :]).reshape(len(asset), -1)


def shares(totals: dict[str, float]) -> dict[str, float]:
    """Values over their sum; all zero where the sum is (a model that uses nothing)."""
    total = sum(totals.values())
    return {name: value / total if total > 0 else 0.0 for name, value in totals.items()}


def ranked_rows(
    panel: pl.DataFrame, rows: pl.DataFrame, asset: Sequence[str], market: Sequence[str]
) -> pl.DataFrame:
    """Rows in their own order, asset columns ranked among all assets `panel` has on the date.

    Parameters
    ----------
    panel
        All assets of each date: an asset without a label still has a rank.
    rows
        Rows of `panel` that are wanted.
    asset, market
        Columns to rank, and columns to keep as they are.
    """
    dates = panel.join(rows.select(*_BY).unique(), on=list(_BY), how="semi")
    ranks = cross_sectional_ranks(
        dates.select("universe", "symbol", "ts", *asset, *market), list(asset)
    )
    key = ["universe", "symbol", "ts"]
    return rows.select(key).join(ranks, on=key, how="left", maintain_order="left")
