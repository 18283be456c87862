"""What a person wants to see of a generated market: small series for plots."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from btq_assets.sources.synthetic.market import SyntheticMarket
from btq_assets.sources.synthetic.spec import MINUTES_PER_SESSION, SESSIONS_PER_YEAR


def daily_volatility(market: SyntheticMarket) -> tuple[list[datetime], dict[str, np.ndarray]]:
    """Last bar of each session, and each symbol's realised annual volatility in it (five at most)."""
    steps = market.paths.log_close - market.paths.log_open
    by_session = steps.reshape(market.spec.n_sessions, MINUTES_PER_SESSION, -1)
    realised = np.sqrt((by_session**2).sum(axis=1) * SESSIONS_PER_YEAR)
    closes = market.clean_bars["ts"].head(market.spec.n_minutes)
    ends = closes.gather_every(MINUTES_PER_SESSION, MINUTES_PER_SESSION - 1).to_list()
    names = market.spec.symbols[:5]
    return ends, {name: realised[:, number] for number, name in enumerate(names)}


def volume_by_minute(market: SyntheticMarket) -> tuple[list[int], dict[str, np.ndarray]]:
    """Minutes of a session, and the mean volume traded in each."""
    volume = market.clean_bars["volume"].to_numpy().reshape(-1, MINUTES_PER_SESSION)
    return list(range(1, MINUTES_PER_SESSION + 1)), {"volume": volume.mean(axis=0)}
