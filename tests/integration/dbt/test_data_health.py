"""What is missing, late, repaired and refused, and bars with repairs, worked out by hand.

Models run as dbt compiled them, over a copy of the tiny warehouse with faults planted in it.
"""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest


def utc(month: int, day: int, hour: int = 21) -> dt.datetime:
    return dt.datetime(2020, month, day, hour, tzinfo=dt.UTC)


def compiled(warehouse, model: str) -> str:
    (file,) = [
        f for f in (warehouse.target / "compiled").rglob(f"{model}.sql") if "models" in f.parts
    ]
    return file.read_text()


REPAIR = """
    insert into quality.repairs
    select
        'raw.bars_sample', '{{"symbol": "{symbol}", "kind": "{kind}"}}', 'adj_close', '{kind}',
        100, {factor} * 100, {factor}, 'sample', 'closes', '{symbol}', '1d',
        timestamptz '{first} 00:00:00+00', timestamptz '{last} 23:59:00+00', 1, 0.9, 'seen',
        timestamptz '2020-02-20 21:00:00+00', timestamptz '2020-03-26 00:00:00+00', {applied}
"""

FAULTS = (
    # Sessions: those of the bars, a Friday on which nobody has one, and two after the last bar.
    """
    insert into quality.sessions
    select 'XNYS', cast(ts at time zone 'UTC' as date), ts
    from (select distinct ts from raw.bars_sample where freq = '1d')
    """,
    """
    insert into quality.sessions values
        ('XNYS', '2020-02-14', timestamptz '2020-02-14 21:00:00+00'),
        ('XNYS', '2020-03-26', timestamptz '2020-03-26 21:00:00+00'),
        ('XNYS', '2020-03-27', timestamptz '2020-03-27 21:00:00+00')
    """,
    """
    insert into quality.feeds values
        ('raw.bars_sample', true, 'live', timestamptz '2020-03-28 00:00:00+00'),
        ('raw.macro_sample', true, 'live', timestamptz '2022-01-01 00:00:00+00'),
        ('raw.bars_yahoo', false, 'live', timestamptz '2020-03-28 00:00:00+00'),
        ('raw.trades_stream', true, 'live', timestamptz '2020-03-25 13:00:04+00'),
        ('raw.quotes_stream', true, 'live', timestamptz '2020-03-25 13:00:03+00')
    """,
    # B lacks the 9th and 10th of January; A of `ohlcv` came six days late on the 13th.
    "delete from raw.bars_sample where symbol = 'B' and ts::date between '2020-01-09' and '2020-01-10'",
    """
    update raw.bars_sample set known_at = known_at + interval 6 day, known_at_basis = 'recorded'
    where dataset = 'ohlcv' and ts::date = '2020-01-13'
    """,
    REPAIR.format(symbol="A", kind="unit_100x", factor=0.01, first="2020-01-15", last="2020-01-16", applied="true"),
    REPAIR.format(symbol="A", kind="missed_split", factor=0.5, first="2020-01-01", last="2020-01-15", applied="true"),
    REPAIR.format(symbol="B", kind="bad_tick", factor="null", first="2020-01-15", last="2020-01-15", applied="true"),
    REPAIR.format(symbol="C", kind="missed_split", factor=0.5, first="2020-01-01", last="2020-03-01", applied="false"),
)  # fmt: skip


@pytest.fixture(scope="module")
def faulty(warehouse, tmp_path_factory):
    # Views name their catalog, which is the stem of the file.
    file: Path = tmp_path_factory.mktemp("faulty") / warehouse.file.name
    shutil.copy(warehouse.file, file)
    connection = warehouse.connect(file)
    for statement in FAULTS:
        assert connection.execute(statement).fetchone()[0] > 0, statement
    connection.execute(f"create or replace table core.bars_1d as {compiled(warehouse, 'bars_1d')}")
    # The model was compiled where every one of these tables was there.
    connection.execute(
        f"create or replace table mart.data_health as {compiled(warehouse, 'data_health')}"
    )
    yield connection
    connection.close()


def health(faulty, table: str, *columns: str) -> tuple:
    return faulty.execute(
        f"select {', '.join(columns)} from mart.data_health where table_name = '{table}'"
    ).fetchone()


def test_one_query_says_what_is_missing_late_repaired_and_refused(faulty) -> None:
    # Missing: the 14th of February in each of the six series, and two days of B.
    assert health(
        faulty, "raw.bars_sample",
        "status", "last_at", "expected_last_at", "n_missing_sessions", "emptiest_series",
        "n_late", "n_corrected", "n_quarantined", "n_repairs_proposed", "n_repairs_applied",
    ) == ("behind", utc(3, 25), utc(3, 27), 6 + 2, "closes/B", 1, 1, 1, 4, 3)  # fmt: skip


def test_other_tables_are_judged_by_their_own_rhythm(faulty) -> None:
    # One gap of 30 days between two periods; three of them before 2022 is after December 2019.
    status, expected, corrected, sessions = health(
        faulty, "raw.macro_sample", "status", "expected_last_at", "n_corrected", "n_missing_sessions"
    )  # fmt: skip
    assert (status, corrected, sessions) == ("behind", 2, None)
    assert expected == dt.datetime(2022, 1, 1, tzinfo=dt.UTC) - dt.timedelta(days=90)
    assert health(faulty, "raw.bars_yahoo", "status", "enabled") == ("off", False)
    # A table whose feed is unknown is neither behind nor off.
    assert health(faulty, "raw.documents_sample", "status", "expected_last_at") == ("ok", None)
    assert health(faulty, "raw.bars_folder", "status") == ("empty",)
    assert health(faulty, "regimes.states", "status") == ("absent",)
    assert health(faulty, "core.bars_1d", "n_late", "n_corrected") == (None, None)


def ratio(faulty, symbol: str, day: str, relation: str = "core.bars_1d") -> float | None:
    """Price core shows over the latest raw one."""
    row = faulty.execute(
        f"""
        select shown.adj_close / came.adj_close
        from {relation} as shown
        inner join (
            select symbol, ts, arg_max(adj_close, known_at) as adj_close
            from raw.bars_sample where dataset = 'closes' group by all
        ) as came using (symbol, ts)
        where shown.universe = 'us20' and symbol = '{symbol}' and ts::date = '{day}'
        """
    ).fetchone()
    return None if row is None else row[0]


def test_core_shows_applied_repairs_and_no_others(faulty) -> None:
    assert ratio(faulty, "A", "2020-01-14") == pytest.approx(0.5)
    # Both repairs fall on the 15th.
    assert ratio(faulty, "A", "2020-01-15") == pytest.approx(0.005)
    assert ratio(faulty, "A", "2020-01-16") == pytest.approx(0.01)
    assert ratio(faulty, "A", "2020-01-17") == 1.0
    assert ratio(faulty, "B", "2020-01-15") is None, "a tick that is taken out leaves no bar"
    assert ratio(faulty, "B", "2020-01-16") == 1.0
    assert ratio(faulty, "C", "2020-01-15") == 1.0, "proposed, not applied"
    # The same prices under the same name in another dataset are another series.
    untouched = faulty.execute(
        "select count(*) from core.bars_1d as shown join raw.bars_sample as came using (symbol, ts) "
        "where universe = 'us_ohlcv' and dataset = 'ohlcv' and shown.adj_close <> came.adj_close"
    ).fetchone()
    assert untouched == (0,)


def test_a_repair_is_unknown_before_the_bars_it_rests_on(faulty) -> None:
    before = "core.bars_1d_as_of(timestamptz '2020-02-20 20:59:00+00')"
    after = "core.bars_1d_as_of(timestamptz '2020-02-20 21:00:00+00')"
    assert ratio(faulty, "A", "2020-01-16", before) == 1.0
    assert ratio(faulty, "A", "2020-01-16", after) == pytest.approx(0.01)


def test_every_changed_bar_is_listed_as_it_came_and_as_it_is_shown(faulty) -> None:
    rows = faulty.execute(
        """
        select symbol, ts::date::varchar, repairs, adj_close / raw_adj_close
        from staging.stg_bars_repaired where ts >= '2020-01-15' order by symbol, ts
        """
    ).fetchall()
    assert rows == [
        ("A", "2020-01-15", "missed_split, unit_100x", pytest.approx(0.005)),
        ("A", "2020-01-16", "unit_100x", pytest.approx(0.01)),
        ("B", "2020-01-15", "bad_tick", None),
    ]


def test_a_feed_says_when_it_was_last_heard_and_what_it_lost(faulty) -> None:
    columns = ("status", "last_at", "expected_last_at", "n_gaps", "lost_seconds")
    noon = dt.datetime(2020, 3, 25, 12, tzinfo=dt.UTC)
    heard = noon + dt.timedelta(seconds=3)
    # Last trade at 12:00:03, looked at an hour and a second later. One gap filled at 12:00:12, one
    # lost at 12:00:13, dark since 12:00:06.
    late = noon + dt.timedelta(seconds=4)
    assert health(faulty, "raw.trades_stream", *columns) == ("behind", heard, late, 2, 7.0)
    # Looked at after an hour to the second, and whole.
    assert health(faulty, "raw.quotes_stream", *columns) == ("ok", heard, heard, 0, 0.0)
    # A new snapshot does not bring back the changes that were missed.
    assert health(faulty, "raw.book_stream", *columns[3:], "status") == (1, 6.0, "holes")
    assert health(faulty, "raw.bars_sample", *columns[3:]) == (None, None)
