"""Dagster side of the document sources: thin, no logic."""

from __future__ import annotations

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.contracts.raw.sentiment import COMPARED
from btq_assets.sources.sentiment.checks import CHECKS, OBSERVED_CHECKS
from btq_assets.warehouse import Step, TableOutput, table_asset
from data_quality import documents_suite


@table_asset(
    outputs=(raw.DOCUMENTS_SAMPLE,),
    inputs={"membership": raw.UNIVERSE_MEMBERSHIP},
    config=("sources.sample", "universe.main"),
    code=(
        "btq_assets.sources.sentiment",
        "data_quality.document_suites",
        "data_quality.document_views",
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


def _reports_version(config: TradingConfig) -> str:
    from btq_assets.sources.sentiment.providers.reports import reports_version

    return reports_version(config.sources.reports) if config.sources.reports.enabled else ""


@table_asset(
    outputs=(raw.DOCUMENTS_REPORTS,),
    config=("sources.reports", "sources.documents.companies"),
    code=(
        "btq_assets.sources.sentiment",
        "btq_assets.sources.vintages",
        "data_quality.document_suites",
        "data_quality.document_views",
        "data_quality.runner",
    ),
    checks=(*OBSERVED_CHECKS, documents_suite(raw.DOCUMENTS_REPORTS)),
    group="raw",
    optional=lambda config: config.sources.reports.enabled,
    source_version=_reports_version,
)
def documents_reports(step: Step) -> TableOutput:
    """Read every report of the folder and append what is new or has changed."""
    from btq_assets.sources.sentiment.providers.reports import read_reports
    from btq_assets.sources.vintages import new_vintages

    settings = step.config.sources
    parsed = read_reports(settings.reports, settings.documents.companies, step.now)
    fresh = new_vintages(
        step.read_ledger(raw.DOCUMENTS_REPORTS),
        parsed.rows,
        step.now,
        key=("doc_id", "symbol"),
        values=COMPARED,
    )
    step.log(
        f"{parsed.rows.height:,} reports, {fresh.height:,} new or changed, "
        f"{parsed.rejected.height:,} files refused"
    )
    return TableOutput(
        fresh,
        rejected=parsed.rejected,
        metadata={
            "reports_read": parsed.rows.height,
            "reports_new": fresh.height,
            "refused": parsed.rejected.head(20),
        },
    )
