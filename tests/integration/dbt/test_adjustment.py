"""Adjustment and as-of answers, asked of the macros dbt leaves in the database."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
import subprocess
import sys

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btq_assets.contracts import base, raw

MONDAY = dt.date(2021, 3, 1)
DAYS = [day for day in (MONDAY + dt.timedelta(days=n) for n in range(28)) if day.weekday() < 5]
EVER = "timestamptz '2100-01-01 00:00:00+00'"
BARS = raw.BARS_YAHOO
ACTIONS = raw.CORPORATE_ACTIONS_YAHOO


def close_of(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, 21, tzinfo=dt.UTC)


def bars(closes: dict[dt.date, float], known_at: dt.datetime | None = None) -> pl.DataFrame:
    rows = [
        {
            **dict.fromkeys(BARS.column_names),
            "dataset": "test",
            "symbol": "X",
            "freq": "1d",
            "ts": close_of(day),
            "known_at": known_at or close_of(day),
            "known_at_basis": "recorded" if known_at else "assumed_lag",
            "open": close,
            "close": close,
            "currency": "USD",
        }
        for day, close in closes.items()
    ]
    return pl.DataFrame(rows, schema=BARS.schema)


def action(
    kind: str,
    value: float,
    ex_date: dt.date,
    known_at: dt.datetime | None = None,
    basis: str = "as_traded",
) -> pl.DataFrame:
    row = {
        "dataset": "test",
        "symbol": "X",
        "ex_date": ex_date,
        "kind": kind,
        "known_at": known_at or close_of(ex_date),
        "known_at_basis": "recorded",
        "value": value,
        "currency": "USD",
        "basis": basis,
    }
    return pl.DataFrame([row], schema=ACTIONS.schema)


@pytest.fixture(scope="module")
def market(warehouse, tmp_path_factory):
    """A copy of the built file in which one unadjusted member may be given bars and actions."""
    file = tmp_path_factory.mktemp("market") / "btq.duckdb"
    shutil.copy(warehouse.file, file)
    connection = warehouse.connect(file)
    connection.execute(
        "insert into raw.universe_membership (universe, symbol, valid_from, source, dataset, "
        "calendar, currency, price_basis, caveat) values "
        "('test', 'X', date '2021-01-01', 'yahoo', 'test', 'XNYS', 'USD', 'unadjusted', '')"
    )
    yield connection
    connection.close()


def fill(connection: duckdb.DuckDBPyConnection, *frames: pl.DataFrame) -> None:
    for contract in (BARS, ACTIONS):
        connection.execute(f"delete from {contract.table}")
    for frame in frames:
        contract = BARS if "freq" in frame.columns else ACTIONS
        connection.register("frame", base.cast_to_contract(frame, contract).to_arrow())
        connection.execute(f"insert into {contract.table} select * from frame")
        connection.unregister("frame")


def shown(connection: duckdb.DuckDBPyConnection, as_of: str = EVER) -> dict[dt.date, tuple]:
    rows = connection.execute(
        "select session, close, adj_close, adj_open, known_at, revised_at "
        f"from core.bars_1d_as_of({as_of}) where universe = 'test' order by ts"
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def at(moment: dt.datetime) -> str:
    return f"timestamptz '{moment.isoformat()}'"


def test_a_split_and_a_dividend_by_hand(market):
    """100, then a 2-for-1 split to 51, then 1 of dividend to 50: returns 2 % and 0 %."""
    first, second, third = DAYS[:3]
    fill(
        market,
        bars({first: 100.0, second: 51.0, third: 50.0}),
        action("split", 2.0, second),
        action("dividend", 1.0, third),
    )
    adjusted = {day: values[1] for day, values in shown(market).items()}
    assert adjusted[third] == 50.0
    assert adjusted[second] == pytest.approx(50.0, rel=1e-14)
    assert adjusted[first] == pytest.approx(50.0 / 1.02, rel=1e-14)
    assert shown(market)[first][2] == pytest.approx(50.0 / 1.02, rel=1e-14)  # the open alike


def test_a_bar_that_came_late_is_not_in_earlier_answers_and_says_so_in_later_ones(market):
    first, second, third, *_, last = DAYS
    late = bars({second: 51.0}, close_of(last)).with_columns(known_at_basis=pl.lit("late"))
    fill(market, bars({first: 50.0, third: 52.0}), late)
    assert list(shown(market, at(close_of(third)))) == [first, third]
    known_at, revised_at = shown(market)[second][3:]
    assert (known_at, revised_at) == (close_of(second), close_of(last))


def test_prices_the_source_restated_are_not_split_twice(market):
    first, second = DAYS[:2]
    fill(
        market,
        bars({first: 50.0, second: 51.0}),
        action("split", 2.0, second, basis="split_adjusted"),
    )
    assert [values[1] for values in shown(market).values()] == [50.0, 51.0]


def test_an_action_without_a_bar_on_its_day_falls_on_the_next_one(market):
    first, second, third = DAYS[:3]
    fill(market, bars({first: 100.0, third: 50.0}), action("split", 2.0, second))
    assert shown(market)[first][1] == pytest.approx(50.0)
    # One that no bar has reached yet changes nothing.
    fill(market, bars({first: 100.0}), action("split", 2.0, third, known_at=close_of(first)))
    assert shown(market)[first][1] == 100.0


closes = st.lists(st.floats(1.0, 1e4), min_size=3, max_size=len(DAYS))
moves = st.lists(
    st.tuples(
        st.integers(0, len(DAYS) - 1),
        st.sampled_from(["split", "dividend"]),
        st.floats(0.05, 20.0),
    ),
    max_size=6,
    unique_by=lambda move: move[:2],
)
relaxed = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@relaxed
@given(prices=closes, actions=moves)
def test_adjusted_returns_are_total_returns(market, prices, actions):
    """(close * split + dividend) / previous close - 1, the definition, on every bar."""
    table = dict(zip(DAYS, prices, strict=False))
    fill(market, bars(table), *(action(kind, value, DAYS[n]) for n, kind, value in actions))
    rows = shown(market)
    days = list(table)
    for before, day in itertools.pairwise(days):
        split = dividend = None
        for n, kind, value in actions:
            if DAYS[n] == day:
                split, dividend = (value, dividend) if kind == "split" else (split, value)
        total = (table[day] * (split or 1.0) + (dividend or 0.0)) / table[before]
        assert rows[day][1] / rows[before][1] == pytest.approx(total, rel=1e-12)
    assert rows[days[-1]][1] == table[days[-1]]


@relaxed
@given(prices=closes, actions=moves, cut=st.integers(1, len(DAYS)))
def test_later_actions_only_scale_what_was_known_before(market, prices, actions, cut):
    table = dict(zip(DAYS, prices, strict=False))
    fill(market, bars(table), *(action(kind, value, DAYS[n]) for n, kind, value in actions))
    moment = close_of(list(table)[min(cut, len(table)) - 1])
    then, now = shown(market, at(moment)), shown(market)
    assert list(then) == [day for day in table if close_of(day) <= moment]
    ratios = [now[day][1] / then[day][1] for day in then]
    assert ratios == pytest.approx([ratios[0]] * len(ratios), rel=1e-12)


@relaxed
@given(
    prices=closes,
    vintages=st.lists(
        st.tuples(st.integers(0, len(DAYS) - 1), st.floats(1.0, 1e4), st.integers(1, 600)),
        max_size=8,
    ),
    actions=moves,
    delays=st.lists(st.integers(0, 600), min_size=6, max_size=6),
    hours=st.integers(0, 700),
)
def test_no_answer_holds_what_was_known_later(market, prices, vintages, actions, delays, hours):
    """What is told as of a time is what a warehouse that holds nothing later would tell for ever.

    Bars, corrections and late bars, splits and dividends, each known some hours after its day.
    """
    parts = [bars(dict(zip(DAYS, prices, strict=False)))]
    for n, close, delay in vintages:
        parts.append(bars({DAYS[n]: close}, known_at=close_of(DAYS[n]) + dt.timedelta(hours=delay)))
    for (n, kind, value), delay in zip(actions, delays, strict=False):
        known_at = close_of(DAYS[n]) + dt.timedelta(hours=delay)
        parts.append(action(kind, value, DAYS[n], known_at=known_at))
    # One row for a key: the last of those that came at the same moment.
    parts = list({(*p.row(0)[:4], p["known_at"][0]): p for p in parts[1:]}.values()) + parts[:1]
    moment = close_of(DAYS[0]) + dt.timedelta(hours=hours)
    fill(market, *parts)
    told = shown(market, at(moment))
    assert all(row[3] <= moment and (row[4] is None or row[4] <= moment) for row in told.values())
    fill(market, *(part.filter(pl.col("known_at") <= moment) for part in parts))
    assert told == shown(market)


def test_old_answers_stay_after_late_and_corrected_data(market):
    first, second, third = DAYS[:3]
    original = [bars({first: 100.0, second: 101.0}), action("dividend", 1.0, second)]
    fill(market, *original)
    noon = dt.datetime.combine(third, dt.time(12), dt.UTC)
    before = shown(market, at(noon))
    late = dt.datetime.combine(third, dt.time(18), dt.UTC)
    fill(
        market,
        *original,
        bars({first: 99.0}, known_at=late),  # a correction
        bars({DAYS[3]: 7.0}),  # what came later
        action("dividend", 2.0, second, known_at=late),  # a corrected dividend
        action("split", 3.0, second, known_at=late),  # one reported late
    )
    assert shown(market, at(noon)) == before
    after = shown(market, at(late))
    assert after[first][0] == 99.0
    assert after[first][3:] == (close_of(first), late)
    assert after[second][3:] == (close_of(second), None)
    # (101 * 3 + 2) / 101 shares and cash per share held before.
    assert after[first][1] == pytest.approx(99.0 * 101.0 / (101.0 * 3 + 2))
    assert shown(market)[first][1] == pytest.approx(after[first][1])


def test_core_tables_show_actions_and_factors_of_the_build(warehouse):
    with warehouse.connect() as connection:
        found = connection.execute(
            "select symbol, split, dividend, factor from core.adjustment_factors"
        ).fetchall()
        assert found == [("U", 2.0, 0.0, 0.5)]
        assert connection.execute(
            "select ex_date, value, revised_at is not null from core.corporate_actions"
        ).fetchall() == [(dt.date(2020, 2, 3), 2.0, True)]
        gap = connection.execute(
            "select max(abs(ln(adj_close / before))) from (select adj_close, lag(adj_close) over "
            "(order by ts) as before from core.bars_1d where symbol = 'U')"
        ).fetchone()
    assert gap[0] < 0.1, "the split of the unadjusted series does not look like a loss"


def test_macro_and_documents_as_of(warehouse):
    """November is 1.0 until it is revised on 20 February, December is unknown until 3 February."""
    with warehouse.connect() as connection:

        def values(moment: str) -> list[tuple]:
            return connection.execute(
                f"select period, value from core.macro_as_of(timestamptz '{moment}') "
                "where series_id = 'CPI'"
            ).fetchall()

        november, december = dt.date(2019, 11, 1), dt.date(2019, 12, 1)
        assert values("2020-01-10 12:59:59+00") == []
        assert values("2020-02-19 00:00:00+00") == [(november, 1.0), (december, 2.0)]
        assert values("2020-02-21 00:00:00+00") == [(november, 1.5), (december, 2.0)]
        counts = [
            connection.execute(
                f"select count(*) from core.documents_as_of(timestamptz '{moment}')"
            ).fetchone()
            for moment in ("2020-01-07 20:59:00+00", "2020-01-07 21:00:00+00")
        ]
        assert counts == [(0,), (1,)]


def test_a_document_is_shown_as_it_read_at_a_time(warehouse):
    """One row a document: its words of the 7th, and from the 9th on those it was corrected to."""
    with warehouse.connect() as connection:
        connection.execute("begin")
        connection.execute(
            "insert into core.documents select * replace (known_at + interval 2 days as known_at, "
            "'SYNTHETIC corrected' as headline) from core.documents"
        )
        shown = [
            connection.execute(
                f"select headline from core.documents_as_of(timestamptz '{moment}')"
            ).fetchall()
            for moment in (
                "2020-01-07 21:00:00+00",
                "2020-01-09 20:59:00+00",
                "2020-01-09 21:00:00+00",
            )
        ]
        connection.execute("rollback")
    assert [len(rows) for rows in shown] == [1, 1, 1]
    assert shown[0] == shown[1] != shown[2] == [("SYNTHETIC corrected",)]


def test_as_of_macros_survive_publishing(warehouse, tmp_path):
    """A copy of the file under the published name answers, read-only, in another process."""
    folder = tmp_path / "published"
    folder.mkdir()
    copy = folder / "btq.duckdb"
    shutil.copy(warehouse.file, copy)
    copy.chmod(0o444)
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True);"
        "print(c.execute(\"select count(*) from core.bars_1d_as_of(timestamptz '2020-01-31')\")"
        ".fetchone()[0] > 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(copy)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "True", done.stderr


def test_core_bars_are_the_as_of_bars_of_today(warehouse):
    with warehouse.connect() as connection:
        for one, other in (
            ("core.bars_1d", f"core.bars_1d_as_of({EVER})"),
            (f"core.bars_1d_as_of({EVER})", "core.bars_1d"),
        ):
            left = connection.execute(
                f"select count(*) from (select * from {one} except select * from {other})"
            ).fetchone()
            assert left == (0,)


def test_intraday_bars_are_the_latest_vintage_of_members_and_daily_ones_are_left_out(warehouse):
    """The built file has one bar of an hour, of A of the universe of closes, three hours early."""
    with warehouse.connect() as connection:
        rows = connection.execute(
            "select universe, symbol, freq, ts, known_at, close, calendar from core.bars_intraday"
        ).fetchall()
    ((universe, symbol, freq, ts, known_at, close, calendar),) = rows
    assert (universe, symbol, freq, calendar) == ("us20", "A", "1h", "XNYS")
    assert ts == dt.datetime(2020, 1, 6, 18, tzinfo=dt.UTC)
    assert known_at == dt.datetime(2020, 1, 6, 21, tzinfo=dt.UTC)
    assert close > 0
