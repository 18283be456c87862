"""Families of documents, macro values, options, off-exchange volume and chains.

Belongs here: one entry each. Does not belong here: formulas, which live in the family's module.
"""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, core_alternative, core_macro
from btq_assets.contracts import features as contracts
from btq_assets.contracts.features.sentiment_flow import HALF_LIVES
from btq_assets.features.families.family import Family


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


FAMILIES: tuple[Family, ...] = (
    Family(
        contracts.SENTIMENT,
        shown="sentiment_score",
        note="`is_synthetic` is true where any document behind a row is generated; such rows are "
        "evidence of nothing. Rows start with a symbol's first known document.",
        inputs={"bars": core.BARS_1D, "scores": contracts.DOCUMENT_SCORES},
        # After 64 half-lives a document weighs nothing beside rounding; then 63 sessions of volume.
        memory_sessions=lambda features: 64 * int(features.sentiment_half_life_sessions + 1) + 80,
        whole=("scores",),
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
        memory_sessions=lambda _: 60,
        whole=("option_metrics", "option_surfaces", "unusual_options", "option_sweeps"),
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
        # Twenty-six weeks of seven days, late by three, and those left out between.
        memory_sessions=lambda _: 300,
        whole=("dark_pool", "short_volume"),
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
        memory_sessions=lambda _: 10,
        whole=("onchain_metrics",),
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
        memory_sessions=lambda _: 64 * max(HALF_LIVES) + 30,
        whole=("scores",),
        symbols=1,
        requires="documents",
        code=("features.sentiment",),
    ),
)
