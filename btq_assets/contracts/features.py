"""Tables of the features room: one table per family, and the catalogue of them all.

Belongs here: names, meaning and units of the columns. Does not belong here: formulas, which live
beside the code that computes them (`btq_assets.features`); a test keeps the two in agreement.

Every feature is a nullable float: null where its history is too short, its input is missing or
its value is undefined. A window of ``n`` sessions counts the symbol's own bars.
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import Column, RowRule, TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    SYMBOL,
    TS,
    UNIVERSE,
    count,
    flag,
    number,
    stamp,
    text,
)

FAMILIES = (
    "technical",
    "volatility",
    "microstructure",
    "quantum",
    "cross_asset",
    "sentiment",
    "macro",
)

_SYMBOL_KEY = ("universe", "symbol", "ts")


def _family(
    name: str,
    description: str,
    features: tuple[Column, ...],
    *,
    market_wide: bool = False,
    extra: tuple[Column, ...] = (),
) -> TableContract:
    identity = (UNIVERSE, TS) if market_wide else (UNIVERSE, SYMBOL, TS)
    return TableContract(
        layer="features",
        name=name,
        description=description,
        columns=(*identity, *features, *extra),
        key=("universe", "ts") if market_wide else _SYMBOL_KEY,
    )


TECHNICAL = _family(
    "technical",
    "Trend, momentum and mean-reversion indicators of the adjusted close; TA-Lib conventions.",
    (
        number("return_1d", "Simple return over 1 session."),
        number("return_5d", "Simple return over 5 sessions."),
        number("return_21d", "Simple return over 21 sessions."),
        number("return_63d", "Simple return over 63 sessions."),
        number("momentum_12_1", "Simple return from 252 to 21 sessions ago."),
        number(
            "rsi_14",
            "Relative strength index over 14 sessions, 0 to 100.",
            minimum=0,
            maximum=100.000001,
        ),
        number("macd_histogram_to_price", "MACD(12, 26, 9) histogram as a fraction of the price."),
        number("bollinger_z_20", "Deviation from the 20-session mean in standard deviations."),
        number("distance_sma_50", "Price over its 50-session mean, minus 1."),
        number("distance_sma_200", "Price over its 200-session mean, minus 1."),
        number("distance_high_252", "Price over its 252-session high, minus 1.", maximum=1e-9),
    ),
)

VOLATILITY = _family(
    "volatility",
    "Volatility estimates from returns and, where open, high and low exist, from ranges.",
    (
        number(
            "volatility_21_annual", "Standard deviation of 21 log returns, annualised.", minimum=0
        ),
        number(
            "volatility_63_annual", "Standard deviation of 63 log returns, annualised.", minimum=0
        ),
        number(
            "volatility_ewma_annual", "RiskMetrics volatility, decay 0.94, annualised.", minimum=0
        ),
        number(
            "downside_volatility_63_annual",
            "Root mean square of negative log returns over 63 sessions, annualised.",
            minimum=0,
        ),
        number("volatility_ratio_21_252", "21-session over 252-session volatility.", minimum=0),
        number(
            "volatility_of_volatility_63",
            "Coefficient of variation of the 21-session volatility over 63 sessions.",
            minimum=0,
        ),
        number(
            "absolute_return_autocorrelation_63",
            "Correlation of absolute log returns with their predecessor over 63 sessions.",
            minimum=-1.000001,
            maximum=1.000001,
        ),
        number(
            "parkinson_21_annual",
            "Parkinson range volatility over 21 sessions, annualised; null without high and low.",
            minimum=0,
        ),
        number(
            "garman_klass_21_annual",
            "Garman-Klass volatility over 21 sessions, annualised; null without open, high and low.",
            minimum=0,
        ),
        number(
            "rogers_satchell_21_annual",
            "Rogers-Satchell volatility over 21 sessions, annualised; null without open, high and low.",
            minimum=0,
        ),
    ),
)

MICROSTRUCTURE = _family(
    "microstructure",
    "Liquidity and spread estimates from daily bars; rows only where open, high, low, close and volume exist.",
    (
        number(
            "amihud_21",
            "Mean absolute return per million of currency traded, over 21 sessions.",
            minimum=0,
        ),
        number(
            "roll_spread_63",
            "Roll effective spread over 63 sessions, as a fraction of the price.",
            minimum=0,
        ),
        number(
            "corwin_schultz_spread_21",
            "Corwin-Schultz high-low spread, mean of 21 sessions, as a fraction of the price.",
            minimum=0,
        ),
        number(
            "abdi_ranaldo_spread_21",
            "Abdi-Ranaldo close-high-low spread, mean of 21 sessions, as a fraction of the price.",
            minimum=0,
        ),
        number(
            "kyle_lambda_63",
            "Slope of the return on the signed root of traded value over 63 sessions, per root million of currency.",
        ),
        number(
            "price_impact_63",
            "Return expected from a trade of 1 % of the average daily traded value.",
        ),
        number(
            "dollar_volume_z_63",
            "Log traded value in standard deviations from its 63-session mean.",
        ),
        number("distance_vwap_21", "Price over the volume-weighted price of 21 sessions, minus 1."),
        number(
            "money_flow_21",
            "Traded value weighted by where the close lies in the day's range, over 21 sessions, -1 to 1.",
            minimum=-1.000001,
            maximum=1.000001,
        ),
    ),
)

QUANTUM = _family(
    "quantum",
    "Quantum-inspired features: plain statistics with the names of their analogies. A member switched off in the configuration is null.",
    (
        number(
            "oscillator_energy",
            "Energy of the detrended log price seen as a harmonic oscillator, (x^2 + p^2) / 2.",
            minimum=0,
        ),
        number(
            "oscillator_phase",
            "Phase of the same oscillator, atan2(p, x), radians.",
            minimum=-3.1415927,
            maximum=3.1415927,
        ),
        number(
            "collapse_concentration",
            "Inverse participation ratio of the histogram of trailing returns, 0.1 to 1.",
            minimum=0.0999999,
            maximum=1.0000001,
        ),
        number("collapse_change", "Change of the concentration over 21 sessions."),
        number(
            "entanglement_entropy",
            "Von Neumann entropy of the universe's trailing correlation density matrix over log N, 0 to 1.",
            minimum=0,
            maximum=1.0000001,
        ),
        number(
            "entanglement_contribution",
            "Share of the asset in that entropy, times N; 1 is an equal share.",
            minimum=0,
        ),
        number(
            "entanglement_mutual_information",
            "Gaussian mutual information of the asset with the rest of its universe, nats.",
            minimum=0,
        ),
    ),
)

CROSS_ASSET = _family(
    "cross_asset",
    "How an asset moves with its universe and with the dollar, from past windows of returns.",
    (
        number("universe_beta", "Beta to the equal-weight return of the universe."),
        number(
            "idiosyncratic_volatility_annual",
            "Volatility of the return not explained by that beta, annualised.",
            minimum=0,
        ),
        number(
            "residual_momentum_12_1",
            "Sum of residual returns from 252 to 21 sessions ago, in its own standard deviations.",
        ),
        number(
            "mean_correlation",
            "Mean correlation with the other assets of the universe.",
            minimum=-1.000001,
            maximum=1.000001,
        ),
        number(
            "eigenvector_centrality",
            "Eigenvector centrality in the graph of absolute correlations; 1 is the mean.",
            minimum=0,
        ),
        number(
            "pc1_loading",
            "Loading on the first principal component of the correlation matrix, times root N.",
        ),
        number(
            "momentum_rank",
            "Rank of momentum_12_1 within the universe, -1 lowest to 1 highest.",
            minimum=-1,
            maximum=1,
        ),
        number(
            "return_21d_rank",
            "Rank of return_21d within the universe, -1 lowest to 1 highest.",
            minimum=-1,
            maximum=1,
        ),
        number(
            "usd_beta",
            "Beta to the equal-weight move of the US dollar against the other currencies.",
        ),
        number(
            "usd_correlation", "Correlation with that move.", minimum=-1.000001, maximum=1.000001
        ),
    ),
)

SENTIMENT = _family(
    "sentiment",
    "Exponentially decayed scores of the headlines known at ts; a symbol's rows start with its first document.",
    (
        number(
            "sentiment_score", "Decayed mean score, -1 to 1.", minimum=-1.000001, maximum=1.000001
        ),
        number("sentiment_change_5d", "Change of the score over 5 sessions."),
        number("sentiment_dispersion", "Decayed standard deviation of the scores.", minimum=0),
        number("sentiment_volume", "Decayed number of documents.", minimum=0),
        number(
            "sentiment_volume_ratio_63",
            "Decayed number of documents over its 63-session mean.",
            minimum=0,
        ),
        number(
            "sentiment_negative_share",
            "Decayed share of documents with a negative score, 0 to 1.",
            minimum=0,
            maximum=1.000001,
        ),
    ),
    extra=(
        flag(
            "is_synthetic",
            "Whether any document behind the row is SYNTHETIC: no evidence of anything.",
        ),
    ),
)

DOCUMENT_SCORES = TableContract(
    layer="features",
    name="document_scores",
    description="How each document sounds, whom it is about, and whether its story was told before: one row per document, vintage and symbol.",
    columns=(
        text("doc_id", "Document in core.documents."),
        text("symbol", "Instrument it is about; empty where none was found."),
        stamp("published_at", "Time of publication, UTC."),
        KNOWN_AT,
        text("headline", "Text of the headline."),
        text("source", "Source: raw.documents_<source>."),
        text("language", "ISO 639-1 code, stated or detected; null if unsure.", nullable=True),
        text(
            "linked_by",
            "How the symbol was found: stated by the source, or in the text.",
            nullable=True,
            allowed=("source", "cashtag", "exchange", "ticker", "name"),
        ),
        number(
            "score",
            "-1 bad to 1 good; null where the text is in a language the scorer does not read.",
            minimum=-1,
            maximum=1,
        ),
        text("scorer", "Scorer and its version."),
        text("cluster_id", "Story: the document and time it began with."),
        stamp("first_known_at", "When the story was first known, UTC."),
        flag("is_repeat", "Whether the story had been told about this symbol before: counts once."),
        text("label", "SYNTHETIC or REAL."),
    ),
    key=("doc_id", "symbol", "known_at"),
    rules=(
        RowRule("before its story began", pl.col("known_at") < pl.col("first_known_at")),
        RowRule("known before it was published", pl.col("known_at") < pl.col("published_at")),
    ),
)

MACRO = _family(
    "macro",
    "Market-wide values known at ts; null once older than the stale limit of their series.",
    (
        number("vix_level", "CBOE volatility index, percent per year.", minimum=0),
        number(
            "vix_change_21d", "Change of the index over 21 of its observations, percentage points."
        ),
        number("credit_spread_baa_aaa", "Moody's Baa minus Aaa yield, percentage points."),
        number(
            "credit_spread_change_3m", "Change of that spread over 3 months, percentage points."
        ),
        number("wti_return_63d", "Log change of the WTI oil price over 63 of its observations."),
        number("core_cpi_yoy", "Log change of core consumer prices over 12 months."),
        number(
            "industrial_production_yoy",
            "Log change of industrial production over 12 months, vintages known at ts.",
        ),
        number(
            "payrolls_yoy", "Log change of non-farm payrolls over 12 months, vintages known at ts."
        ),
        number(
            "unemployment_change_12m",
            "Change of the unemployment rate over 12 months, percentage points, vintages known at ts.",
        ),
    ),
    market_wide=True,
)

CATALOGUE = TableContract(
    layer="features",
    name="catalogue",
    description="Every feature: what it is, where it comes from, what it needs.",
    columns=(
        text("name", "Column name; unique over all families."),
        text("family", "Family, the name of the table.", allowed=FAMILIES),
        text("formula", "Definition one can recompute by hand."),
        text("source", "Author, year and equation, or own definition."),
        text("unit", "Unit of the value."),
        count(
            "lookback_sessions",
            "Sessions of history before the first value; longer memories decay.",
        ),
        text("needs", "Input columns, comma separated."),
        flag("scale_invariant", "Whether scaling a symbol's adjusted history changes nothing."),
        flag("enabled", "Whether the configuration has it switched on."),
    ),
    key=("name",),
)

#: Contract of each family, by family name.
FAMILY_CONTRACTS: dict[str, TableContract] = {
    contract.name: contract
    for contract in (
        TECHNICAL,
        VOLATILITY,
        MICROSTRUCTURE,
        QUANTUM,
        CROSS_ASSET,
        SENTIMENT,
        MACRO,
    )
}


def feature_names(family: str) -> tuple[str, ...]:
    """Feature columns of a family in order, without key columns and flags.

    Raises
    ------
    KeyError
        There is no such family.
    """
    contract = FAMILY_CONTRACTS[family]
    return tuple(c.name for c in contract.columns if c.name not in contract.key and c.is_float)
