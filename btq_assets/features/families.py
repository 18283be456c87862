"""Every family of the room in one list: its table, what it reads, how far back, how it is shown.

Belongs here: one `Family` entry each; assets, catalogue, reference, gates and the notebook engine
follow from the list. Does not belong here: formulas, which live in the family's module.

A family's module offers two functions: ``features_of(config)`` gives its definitions,
``compute_from(inputs, config)`` its rows. It is imported when first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module

import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.contracts import core, core_alternative, core_macro, core_ticks
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import TableContract
from btq_assets.features.definitions import OHLCV, Feature

#: Sessions after which the slowest recursive average, (25/27)^n of MACD, is below rounding.
RECURSIVE_MEMORY = 700

#: Universe and source of generated rows.
GENERATED = "synthetic"

_RANGES = frozenset((*OHLCV, "adj_open", "adj_high", "adj_low")) - {"close"}


#: Bar lengths as they are named among a feature's needs.
_SHORTER_THAN_A_DAY = frozenset(("5m", "15m", "1h"))


@dataclass(frozen=True)
class Family:
    """One family of features.

    Parameters
    ----------
    contract
        Its table; the table's name is the family's.
    shown
        Feature whose distribution the asset draws.
    note
        What a reader must know, for the reference page.
    inputs
        Tables it reads, by the name `compute_from` knows them by.
    memory_sessions
        Sessions before a row that the row depends on, for a configuration; ``None``: all of them.
        Cutting older ones away changes no value by more than rounding.
    symbols
        Symbols per universe the truncation gate recomputes; ``None`` where symbols read one
        another, so that all are needed.
    requires
        Richest kind of data read, one of `contracts.features.REQUIREMENTS`; ``"close"`` families
        say per feature whether they need the whole bar.
    module
        Module below `btq_assets.features`; the family's name unless given.
    code
        Further modules below `btq_assets` whose source the values depend on.
    config
        Sections of the configuration read.
    optional
        Whether the family is in the graph, for a configuration; ``None``: always.
    switched_off
        Features a configuration leaves null.
    absent_as_empty
        Whether a table it reads may be absent because its source is switched off; it arrives empty.
    """

    contract: TableContract
    shown: str
    note: str
    inputs: Mapping[str, TableContract] = field(default_factory=lambda: {"bars": core.BARS_1D})
    memory_sessions: Callable[[FeaturesSection], int] | None = None
    symbols: int | None = 2
    requires: str = "close"
    module: str = ""
    code: tuple[str, ...] = ()
    #: The universes too: naming the generated one lets its rows in.
    config: tuple[str, ...] = ("features", "universe")
    optional: Callable[[TradingConfig], bool] | None = None
    switched_off: Callable[[FeaturesSection], Iterable[str]] = lambda _: ()
    absent_as_empty: bool = False

    @property
    def name(self) -> str:
        """Name of the family and of its table."""
        return self.contract.name

    @property
    def code_modules(self) -> tuple[str, ...]:
        """Modules whose source decides the values."""
        return (f"features.{self.module or self.name}", *self.code)

    def features(self, config: TradingConfig) -> tuple[Feature, ...]:
        """Definitions of the family, for the windows of `config`."""
        return self._module().features_of(config)

    def compute(self, inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
        """Rows of the family's table.

        Parameters
        ----------
        inputs
            A frame for each of ``self.inputs``.
        config
            Windows and switches.
        """
        return self._module().compute_from(observed(inputs, config), config)

    def compute_since(
        self, inputs: Mapping[str, pl.DataFrame], config: TradingConfig, since: datetime
    ) -> pl.DataFrame:
        """Rows of which only those at or after `since` will be read; others may be unfinished."""
        shorter = getattr(self._module(), "compute_since", None)
        if shorter is None:
            return self.compute(inputs, config)
        return shorter(observed(inputs, config), config, since)

    def requirement(self, feature: Feature) -> str:
        """Richest kind of data `feature` reads."""
        if any(name.endswith(" of trades") for name in feature.needs):
            return "trades"
        if any(_SHORTER_THAN_A_DAY & set(name.split()) for name in feature.needs):
            return "intraday"
        if self.requires != "close":
            return self.requires
        return "ohlcv" if _RANGES & set(feature.needs) else "close"

    def not_expected(self, features: FeaturesSection) -> tuple[str, ...]:
        """Features that may be null throughout: switched off, or of inputs the family does without."""
        optional = (
            feature.name
            for feature in self.features(TradingConfig())
            if self.absent_as_empty
            and self.requirement(feature) != self.requires
            and self.requirement(feature) in ("intraday", "trades", "quotes", "book")
        )
        return (*self.switched_off(features), *optional)

    def enabled(self, config: TradingConfig) -> bool:
        """Whether the configuration has the family in the graph."""
        return self.optional is None or self.optional(config)

    def _module(self):
        return import_module(f"btq_assets.features.{self.module or self.name}")


def observed(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> dict[str, pl.DataFrame]:
    """Inputs without generated rows, unless the configuration names their universe.

    Generated bars and documents are in core beside real ones, for whoever asks for them; no
    feature of a real universe may read them.
    """
    universes = config.universe
    if GENERATED in (universes.main, universes.ohlcv, universes.cross_asset):
        return dict(inputs)
    generated = {"universe": GENERATED, "source": GENERATED}
    kept = {}
    for name, frame in inputs.items():
        rules = [pl.col(c) != value for c, value in generated.items() if c in frame.columns]
        kept[name] = frame.filter(*rules) if rules else frame
    return kept


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


def _alpha101_memory(_: FeaturesSection) -> int:
    from btq_assets.features.alpha101 import MEMORY_SESSIONS

    return MEMORY_SESSIONS


def _alpha101_off(_: FeaturesSection) -> Iterable[str]:
    from btq_assets.features.alpha101 import WITHOUT_SOURCE

    return WITHOUT_SOURCE


def _talib_memory(_: FeaturesSection) -> int:
    from btq_assets.features.talib_set import memory_sessions

    return memory_sessions()


def _serves(config: TradingConfig, *prefixes: str) -> bool:
    """Whether a provider of alternative data is enabled whose table's name starts so."""
    from btq_assets.sources.alternative.registry import ENTRIES

    enabled = (e for e in ENTRIES if getattr(config.sources, e.name).enabled)
    return any(entry.contracts[0].name.startswith(prefixes) for entry in enabled)


def _has_options(config: TradingConfig) -> bool:
    sources = config.sources
    computed = sources.option_metrics.enabled or sources.option_sweeps.enabled
    generated = sources.synthetic.enabled and sources.synthetic.options
    return computed or generated or _serves(config, "option_quotes_", "option_trades_")


def _has_dark_pool(config: TradingConfig) -> bool:
    return _serves(config, "dark_pool_", "short_volume_")


def _has_onchain(config: TradingConfig) -> bool:
    market = config.sources.synthetic
    return (market.enabled and market.onchain) or _serves(config, "onchain_")


def _structure_memory(features: FeaturesSection) -> int:
    from btq_assets.features.cross_asset_structure import memory_sessions

    return memory_sessions(features.correlation_window_sessions)


def _has_ticks(config: TradingConfig) -> bool:
    """Whether any source of trades, quotes or books is switched on."""
    sources = config.sources
    synthetic = sources.synthetic
    return sources.stream.enabled or (synthetic.enabled and synthetic.ticks)


#: What qlib's volume is made of, for the families that read it.
_ADJUSTED_SHARES = (
    "`v` is volume in adjusted shares, volume close / adj_close, and prices are adjusted; `vwap` "
    "is in no source of bars yet."
)

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
        contracts.SENTIMENT,
        shown="sentiment_score",
        note="`is_synthetic` is true where any document behind a row is generated; such rows are "
        "evidence of nothing. Rows start with a symbol's first known document.",
        inputs={"bars": core.BARS_1D, "scores": contracts.DOCUMENT_SCORES},
        symbols=1,
        requires="documents",
        code=("timeline",),
    ),
    Family(
        contracts.MACRO,
        shown="credit_spread_baa_aaa",
        note="Read from vintages: both ends of a change are taken as known at the session. A value "
        "counts from its release; a revision of an earlier period does not make it fresh. Values "
        "are null outside the span of their series.",
        inputs={"bars": core.BARS_1D, "vintages": core.MACRO_VINTAGES},
        memory_sessions=lambda _: 30,
        symbols=None,
        requires="macro",
        code=("timeline",),
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
        "window without any change is null where TA-Lib says 0. A pattern is 1, -1 or 0.",
        memory_sessions=_talib_memory,
        symbols=1,
        requires="ohlcv",
        module="talib_set",
        code=("features.talib_calls", "features.stretches", "features.qlib_bars"),
        optional=lambda config: "talib" in config.features.named_sets,
    ),
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
        symbols=2,
        requires="ohlcv",
        code=("features.kernels",),
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
        code=("features.tick_bars", "features.tick_windows", "features.kernels", "timeline"),
        optional=_has_ticks,
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
            "bars_5m": core.BARS_5M,
            "bars_15m": core.BARS_15M,
            "bars_1h": core.BARS_1H,
        },
        symbols=2,
        code=("features.kernels", "timeline"),
        absent_as_empty=True,
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
        contracts.REALISED_VOLATILITY,
        shown="ewma_volatility_97_annual",
        note="Columns named `range` need open, high and low, those named `5m` bars of five minutes "
        "that were known at the session's end: null elsewhere. A session counts with at least 6 "
        "returns and half of the usual number.",
        inputs={"bars": core.BARS_1D, "bars_5m": core.BARS_5M},
        symbols=2,
        code=("features.kernels", "features.realised_intraday"),
        absent_as_empty=True,
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
    Family(
        contracts.MACRO_CURVE,
        shown="vix_z_252",
        note="Read from vintages, all ends of a window as known at the session. No source has "
        "surveys of economists: a surprise is against a forecast from earlier vintages, random walk "
        "(`rw`) or autoregression (`ar`), and stays what it was at the release. Of several sources "
        "of a series the first that is fresh counts.",
        inputs={
            "bars": core.BARS_1D,
            "vintages": core.MACRO_VINTAGES,
            "yield_curve": core_macro.YIELD_CURVE,
        },
        memory_sessions=lambda _: 30,
        symbols=None,
        requires="macro",
        code=("features.as_known", "features.macro", "features.macro_surprises", "timeline"),
    ),
    Family(
        contracts.OPTIONS_FLOW,
        shown="option_atm_iv_30d",
        note="In the graph only where a source of options is enabled. The underlying is the symbol, "
        "or what `features.option_underlyings` says.",
        inputs={
            "bars": core.BARS_1D,
            "option_metrics": core_alternative.OPTION_METRICS,
            "option_surfaces": core_alternative.OPTION_SURFACES,
            "unusual_options": core_alternative.UNUSUAL_OPTIONS,
            "option_sweeps": core_alternative.OPTION_SWEEPS,
        },
        symbols=2,
        requires="options",
        code=("features.as_known", "timeline"),
        optional=_has_options,
        absent_as_empty=True,
    ),
    Family(
        contracts.DARK_POOL,
        shown="short_volume_share",
        note="In the graph only where a source of off-exchange volume is enabled. Short volume is "
        "that reported to FINRA's facilities, not the market's; market makers sell short to fill "
        "buyers, so that half of it is usual.",
        inputs={
            "bars": core.BARS_1D,
            "dark_pool": core_alternative.DARK_POOL,
            "short_volume": core_alternative.SHORT_VOLUME,
        },
        symbols=None,
        requires="dark_pool",
        code=("features.as_known", "timeline"),
        optional=_has_dark_pool,
        absent_as_empty=True,
    ),
    Family(
        contracts.ONCHAIN,
        shown="active_addresses_change_7d",
        note="In the graph only where a source of on-chain metrics is enabled. Which coin and chain "
        "is behind a symbol: `features.onchain_coins`, `features.onchain_chains`, or its own name. "
        "Days are those of the calendar, the last one that has ended and is known.",
        inputs={"bars": core.BARS_1D, "onchain_metrics": core_alternative.ONCHAIN_METRICS},
        symbols=1,
        requires="onchain",
        code=("features.as_known", "timeline"),
        optional=_has_onchain,
        absent_as_empty=True,
    ),
    Family(
        contracts.SENTIMENT_FLOW,
        shown="sentiment_flow_score_5",
        note="`is_synthetic` is true where any document behind a row is generated; such rows are "
        "evidence of nothing. Rows start with a symbol's first known document.",
        inputs={"bars": core.BARS_1D, "scores": contracts.DOCUMENT_SCORES},
        symbols=1,
        requires="documents",
        code=("features.sentiment",),
    ),
)

#: Families by name.
FAMILY: dict[str, Family] = {family.name: family for family in FAMILIES}
