"""What should be there by now, and repairs that the configuration has applied, through Dagster."""

from __future__ import annotations

import datetime as dt

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import quality, raw
from btq_assets.contracts.columns import UNIVERSE
from btq_assets.sources.market.assets import universe_membership
from btq_assets.sources.repairs.assets import expectations, repairs
from btq_assets.sources.repairs.feeds import ended_sessions, feeds

MEMBERS = pl.DataFrame(
    {
        UNIVERSE.name: ["us", "crypto"],
        "calendar": ["XNYS", "24/7"],
        "valid_from": [dt.date(2024, 11, 27), dt.date(2024, 11, 30)],
    }
)


def test_sessions_are_those_that_have_ended() -> None:
    # Thanksgiving is the 28th; the 29th closes at 18:00 UTC, two days later nothing trades but coins.
    during = dt.datetime(2024, 11, 29, 17, 59, tzinfo=dt.UTC)
    stocks = ended_sessions(MEMBERS, during).filter(calendar="XNYS")
    assert stocks["session"].to_list() == [dt.date(2024, 11, 27)]
    after = ended_sessions(MEMBERS, dt.datetime(2024, 12, 2, 0, 0, tzinfo=dt.UTC))
    assert after.filter(calendar="XNYS")["closes_at"].to_list() == [
        dt.datetime(2024, 11, 27, 21, tzinfo=dt.UTC),
        dt.datetime(2024, 11, 29, 18, tzinfo=dt.UTC),
    ]
    assert after.filter(calendar="24/7")["session"].to_list() == [
        dt.date(2024, 11, 30),
        dt.date(2024, 12, 1),
    ]
    assert ended_sessions(MEMBERS.clear(), during).is_empty()


def test_a_table_is_what_its_source_is() -> None:
    sources = {"yahoo": (False, True), "folder": (True, False), "raw.macro_ecb": (True, True)}
    told = feeds(
        [raw.BARS_YAHOO, raw.BARS_FOLDER, raw.MACRO_ECB, raw.UNIVERSE_MEMBERSHIP],
        sources,
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    )
    assert told.select("enabled", "kept_up").rows() == [
        (False, "live"), (True, "static"), (True, "live"), (True, "static"),
    ]  # fmt: skip


def test_expectations_follow_membership_and_configuration(run) -> None:
    config = TradingConfig(sources={"yahoo": {"enabled": True}})
    run(universe_membership, expectations, config=config)
    sessions = run.warehouse.read(quality.SESSIONS)
    assert set(sessions["calendar"]) == {"XNYS", "24/5"}
    assert sessions["closes_at"].max() <= dt.datetime.now(dt.UTC)
    told = {
        row["table_name"]: row for row in run.warehouse.read(quality.FEEDS).iter_rows(named=True)
    }
    assert (told["raw.bars_yahoo"]["enabled"], told["raw.bars_yahoo"]["kept_up"]) == (True, "live")
    assert (told["raw.bars_sample"]["enabled"], told["raw.bars_sample"]["kept_up"]) == (
        True,
        "static",
    )
    assert not told["raw.bars_binance"]["enabled"]


def test_repairs_are_applied_only_where_the_configuration_says_so(run) -> None:
    """Tables of sources that are off do not exist; the others are read."""
    days = [dt.datetime(2024, 1, 8, 21, tzinfo=dt.UTC) + dt.timedelta(days=i) for i in range(5)]
    close = [10.0, 10.1, 1010.0, 10.2, 10.1]
    frame = pl.DataFrame(
        {
            "dataset": "d", "symbol": "A", "freq": "1d", "ts": days, "known_at": days,
            "known_at_basis": "assumed_lag", "close": close, "currency": "USD",
        }
    ).with_columns(pl.lit(None, pl.Float64).alias(n) for n in ("open", "high", "low", "adj_close", "volume"))  # fmt: skip
    with run.warehouse.transaction() as connection:
        connection.execute("create schema raw")
        connection.execute(raw.BARS_FOLDER.ddl())
        connection.register("bars", frame.select(raw.BARS_FOLDER.column_names).to_arrow())
        connection.execute("insert into raw.bars_folder select * from bars")
    run(repairs, config=TradingConfig())
    (row,) = run.warehouse.read(quality.REPAIRS).to_dicts()
    assert (row["kind"], row["before"], row["after"], row["applied"]) == (
        "unit_100x",
        1010.0,
        10.1,
        False,
    )
    chosen = TradingConfig(sources={"repairs": {"apply": ["unit_100x"]}})
    run(repairs, config=chosen)
    (again,) = run.warehouse.read(quality.REPAIRS).to_dicts()
    assert again["applied"]
    assert again["proposed_at"] == row["proposed_at"]
