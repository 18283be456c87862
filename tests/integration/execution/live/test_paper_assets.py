"""Paper accounts in a real Dagster instance: the assets of the definitions, and the sensor's ticks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import live_cases as cases
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.definitions import build_definitions
from btq_assets.execution.live import LiveSettings, LiveTradingEngine, ReplayFeed
from btq_assets.execution.live.journal import JournalError
from btq_assets.execution.live.tables import journal_tables

KEYS = [dg.AssetKey(["execution", name]) for name in ("orders", "fills", "account")]


class House:
    """A code location with a folder of paper accounts, and its instance."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.accounts = home / "paper"
        self.instance = instance
        self.bars = cases.market(3, 160)
        self.definitions = build_definitions(
            TradingConfig(
                universe={"main": cases.UNIVERSE},
                execution={"paper_folder": "paper"},
                warehouse={"path": str(home)},
            )
        )
        self.cursor: str | None = None

    def trade(self, account: str, most_bars: int) -> None:
        """Run the loop for some bars more."""
        ts = self.bars["ts"].unique().sort()
        LiveTradingEngine(
            cases.live_config(),
            targets=cases.PlainTargets(sorted(self.bars["symbol"].unique())),
            feed=ReplayFeed(self.bars, ts[-20]),
            folder=self.accounts / account,
            settings=LiveSettings(account=account, decide="bar", daily_loss=None, drawdown=0.9),
        ).start(most_bars=most_bars)

    def tick(self):
        """One tick of the sensor, which remembers where it was."""
        sensor = self.definitions.resolve_sensor_def("paper_journals")
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.definitions.get_repository_def(),
        )
        found = sensor.evaluate_tick(context)
        self.cursor = found.cursor
        return found

    def materialise(self, *, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance, asset_selection=KEYS, raise_on_error=raise_on_error
        )

    def stored(self, table: str) -> pl.DataFrame:
        import duckdb

        file = self.accounts.parent / ".work" / "btq.duckdb"
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute(f"SELECT * FROM {table}").pl()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    home = tmp_path_factory.mktemp("house")
    (home / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        yield House(home, instance)


def test_a_journal_that_grows_is_asked_for_and_imported(house) -> None:
    nothing = house.tick()
    assert not nothing.run_requests
    assert "no journal below" in nothing.skip_message

    house.trade("first", 8)
    asked = house.tick()
    assert len(asked.run_requests) == 1
    again = house.tick()
    assert not again.run_requests
    assert again.skip_message == "no journal has grown"

    result = house.materialise()
    assert {event.asset_key for event in result.get_asset_materialization_events()} == set(KEYS)
    for key in KEYS:
        table = ".".join(key.path)
        wanted = journal_tables(house.accounts / "first" / "engine.journal", cases.UNIVERSE)[table]
        stored = house.stored(table).select(wanted.columns)
        by = [name for name in ("client_id", "fill_id", "ts") if name in wanted.columns]
        assert stored.height == wanted.height > 5
        assert stored.sort(by)[by[-1]].to_list() == wanted.sort(by)[by[-1]].to_list()
    metadata = result.asset_materializations_for_node("execution__orders")[0].metadata
    assert metadata["accounts"].value == "first"

    # more bars, and an account more: one request, both imported
    house.trade("first", 4)
    house.trade("second", 5)
    more = house.tick()
    assert len(more.run_requests) == 1
    assert more.run_requests[0].run_key != asked.run_requests[0].run_key
    house.materialise()
    heights = house.stored("execution.account").group_by("account").len().sort("account").rows()
    assert heights == [("first", 12), ("second", 5)]


def test_a_damaged_journal_is_named_by_the_tick_and_by_the_run(house) -> None:
    house.trade("third", 8)
    assert house.tick().run_requests
    file = house.accounts / "third" / "engine.journal"
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(JournalError, match=rf"{file}: record \d+ at byte \d+ is damaged"):
        house.tick()
    result = house.materialise(raise_on_error=False)
    assert not result.success
    said = [
        str(event.event_specific_data.error)
        for event in result.all_events
        if event.event_type_value == "STEP_FAILURE"
    ]
    assert len(said) == 1
    assert "JournalError" in said[0]
    assert "engine.journal: record" in said[0]
    assert not result.get_asset_materialization_events()
    file.write_bytes(whole)
    assert house.tick().run_requests
