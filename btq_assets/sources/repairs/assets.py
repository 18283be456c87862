"""Dagster side of repairs and expectations: thin, no logic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import all_contracts, quality, raw
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.warehouse import Step, TableAsset, TableOutput, grouped, table_asset

if TYPE_CHECKING:
    from btq_assets.warehouse import StoredTable


def _raw_tables(prefix: str = "") -> list[TableContract]:
    return [c for c in all_contracts() if c.layer == "raw" and c.name.startswith(prefix)]


_BARS = _raw_tables("bars_")
_ACTIONS = _raw_tables("corporate_actions_")


def _only_what_is_allowed(context: CheckContext) -> CheckOutcome:
    """No repair is applied that the configuration does not name."""
    settings = context.config.sources.repairs
    applied = context.frame.filter("applied")
    astray = applied.filter(
        ~pl.col("kind").is_in(settings.apply) | (pl.col("confidence") < settings.min_confidence)
    )
    return CheckOutcome(
        "applied_as_configured",
        astray.is_empty(),
        f"{applied.height} of {context.frame.height} proposals are applied, {astray.height} of them "
        "without leave of sources.repairs",
        {"proposed": context.frame.height, "applied": applied.height},
    )


def _nothing_waits(context: CheckContext) -> CheckOutcome:
    """Proposals a person should look at."""
    waiting = context.frame.filter(
        ~pl.col("applied") & (pl.col("confidence") >= context.config.sources.repairs.min_confidence)
    )
    shown = waiting.select("table_name", "symbol", "kind", "column_name", "from_ts", "evidence")
    return CheckOutcome(
        "no_confident_proposal_waits",
        waiting.is_empty(),
        f"{waiting.height} proposals as sure as sources.repairs.min_confidence are not applied; "
        "look at quality.repairs, then mend the source or name their kind in sources.repairs.apply"
        if waiting.height
        else "",
        {"waiting": waiting.height, **({"first": shown.head(8)} if waiting.height else {})},
    )


def _repairs(step: Step, **tables: StoredTable) -> TableOutput:
    """Look for wrong units, missed splits and dividends and bad ticks, and propose repairs."""
    from btq_assets.sources.repairs.proposals import propose, propose_in_slices

    settings = step.config.sources.repairs
    bars = {contract.table: tables[contract.name] for contract in _BARS}
    # All sources of a symbol together: they are held against each other.
    sizes = pl.concat([table.sizes(("symbol",)) for table in bars.values()])
    sizes = sizes.group_by("symbol").agg(pl.col("n_rows").sum()).sort("symbol")
    groups = grouped(sizes)

    def slices() -> Iterator[dict[str, pl.DataFrame]]:
        for number, symbols in enumerate(groups, 1):
            if len(groups) > 1:
                step.log(f"slice {number} of {len(groups)}: {symbols.height:,} symbols")
            yield {name: table.read(symbols) for name, table in bars.items()}

    options: dict[str, Any] = {
        "actions": {contract.table: tables[contract.name].whole() for contract in _ACTIONS},
        "now": step.now,
        "apply": settings.apply,
        "min_confidence": settings.min_confidence,
        "earlier": step.read_ledger(quality.REPAIRS),
    }
    if len(groups) > 1:
        proposed = propose_in_slices(slices, **options)
    else:
        proposed = propose(next(slices(), {}), **options)
    step.log(f"{proposed.height} repairs proposed, {proposed['applied'].sum()} applied")
    return TableOutput(
        proposed,
        metadata={
            "proposed": proposed.height,
            "applied": int(proposed["applied"].sum()),
            "proposals": proposed.sort("confidence", descending=True).select(
                "table_name", "dataset", "symbol", "column_name", "kind", "from_ts", "to_ts",
                "before", "after", "confidence", "applied", "evidence",
            ),
        },
    )  # fmt: skip


repairs = TableAsset(
    compute=_repairs,
    outputs=(quality.REPAIRS,),
    inputs={contract.name: contract for contract in (*_BARS, *_ACTIONS)},
    config=("sources.repairs",),
    code=("btq_assets.sources.repairs", __name__),
    checks=(
        frame_check(
            "applied_as_configured",
            "Only kinds of repair that sources.repairs.apply names, and only as sure as "
            "sources.repairs.min_confidence, are applied.",
            _only_what_is_allowed,
        ),
        frame_check(
            "no_confident_proposal_waits",
            "No proposal as sure as sources.repairs.min_confidence waits for a decision.",
            _nothing_waits,
            blocking=False,
        ),
    ),
    group="raw",
    absent_as_empty=True,
    sliced=True,
)


def _today(_: TradingConfig) -> str:
    """What is expected changes with the day."""
    return datetime.now(UTC).date().isoformat()


def _has_sessions(context: CheckContext) -> CheckOutcome:
    calendars = set(context.inputs["membership"]["calendar"])
    absent = sorted(calendars - set(context.frames[quality.SESSIONS.table]["calendar"]))
    return CheckOutcome(
        "every_calendar_has_sessions",
        not absent,
        f"no session of {', '.join(absent)} has ended" if absent else "",
        {"calendars": sorted(calendars)},
    )


@table_asset(
    outputs=(quality.SESSIONS, quality.FEEDS),
    inputs={"membership": raw.UNIVERSE_MEMBERSHIP},
    config=("sources",),
    code=("btq_assets.sources.repairs.feeds", "btq_assets.timeline"),
    checks=(
        frame_check(
            "every_calendar_has_sessions",
            "Every calendar a member follows has sessions that ended.",
            _has_sessions,
        ),
    ),
    group="raw",
    source_version=_today,
)
def expectations(step: Step, membership: pl.DataFrame) -> TableOutput:
    """List the sessions that have ended and the tables that should grow."""
    from btq_assets.config.sources import ProviderSection
    from btq_assets.sources.registry import PROVIDERS
    from btq_assets.sources.repairs import feeds

    sources = {
        name: (section.enabled, isinstance(section, ProviderSection))
        for name, section in step.config.sources
        if hasattr(section, "enabled")
    }
    provided = {
        contract.table: sources[entry.name] for entry in PROVIDERS for contract in entry.contracts
    }
    on, events = step.config.sources.stream, (raw.TRADES_STREAM, raw.QUOTES_STREAM, raw.BOOK_STREAM)
    # Gaps and files come when they come; a kind of event that is not recorded is off.
    sources |= {c.table: (on.enabled, False) for c in (raw.STREAM_GAPS, raw.STREAM_FILES)}
    sources |= {
        c.table: (on.enabled and c.name.removesuffix("_stream") in on.kinds, True) for c in events
    }
    market = step.config.sources.synthetic
    generated = {raw.SYNTHETIC_TRUTH.table: (market.enabled, False)} | {
        contract.table: (market.enabled and getattr(market, kind), False)
        for kind, contracts in raw.SYNTHETIC_KINDS.items()
        for contract in contracts
    }
    sessions = feeds.ended_sessions(membership, step.now)
    tables = feeds.feeds(_raw_tables(), {**sources, **provided, **generated}, step.now)
    return TableOutput(
        {quality.SESSIONS.table: sessions, quality.FEEDS.table: tables},
        metadata={
            "calendars": sessions.group_by("calendar")
            .agg(pl.len().alias("sessions"), last=pl.col("session").max())
            .sort("calendar"),
            "live": tables.filter(pl.col("enabled") & (pl.col("kept_up") == "live"))[
                "table_name"
            ].to_list(),
        },
    )
