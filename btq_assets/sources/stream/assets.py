"""Dagster side of the stream: thin, no logic."""

from __future__ import annotations

from datetime import timedelta

from btq_assets.contracts import raw
from btq_assets.warehouse import Step, TableOutput, table_asset
from data_quality import book_suite, gaps_suite, quotes_suite, trades_suite

#: A file waits in the inbox no longer than this, or its rows are compared by key again.
_LEDGER_SPAN = timedelta(days=30)


@table_asset(
    outputs=(
        raw.TRADES_STREAM,
        raw.QUOTES_STREAM,
        raw.BOOK_STREAM,
        raw.STREAM_GAPS,
        raw.STREAM_FILES,
    ),
    config=("sources.stream",),
    code=("btq_assets.sources.stream", "btq_assets.sources.rows"),
    checks=(
        trades_suite(raw.TRADES_STREAM, raw.STREAM_GAPS),
        quotes_suite(raw.QUOTES_STREAM),
        book_suite(raw.BOOK_STREAM),
        gaps_suite(raw.STREAM_GAPS, raw.BOOK_STREAM),
    ),
    group="raw",
    optional=lambda config: config.sources.stream.enabled,
    remote="stream",
    reuse=False,
)
def stream(step: Step) -> TableOutput:
    """Commit the files the recorder left in the inbox, each event once."""
    from btq_assets.sources.stream.committing import assemble
    from btq_assets.sources.stream.inbox import inbox_folder
    from btq_assets.sources.stream.taking import take_files

    settings = step.config.sources.stream
    folder = inbox_folder(settings.folder, step.artifacts.paths.root)
    ledger = step.read_ledger(raw.STREAM_FILES, since=step.now - _LEDGER_SPAN)
    taken = take_files(
        folder,
        dict(ledger.select("file", "status").iter_rows()),
        most=settings.files_per_run,
        keep=timedelta(days=settings.keep_days),
        now=step.now,
    )
    batch = assemble(taken.read, taken.broken, step.now)
    counts = {table.removeprefix("raw."): frame.height for table, frame in batch.frames.items()}
    step.log(
        f"{len(taken.read)} files of the stream, {len(taken.broken)} broken, {taken.left} left"
    )
    return TableOutput(
        batch.frames,
        rejected=batch.rejected,
        metadata={
            **{f"rows_{name}": n for name, n in counts.items()},
            "files_left": taken.left,
            "files_put_away": taken.put_away,
            "refused": batch.rejected.head(20),
        },
    )
