"""Families of daily prices, of one symbol or of a universe.

Belongs here: one entry each. Does not belong here: formulas, which live in the family's module.
"""

from __future__ import annotations

from collections.abc import Iterable

from btq_assets.config import FeaturesSection
from btq_assets.contracts import core
from btq_assets.contracts import features as contracts
from btq_assets.features.families.family import Family

#: Sessions after which the slowest recursive average, (25/27)^n of MACD, is below rounding.
RECURSIVE_MEMORY = 700


def _quantum_off(features: FeaturesSection) -> Iterable[str]:
    from btq_assets.features.quantum import switched_off

    return switched_off(features)


def _quantum_memory(features: FeaturesSection) -> int:
    """Longest of the oscillator's three windows and the collapse's scale, window and change."""
    window = features.quantum_features.window_sessions
    return max(3 * window, window + 252 + 21) + 20


def _fractional_memory(features: FeaturesSection) -> int:
    from btq_assets.features.fractional import memory_sessions

    return memory_sessions(features.fractional)


def _structure_memory(features: FeaturesSection) -> int:
    from btq_assets.features.cross_asset_structure import memory_sessions

    return memory_sessions(features.correlation_window_sessions)


FAMILIES: tuple[Family, ...] = (
    Family(
        contracts.TECHNICAL,
        shown="momentum_12_1",
        note="Wilder averages start at a plain mean, an EMA at the mean of "
        "its first n values, both MACD averages at the same bar, Bollinger with divisor n.",
        memory_sessions=lambda _: RECURSIVE_MEMORY,
    ),
    Family(
        contracts.VOLATILITY,
        shown="volatility_ewma_annual",
        note="Range estimators need open, high and low: null for close-only symbols. They miss "
        "overnight moves and read low where trading is thin.",
        memory_sessions=lambda _: RECURSIVE_MEMORY,
    ),
    Family(
        contracts.MICROSTRUCTURE,
        shown="corwin_schultz_spread_21",
        note="Spread estimators floor negative values at zero, as their papers do, which biases "
        "them upwards where the spread is small beside the volatility.",
        memory_sessions=lambda _: 150,
    ),
    Family(
        contracts.QUANTUM,
        shown="oscillator_energy",
        note="Plain statistics under the names of their analogies; nothing here needs or simulates "
        "a quantum computer. A member switched off in `features.quantum_features` is null. Left out of "
        "ridge and LightGBM it is not missed (`models.ablations`, docs/test-results.md).",
        memory_sessions=_quantum_memory,
        symbols=None,
        code=("features.windows",),
        switched_off=_quantum_off,
    ),
    Family(
        contracts.CROSS_ASSET,
        shown="universe_beta",
        note="An asset takes part at a session only if its window has no gap and its price "
        "moves. The dollar columns need the FX universe and are null where its newest rate is "
        "older than seven days.",
        memory_sessions=lambda features: features.correlation_window_sessions + 252 + 20,
        symbols=None,
        code=("features.technical", "features.windows", "timeline"),
        config=("features", "universe"),
    ),
    Family(
        contracts.FRACTIONAL,
        shown="fractional_log_price_z_63",
        note="Log prices are counted from the oldest one in the window, so that scaling a history "
        "changes nothing and only the window is read. With `features.fractional.choose_order` a "
        "symbol's order is chosen before the first test segment and its earlier rows are null.",
        memory_sessions=_fractional_memory,
        config=("features", "universe", "models.walk_forward.first_test"),
    ),
    Family(
        contracts.CROSS_ASSET_STRUCTURE,
        shown="lead_lag_correlation",
        note="A graph is fitted at the first session of each month on the window that ends there and "
        "holds until the next; assets whose window has a gap are left out of it. Values begin with "
        "the first such month. Clusters carry no number: what they are called from month to month "
        "would be chance, so each is matched with the one before and only the overlap is kept.",
        memory_sessions=_structure_memory,
        symbols=None,
        code=("features.structure", "features.technical", "features.windows"),
    ),
    Family(
        contracts.SECTOR_RELATIVE,
        shown="sector_relative_return_21d",
        note="The sector is that of `core.instruments`, which has no history: an asset that changed "
        "sector is shown under the newest one.",
        inputs={"bars": core.BARS_1D, "instruments": core.INSTRUMENTS},
        memory_sessions=lambda _: 272,
        symbols=None,
        code=("features.cross_asset_structure", "features.technical"),
    ),
    Family(
        contracts.VOLATILITY_MODELS,
        shown="garch_volatility_21_annual",
        note="A row is under the newest fit made at or before it; the `fit` columns say which "
        "rows are under an older one, and why others have no value. Returns have a constant mean.",
        symbols=1,
        code=("features.kernels",),
    ),
    Family(
        contracts.CALENDAR,
        shown="calendar_sessions_left_in_month",
        note="From the calendar most instruments of the universe trade by, as it was planned: a day "
        "lost to a storm or to mourning counts as a session until it comes.",
        inputs={"bars": core.BARS_1D, "instruments": core.INSTRUMENTS},
        memory_sessions=lambda _: 30,
        symbols=None,
        requires="calendar",
        module="calendar_effects",
        code=("contracts.new_york",),
    ),
)
