"""Trailing windows over a whole universe: return panels, covariances and their eigenvectors.

Belongs here: the arrays behind families that look at several symbols at once. Does not belong
here: any feature. A symbol takes part at a session only when its window has no gap and moves.
Each window is computed from its own returns alone, never by updating the last one, so that no
rounding travels from one session to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from btq_assets.features.definitions import HISTORY

#: Change between two returns of a window below which they count as equal.
_MOVES_ABOVE = 1e-9
_CHUNK_SESSIONS = 512


@dataclass(frozen=True)
class Panel:
    """Values of one universe as a matrix.

    Parameters
    ----------
    universe
        Its name.
    ts
        Sessions, ascending, length ``T``.
    symbols
        Names in alphabetical order, length ``N``: results depend on no other order.
    values
        ``(T, N)`` float64, NaN where there is none.
    """

    universe: str
    ts: pl.Series
    symbols: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class CovarianceBlock:
    """Covariances of some sessions that share the same members.

    Parameters
    ----------
    sessions
        ``(S,)`` positions in the panel.
    members
        ``(M,)`` ascending columns of the matrix.
    covariance
        ``(S, M, M)`` sample covariances, divisor window - 1.
    """

    sessions: np.ndarray
    members: np.ndarray
    covariance: np.ndarray


def panels(frame: pl.DataFrame, value: str) -> Iterator[Panel]:
    """Pivot `value` into one matrix per universe.

    Parameters
    ----------
    frame
        ``universe``, ``symbol``, ``ts`` (unique) and the column `value`.
    """
    for (universe,), rows in frame.group_by(["universe"], maintain_order=True):
        wide = rows.pivot(on="symbol", index="ts", values=value, aggregate_function="first").sort(
            "ts"
        )
        symbols = tuple(sorted(name for name in wide.columns if name != "ts"))
        matrix = wide.select(pl.col(name).cast(pl.Float64) for name in symbols).to_numpy()
        matrix = np.ascontiguousarray(np.where(np.isfinite(matrix), matrix, np.nan))
        yield Panel(str(universe), wide["ts"], symbols, matrix)


def first_session(panel: Panel, since: datetime | None) -> int:
    """Position of the panel's first session at or after `since`; 0 for ``None``."""
    return 0 if since is None else int((panel.ts < since).sum())


def long_frame(panel: Panel, columns: Mapping[str, np.ndarray]) -> pl.DataFrame:
    """Turn ``(T, N)`` matrices back into rows, NaN as null.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``ts`` and one column per matrix; ``T N`` rows.
    """
    n_sessions, n_symbols = panel.values.shape
    return pl.DataFrame(
        {
            "symbol": np.tile(np.array(panel.symbols, dtype=object), n_sessions).tolist(),
            "ts": panel.ts.gather(np.repeat(np.arange(n_sessions), n_symbols)),
            **{name: matrix.ravel() for name, matrix in columns.items()},
        },
        schema_overrides={"symbol": pl.String},
    ).with_columns(pl.col(list(columns)).fill_nan(None), universe=pl.lit(panel.universe))


def complete(values: np.ndarray, window: int) -> np.ndarray:
    """Where the last `window` values are all present and not all equal.

    Parameters
    ----------
    values
        ``(T, N)``.
    window
        Number of sessions, at least 2.

    Returns
    -------
    numpy.ndarray
        ``(T, N)`` bool.
    """
    present = np.isfinite(values)
    moved = np.zeros_like(present)
    moved[1:] = np.abs(np.diff(values, axis=0)) > _MOVES_ABOVE  # NaN compares false
    return (_rolling_count(present, window) == window) & (_rolling_count(moved, window - 1) > 0)


def _rolling_count(flags: np.ndarray, window: int) -> np.ndarray:
    total = np.cumsum(flags, axis=0)
    total[window:] -= total[:-window].copy()
    return total


def covariance_blocks(values: np.ndarray, window: int) -> Iterator[CovarianceBlock]:
    """Sample covariances over trailing windows, session by session, gap-free members only.

    Parameters
    ----------
    values
        ``(T, N)`` returns, NaN where missing.
    window
        Sessions in a window.

    Yields
    ------
    CovarianceBlock
        Every session with at least one member occurs in exactly one block.
    """
    mask = complete(values, window)
    live = np.flatnonzero(mask.any(axis=1))
    if not live.size:
        return
    patterns, which = np.unique(mask[live], axis=0, return_inverse=True)
    offsets = np.arange(-window + 1, 1)
    for number, pattern in enumerate(patterns):
        members = np.flatnonzero(pattern)
        chosen = live[which.ravel() == number]
        for start in range(0, chosen.size, _CHUNK_SESSIONS):
            sessions = chosen[start : start + _CHUNK_SESSIONS]
            returns = values[sessions[:, None] + offsets][:, :, members]
            returns -= returns.mean(axis=1, keepdims=True)
            covariance = returns.transpose(0, 2, 1) @ returns / (window - 1)
            yield CovarianceBlock(sessions, members, covariance)


def correlation(covariance: np.ndarray) -> np.ndarray:
    """Correlations of ``(..., M, M)`` covariances, exactly 1 on the diagonal."""
    deviation = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    result = np.clip(covariance / (deviation[..., :, None] * deviation[..., None, :]), -1.0, 1.0)
    diagonal = np.arange(covariance.shape[-1])
    result[..., diagonal, diagonal] = 1.0
    return result


def simple_returns(prepared: pl.DataFrame) -> pl.DataFrame:
    """Key and simple return ``_simple`` of each bar, null where the universe's last session is missing.

    A return over a gap spans several sessions of the universe and would not be comparable with
    the others of its date.
    """
    sessions = (
        prepared.select("universe", "ts")
        .unique()
        .sort("universe", "ts")
        .with_columns(_before=pl.col("ts").shift(1).over("universe"))
    )
    adjacent = pl.col("ts").shift(1).over(HISTORY) == pl.col("_before")
    price = pl.col("_p")
    return (
        prepared.select("universe", "symbol", "ts", HISTORY, "_p")
        .join(sessions, on=["universe", "ts"], how="left", maintain_order="left")
        .select(
            "universe",
            "symbol",
            "ts",
            _simple=pl.when(adjacent).then(price / price.shift(1).over(HISTORY) - 1),
        )
    )
