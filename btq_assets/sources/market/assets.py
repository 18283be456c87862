"""Dagster side of the market sources: thin, no logic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, raw
from btq_assets.sources.market.checks import (
    FIRST_SIGHT_CHECKS,
    MEMBERSHIP_CHECKS,
    SAMPLE_CHECKS,
    TIMEFRAME_CHECKS,
    warning_only,
)
from btq_assets.sources.market.membership import REMOTE_SOURCES
from btq_assets.sources.market.resampling import serves_intraday
from btq_assets.warehouse import Step, TableOutput, how_far, table_asset
from data_quality import raw_bars_suite

if TYPE_CHECKING:
    from btq_assets.warehouse import StoredTable

CODE = (
    "btq_assets.sources.market",
    "btq_assets.sources.packaged",
    "btq_assets.sources.rows",
    "btq_assets.sources.vintages",
    "btq_assets.timeline",
)

#: Bars are judged by a suite of statistics too, so a change of it makes them new.
BAR_CODE = (
    *CODE,
    "data_quality.suites",
    "data_quality.bar_views",
    "data_quality.stamp_views",
    "data_quality.runner",
)


def _sample_version(_: TradingConfig) -> str:
    from btq_assets.sources.market.catalogue import MARKET_FILES
    from btq_assets.sources.packaged import files_version

    return files_version(MARKET_FILES)


def _folder_version(config: TradingConfig) -> str:
    from btq_assets.sources.market.providers.folder import folder_version

    return folder_version(config.sources.folder) if config.sources.folder.enabled else ""


@table_asset(
    outputs=(raw.BARS_SAMPLE,),
    code=BAR_CODE,
    checks=(*SAMPLE_CHECKS, *FIRST_SIGHT_CHECKS, raw_bars_suite(raw.BARS_SAMPLE)),
    group="raw",
    optional=lambda config: config.sources.sample.enabled,
    source_version=_sample_version,
)
def bars_sample(step: Step) -> TableOutput:
    """Read the packaged price files, each compared with its pinned hash, and append what is new."""
    from btq_assets import plots
    from btq_assets.sources.market.catalogue import MARKET_FILES
    from btq_assets.sources.market.providers.sample import read_sample
    from btq_assets.sources.market.summary import bars_by_dataset, rebased, symbols_by_month
    from btq_assets.sources.packaged import attribution_table
    from btq_assets.sources.vintages import new_vintages

    parsed = read_sample()
    fresh = new_vintages(step.read_ledger(raw.BARS_SAMPLE), parsed.rows, step.now)
    step.log(f"{parsed.rows.height:,} bars in {len(MARKET_FILES)} files, {fresh.height:,} new")
    months, counts = symbols_by_month(parsed.rows)
    days, prices = rebased(parsed.rows, "skfolio_sp500_dataset")
    return TableOutput(
        fresh,
        rejected=parsed.rejected,
        metadata={
            "bars_read": parsed.rows.height,
            "bars_new": fresh.height,
            "datasets": bars_by_dataset(parsed.rows),
            "licenses": attribution_table(MARKET_FILES),
        },
        plots={
            "symbols with bars": plots.lines(
                months, counts, "Symbols with bars, by month", "symbols"
            ),
            "us20 rebased": plots.lines(
                days, prices, "us20: adjusted close, 1990 = 1", "multiple", log=True
            ),
        },
    )


@table_asset(
    outputs=(raw.BARS_FOLDER,),
    config=("sources.folder",),
    code=BAR_CODE,
    # One odd series must not hold back what else was dropped.
    checks=(*FIRST_SIGHT_CHECKS, warning_only(raw_bars_suite(raw.BARS_FOLDER))),
    group="raw",
    optional=lambda config: config.sources.folder.enabled,
    source_version=_folder_version,
)
def bars_folder(step: Step) -> Iterator[TableOutput]:
    """Read the files of the inbox that are new or have changed, and append what is new in them."""
    import time

    from btq_assets.sources.market.providers.folder import read_batches
    from btq_assets.sources.vintages import new_vintages

    known = step.read_ledger(raw.FOLDER_FILES).select("file", "mark")
    again = step.config.warehouse.force_recompute
    counts = {"files_read": 0, "bars_read": 0, "bars_new": 0, "rows_or_files_refused": 0}
    started = time.monotonic()
    for batch in read_batches(
        step.config.sources.folder,
        step.now,
        read_before=frozenset() if again else frozenset(known.iter_rows()),
    ):
        stored = step.read_ledger(raw.BARS_FOLDER, beside=batch.rows)
        fresh = new_vintages(stored, batch.rows, step.now)
        counts["files_read"] += batch.files["file"].n_unique()
        counts["bars_read"] += batch.rows.height
        counts["bars_new"] += fresh.height
        counts["rows_or_files_refused"] += batch.rejected.height
        step.log(
            f"{counts['files_read']} files, {counts['bars_read']:,} bars, "
            f"{counts['bars_new']:,} new, {counts['rows_or_files_refused']:,} rows or files refused; "
            + how_far(batch.share_read, counts["bars_read"], time.monotonic() - started, "bars")
        )
        yield TableOutput(
            fresh,
            rejected=batch.rejected,
            ledgers={raw.FOLDER_FILES: batch.files},
            metadata={**counts, "files": batch.files.head(50), "refused": batch.rejected.head(20)},
            last=batch.last,
        )


def _membership_version(config: TradingConfig) -> str:
    return _sample_version(config) + _folder_version(config)


@table_asset(
    outputs=(raw.UNIVERSE_MEMBERSHIP,),
    config=(
        "sources.sample.enabled",
        "sources.folder",
        "sources.synthetic",
        *(f"sources.{name}" for name in REMOTE_SOURCES),
        "universe",
    ),
    code=CODE,
    checks=MEMBERSHIP_CHECKS,
    group="raw",
    ledgers=(raw.FOLDER_FILES,),
    after=(raw.BARS_FOLDER,),
    source_version=_membership_version,
)
def universe_membership(step: Step) -> TableOutput:
    """List every instrument of every enabled source with its universe, calendar and caveat."""
    from btq_assets import plots
    from btq_assets.sources.market import membership
    from btq_assets.sources.market.providers import folder, sample

    sources = step.config.sources
    parts = []
    if sources.sample.enabled:
        parts.append(membership.sample_membership(sample.read_sample().rows))
    if sources.folder.enabled:
        present = folder.present_files(sources.folder)
        files = step.read_ledger(raw.FOLDER_FILES)
        here = [(file, mark) in present for file, mark in files.select("file", "mark").iter_rows()]
        parts.append(membership.folder_membership(files.filter(here), sources.folder.calendar))
    for name in REMOTE_SOURCES:
        section = getattr(sources, name)
        if section.enabled:
            parts.append(membership.remote_membership(name, section))
    if sources.synthetic.enabled and sources.synthetic.bars:
        parts.append(membership.synthetic_membership(sources.synthetic))
    members = membership.all_members(parts)
    counts = members.group_by("universe").len("symbols").sort("universe")
    return TableOutput(
        members,
        metadata={
            "universes": counts,
            "caveats": members.group_by("universe", "dataset", "caveat")
            .len("symbols")
            .sort("universe", "dataset"),
        },
        plots={
            "symbols by universe": plots.bars(
                counts["universe"].to_list(), counts["symbols"], "Symbols by universe", "symbols"
            )
        },
    )


@table_asset(
    outputs=(core.BARS_1M, core.BARS_5M, core.BARS_15M, core.BARS_1H),
    inputs={"bars": core.BARS_INTRADAY},
    code=("btq_assets.sources.market.resampling",),
    checks=TIMEFRAME_CHECKS,
    group="core",
    optional=serves_intraday,
    sliced=True,
)
def bars_by_timeframe(step: Step, bars: StoredTable) -> Iterator[TableOutput]:
    """Make bars of 5 and 15 minutes and of an hour from shorter ones, finished bars only."""
    from btq_assets.sources.market.resampling import INTRADAY, timeframes

    counts = dict.fromkeys(INTRADAY, 0)
    done, total = 0, bars.height
    # No instrument's bars depend on another's: a slice of instruments fits where all would not.
    slices = bars.slices(("universe", "symbol")) if total else iter([core.BARS_INTRADAY.empty()])
    for rows in slices:
        made = timeframes(rows)
        done += rows.height
        counts = {freq: counts[freq] + frame.height for freq, frame in made.items()}
        if done < total:
            step.log(f"{done:,} of {total:,} bars resampled")
        yield TableOutput(
            {f"core.bars_{freq}": frame for freq, frame in made.items()},
            metadata={f"bars_{freq}": n for freq, n in counts.items()},
            made_from={"bars": rows},
        )
