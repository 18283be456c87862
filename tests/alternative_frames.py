"""Small frames of options, off-exchange volume, on-chain metrics and curves, for tests of features.

Every table has rows that come late and rows that are restated, so that a computation that reads
them before their time is seen to.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.core_alternative import (
    DARK_POOL,
    ONCHAIN_METRICS,
    OPTION_METRICS,
    OPTION_SURFACES,
    OPTION_SWEEPS,
    SHORT_VOLUME,
    UNUSUAL_OPTIONS,
)
from btq_assets.contracts.core_macro import YIELD_CURVE

UTC = dt.UTC


def rows_of(contract: TableContract, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Rows with the columns that are not given null."""
    names = contract.column_names
    return pl.DataFrame([{n: row.get(n) for n in names} for row in rows], schema=contract.schema)


def alternative(bars: pl.DataFrame, universe: str = "us20") -> dict[str, pl.DataFrame]:
    """All tables, for symbols ``S00`` to ``S02`` of `universe`."""
    members = bars.filter(pl.col("universe") == universe)
    sessions = members["ts"].unique().sort().to_list()
    random = np.random.default_rng(11)
    return {
        "yield_curve": yield_curve(sessions, random),
        **options(sessions, random),
        "dark_pool": dark_pool(sessions, random),
        "short_volume": short_volume(sessions, random),
        "onchain_metrics": onchain_metrics(sessions, random),
    }


def yield_curve(sessions: list[dt.datetime], random: np.random.Generator) -> pl.DataFrame:
    """Two curves; the preferred one stops, and every 20th day is revised four days later."""
    rows = []
    for number, stamp in enumerate(sessions):
        for curve in ("treasury", "h15"):
            if curve == "treasury" and number > 0.8 * len(sessions):
                continue
            short, two, ten = np.sort(random.uniform(1, 5, 3))
            for late, shift in ((0, 0.0), (4, 0.3)) if number % 20 == 0 else ((0, 0.0),):
                rows.append(
                    {
                        "curve": curve,
                        "period": stamp.date(),
                        "known_at": stamp + dt.timedelta(days=late, hours=1),
                        "yield_3m": short,
                        "yield_2y": two,
                        "yield_10y": ten + shift,
                        "level": ten + shift,
                        "slope": ten + shift - short,
                        "slope_2y": ten + shift - two,
                        "curvature": 2 * two - short - ten - shift,
                    }
                )
    return rows_of(YIELD_CURVE, rows)


def options(sessions: list[dt.datetime], random: np.random.Generator) -> dict[str, pl.DataFrame]:
    """A snapshot at most sessions, with three smiles, unusual contracts and sweeps."""
    metrics, surfaces, unusual, sweeps = [], [], [], []
    for number, stamp in enumerate(sessions[:-10]):
        for underlying in ("S00", "S01"):
            if number % 11 == 5 or number < 20:
                continue
            level = float(random.uniform(0.1, 0.4))
            snapshot = {
                "source": "cboe" if number < 250 else "other",
                "dataset": "chains",
                "underlying": underlying,
                "ts": stamp - dt.timedelta(minutes=20),
                # Some are known only after the close.
                "known_at": stamp + dt.timedelta(minutes=-5 if number % 4 else 90),
            }
            metrics.append(
                {
                    **snapshot,
                    "n_contracts": 100,
                    "n_expiries_fitted": 3,
                    "atm_iv_30d": level,
                    "skew_25d_30d": float(random.normal(0.03, 0.01)),
                    "term_slope": float(random.normal(0, 0.02)),
                    "put_call_volume": float(np.exp(random.normal(0, 0.3))),
                    "put_call_oi": float(np.exp(random.normal(0, 0.1))),
                    "volume": 1000.0 + number,
                    "open_interest": 5000.0,
                    "unusual_volume_score": float(random.normal()),
                    "n_unusual_contracts": number % 3,
                }
            )
            for days in (20, 50, 110) if number % 2 else ():
                iv = level + 0.01 * float(random.normal())
                surfaces.append(
                    {
                        **snapshot,
                        "expires_at": stamp + dt.timedelta(days=days),
                        "years": days / 365,
                        "atm_iv": iv,
                        "put_25d_iv": iv + 0.03,
                        "call_25d_iv": iv - 0.01,
                    }
                )
            for contract in range(number % 3):
                unusual.append(
                    {
                        **snapshot,
                        "contract_id": f"{underlying}{contract}",
                        "kind": "put" if (number + contract) % 2 else "call",
                        "volume": float(random.integers(100, 900)),
                        "open_interest": 50.0,
                    }
                )
            if number % 3 == 0:
                sweeps.append(
                    {
                        "source": "deribit_trades",
                        "dataset": "trades",
                        "underlying": underlying,
                        "contract_id": f"{underlying}{number}",
                        "kind": "call" if number % 2 else "put",
                        "side": "buy" if random.random() < 0.5 else "sell",
                        "first_trade_id": str(number),
                        "ts": stamp - dt.timedelta(hours=3),
                        "known_at": stamp - dt.timedelta(hours=3) + dt.timedelta(hours=number % 7),
                        "premium": float(random.uniform(1e3, 1e5)),
                    }
                )
    return {
        "option_metrics": rows_of(OPTION_METRICS, metrics),
        "option_surfaces": rows_of(OPTION_SURFACES, surfaces),
        "unusual_options": rows_of(UNUSUAL_OPTIONS, unusual),
        "option_sweeps": rows_of(OPTION_SWEEPS, sweeps),
    }


def dark_pool(sessions: list[dt.datetime], random: np.random.Generator) -> pl.DataFrame:
    """Two venues a week, published 16 days after it ended, one restated ten days later."""
    mondays = sorted({s.date() - dt.timedelta(days=s.weekday()) for s in sessions})
    rows = []
    for number, monday in enumerate(mondays[:-5]):
        for symbol in ("S00", "S02"):
            for venue in ("AAAA", "BBBB"):
                published = dt.datetime(monday.year, monday.month, monday.day, 14, tzinfo=UTC)
                published += dt.timedelta(days=21)
                shares = float(random.integers(10_000, 200_000))
                again = number % 5 == 0 and venue == "AAAA"
                for late, factor in ((0, 1.0), (10, 1.5)) if again else ((0, 1.0),):
                    rows.append(
                        {
                            "source": "finra",
                            "symbol": symbol,
                            "week": monday,
                            "venue": venue,
                            "known_at": published + dt.timedelta(days=late),
                            "shares": shares * factor,
                            "trades": float(random.integers(100, 900)),
                        }
                    )
    return rows_of(DARK_POOL, rows)


def short_volume(sessions: list[dt.datetime], random: np.random.Generator) -> pl.DataFrame:
    """One file a session, known that evening; every 15th is restated eight days later."""
    rows = []
    for number, stamp in enumerate(sessions[:-12]):
        for symbol in ("S00", "S01"):
            share = float(random.uniform(0.3, 0.6))
            for late, factor in ((0, 1.0), (8, 0.5)) if number % 15 == 0 else ((0, 1.0),):
                rows.append(
                    {
                        "source": "finra",
                        "symbol": symbol,
                        "session": stamp.date(),
                        "known_at": stamp + dt.timedelta(days=late, hours=2),
                        "short_volume": share * factor * 1e5,
                        "total_volume": 1e5,
                        "short_share": share * factor,
                    }
                )
    return rows_of(SHORT_VOLUME, rows)


def onchain_metrics(
    sessions: list[dt.datetime], random: np.random.Generator, n_days: int = 230
) -> pl.DataFrame:
    """Daily metrics of ``S00``, stablecoins and sentiment; every 9th day is restated."""
    series = [
        *(("coinmetrics", "S00", name, "unit") for name in ("AdrActCnt", "TxCnt", "HashRate", "FeeTotNtv", "CapMVRVCur")),
        ("defillama", "S00", "tvl_usd", "USD"),
        ("stablecoins", "USDT", "circulating", "USD"),
        ("stablecoins", "USDC", "circulating", "USD"),
        ("fear_greed", "crypto", "fear_greed", "index 0 to 100"),
    ]  # fmt: skip
    start = sessions[60].replace(hour=0)
    rows = []
    for number in range(n_days):
        for source, asset, metric, unit in series:
            ts = start + dt.timedelta(days=number)
            value = float(np.round(random.uniform(20, 80), 3))
            for late, factor in ((0, 1.0), (4, 1.2)) if number % 9 == 0 else ((0, 1.0),):
                rows.append(
                    {
                        "source": source,
                        "dataset": source,
                        "asset": asset,
                        "metric": metric,
                        "ts": ts,
                        "known_at": ts + dt.timedelta(days=late, hours=1 if unit == "USD" else 24),
                        "value": value * factor,
                        "unit": unit,
                    }
                )
    return rows_of(ONCHAIN_METRICS, rows)
