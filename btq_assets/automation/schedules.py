"""Fixed clocks, each with its zone. A person switches them on."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg

from btq_assets.config import TradingConfig
from btq_assets.timeline import session_closes


def weekly_retrain(
    config: TradingConfig, job: dg.UnresolvedAssetJobDefinition
) -> dg.ScheduleDefinition:
    """Run `research` once a week, when exchanges are closed."""
    return dg.ScheduleDefinition(
        name="weekly_retrain",
        job=job,
        cron_schedule=config.automation.retrain_cron,
        execution_timezone=config.automation.timezone,
        description="Everything once a week, models included.",
        tags={"trigger": "weekly_retrain"},
    )


def after_close(
    config: TradingConfig,
    job: dg.UnresolvedAssetJobDefinition,
    partitions: dg.PartitionsDefinition | None,
) -> dg.ScheduleDefinition:
    """Ask a provider after each session of the exchange.

    A provider of months is asked for the current one, any other for what it shows: a chain of
    options of the evening, not of the morning after.
    """
    calendar = config.automation.exchange_calendar
    minutes = 16 * 60 + config.automation.ingest_minutes_after_close
    hour, minute = divmod(minutes, 60)

    @dg.schedule(
        name=f"{job.name}_after_close",
        job=job,
        cron_schedule=f"{minute} {hour % 24} * * {'1-5' if hour < 24 else '2-6'}",
        execution_timezone=config.automation.timezone,
        description=f"After each session of {calendar}; skipped on its holidays.",
    )
    def ingest_after_close(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        session = (context.scheduled_execution_time - timedelta(minutes=minutes)).date()
        if not is_session(calendar, session):
            return dg.SkipReason(f"{session} is no session of {calendar}")
        key = None
        if isinstance(partitions, dg.MonthlyPartitionsDefinition):
            key = f"{session:%Y-%m}-01"
        elif partitions is not None:
            key = session.isoformat()
        return dg.RunRequest(run_key=f"{job.name}-{session}", partition_key=key)

    return ingest_after_close


def daily(
    config: TradingConfig,
    job: dg.UnresolvedAssetJobDefinition,
    partitions: dg.PartitionsDefinition | None,
) -> dg.ScheduleDefinition:
    """Ask a provider once a day: for what is current, or for everything it gives."""

    @dg.schedule(
        name=f"{job.name}_daily",
        job=job,
        cron_schedule=config.automation.ingest_cron,
        execution_timezone=config.automation.timezone,
        description="Once a day; a day already stored adds only what changed.",
    )
    def ingest_daily(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        day = context.scheduled_execution_time.date()
        yesterday = day - timedelta(days=1)
        keys: list[str | None] = [None]
        if isinstance(partitions, dg.MonthlyPartitionsDefinition):
            # On the first of a month, what came after yesterday's tick is in the month before.
            months = sorted({f"{yesterday:%Y-%m}-01", f"{day:%Y-%m}-01"})
            keys = [month for month in months if month >= f"{partitions.start:%Y-%m-%d}"]
        elif partitions is not None:
            # The day before is over in every zone that matters, the current one is not.
            keys = [yesterday.isoformat()]
        return [
            dg.RunRequest(run_key=f"{job.name}-{day}-{key or 'all'}", partition_key=key)
            for key in keys
        ]

    return ingest_daily


def is_session(calendar: str, day: date) -> bool:
    """Whether an exchange trades on a day."""
    return session_closes(calendar, day, day).height == 1
