"""What a trade costs: settings, bounds and the half-spread of each era.

Belongs here: the cost model as data. Does not belong here: charging a trade (see `kernel`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.engine.errors import EngineError

if TYPE_CHECKING:
    from btq_assets.config import CostEra

BPS = 1e-4


@dataclass(frozen=True)
class CostModel:
    """Costs of one fill of ``shares`` at price ``p`` before costs, value ``v = |shares| p``.

    ===========  =====================================================================
    spread       ``v * half_spread``
    impact       ``v * impact_coefficient * volatility * sqrt(v / (raw_price * volume))``
    commission   ``commission * v_executed + commission_per_share * raw_shares``
    ===========  =====================================================================

    where ``v_executed = v + spread + impact`` for a buy and ``v - spread - impact`` for a sell
    (brokers charge on the executed price) and ``raw_shares = v / raw_price``. The square-root
    law of impact: Torre (1997), *BARRA Market Impact Model Handbook*; Grinold and Kahn (2000),
    *Active Portfolio Management*, 2nd ed., eq. 16.3.

    Parameters
    ----------
    commission_bps
        Basis points of executed value.
    half_spread_bps
        Basis points of value; a number, or one per bar of the simulation.
    commission_per_share
        Currency per raw share; charged only where raw prices are known.
    impact_coefficient
        Dimensionless, about one; charged only where raw price, volume and volatility are known.

    Raises
    ------
    EngineError
        A cost is negative, not finite, or a rate reaches 100 %.
    """

    commission_bps: float = 0.0
    half_spread_bps: float | np.ndarray = 0.0
    commission_per_share: float = 0.0
    impact_coefficient: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "commission_bps",
            "half_spread_bps",
            "commission_per_share",
            "impact_coefficient",
        ):
            values = np.asarray(getattr(self, name), dtype=float)
            if not np.all(np.isfinite(values)) or np.any(values < 0):
                raise EngineError(f"{name} = {getattr(self, name)!r} must be finite and >= 0")
            if name.endswith("_bps") and np.any(values * BPS >= 1):
                raise EngineError(f"{name} = {getattr(self, name)!r}: must stay below 10,000")

    def half_spread_by_bar(self, n_bars: int) -> np.ndarray:
        """Half-spread of each bar as a fraction, ``float64[n_bars]``."""
        values = np.asarray(self.half_spread_bps, dtype=float)
        if values.ndim and values.shape != (n_bars,):
            raise EngineError(
                f"half_spread_bps has shape {values.shape}; the simulation has {n_bars} bars"
            )
        return np.ascontiguousarray(np.broadcast_to(values * BPS, (n_bars,)))


def half_spread_by_era(ts: pl.Series, eras: Sequence[CostEra]) -> np.ndarray:
    """Half-spread in force on each date.

    Parameters
    ----------
    ts
        Dates or timestamps of the bars.
    eras
        Ordered by ``until``, the first date an era no longer holds; the last has ``until=None``.

    Returns
    -------
    numpy.ndarray
        Basis points, ``float64[len(ts)]``.

    Raises
    ------
    EngineError
        There is no era, or the eras are out of order.
    """
    ends = [era.until for era in eras]
    bounded = ends[:-1]
    if not ends or ends[-1] is not None or None in bounded or bounded != sorted(map(str, bounded)):
        raise EngineError("eras must be ordered by `until`, the last one with until=None")
    starts = np.array([date.fromisoformat(str(end)) for end in bounded], dtype="datetime64[D]")
    days = ts.cast(pl.Date).to_numpy().astype("datetime64[D]")
    rates = np.array([era.half_spread_bps for era in eras], dtype=float)
    return rates[np.searchsorted(starts, days, side="right")]
