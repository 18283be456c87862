"""Published sets of many formulas, each in the graph where ``features.named_sets`` names it.

Belongs here: one entry each. Does not belong here: formulas, which live in the set's module.
"""

from __future__ import annotations

from collections.abc import Iterable

from btq_assets.config import FeaturesSection
from btq_assets.contracts import features as contracts
from btq_assets.features.families.family import Family

#: What qlib's volume is made of, for the families that read it.
_ADJUSTED_SHARES = (
    "`v` is volume in adjusted shares, volume close / adj_close, and prices are adjusted; `vwap` "
    "is in no source of bars yet."
)


def _alpha101_memory(_: FeaturesSection) -> int:
    from btq_assets.features.alpha101 import MEMORY_SESSIONS

    return MEMORY_SESSIONS


def _alpha101_off(_: FeaturesSection) -> Iterable[str]:
    from btq_assets.features.alpha101 import WITHOUT_SOURCE

    return WITHOUT_SOURCE


def _talib_memory(_: FeaturesSection) -> int:
    from btq_assets.features.talib_set import memory_sessions

    return memory_sessions()


FAMILIES: tuple[Family, ...] = (
    Family(
        contracts.ALPHA101,
        shown="alpha101_101",
        note="In the graph only where `features.named_sets` names it. Formulas are the paper's own "
        "text, conventions those of the package alpha101v 0.1.9 but for two: what reads a missing "
        "value is missing, also a linear decay and the larger or smaller of two; correlations, "
        "covariances and decays are rounded to ten digits, so that equal ones tie. A window is one of "
        "all sessions of the universe. What no split can change reads adjusted prices and "
        "shares, all else prices as traded, where a split within a window shows. No table has a "
        "volume-weighted price, a capitalisation or a dated classification: 49 alphas are null.",
        memory_sessions=_alpha101_memory,
        symbols=None,
        requires="ohlcv",
        code=(
            "features.alpha101_paper",
            "features.formulas",
            "features.formula_values",
            "features.kernels",
        ),
        optional=lambda config: "alpha101" in config.features.named_sets,
        switched_off=_alpha101_off,
    ),
    Family(
        contracts.ALPHA158,
        shown="alpha158_roc_20",
        note=f"Windows are full and quotients unguarded, where qlib starts with the first row and "
        f"adds 1e-12 to divisors. {_ADJUSTED_SHARES}",
        memory_sessions=lambda _: 120,
        requires="ohlcv",
        code=("features.qlib_bars", "features.kernels"),
        optional=lambda config: "alpha158" in config.features.named_sets,
        switched_off=lambda _: ("alpha158_vwap_0",),
    ),
    Family(
        contracts.ALPHA360,
        shown="alpha360_close_20",
        note=f"In the graph only where `features.named_sets` names it. {_ADJUSTED_SHARES}",
        memory_sessions=lambda _: 120,
        requires="ohlcv",
        code=("features.qlib_bars",),
        optional=lambda config: "alpha360" in config.features.named_sets,
        switched_off=lambda _: (f"alpha360_vwap_{ago}" for ago in range(60)),
    ),
    Family(
        contracts.TALIB,
        shown="talib_cci_20",
        note="In the graph only where `features.named_sets` names it. Prices are adjusted and `v` "
        "is volume in adjusted shares, volume close / adj_close. TA-Lib starts anew every 730 days "
        "of the calendar, 300 days earlier for what has a finite window and 1,095 days for what is "
        "recursive, so that sums and averages carry nothing along from further back; the parabolic "
        "stop and the supertrend, which depend on the whole path, are those of that stretch. A "
        "window without any change is null where TA-Lib says 0, and so is what an earlier price or "
        "volume a million times as large has swallowed in a running sum. A pattern is 1, -1 or 0.",
        memory_sessions=_talib_memory,
        symbols=1,
        requires="ohlcv",
        module="talib_set",
        code=("features.talib_calls", "features.stretches", "features.qlib_bars"),
        optional=lambda config: "talib" in config.features.named_sets,
    ),
)
