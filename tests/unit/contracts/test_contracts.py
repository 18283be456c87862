"""Contracts: casting, impossible rows, and the declarations themselves."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from btq_assets.contracts import all_contracts, raw
from btq_assets.contracts.base import (
    Column,
    ContractError,
    TableContract,
    cast_to_contract,
    violations,
)
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, CheckSpec

STAMP = dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)


@pytest.mark.parametrize("contract", all_contracts(), ids=lambda contract: contract.table)
def test_every_contract_is_complete(contract):
    assert contract.description.endswith(".")
    assert contract.key
    assert contract.writer in {"asset", "dbt", "ledger"}
    assert all(column.description.endswith((".", "?")) for column in contract.columns)
    assert contract.empty().columns == list(contract.column_names)
    assert contract.ddl().startswith(f"CREATE TABLE IF NOT EXISTS {contract.table}")


def test_one_table_has_one_contract():
    tables = [contract.table for contract in all_contracts()]
    assert len(tables) == len(set(tables))


def bar(**changes) -> pl.DataFrame:
    row = {
        "dataset": "d", "symbol": "A", "freq": "1d", "ts": STAMP, "known_at": STAMP,
        "known_at_basis": "assumed_lag", "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0,
        "adj_close": 11.0, "volume": 5.0, "currency": "USD",
    }  # fmt: skip
    return pl.DataFrame([row | changes], schema=raw.BARS_SAMPLE.schema)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"low": -1.0}, "low <= 0"),
        ({"close": 0.0}, "close <= 0"),
        ({"close": float("nan")}, "close is not finite"),
        ({"volume": float("inf")}, "volume is not finite"),
        ({"volume": -3.0}, "volume < 0"),
        ({"high": 8.0}, "high < low"),
        ({"high": 10.5}, "high does not enclose open and close"),
        ({"low": 10.5}, "low does not enclose open and close"),
        ({"close": None, "adj_close": None}, "no price at all"),
        ({"symbol": None}, "symbol is null"),
        ({"freq": "2d"}, "freq not in"),
        ({"known_at": STAMP - dt.timedelta(seconds=1)}, "known before the bar ended"),
    ],
)
def test_impossible_bars_are_found_with_their_reason(changes, reason):
    assert violations(bar(), raw.BARS_SAMPLE).is_empty()
    assert reason in violations(bar(**changes), raw.BARS_SAMPLE)["reason"][0]


def test_close_only_bars_are_possible():
    nothing = dict.fromkeys(["open", "high", "low", "close", "volume"])
    assert violations(bar(**nothing), raw.BARS_SAMPLE).is_empty()


def test_duplicates_are_found():
    assert violations(pl.concat([bar(), bar(close=11.5)]), raw.BARS_SAMPLE).height == 2


def test_casting_widens_numbers_and_converts_zones_and_nothing_else():
    frame = bar().with_columns(
        pl.col("volume").cast(pl.Int32),
        pl.col("ts").dt.convert_time_zone("America/New_York").dt.cast_time_unit("ns"),
        pl.lit(None).alias("open"),
    )
    cast = cast_to_contract(frame, raw.BARS_SAMPLE)
    assert cast.schema == raw.BARS_SAMPLE.schema
    assert cast["ts"][0] == STAMP
    for wrong, message in [
        (bar().with_columns(pl.col("volume").cast(pl.String)), "volume is String"),
        (bar().drop("high"), r"missing column\(s\) \['high'\]"),
        (bar().with_columns(extra=1), r"unexpected column\(s\) \['extra'\]"),
    ]:
        with pytest.raises(ContractError, match=message):
            cast_to_contract(wrong, raw.BARS_SAMPLE)


def test_a_contract_with_an_undeclared_key_is_refused():
    with pytest.raises(ContractError, match="not declared"):
        TableContract("raw", "t", "T.", (Column("a", pl.Int64, "A."),), key=("b",))


def test_a_check_group_must_answer_each_of_its_checks_once():
    specs = (CheckSpec("a", "A."), CheckSpec("b", "B."))
    context = CheckContext({}, {}, None)
    half = CheckGroup(specs, lambda _: [CheckOutcome("a", True)])
    with pytest.raises(ValueError, match="were answered"):
        half.answer(context)
