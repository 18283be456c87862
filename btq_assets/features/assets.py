"""Dagster side of the features room: one asset per family, and the catalogue.

Belongs here: upstream tables, one call of a pure function, metadata. Does not belong here: logic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from btq_assets.contracts import core, raw
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import TableContract
from btq_assets.features.checks import (
    RECURSIVE_MEMORY,
    STORIES_CHECK,
    null_shares,
    presence_check,
    truncation_gate,
)
from btq_assets.warehouse import Step, TableOutput, table_asset
from data_quality import features_suite

_SHARED_CODE = ("data_quality", "btq_assets.features.definitions", "btq_assets.features.checks")
_GROUP = "features"


def _code(*modules: str) -> tuple[str, ...]:
    return (*_SHARED_CODE, *(f"btq_assets.{module}" for module in modules))


def _observed(rows: pl.DataFrame, config: Any, column: str = "universe") -> pl.DataFrame:
    """Rows without those of the generated market, unless a setting names its universe."""
    if raw.SYNTHETIC_UNIVERSE in dict(config.universe).values():
        return rows
    return rows.filter(pl.col(column) != raw.SYNTHETIC_UNIVERSE)


def _output(step: Step, frame: pl.DataFrame, contract: TableContract, shown: str) -> TableOutput:
    """The rows with their null shares, and a picture of one feature."""
    from btq_assets import plots

    names = contracts.feature_names(contract.name)
    main = step.config.universe.main
    universe = main if main in frame["universe"].unique() else None
    rows = frame if universe is None else frame.filter(pl.col("universe") == universe)
    title = f"{shown}, {universe or 'all universes'}"
    return TableOutput(
        frame,
        metadata={
            "n_features": len(names),
            "rows_by_universe": frame.group_by("universe").len().sort("universe"),
            "null_share": null_shares(frame, names),
        },
        plots={title: plots.histogram(rows[shown].drop_nulls(), title, shown)},
    )


def _technical(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.features import technical as family

    return family.compute(_observed(inputs["bars"], config), config.features)


@table_asset(
    outputs=(contracts.TECHNICAL,),
    inputs={"bars": core.BARS_1D},
    config=("features", "universe"),
    code=_code("features.technical"),
    checks=(
        features_suite(contracts.TECHNICAL),
        truncation_gate(contracts.TECHNICAL, _technical, lambda _: RECURSIVE_MEMORY, symbols=2),
        presence_check(contracts.feature_names("technical")),
    ),
    group=_GROUP,
)
def technical(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Compute trend, momentum and mean-reversion features of every bar."""
    frame = _technical({"bars": bars}, step.config)
    return _output(step, frame, contracts.TECHNICAL, "momentum_12_1")


def _volatility(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.features import volatility as family

    return family.compute(_observed(inputs["bars"], config), config.features)


@table_asset(
    outputs=(contracts.VOLATILITY,),
    inputs={"bars": core.BARS_1D},
    config=("features", "universe"),
    code=_code("features.volatility"),
    checks=(
        features_suite(contracts.VOLATILITY),
        truncation_gate(contracts.VOLATILITY, _volatility, lambda _: RECURSIVE_MEMORY, symbols=2),
        presence_check(contracts.feature_names("volatility")),
    ),
    group=_GROUP,
)
def volatility(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Compute volatility features of every bar; range estimators where highs and lows exist."""
    frame = _volatility({"bars": bars}, step.config)
    return _output(step, frame, contracts.VOLATILITY, "volatility_ewma_annual")


def _microstructure(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.features import microstructure as family

    return family.compute(_observed(inputs["bars"], config), config.features)


@table_asset(
    outputs=(contracts.MICROSTRUCTURE,),
    inputs={"bars": core.BARS_1D},
    config=("features", "universe"),
    code=_code("features.microstructure"),
    checks=(
        features_suite(contracts.MICROSTRUCTURE),
        truncation_gate(contracts.MICROSTRUCTURE, _microstructure, lambda _: 150, symbols=2),
        presence_check(contracts.feature_names("microstructure")),
    ),
    group=_GROUP,
)
def microstructure(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Compute liquidity and spread features of every bar that has a range and a volume."""
    frame = _microstructure({"bars": bars}, step.config)
    return _output(step, frame, contracts.MICROSTRUCTURE, "corwin_schultz_spread_21")


def _quantum(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.features import quantum as family

    return family.compute(_observed(inputs["bars"], config), config.features)


def _quantum_off(features: Any) -> frozenset[str]:
    from btq_assets.features.quantum import switched_off

    return switched_off(features)


@table_asset(
    outputs=(contracts.QUANTUM,),
    inputs={"bars": core.BARS_1D},
    config=("features", "universe"),
    code=_code("features.quantum", "features.windows"),
    checks=(
        features_suite(contracts.QUANTUM),
        truncation_gate(
            contracts.QUANTUM,
            _quantum,
            # Longest of the oscillator's three windows and the collapse's scale, window and change.
            lambda features: (
                max(
                    3 * features.quantum_features.window_sessions,
                    features.quantum_features.window_sessions + 252 + 21,
                )
                + 20
            ),
        ),
        presence_check(contracts.feature_names("quantum"), _quantum_off),
    ),
    group=_GROUP,
)
def quantum(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Compute oscillator, collapse and entanglement features of every bar."""
    frame = _quantum({"bars": bars}, step.config)
    output = _output(step, frame, contracts.QUANTUM, "oscillator_energy")
    return TableOutput(
        frame, metadata=output.metadata, plots={**output.plots, **_entropy_plot(step, frame)}
    )


def _entropy_plot(step: Step, frame: pl.DataFrame) -> dict[str, bytes]:
    from btq_assets import plots

    universe = step.config.universe.main
    by_session = (
        frame.filter(pl.col("universe") == universe)
        .group_by("ts")
        .agg(pl.col("entanglement_entropy").max())
        .sort("ts")
    )
    if by_session["entanglement_entropy"].drop_nulls().is_empty():
        return {}
    title = f"Entropy of the correlation density matrix, {universe}"
    return {
        title: plots.lines(
            by_session["ts"], {"": by_session["entanglement_entropy"]}, title, "share of ln N"
        )
    }


def _cross_asset(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.features import cross_asset as family

    return family.compute(_observed(inputs["bars"], config), config)


@table_asset(
    outputs=(contracts.CROSS_ASSET,),
    inputs={"bars": core.BARS_1D},
    config=("features", "universe"),
    code=_code("features.cross_asset", "features.technical", "features.windows", "timeline"),
    checks=(
        features_suite(contracts.CROSS_ASSET),
        truncation_gate(
            contracts.CROSS_ASSET,
            _cross_asset,
            lambda features: features.correlation_window_sessions + 252 + 20,
        ),
        presence_check(contracts.feature_names("cross_asset")),
    ),
    group=_GROUP,
)
def cross_asset(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Compute how each symbol moves with its universe and with the dollar."""
    frame = _cross_asset({"bars": bars}, step.config)
    return _output(step, frame, contracts.CROSS_ASSET, "universe_beta")


def _document_score_files(config: Any) -> str:
    from btq_assets.sources.sentiment.scoring.base import files_fingerprint

    return files_fingerprint(config.sources.documents)


@table_asset(
    outputs=(contracts.DOCUMENT_SCORES,),
    inputs={"documents": core.DOCUMENTS},
    config=("sources.documents", "universe"),
    code=("btq_assets.sources.sentiment", "btq_assets.features.checks"),
    checks=(STORIES_CHECK,),
    group=_GROUP,
    source_version=_document_score_files,
)
def document_scores(step: Step, documents: pl.DataFrame) -> TableOutput:
    """Score every document, find whom it is about, and which stories are told again."""
    from btq_assets import plots
    from btq_assets.sources.sentiment.scored import score

    frame = score(_observed(documents, step.config, "source"), step.config.sources.documents)
    by_source = frame.group_by("source", "label").agg(
        documents=pl.col("doc_id").n_unique(),
        linked=pl.col("doc_id").filter(pl.col("symbol") != "").n_unique(),
        repeats=pl.col("is_repeat").sum(),
        not_read=pl.col("score").is_null().sum(),
    )
    synthetic = "SYNTHETIC " if (frame["label"] == "SYNTHETIC").any() else ""
    return TableOutput(
        frame,
        metadata={
            "scorer": frame["scorer"][0] if frame.height else step.config.sources.documents.scorer,
            "by_source": by_source.sort("source", "label"),
            "linked_by": frame.group_by("linked_by").len().sort("linked_by"),
            "languages": frame.group_by("language").len().sort("len", descending=True).head(12),
        },
        plots={
            f"{synthetic}scores": plots.histogram(
                frame["score"].drop_nulls(), f"{synthetic}document scores", "score"
            )
        },
    )


def _sentiment(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.features import sentiment as family

    return family.compute(_observed(inputs["bars"], config), inputs["scores"], config.features)


@table_asset(
    outputs=(contracts.SENTIMENT,),
    inputs={"bars": core.BARS_1D, "scores": contracts.DOCUMENT_SCORES},
    config=("features", "universe"),
    code=_code("features.sentiment", "timeline"),
    checks=(
        features_suite(contracts.SENTIMENT),
        truncation_gate(contracts.SENTIMENT, _sentiment, symbols=1),
        presence_check(contracts.feature_names("sentiment")),
    ),
    group=_GROUP,
)
def sentiment(step: Step, bars: pl.DataFrame, scores: pl.DataFrame) -> TableOutput:
    """Average the scores known at each session; synthetic ones are marked as such."""
    frame = _sentiment({"bars": bars, "scores": scores}, step.config)
    output = _output(step, frame, contracts.SENTIMENT, "sentiment_score")
    synthetic = frame["is_synthetic"].sum()
    return TableOutput(
        frame,
        metadata={
            **output.metadata,
            "n_documents": scores["doc_id"].n_unique(),
            "rows_from_synthetic_documents": synthetic,
        },
        plots={
            f"SYNTHETIC {title}" if synthetic else title: png for title, png in output.plots.items()
        },
    )


def _macro(inputs: Mapping[str, pl.DataFrame], config: Any) -> pl.DataFrame:
    from btq_assets.features import macro as family

    return family.compute(_observed(inputs["bars"], config), inputs["vintages"], config.features)


@table_asset(
    outputs=(contracts.MACRO,),
    inputs={"bars": core.BARS_1D, "vintages": core.MACRO_VINTAGES},
    config=("features", "universe"),
    code=_code("features.macro", "timeline"),
    checks=(
        features_suite(contracts.MACRO),
        truncation_gate(contracts.MACRO, _macro, lambda _: 30),
        presence_check(contracts.feature_names("macro")),
    ),
    group=_GROUP,
)
def macro(step: Step, bars: pl.DataFrame, vintages: pl.DataFrame) -> TableOutput:
    """Read market-wide values as they were known at each session."""
    from btq_assets import plots

    frame = _macro({"bars": bars, "vintages": vintages}, step.config)
    names = contracts.feature_names("macro")
    main = frame.filter(pl.col("universe") == step.config.universe.main)
    spans = pl.DataFrame(
        [
            {
                "feature": name,
                "first": str(covered["ts"].min() or ""),
                "last": str(covered["ts"].max() or ""),
                "sessions": covered.height,
            }
            for name in names
            for covered in (main.filter(pl.col(name).is_not_null()),)
        ]
    )
    title = "Credit spread, Baa minus Aaa"
    return TableOutput(
        frame,
        metadata={
            "n_features": len(names),
            "span": spans,
            "null_share": null_shares(frame, names),
        },
        plots={
            title: plots.lines(
                main["ts"], {"": main["credit_spread_baa_aaa"]}, title, "percentage points"
            )
        },
    )


@table_asset(
    outputs=(contracts.CATALOGUE,),
    config=("features",),
    code=("btq_assets.features",),
    group=_GROUP,
)
def catalogue(step: Step) -> TableOutput:
    """List every feature with its formula, source, unit, look-back and needs."""
    from btq_assets.features.catalogue import catalogue as build

    frame = build(step.config)
    return TableOutput(
        frame, metadata={"features_by_family": frame.group_by("family").len().sort("family")}
    )
