"""Schedules, sensors and executors."""

from __future__ import annotations

import datetime as dt
import json

import dagster as dg
import pytest

from btq_assets.automation.executors import executor_for
from btq_assets.automation.sensors import run_failure_recorder
from btq_assets.config import ConfigError, TradingConfig
from btq_assets.definitions import build_definitions
from btq_assets.warehouse.paths import DataPaths

NEW_YORK = dt.timezone(dt.timedelta(hours=-5))


@pytest.fixture(scope="module")
def with_yahoo() -> dg.Definitions:
    return build_definitions(
        TradingConfig(sources={"yahoo": {"enabled": True}, "cboe": {"enabled": True}})
    )


def tick(
    definitions: dg.Definitions, when: dt.datetime, name: str = "yahoo"
) -> dg.RunRequest | dg.SkipReason:
    schedule = definitions.resolve_schedule_def(f"ingest_{name}_after_close")
    context = dg.build_schedule_context(
        scheduled_execution_time=when, repository_def=definitions.get_repository_def()
    )
    return schedule.evaluate_tick(context)


def test_after_a_session_the_current_month_is_asked_for(with_yahoo):
    data = tick(with_yahoo, dt.datetime(2024, 1, 16, 16, 45, tzinfo=NEW_YORK))
    assert [request.partition_key for request in data.run_requests] == ["2024-01-01"]


def test_on_an_exchange_holiday_nothing_is_asked_for(with_yahoo):
    # Martin Luther King Day 2024, a Monday on which the exchange is closed.
    data = tick(with_yahoo, dt.datetime(2024, 1, 15, 16, 45, tzinfo=NEW_YORK))
    assert not data.run_requests
    assert "no session" in data.skip_message


def test_a_chain_of_options_is_asked_for_after_the_close_and_not_in_the_morning(with_yahoo):
    """Indices' options trade until 16:15 and Cboe shows them 15 minutes late: at 16:30 at the earliest."""
    schedule = with_yahoo.resolve_schedule_def("ingest_cboe_after_close")
    assert schedule.cron_schedule == "45 16 * * 1-5"
    data = tick(with_yahoo, dt.datetime(2024, 1, 16, 16, 45, tzinfo=NEW_YORK), "cboe")
    assert [request.partition_key for request in data.run_requests] == [None]
    holiday = tick(with_yahoo, dt.datetime(2024, 1, 15, 16, 45, tzinfo=NEW_YORK), "cboe")
    assert not holiday.run_requests
    assert not [s for s in with_yahoo.schedules if s.name == "ingest_cboe_daily"]


def test_on_the_first_of_a_month_the_month_before_is_completed():
    """What came after the tick of 31 January lies in January, and nobody else asks for it."""
    definitions = build_definitions(TradingConfig(sources={"binance": {"enabled": True}}))
    schedule = definitions.resolve_schedule_def("ingest_binance_daily")

    def asked(*day: int) -> list[str | None]:
        context = dg.build_schedule_context(
            scheduled_execution_time=dt.datetime(*day, 6, tzinfo=NEW_YORK),
            repository_def=definitions.get_repository_def(),
        )
        return [request.partition_key for request in schedule.evaluate_tick(context).run_requests]

    assert asked(2024, 1, 31) == ["2024-01-01"]
    # Nothing before sources.binance.start_month.
    assert asked(2020, 1, 1) == ["2020-01-01"]
    assert asked(2024, 2, 1) == ["2024-01-01", "2024-02-01"]
    assert asked(2024, 2, 2) == ["2024-02-01"]


def test_schedules_and_sensors_name_their_zone_and_wait_for_a_person(with_yahoo):
    for schedule in with_yahoo.schedules:
        assert schedule.execution_timezone == "America/New_York"
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    names = {sensor.name for sensor in with_yahoo.sensors}
    assert names == {"inbox_files", "run_failure_recorder"}


def test_a_failed_run_is_recorded(tmp_path):
    @dg.op
    def breaks() -> None:
        raise ValueError("the provider is dead")

    @dg.job
    def ingest() -> None:
        breaks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = ingest.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure_recorder",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        run_failure_recorder(DataPaths(tmp_path))(context)
    line = json.loads((tmp_path / "alerts" / "run_failures.jsonl").read_text())
    assert line["job"] == "ingest"
    assert line["steps"][0]["step"] == "breaks"


@pytest.mark.parametrize(
    ("name", "kind"), [("in_process", "in_process"), ("multiprocess", "multiprocess")]
)
def test_executors_by_configuration(name, kind):
    assert executor_for(TradingConfig(execution={"executor": name})).name == kind


@pytest.mark.parametrize("name", ["docker", "k8s", "ray"])
def test_a_missing_executor_package_is_named(name, monkeypatch):
    import importlib

    def absent(module: str):
        raise ModuleNotFoundError(f"No module named {module!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ConfigError, match="needs the package dagster-"):
        executor_for(TradingConfig(execution={"executor": name}))
