"""Dagster side of the features room: one asset per family, document scores, and the catalogue.

Belongs here: upstream tables, one call of a pure function, metadata. Does not belong here: logic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts import features as contracts
from btq_assets.features.checks import (
    STORIES_CHECK,
    null_shares,
    presence_check,
    truncation_gate,
)
from btq_assets.features.custom import custom_family
from btq_assets.features.families import FAMILIES, Family, observed
from btq_assets.features.labels.checks import KNOWN_AT_ITS_END
from btq_assets.warehouse import Step, TableAsset, TableOutput, added_since, table_asset
from data_quality import features_suite

_SHARED_CODE = (
    "data_quality",
    "btq_assets.features.definitions",
    "btq_assets.features.families",
    "btq_assets.features.incremental",
    "btq_assets.features.latest",
    "btq_assets.features.latest_values",
    "btq_assets.features.newest",
    "btq_assets.features.tails",
    "btq_assets.features.trailing",
    "btq_assets.features.checks",
)
_GROUP = "features"

Frames = Mapping[str, pl.DataFrame]


def family_asset(family: Family, modules: tuple[str, ...] = ()) -> TableAsset:
    """The asset of one family: computed, checked by its suite and by truncation, drawn.

    `modules` are further ones whose source the values depend on, wherever they are.
    """

    def compute(step: Step, **inputs: pl.DataFrame) -> TableOutput:
        frame, how = _computed(step, family, inputs)
        output = _output(step, frame, family, {"computed": how})
        more = _SHOWN.get(family.name)
        return output if more is None else more(step, frame, inputs, output)

    compute.__name__ = family.name
    compute.__module__ = __name__
    compute.__doc__ = f"Compute the family {family.name} at every bar. {family.note}"
    return TableAsset(
        compute=compute,
        outputs=(family.contract,),
        inputs=dict(family.inputs),
        config=family.config,
        code=(
            *_SHARED_CODE,
            *(f"btq_assets.{name}" for name in family.code_modules),
            *modules,
            __name__,
        ),
        checks=(
            features_suite(family.contract),
            truncation_gate(
                family.contract, family.compute, family.gate_sessions, symbols=family.symbols
            ),
            presence_check(_names_of(family), family.not_expected),
        ),
        group=_GROUP,
        optional=family.optional,
        absent_as_empty=family.absent_as_empty,
    )


def _names_of(family: Family) -> tuple[str, ...]:
    contract = family.contract
    return tuple(c.name for c in contract.columns if c.is_float and c.name not in contract.key)


def custom_assets(config: TradingConfig) -> tuple[TableAsset, ...]:
    """The asset of the user's own features; none where the configuration names no module."""
    family = custom_family(config)
    if family is None:
        return ()
    return (family_asset(family, config.features.custom_modules),)


def _computed(
    step: Step, family: Family, inputs: Mapping[str, pl.DataFrame]
) -> tuple[pl.DataFrame, str]:
    """All rows of the family, and whether they were computed whole or only at the end."""
    from btq_assets.features.incremental import full_because, updated

    why = full_because(family)
    if not why:
        stored = step.read_ledger(family.contract)
        given = {name: (family.inputs[name], frame) for name, frame in inputs.items()}
        found = added_since(step, family.contract, given, family.config, stored.height)
        if found.since is not None:
            frame = updated(stored, inputs, family, step.config, found.since)
            n_sessions = frame.filter(pl.col("ts") >= found.since)["ts"].n_unique()
            return frame, f"incremental: {n_sessions} sessions, from {found.since}"
        why = found.why
    return family.compute(inputs, step.config), f"full: {why}"


def _output(step: Step, frame: pl.DataFrame, family: Family, how: Mapping[str, str]) -> TableOutput:
    """The rows with their null shares, and a picture of one feature."""
    from btq_assets import plots

    names = _names_of(family)
    main = step.config.universe.main
    universe = main if main in frame["universe"].unique() else None
    rows = frame if universe is None else frame.filter(pl.col("universe") == universe)
    title = f"{family.shown}, {universe or 'all universes'}"
    return TableOutput(
        frame,
        metadata={
            **how,
            "n_features": len(names),
            "rows_by_universe": frame.group_by("universe").len().sort("universe"),
            "null_share": null_shares(frame, names),
        },
        plots={title: plots.histogram(rows[family.shown].drop_nulls(), title, family.shown)},
    )


def _with_entropy(
    step: Step, frame: pl.DataFrame, inputs: Frames, output: TableOutput
) -> TableOutput:
    from btq_assets import plots

    universe = step.config.universe.main
    by_session = (
        frame.filter(pl.col("universe") == universe)
        .group_by("ts")
        .agg(pl.col("entanglement_entropy").max())
        .sort("ts")
    )
    if by_session["entanglement_entropy"].drop_nulls().is_empty():
        return output
    title = f"Entropy of the correlation density matrix, {universe}"
    picture = plots.lines(
        by_session["ts"], {"": by_session["entanglement_entropy"]}, title, "share of ln N"
    )
    return TableOutput(frame, metadata=output.metadata, plots={**output.plots, title: picture})


def _marked_synthetic(
    step: Step, frame: pl.DataFrame, inputs: Frames, output: TableOutput
) -> TableOutput:
    synthetic = frame["is_synthetic"].sum()
    return TableOutput(
        frame,
        metadata={
            **output.metadata,
            "n_documents": inputs["scores"]["doc_id"].n_unique(),
            "rows_from_synthetic_documents": synthetic,
        },
        plots={
            f"SYNTHETIC {title}" if synthetic else title: png for title, png in output.plots.items()
        },
    )


def _with_spans(
    step: Step, frame: pl.DataFrame, inputs: Frames, output: TableOutput
) -> TableOutput:
    from btq_assets import plots

    main = frame.filter(pl.col("universe") == step.config.universe.main)
    spans = pl.DataFrame(
        [
            {
                "feature": name,
                "first": str(covered["ts"].min() or ""),
                "last": str(covered["ts"].max() or ""),
                "sessions": covered.height,
            }
            for name in contracts.feature_names("macro")
            for covered in (main.filter(pl.col(name).is_not_null()),)
        ]
    )
    title = "Credit spread, Baa minus Aaa"
    picture = plots.lines(
        main["ts"], {"": main["credit_spread_baa_aaa"]}, title, "percentage points"
    )
    return TableOutput(frame, metadata={**output.metadata, "span": spans}, plots={title: picture})


def _with_sign_accuracy(
    step: Step, frame: pl.DataFrame, inputs: Frames, output: TableOutput
) -> TableOutput:
    """How often the signs of trades agree with the exchange's word, by instrument."""
    agree = frame.group_by("universe", "symbol", "dataset").agg(
        trades=pl.col("n_trades").sum(),
        aggressor_known=pl.col("n_aggressor_known").sum(),
        lee_ready_right=pl.col("n_lee_ready_right").sum() / pl.col("n_aggressor_known").sum(),
        tick_rule_right=pl.col("n_tick_rule_right").sum() / pl.col("n_aggressor_known").sum(),
    )
    shown = {**output.metadata, "sign_accuracy": agree.sort("universe", "symbol", "dataset")}
    return TableOutput(frame, metadata=shown, plots=output.plots)


def _with_fits(step: Step, frame: pl.DataFrame, inputs: Frames, output: TableOutput) -> TableOutput:
    from btq_assets.features.volatility_models import fits

    metadata = {**output.metadata, "fits": fits(frame)}
    return TableOutput(frame, metadata=metadata, plots=output.plots)


#: What a family shows beyond the distribution of one feature.
_SHOWN: dict[str, Callable[[Step, pl.DataFrame, Frames, TableOutput], TableOutput]] = {
    "quantum": _with_entropy,
    "sentiment": _marked_synthetic,
    "macro": _with_spans,
    "volatility_models": _with_fits,
    "tick_microstructure": _with_sign_accuracy,
}

#: One asset per family, in the order of the catalogue.
FAMILY_ASSETS: tuple[TableAsset, ...] = tuple(family_asset(family) for family in FAMILIES)


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

    frame = score(
        observed({"documents": documents}, step.config)["documents"], step.config.sources.documents
    )
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


def _feature_quality(step: Step, **families: pl.DataFrame) -> TableOutput:
    """Compare every feature with its training window, and with all other features."""
    from btq_assets import plots
    from btq_assets.features.quality import quality as judge

    frame = judge(families, step.config)
    main = frame.filter(pl.col("universe") == step.config.universe.main, pl.col("freq") == "1d")
    drifted = main.filter(pl.col("psi").is_not_null()).sort("psi", "feature", descending=True)
    title = f"Population stability index, {step.config.universe.main}"
    shown = drifted.head(25)
    return TableOutput(
        frame,
        metadata={
            "most_drifted": drifted.select("feature", "psi", "ks_statistic").head(10),
            "redundant": main.filter(pl.col("cluster_size") > 1)
            .select("cluster", "feature", "nearest_feature", "nearest_correlation")
            .sort("cluster", "feature"),
            "without_values": main.filter(pl.col("missing_share") == 1)["feature"].to_list(),
        },
        plots={title: plots.bars(shown["feature"].to_list(), shown["psi"].to_list(), title, "PSI")}
        if shown.height
        else {},
    )


feature_quality = TableAsset(
    compute=_feature_quality,
    outputs=(contracts.QUALITY,),
    inputs={f.name: f.contract for f in FAMILIES},
    config=("features", "models.walk_forward", "universe.main"),
    code=("btq_assets.features.quality", "btq_assets.features.families", __name__),
    group=_GROUP,
    absent_as_empty=True,
)


def configured(asset: TableAsset, config: TradingConfig) -> TableAsset:
    """The asset with the user's own features among its inputs, where it judges all families."""
    own = custom_family(config)
    if own is None or contracts.QUALITY not in asset.outputs:
        return asset
    return replace(asset, inputs={**asset.inputs, own.name: own.contract})


@table_asset(
    outputs=(contracts.LABELS,),
    inputs={"bars": core.BARS_1D},
    config=(
        "features.labels",
        "features.truncation_dates",
        "models.decision_every",
        "universe.main",
    ),
    code=(
        "btq_assets.features.labels",
        "btq_assets.features.definitions",
        "btq_assets.features.technical",
        "btq_assets.features.windows",
        "btq_assets.timeline",
    ),
    checks=(KNOWN_AT_ITS_END,),
    group=_GROUP,
)
def labels(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Label every decision of the main universe by what followed its fill; for training only."""
    from btq_assets import plots
    from btq_assets.features.labels.table import labels as label

    frame = label(bars, step.config)
    kinds = (
        frame.group_by("label")
        .agg(
            rows=pl.len(),
            known=pl.col("value").count(),
            mean=pl.col("value").mean(),
            mean_uniqueness=pl.col("average_uniqueness").mean(),
        )
        .sort("label")
    )
    touched = frame.filter(pl.col("label") == "triple_barrier")["span_sessions"].drop_nulls()
    title = "Sessions from the fill to the first barrier"
    return TableOutput(
        frame,
        metadata={"labels": kinds, "universe": step.config.universe.main},
        plots={title: plots.histogram(touched, title, "sessions")},
    )


def _custom_definitions(config: TradingConfig) -> str:
    """What the modules of ``features.custom_modules`` say of their features, "" for none."""
    from btq_assets.features.custom import features_of

    said = [(f.name, f.formula, f.source, f.unit, *f.needs) for f in features_of(config)]
    return repr(said) if said else ""


@table_asset(
    outputs=(contracts.CATALOGUE,),
    config=("features",),
    code=("btq_assets.features",),
    group=_GROUP,
    source_version=_custom_definitions,
)
def catalogue(step: Step) -> TableOutput:
    """List every feature with its formula, source, unit, look-back and needs."""
    from btq_assets.features.catalogue import catalogue as build

    frame = build(step.config)
    return TableOutput(
        frame, metadata={"features_by_family": frame.group_by("family").len().sort("family")}
    )
