"""Dagster side of what is computed from alternative data: thin, no logic.

Providers have their assets by their registry (`sources/assets.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.core import MACRO_VINTAGES
from btq_assets.contracts.core_alternative import (
    OPTION_METRICS,
    OPTION_QUOTES,
    OPTION_SURFACES,
    OPTION_SWEEPS,
    OPTION_TRADES,
    UNUSUAL_OPTIONS,
)
from btq_assets.contracts.raw.alternative import IV_SURFACES_SAMPLE
from btq_assets.sources.alternative.checks import (
    OPTION_METRIC_CHECKS,
    SAMPLE_CHECKS,
    SWEEP_CHECKS,
)
from btq_assets.sources.alternative.registry import ENTRIES
from btq_assets.warehouse import Step, TableOutput, table_asset

if TYPE_CHECKING:
    from btq_assets.warehouse import StoredTable


def _serves(config: TradingConfig, prefix: str) -> bool:
    """Whether a provider is enabled whose first table's name starts so."""
    return any(
        getattr(config.sources, entry.name).enabled
        for entry in ENTRIES
        if entry.contracts[0].name.startswith(prefix)
    )


def _has_quotes(config: TradingConfig) -> bool:
    market = config.sources.synthetic
    generated = market.enabled and market.options
    return config.sources.option_metrics.enabled or generated or _serves(config, "option_quotes_")


def _has_trades(config: TradingConfig) -> bool:
    return config.sources.option_sweeps.enabled or _serves(config, "option_trades_")


def _sample_version(_: TradingConfig) -> str:
    from btq_assets.sources.alternative.sample import SURFACE_FILE
    from btq_assets.sources.packaged import files_version

    return files_version((SURFACE_FILE,))


@table_asset(
    outputs=(OPTION_METRICS, OPTION_SURFACES, UNUSUAL_OPTIONS),
    inputs={"quotes": OPTION_QUOTES, "vintages": MACRO_VINTAGES},
    config=("sources.option_metrics",),
    code=(
        "btq_assets.sources.alternative.american",
        "btq_assets.sources.alternative.black",
        "btq_assets.sources.alternative.contract_names",
        "btq_assets.sources.alternative.discount_rates",
        "btq_assets.sources.alternative.option_activity",
        "btq_assets.sources.alternative.option_metrics",
        "btq_assets.sources.alternative.option_quotes",
        "btq_assets.sources.alternative.smiles",
        "btq_assets.sources.alternative.checks",
    ),
    checks=OPTION_METRIC_CHECKS,
    group="core",
    optional=_has_quotes,
)
def option_metrics(step: Step, quotes: pl.DataFrame, vintages: pl.DataFrame) -> TableOutput:
    """Recompute implied volatilities, fit a smile per expiry, and compare volume with its history."""
    from btq_assets import plots
    from btq_assets.sources.alternative.option_metrics import newest_smiles, option_tables

    tables = option_tables(
        quotes,
        step.config.sources.option_metrics,
        vintages=vintages,
        stored=_stored_surfaces(step),
        code_version=step.code_version,
    )
    step.log(
        f"{quotes.height:,} quotes in {tables.metrics.height:,} snapshots: "
        f"{tables.surfaces.height:,} smiles, {tables.unusual.height:,} unusual contracts"
    )
    term = {
        f"{name} {ts:%Y-%m-%d}": part for (name, ts), part in newest_smiles(tables.surfaces).items()
    }
    return TableOutput(
        {
            OPTION_METRICS.table: tables.metrics,
            OPTION_SURFACES.table: tables.surfaces,
            UNUSUAL_OPTIONS.table: tables.unusual,
        },
        metadata={
            "snapshots": tables.metrics.height,
            "smiles": tables.surfaces.height,
            "discounted_by": dict(tables.surfaces["discount_basis"].value_counts().rows()),
            "newest": tables.metrics.sort("ts").group_by("underlying").last(),
        },
        plots={
            f"term structure of {label}": plots.lines(
                part["years"] * 365,
                {"at the money": part["atm_iv"]},
                f"{label}: at-the-money volatility by days to expiry",
                "annual volatility",
            )
            for label, part in term.items()
            if part.height > 1
        },
    )


def _stored_surfaces(step: Step) -> pl.DataFrame | None:
    """Fits of earlier runs; none where the table is of an older shape, and fitted anew."""
    from btq_assets.warehouse import WarehouseError

    try:
        return step.read_ledger(OPTION_SURFACES)
    except WarehouseError as error:
        step.log(f"all smiles are fitted anew: {error}")
        return None


@table_asset(
    outputs=(OPTION_SWEEPS,),
    inputs={"trades": OPTION_TRADES},
    config=("sources.option_sweeps",),
    code=(
        "btq_assets.sources.alternative.option_sweeps",
        "btq_assets.sources.alternative.checks",
    ),
    checks=SWEEP_CHECKS,
    group="core",
    optional=_has_trades,
    sliced=True,
)
def option_sweeps(step: Step, trades: StoredTable) -> Iterator[TableOutput]:
    """List orders that took several prices of one option in quick succession."""
    from btq_assets.sources.alternative.option_sweeps import SweepFinder

    finder = SweepFinder(step.config.sources.option_sweeps)
    n_trades = n_sweeps = 0
    largest = OPTION_SWEEPS.empty()
    # Whole days, one stretch after the other: years of trades would not fit where a day does.
    spans = trades.spans("ts")
    for place, span in enumerate(spans or [None]):
        rows = trades.between("ts", *span) if span else OPTION_TRADES.empty()
        sweeps = finder.found(rows, last=place + 1 >= len(spans))
        n_trades, n_sweeps = n_trades + rows.height, n_sweeps + sweeps.height
        largest = pl.concat([largest, sweeps]).sort("premium", descending=True, nulls_last=True)
        largest = largest.head(10)
        if place + 1 >= len(spans):
            step.log(f"{n_sweeps:,} sweeps in {n_trades:,} trades")
        yield TableOutput(
            sweeps,
            metadata={
                "trades": n_trades,
                "sweeps": n_sweeps,
                "largest": largest.select(
                    "contract_id", "side", "ts", "n_prints", "amount", "premium", "currency"
                ),
            },
            made_from={"trades": rows},
        )


@table_asset(
    outputs=(IV_SURFACES_SAMPLE,),
    code=("btq_assets.sources.alternative.sample", "btq_assets.sources.packaged"),
    checks=SAMPLE_CHECKS,
    group="raw",
    optional=lambda config: config.sources.options_sample.enabled,
    source_version=_sample_version,
)
def iv_surfaces_sample(step: Step) -> TableOutput:
    """Read the packaged volatility surfaces, compared with their pinned hash."""
    from btq_assets.sources.alternative.sample import SURFACE_FILE, read_surfaces
    from btq_assets.sources.packaged import attribution_table

    rows = read_surfaces()
    step.log(f"{rows.height:,} volatilities of {rows['underlying'].n_unique()} stocks")
    return TableOutput(rows, metadata={"licenses": attribution_table((SURFACE_FILE,))})
