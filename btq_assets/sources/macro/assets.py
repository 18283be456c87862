"""Dagster side of the macro sources: thin, no logic."""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.sources.macro.checks import CHECKS
from btq_assets.warehouse import Step, TableOutput, table_asset
from data_quality import macro_suite


def _sample_version(_: TradingConfig) -> str:
    from btq_assets.sources.macro.catalogue import MACRO_FILES
    from btq_assets.sources.packaged import files_version

    return files_version(MACRO_FILES)


@table_asset(
    outputs=(raw.MACRO_SAMPLE,),
    code=(
        "btq_assets.sources.macro",
        "btq_assets.sources.packaged",
        "btq_assets.sources.rows",
        "btq_assets.sources.vintages",
        "data_quality.macro_suites",
        "data_quality.macro_views",
        "data_quality.runner",
    ),
    checks=(*CHECKS, macro_suite(raw.MACRO_SAMPLE)),
    group="raw",
    optional=lambda config: config.sources.sample.enabled,
    source_version=_sample_version,
)
def macro_sample(step: Step) -> TableOutput:
    """Read the packaged macro files and append the vintages that are not stored yet."""
    import polars as pl

    from btq_assets import plots
    from btq_assets.sources.macro.catalogue import MACRO_FILES
    from btq_assets.sources.macro.providers.sample import read_sample
    from btq_assets.sources.packaged import attribution_table
    from btq_assets.sources.vintages import new_vintages

    parsed = read_sample()
    fresh = new_vintages(
        step.read_ledger(raw.MACRO_SAMPLE), parsed.rows, step.now, key=("series_id", "period")
    )
    step.log(f"{parsed.rows.height:,} values in {len(MACRO_FILES)} files, {fresh.height:,} new")
    spans = (
        parsed.rows.group_by("series_id", "revision", "unit")
        .agg(
            values=pl.len(),
            first=pl.col("period").min(),
            last=pl.col("period").max(),
        )
        .sort("series_id")
    )
    daily = (
        parsed.rows.filter(pl.col("series_id").is_in([raw.VIX_CLOSE, raw.WTI_SPOT]))
        .pivot(on="series_id", index="period", values="value")
        .sort("period")
    )
    return TableOutput(
        fresh,
        rejected=parsed.rejected,
        metadata={
            "values_read": parsed.rows.height,
            "values_new": fresh.height,
            "series": spans,
            "licenses": attribution_table(MACRO_FILES),
        },
        plots={
            "VIX and WTI": plots.lines(
                daily["period"],
                {name: daily[name] for name in (raw.VIX_CLOSE, raw.WTI_SPOT)},
                "VIX (points) and WTI spot (USD a barrel)",
            )
        },
    )
