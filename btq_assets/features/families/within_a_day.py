"""Families that read bars shorter than a day, trades, quotes or books.

Belongs here: one entry each. Does not belong here: formulas, which live in the family's module.
"""

from __future__ import annotations

import math

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.contracts import core, core_ticks
from btq_assets.contracts import features as contracts
from btq_assets.contracts.features.realised_volatility import EWMA_DECAYS
from btq_assets.contracts.features.volume import PROFILE_WINDOWS
from btq_assets.features.definitions import OHLCV
from btq_assets.features.families.family import Family

#: What a session needs to be in a window of traded rows, and in one of ranges.
_TRADED = (*OHLCV, "adj_open", "adj_high", "adj_low")
_RANGE = ("adj_open", "adj_high", "adj_low")


def _realised_memory(features: FeaturesSection) -> int:
    """Regressions with their terms and horizon; or until the slowest average has forgotten."""
    forgotten = math.log(1e-16) / math.log(max(EWMA_DECAYS) / 100)
    return max(math.ceil(forgotten), features.har_window_sessions + 70)


def _has_shorter_bars(config: TradingConfig) -> bool:
    from btq_assets.sources.market.resampling import serves_intraday

    return serves_intraday(config)


def _has_ticks(config: TradingConfig) -> bool:
    """Whether any source of trades, quotes or books is switched on."""
    sources = config.sources
    synthetic = sources.synthetic
    return sources.stream.enabled or (synthetic.enabled and synthetic.ticks)


FAMILIES: tuple[Family, ...] = (
    Family(
        contracts.VOLUME,
        shown="point_of_control_distance_63",
        note="`v` is volume in adjusted shares. Volume is placed by bars of five minutes where they "
        "were known at the session's end, and evenly over the session's range elsewhere. The order "
        "flow is null where no trades are recorded.",
        inputs={
            "bars": core.BARS_1D,
            "bars_5m": core.BARS_5M,
            "trade_bars": core_ticks.TRADE_BARS_1M,
        },
        # The longest profile and the changes before it.
        memory_sessions=lambda _: max(PROFILE_WINDOWS) + 10,
        complete=_TRADED,
        symbols=2,
        requires="ohlcv",
        code=("features.kernels",),
        absent_as_empty=True,
    ),
    Family(
        contracts.MULTI_TIMEFRAME,
        shown="trend_alignment",
        note="Bars that have ended and were known, never the one that goes on. Lengths below a day "
        "are null where no source has such bars.",
        inputs={
            "bars": core.BARS_1D,
            "bars_1w": core.BARS_1W,
            "bars_1m": core.BARS_1M,
            "bars_5m": core.BARS_5M,
            "bars_15m": core.BARS_15M,
            "bars_1h": core.BARS_1H,
        },
        # Twenty-two weeks of a market that never closes.
        memory_sessions=lambda _: 170,
        uncut=("bars_1m", "bars_5m", "bars_15m", "bars_1h"),
        whole=("bars_1m", "bars_5m", "bars_15m", "bars_1h"),
        symbols=2,
        code=("features.kernels", "timeline"),
        absent_as_empty=True,
    ),
    Family(
        contracts.INTRADAY,
        shown="intraday_trend_20",
        note="Rows are finished bars of 1m, 5m, 15m and 1h, not sessions; look-backs are counted in "
        "bars and given in the formulas. Prices as traded: moves over nights, with their splits "
        "and dividends, are left out. In the graph only where a source has such bars.",
        inputs={
            "bars_1m": core.BARS_1M,
            "bars_5m": core.BARS_5M,
            "bars_15m": core.BARS_15M,
            "bars_1h": core.BARS_1H,
        },
        symbols=2,
        code=("features.kernels",),
        optional=_has_shorter_bars,
        absent_as_empty=True,
    ),
    Family(
        contracts.TICK_MICROSTRUCTURE,
        shown="effective_spread_bps",
        note="Rows are bars of `features.tick_bar`, not sessions; look-backs are counted in bars "
        "and given in the formulas. In the graph only where a source of ticks is on. The `n` "
        "columns say how often the signs agree with the exchange's word.",
        inputs={
            "trades": core_ticks.TRADES,
            "quotes": core_ticks.QUOTES,
            "book": core_ticks.BOOK_CHANGES,
        },
        symbols=2,
        requires="trades",
        code=(
            "features.microprice",
            "features.tick_bars",
            "features.tick_windows",
            "features.kernels",
            "timeline",
        ),
        optional=_has_ticks,
        absent_as_empty=True,
    ),
    Family(
        contracts.REALISED_VOLATILITY,
        shown="ewma_volatility_97_annual",
        note="Columns named `range` need open, high and low, those named `5m` bars of five minutes "
        "that were known at the session's end: null elsewhere. A session counts with at least 6 "
        "returns and half of the usual number.",
        inputs={"bars": core.BARS_1D, "bars_5m": core.BARS_5M},
        memory_sessions=_realised_memory,
        # Regressions count sessions that have a value, however far back those are.
        complete=_RANGE,
        uncut=("bars_5m",),
        whole=("bars_5m",),
        symbols=2,
        code=("features.kernels", "features.realised_intraday"),
        absent_as_empty=True,
    ),
)
