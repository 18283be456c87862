"""SYNTHETIC on-chain metrics, one value a day, in the columns of ``raw.onchain_<source>``.

Belongs here: metrics whose relation to the market is known. Activity follows the volume of the same
day and has a weekly season; nothing here tells of a later return.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.sources.synthetic.market import SyntheticMarket
from btq_assets.sources.synthetic.spec import DATASET, MINUTES_PER_SESSION
from btq_assets.sources.vintages import ASSUMED_LAG

#: Elasticity of each metric to the day's volume, and the size of its own noise (log scale).
METRICS = {
    "active_addresses": (0.4, 0.05, "addresses"),
    "transaction_count": (0.6, 0.08, "transactions"),
    "transfer_value": (0.9, 0.15, "USD"),
    "exchange_inflow": (0.7, 0.30, "USD"),
}

#: A day is counted once the chain has settled.
PUBLICATION_LAG = timedelta(hours=6)


def onchain_metrics(market: SyntheticMarket) -> pl.DataFrame:
    """One row per symbol, metric and session; ``ts`` is the midnight that ends the day."""
    spec = market.spec
    random = spec.random("on-chain")
    volume = market.clean_bars["volume"].to_numpy()
    daily = volume.reshape(spec.n_symbols, spec.n_sessions, MINUTES_PER_SESSION).sum(axis=2)
    days = spec.sessions()
    weekend = np.array([1.0 if day.weekday() == 4 else 0.0 for day in days])
    shape = (spec.n_symbols, spec.n_sessions)
    frames = []
    for metric, (elasticity, noise, unit) in METRICS.items():
        level = random.normal(11.0, 0.5, (spec.n_symbols, 1))
        log_value = (
            level
            + elasticity * (np.log(daily) - np.log(daily).mean(axis=1, keepdims=True))
            - 0.05 * weekend
            + noise * random.standard_normal(shape)
        )
        frames.append(
            pl.DataFrame(
                {
                    "asset": np.repeat(np.array(spec.symbols), spec.n_sessions),
                    "day": days * spec.n_symbols,
                    "value": np.round(np.exp(log_value).ravel(), 2),
                }
            ).with_columns(metric=pl.lit(metric), unit=pl.lit(unit))
        )
    ts = (pl.col("day") + pl.duration(days=1)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return (
        pl.concat(frames)
        .with_columns(ts=ts, dataset=pl.lit(DATASET), known_at_basis=pl.lit(ASSUMED_LAG))
        .with_columns(known_at=pl.col("ts") + PUBLICATION_LAG)
        .select("dataset", "asset", "metric", "ts", "known_at", "known_at_basis", "value", "unit")
    )
