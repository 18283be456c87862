"""What a notebook knows beside its bars, as the tables the families read.

Belongs here: instruments and shorter bars a person hands over, weeks made of days. Does not belong
here: recognising OHLCV columns (`ohlcv`), features.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts import core
from btq_assets.contracts.features.intraday import LENGTHS
from btq_assets.features.definitions import SYMBOL, FeatureError
from btq_assets.features.ohlcv import INPUT_UNIVERSE, read_ohlcv

if TYPE_CHECKING:
    import pandas as pd


def tables(
    bars: pl.DataFrame,
    instruments: pd.DataFrame | pl.DataFrame | None,
    shorter: Mapping[str, pd.DataFrame | pl.DataFrame] | None,
) -> dict[str, pl.DataFrame]:
    """Inputs of families by the names they know them by; what is not known is absent.

    Parameters
    ----------
    bars
        Bars as `ohlcv.read_ohlcv` gives them.
    instruments
        ``symbol`` and, where known, ``sector`` and ``calendar``.
    shorter
        OHLCV frames by bar length (``1m``, ``5m``, ``15m``, ``1h``).

    Raises
    ------
    FeatureError
        A frame lacks what it is read for, or the times of the bars do not say when they ended.
    """
    dated = bars.with_columns(session=pl.col("ts").dt.date())
    found = {"bars": dated}
    if instruments is not None:
        found["instruments"] = _instruments(instruments)
    if shorter is not None:
        found |= _shorter(bars, shorter)
        found["bars_1w"] = weekly(dated)
    return found


def weekly(bars: pl.DataFrame) -> pl.DataFrame:
    """Last bars of ISO weeks; whether a week has ended is for the family to say."""
    return (
        bars.sort(*SYMBOL, "ts")
        .group_by(*SYMBOL, _week=pl.col("session").dt.truncate("1w"), maintain_order=True)
        .agg(pl.col("ts", "session", "known_at", "adj_close").last())
        .drop("_week")
    )


def shorter_bars(frame: pd.DataFrame | pl.DataFrame) -> pl.DataFrame:
    """An OHLCV frame in the columns of `core.bars_5m` that features read."""
    bars = read_ohlcv(frame).bars
    missing = [name for name in ("open", "volume") if name not in bars.columns]
    return bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in missing)


def _shorter(
    bars: pl.DataFrame, shorter: Mapping[str, pd.DataFrame | pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    if strange := sorted(set(shorter) - set(LENGTHS)):
        raise FeatureError(f"no bar length is called {strange}; there are {', '.join(LENGTHS)}")
    if (bars["ts"].dt.time() == time()).all():
        raise FeatureError(
            "the bars are dated, not timed: give the time each ended, so that shorter bars can be "
            "placed before it"
        )
    empty = core.BARS_5M.empty()
    return {
        f"bars_{freq}": shorter_bars(shorter[freq]) if freq in shorter else empty
        for freq in LENGTHS
    }


def _instruments(frame: pd.DataFrame | pl.DataFrame) -> pl.DataFrame:
    if not isinstance(frame, pl.DataFrame):
        names = [name for name in ("symbol", "sector", "calendar") if name in frame.columns]
        missing = frame[names].isna().to_numpy()
        frame = pl.DataFrame(
            {
                name: [
                    None if lacks else str(v) for v, lacks in zip(frame[name], gone, strict=True)
                ]
                for name, gone in zip(names, missing.T, strict=True)
            }
        )
    known = [name for name in ("sector", "calendar") if name in frame.columns]
    if "symbol" not in frame.columns or not known:
        raise FeatureError(
            f"instruments need symbol, and sector or calendar; found {list(frame.columns)}"
        )
    if frame["symbol"].is_duplicated().any():
        raise FeatureError("instruments name a symbol twice")
    texts = frame.select(pl.col("symbol", *known).cast(pl.String))
    return texts.with_columns(universe=pl.lit(INPUT_UNIVERSE))
