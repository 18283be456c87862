"""Where the numbers come from: sources, licences, spans, caveats, refused rows."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import Block, Cell, Head, Row, Section, Table


def section(frames: ReportFrames, context: ReportContext) -> Section:
    """Prices, macro series, documents and what was refused."""
    return Section(
        "data",
        "Data",
        tuple(_blocks(frames, context)),
        "Missing values stay missing: no price is carried forward, and no high, low or volume is "
        "invented.",
    )


def _blocks(frames: ReportFrames, context: ReportContext) -> Iterator[Block]:
    if frames["instruments"].height:
        yield _prices(frames, context)
    if frames["macro"].height:
        yield _macro(frames, context)
    if frames["documents"].height:
        yield _documents(frames, context)
    if context.attributions.height:
        yield _licences(context)
    yield _refused(frames, context)


def _licences(context: ReportContext) -> Table:
    heads = (
        Head("Dataset", numeric=False),
        Head("Ships in", numeric=False),
        Head("Origin", numeric=False),
        Head("Licence", numeric=False),
    )
    columns = ("dataset", "package", "attribution", "license")
    rows = tuple(
        Row(tuple(Cell(text) for text in row))
        for row in context.attributions.select(columns).iter_rows()
    )
    return Table(heads, rows, "Sources and licences")


def _prices(frames: ReportFrames, context: ReportContext) -> Table:
    heads = (
        Head("Universe", numeric=False),
        Head("Source and dataset", numeric=False),
        Head("Instruments"),
        Head("From"),
        Head("To"),
        Head("Daily bars"),
        Head("Caveat", numeric=False),
    )
    groups = (
        frames["instruments"]
        .group_by("universe", "source", "dataset", "price_basis", "caveat", maintain_order=True)
        .agg(
            symbols=pl.col("symbol").sort(),
            first=pl.col("first_ts").min(),
            last=pl.col("last_ts").max(),
            n=pl.col("n_bars").sum(),
        )
    )
    rows = tuple(
        Row(
            (
                Cell(row["universe"], detail=row["price_basis"].replace("_", " ")),
                Cell(row["source"], detail=row["dataset"]),
                Cell(str(len(row["symbols"])), title=", ".join(row["symbols"])),
                Cell(fmt.day(row["first"])),
                Cell(fmt.day(row["last"])),
                Cell(fmt.whole(row["n"])),
                Cell(row["caveat"] or "none"),
            )
        )
        for row in groups.iter_rows(named=True)
    )
    return Table(heads, rows, "Prices", source=context.source("instruments"))


def _macro(frames: ReportFrames, context: ReportContext) -> Table:
    heads = (
        Head("Revision", numeric=False),
        Head("Series", numeric=False),
        Head("From"),
        Head("To", "Last period; features are null afterwards"),
        Head("Values"),
        Head("Meaning", numeric=False),
    )
    meanings = {
        "REVISED": "only the last revised form exists; known after an assumed lag",
        "VINTAGE": "as released; known at a recorded date",
        "FINAL": "market closes, never revised",
    }
    groups = (
        frames["macro"]
        .group_by("series_id", "revision")
        .agg(first=pl.col("period").min(), last=pl.col("period").max(), n=pl.len())
        .group_by("revision", pl.col("last").dt.year())
        .agg(
            pl.col("series_id").sort(),
            pl.col("first").min(),
            n=pl.col("n").sum(),
            end=pl.col("last").max(),
        )
        .sort("revision", "end")
    )
    rows = tuple(
        Row(
            (
                Cell(row["revision"]),
                Cell(", ".join(row["series_id"])),
                Cell(fmt.day(row["first"])),
                Cell(fmt.day(row["end"])),
                Cell(fmt.whole(row["n"])),
                Cell(meanings.get(row["revision"], "")),
            )
        )
        for row in groups.iter_rows(named=True)
    )
    return Table(heads, rows, "Macro series", source=context.source("macro"))


def _documents(frames: ReportFrames, context: ReportContext) -> Table:
    heads = (
        Head("Label", numeric=False),
        Head("Documents"),
        Head("From"),
        Head("To"),
        Head("Symbols"),
    )
    groups = (
        frames["documents"]
        .group_by("label")
        .agg(
            pl.len(),
            first=pl.col("published_at").min(),
            last=pl.col("published_at").max(),
            symbols=pl.col("symbol").n_unique(),
        )
        .sort("label")
    )
    rows = tuple(
        Row(
            (
                Cell(row["label"]),
                Cell(fmt.whole(row["len"])),
                Cell(fmt.day(row["first"])),
                Cell(fmt.day(row["last"])),
                Cell(fmt.whole(row["symbols"])),
            )
        )
        for row in groups.iter_rows(named=True)
    )
    return Table(heads, rows, "Documents", source=context.source("documents"))


def _refused(frames: ReportFrames, context: ReportContext) -> Block:
    counts = (
        frames["quarantine"]
        .group_by("table_name", "reason")
        .agg(pl.len(), last=pl.col("received_at").max())
        .sort("table_name", "len", descending=[False, True])
    )
    if counts.is_empty():
        return "Refused rows: none."
    heads = (
        Head("Meant for", numeric=False),
        Head("Reason", numeric=False),
        Head("Rows"),
        Head("Last refused"),
    )
    rows = tuple(
        Row((Cell(table), Cell(reason), Cell(fmt.whole(n)), Cell(fmt.day(last))))
        for table, reason, n, last in counts.iter_rows()
    )
    return Table(
        heads,
        rows,
        "Refused rows",
        ("Each is kept as it came in quarantine.rows.",),
        context.source("quarantine"),
    )
