"""What the engine refuses, and the costs it can charge with what it was given.

Belongs here: checks of arrays before anything is computed. Does not belong here: tables and
symbols (the backtest room checks those).
"""

from __future__ import annotations

import numpy as np

from btq_assets.engine.costs import CostModel
from btq_assets.engine.errors import EngineError

_WEIGHT_TOLERANCE = 1e-9


def checked_panels(*panels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Contiguous float64 matrices of one shape; the first two must be prices."""
    checked = tuple(np.ascontiguousarray(panel, dtype=np.float64) for panel in panels)
    shapes = [panel.shape for panel in checked]
    if len(set(shapes)) != 1 or checked[0].ndim != 2 or checked[0].shape[0] == 0:
        raise EngineError(
            f"fill_prices, mark_prices and targets have shapes {shapes}; all must be [bars, assets]"
        )
    for name, panel in zip(("fill_prices", "mark_prices"), checked[:2], strict=True):
        bad = np.argwhere((panel <= 0) | np.isinf(panel))
        if bad.size:
            t, i = bad[0]
            raise EngineError(
                f"{name}[{t}, {i}] = {panel[t, i]:g}: prices must be positive, or NaN if missing"
            )
    return checked


def checked_targets(targets: np.ndarray, max_gross: float) -> np.ndarray:
    """Which rows decide, ``bool[T]``; refuses rows that are partly NaN or too large."""
    missing = np.isnan(targets)
    silent = missing.all(axis=1)
    partly = np.argwhere(missing.any(axis=1) & ~silent)
    if partly.size:
        t = int(partly[0, 0])
        raise EngineError(
            f"targets row {t}: weight of asset(s) {np.flatnonzero(missing[t]).tolist()[:5]} is NaN "
            "while others are set; use 0 for no position, a row of NaN for no decision"
        )
    gross = np.abs(np.where(silent[:, None], 0.0, targets)).sum(axis=1)
    over = np.argwhere(~(gross <= max_gross * (1 + _WEIGHT_TOLERANCE)))
    if over.size:
        t = int(over[0, 0])
        raise EngineError(
            f"targets row {t}: absolute weights sum to {gross[t]:.6g}, the limit is {max_gross:g}"
        )
    return ~silent


def checked_delistings(delisted_at: np.ndarray | None, marks: np.ndarray) -> np.ndarray:
    """Bar of the last price of each ended series, ``int64[N]``, -1 for none."""
    n_bars, n_assets = marks.shape
    if delisted_at is None:
        return np.full(n_assets, -1, dtype=np.int64)
    ended = np.ascontiguousarray(delisted_at, dtype=np.int64)
    if ended.shape != (n_assets,):
        raise EngineError(f"delisted_at has shape {ended.shape}; there are {n_assets} assets")
    for asset in np.flatnonzero((ended >= 0) & (ended < n_bars - 1)):
        if not np.isnan(marks[ended[asset] + 1 :, asset]).all():
            raise EngineError(
                f"asset {asset} has prices after bar {ended[asset]}, where it is said to have ended"
            )
    return ended


def cost_panels(
    costs: CostModel,
    fill_prices: np.ndarray,
    raw_prices: np.ndarray | None,
    volumes: np.ndarray | None,
    volatility: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Fee per (adjusted) share and impact scale of every bar and asset, and what is missing."""
    shape = fill_prices.shape
    for name, panel in (
        ("raw_prices", raw_prices),
        ("volumes", volumes),
        ("volatility", volatility),
    ):
        if panel is not None and np.shape(panel) != shape:
            raise EngineError(f"{name} has shape {np.shape(panel)}; prices have {shape}")
    notes: list[str] = []
    fees = np.zeros(shape)
    if costs.commission_per_share > 0:
        if raw_prices is None:
            notes.append("commission per share not charged: raw prices are unknown")
        else:
            ratio = costs.commission_per_share * fill_prices / np.asarray(raw_prices, dtype=float)
            fees = np.nan_to_num(ratio, nan=0.0)
    impact_scale = np.zeros(shape)
    if costs.impact_coefficient > 0:
        if raw_prices is None or volumes is None or volatility is None:
            notes.append("impact not charged: it needs raw price, volume and volatility")
            impact_scale = np.full(shape, np.nan)
        else:
            traded = np.asarray(raw_prices, dtype=float) * np.asarray(volumes, dtype=float)
            sigma = np.asarray(volatility, dtype=float)
            known = (traded > 0) & (sigma >= 0)
            impact_scale = np.full(shape, np.nan)
            impact_scale[known] = costs.impact_coefficient * sigma[known] / np.sqrt(traded[known])
    return fees, impact_scale, tuple(notes)
