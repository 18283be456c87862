"""Dagster side of the document sources: thin, no logic."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.sentiment.checks import CHECKS
from btq_assets.warehouse import Step, TableOutput, table_asset
from data_quality import documents_suite


@table_asset(
    outputs=(raw.DOCUMENTS_SAMPLE,),
    inputs={"membership": raw.UNIVERSE_MEMBERSHIP},
    config=("sources.sample", "universe.main"),
    code=(
        "btq_assets.sources.sentiment",
        "data_quality.suites",
        "data_quality.macro_views",
        "data_quality.runner",
    ),
    checks=(*CHECKS, documents_suite(raw.DOCUMENTS_SAMPLE)),
    group="raw",
    optional=lambda config: config.sources.sample.enabled,
)
def documents_sample(step: Step, membership: pl.DataFrame) -> TableOutput:
    """Generate SYNTHETIC headlines about the main universe, without looking at any price."""
    from btq_assets import plots
    from btq_assets.sources.sentiment.providers.synthetic import headlines

    settings = step.config.sources.sample
    symbols = membership.filter(pl.col("universe") == step.config.universe.main)["symbol"]
    written = headlines(
        symbols.to_list(),
        seed=settings.synthetic_documents_seed,
        per_symbol_year=settings.synthetic_documents_per_symbol_year,
    )
    years = written.group_by(year=pl.col("published_at").dt.year()).len().sort("year")
    return TableOutput(
        written,
        metadata={
            "label": "SYNTHETIC: generated from a seed, independent of every price",
            "seed": settings.synthetic_documents_seed,
            "documents": written.height,
            "examples": written.select("published_at", "symbol", "headline").head(8),
        },
        plots={
            "documents a year": plots.lines(
                years["year"],
                {"documents": years["len"]},
                "SYNTHETIC headlines a year",
                "documents",
            )
        },
    )
