"""Caveats of the data: instruments, bars, documents, macro series, refused rows, repairs, sectors.

Belongs here: what the tables of the sources say against themselves. Does not belong here: a generated
market (`synthetic`).
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from btq_assets.contracts import raw
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import Caveat

_RUN, _DATA, _REFUSED, _REPAIRS = "This run", "Data", "Refused rows", "Repairs"

_WHOLE_SPAN = "; decisions of every date read the mended values, also those before it was proposed"


def of_the_data(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    """What is known of instruments, corrected bars, generated headlines and macro series."""
    universes = context.config.universe
    traded = frames["instruments"].filter(pl.col("universe") == universes.main)
    notes = frames["instruments"] if traded.is_empty() else traded
    for (text,), rows in notes.group_by("caveat", maintain_order=True):
        if text:
            who = fmt.some(rows["symbol"].to_list())
            yield Caveat(_DATA, f"{universes.main} ({who}): {text}", universes.main)
    others = frames["instruments"].filter(pl.col("universe") != universes.main)
    for (universe, text), rows in others.group_by("universe", "caveat", maintain_order=True):
        if text:
            who = fmt.some(rows["symbol"].to_list())
            yield Caveat(_DATA, f"{universe} ({who}): {text}", str(universe))
    yield from _of_revised_bars(frames, universes.main)
    synthetic = frames["documents"].filter(
        pl.col("label") == "SYNTHETIC", pl.col("source") != raw.SYNTHETIC_SOURCE
    )
    if synthetic.height:
        share = synthetic.height / frames["documents"].height
        yield Caveat(
            _DATA,
            f"SYNTHETIC: {synthetic.height:,} headlines ({fmt.percent(share, 0)} of all "
            "documents) are generated from a seed, independent of every price; they can carry no "
            "signal.",
            "SYNTHETIC",
        )
    yield from _of_the_macro(frames)


def _of_revised_bars(frames: ReportFrames, universe: str) -> Iterator[Caveat]:
    """Bars corrected after they were first known: all that follows reads the corrected values."""
    revised = frames["bars"].filter(
        (pl.col("universe") == universe) & pl.col("revised_at").is_not_null()
    )
    if revised.is_empty():
        return
    who = fmt.some(revised["symbol"].unique().sort().to_list())
    yield Caveat(
        _DATA,
        f"{revised.height:,} bars of {universe} ({who}) were corrected or came after their "
        "time. Features and backtests read the values shown from the bar's first day on; "
        "core.bars_1d_as_of(t) gives those of the time.",
        "came after their time",
    )


def _of_the_macro(frames: ReportFrames) -> Iterator[Caveat]:
    macro = frames["macro"]
    revised = macro.filter(pl.col("revision") == "REVISED")["series_id"].unique().sort().to_list()
    if revised:
        yield Caveat(
            _DATA,
            f"REVISED: only the last revised form of {fmt.some(revised, 8)} exists. They are read with "
            "an assumed publication lag, and their values may contain later knowledge.",
            "REVISED",
        )
    if frames["equity"].is_empty() or macro.is_empty():
        return
    _, last_bar = frames.span
    ends = (
        macro.group_by("series_id")
        .agg(last=pl.col("period").max())
        .filter(pl.col("last") < pl.lit(last_bar).dt.date().dt.offset_by("-6mo"))
        .group_by(year=pl.col("last").dt.year())
        .agg(pl.col("series_id").sort())
        .sort("year")
    )
    for year, series in ends.iter_rows():
        yield Caveat(
            _DATA,
            f"Ends early: {fmt.some(series, 6)} end in {year}; features of them are null afterwards, "
            f"while prices run to {fmt.day(last_bar)}.",
            series[0],
        )


def of_refused_rows(frames: ReportFrames) -> Iterator[Caveat]:
    """Rows that were refused, by table and reason."""
    counts = (
        frames["quarantine"]
        .group_by("table_name", "reason")
        .len()
        .sort("len", "table_name", "reason", descending=[True, False, False])
    )
    for table, reason, n in counts.head(20).iter_rows():
        yield Caveat(_REFUSED, f"{n:,} × {table}: {reason}.", table)
    if counts.height > 20:
        rest = counts["len"].slice(20).sum()
        yield Caveat(_REFUSED, f"{rest:,} more rows for {counts.height - 20} further reasons.")
    if counts.is_empty():
        yield Caveat(_REFUSED, "No row was refused.")


def of_repairs(frames: ReportFrames) -> Iterator[Caveat]:
    """What looks wrong in stored bars, and whether the figures here rest on a mended value."""
    repairs = frames["repairs"].sort("table_name", "symbol", "from_ts", "column_name")
    for row in repairs.iter_rows(named=True):
        state = "applied" if row["applied"] else "not applied"
        kind = row["kind"].replace("_", " ")
        yield Caveat(
            _REPAIRS,
            f"{row['symbol']} in {row['dataset']}, {row['column_name']} from "
            f"{row['from_ts']:%Y-%m-%d}: {kind} proposed with confidence {row['confidence']:.2f}, "
            f"{state}{_WHOLE_SPAN if row['applied'] else ''}.",
            row["symbol"],
        )


def of_undated_sectors(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    """Sectors have no history: what an asset belongs to today is applied to all of its past."""
    computed = (pl.col("family") == "sector_relative") & pl.col("enabled")
    if frames["catalogue"].filter(computed).is_empty():
        return
    reads = (
        "models read them (models.feature_families)"
        if "sector_relative" in context.config.models.feature_families
        else "no model reads them"
    )
    yield Caveat(
        _RUN,
        "Sectors have no history: features.sector_relative compares every past session by the newest "
        "sector of core.instruments, which was not known then where an asset changed sector; "
        f"{reads}.",
        "Sectors",
    )
