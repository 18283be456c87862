"""What dbt builds from a tiny warehouse, against values worked out by hand."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from btq_assets.contracts import all_contracts, base, features
from data_quality import dbt_files


def query(warehouse: Any, sql: str) -> list[tuple]:
    with warehouse.connect() as connection:
        return connection.execute(sql).fetchall()


def utc(month: int, day: int, hour: int = 21) -> dt.datetime:
    return dt.datetime(2020, month, day, hour, tzinfo=dt.UTC)


def test_every_model_has_the_columns_and_types_of_its_contract(warehouse) -> None:
    for contract in dbt_files.model_contracts():
        found = query(
            warehouse,
            "select column_name, data_type from information_schema.columns where "
            f"table_schema = '{contract.layer}' and table_name = '{contract.name}' "
            "order by ordinal_position",
        )
        wanted = [
            (c.name, c.duckdb_type.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"))
            for c in contract.columns
        ]
        assert found == wanted, contract.table


def test_schemas_are_exactly_the_layers(warehouse) -> None:
    found = query(
        warehouse,
        "select distinct table_schema, table_type from information_schema.tables "
        "where table_schema in (select schema_name from information_schema.schemata) "
        "and (table_name like 'stg_%' or table_schema in ('core', 'mart', 'main'))",
    )
    assert set(found) == {
        ("staging", "VIEW"),
        ("core", "BASE TABLE"),
        ("core", "VIEW"),  # ticks
        ("mart", "BASE TABLE"),
    }


def test_bars_1d_is_the_latest_vintage_while_a_member(warehouse) -> None:
    # Four closes-only members, one of which leaves; one with prices; the index.
    counts = dict(
        query(
            warehouse,
            "select universe || ' ' || symbol, count(*) from core.bars_1d group by all",
        )
    )
    n_sessions = counts["us20 A"]
    in_january = 20  # weekdays from Monday the 6th to Friday the 31st
    assert counts == {
        "us20 A": n_sessions,
        "us20 B": n_sessions,
        "us20 C": n_sessions,
        "us20 D": in_january,
        "us_ohlcv A": n_sessions,
        "benchmark ^SP500": n_sessions,
        "unadjusted U": n_sessions,
    }
    shown, first, known_at, revised_at = query(
        warehouse,
        """
        select
            any_value(bars.adj_close),
            min(raw.adj_close) filter (raw.known_at_basis = 'assumed_lag'),
            any_value(bars.known_at),
            any_value(bars.revised_at)
        from core.bars_1d bars
        join raw.bars_sample raw using (symbol, ts)
        where bars.universe = 'us20' and raw.dataset = 'closes' and raw.freq = '1d'
            and symbol = 'A' and bars.session = date '2020-01-09'
        """,
    )[0]
    assert shown == pytest.approx(1.05 * first)
    assert known_at == utc(1, 9)
    assert revised_at == utc(3, 24, 12)


def test_prices_are_adjusted_by_one_factor_and_never_invented(warehouse) -> None:
    for open_, close, adj_open, adj_close, volume in query(
        warehouse,
        "select open, close, adj_open, adj_close, volume from core.bars_1d "
        "where universe = 'us_ohlcv'",
    ):
        assert adj_close == pytest.approx(0.5 * close)
        assert adj_open == pytest.approx(0.5 * open_)
        assert volume == 1e6
    nothing = query(
        warehouse,
        "select distinct open, high, low, close, volume, adj_open, adj_high, adj_low "
        "from core.bars_1d where universe = 'us20'",
    )
    assert nothing == [(None,) * 8]
    # An index level has nothing to adjust for.
    assert query(
        warehouse,
        "select count(*) from core.bars_1d where symbol = '^SP500' and close <> adj_close",
    ) == [(0,)]


def test_weeks_are_there_once_they_have_ended(warehouse) -> None:
    weeks = query(
        warehouse,
        "select session, n_sessions, adj_close, known_at from core.bars_1w "
        "where universe = 'us20' and symbol = 'B' order by session",
    )
    # 6 January to 20 March; the week of Wednesday 25 March has not ended.
    assert [week[0] for week in weeks] == [
        dt.date(2020, 1, 10)
        + dt.timedelta(weeks=n)
        - dt.timedelta(days=n == 5)  # Friday 14 February is a holiday
        for n in range(11)
    ]
    assert [week[1] for week in weeks] == [5, 5, 5, 5, 5, 4, 5, 5, 5, 5, 5]
    for session, _, adj_close, known_at in weeks:
        daily = query(
            warehouse,
            "select adj_close, known_at from core.bars_1d where universe = 'us20' "
            f"and symbol = 'B' and session = date '{session}'",
        )
        assert daily == [(adj_close, known_at)]


def test_weekly_prices_span_their_days(warehouse) -> None:
    open_, high, low, volume, adj_high = query(
        warehouse,
        "select open, high, low, volume, adj_high from core.bars_1w "
        "where universe = 'us_ohlcv' and session = date '2020-01-10'",
    )[0]
    days = query(
        warehouse,
        "select open, high, low, volume, adj_high from core.bars_1d where universe = 'us_ohlcv' "
        "and session between date '2020-01-06' and date '2020-01-10' order by ts",
    )
    assert open_ == days[0][0]
    assert high == max(day[1] for day in days)
    assert low == min(day[2] for day in days)
    assert volume == 5e6
    assert adj_high == max(day[4] for day in days)


def test_the_last_week_is_there_when_its_friday_is(warehouse) -> None:
    """Cut after Friday 20 March: that week is over although nothing follows it."""
    sql = (warehouse.target / "compiled/btquant/models/core/bars_1w.sql").read_text()
    with warehouse.connect() as connection:
        connection.execute("begin")
        connection.execute("delete from core.bars_1d where session > date '2020-03-20'")
        last = connection.execute(f"select max(session) from ({sql})").fetchone()
        connection.execute("delete from core.bars_1d where session > date '2020-03-19'")
        before = connection.execute(f"select max(session) from ({sql})").fetchone()
        connection.execute("rollback")
    assert last == (dt.date(2020, 3, 20),)
    assert before == (dt.date(2020, 3, 13),)


def test_macro_asof_is_what_was_known(warehouse) -> None:
    """November is known on 10 January, December on 3 February; November is revised on the 20th,

    which must not displace December; December is revised on 2 March.
    """
    found = {
        ts.date(): (period, value)
        for ts, period, value in query(
            warehouse, "select ts, period, value from core.macro_asof where series_id = 'CPI'"
        )
    }
    november, december = dt.date(2019, 11, 1), dt.date(2019, 12, 1)
    assert min(found) == dt.date(2020, 1, 10)
    assert found[dt.date(2020, 1, 31)] == (november, 1.0)
    assert found[dt.date(2020, 2, 3)] == (december, 2.0)
    assert found[dt.date(2020, 2, 21)] == (december, 2.0)
    assert found[dt.date(2020, 3, 2)] == (december, 2.5)
    age = query(
        warehouse,
        "select age_days from core.macro_asof "
        "where series_id = 'CPI' and ts = timestamptz '2020-02-04 21:00:00+00'",
    )
    assert age == [(pytest.approx(1 + 8 / 24),)]


def test_vintages_are_superseded_by_the_next(warehouse) -> None:
    assert query(
        warehouse,
        "select value, superseded_at from core.macro_vintages "
        "where series_id = 'CPI' order by period, known_at",
    ) == [(1.0, utc(2, 20, 13)), (1.5, None), (2.0, utc(3, 2, 13)), (2.5, None)]


def test_instruments_state_their_span(warehouse) -> None:
    assert query(
        warehouse,
        "select first_ts, last_ts, n_bars from core.instruments "
        "where universe = 'us20' and symbol = 'D'",
    ) == [(utc(1, 6), utc(1, 31), 20)]


def test_the_leaderboard_joins_the_trial_of_the_run_and_not_an_earlier_one(warehouse) -> None:
    rows = {
        row[0]: row[1:]
        for row in query(
            warehouse,
            "select strategy, role, comparable, n_trials, difference_to_one_over_n_annual, "
            "beats_one_over_n, best_baseline from mart.leaderboard",
        )
    }
    assert rows == {
        "ridge": ("candidate", True, 7, 0.01, False, "one_over_n"),
        "one_over_n": ("baseline", True, None, None, None, None),
        "sp500": ("benchmark", False, None, None, None, None),
    }


def test_the_panel_has_every_family_at_every_bar(warehouse) -> None:
    rows = query(
        warehouse,
        "select symbol, freq, rsi_14, vix_level, universe_beta from features.panel "
        "where universe = 'us20' and freq = '1d' "
        "and ts = timestamptz '2020-01-08 21:00:00+00' order by symbol",
    )
    # The market-wide family is joined by session, the other by symbol; the rest is null.
    assert rows == [
        ("A", "1d", 55.0, 14.0, None),
        *((symbol, "1d", None, 14.0, None) for symbol in "BCD"),
    ]
    counts = "select (select count(*) from features.panel where freq = '1d') = (select count(*) from core.bars_1d)"
    assert query(warehouse, counts) == [(True,)]


def test_the_panel_has_a_row_for_each_shorter_bar_beside_the_daily_ones(warehouse) -> None:
    rows = query(
        warehouse,
        "select freq, epoch(known_at - ts), rsi_14, intraday_rsi_14, vpin from features.panel "
        "where universe = 'us20' and symbol = 'A' and ts = timestamptz '2020-01-08 21:00:00+00' "
        "order by freq",
    )
    # Ticks are gathered in bars of a minute (features.tick_bar), known when they end.
    assert rows == [
        ("1d", 0, 55.0, None, None),
        ("1m", 0, None, None, 0.5),
        ("5m", 2, None, 40.0, None),
    ]


def test_the_panel_reads_alike_in_sql_polars_and_pandas(warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        panel = "select * from features.panel order by universe, symbol, freq, ts"
        in_polars = base.cast_to_contract(connection.execute(panel).pl(), features.PANEL)
        in_pandas = connection.execute(panel).df()
        total = "select count(*), sum(rsi_14), sum(intraday_rsi_14) from features.panel"
        (counted,) = connection.execute(total).fetchall()
    assert base.violations(in_polars, features.PANEL).is_empty()
    assert list(in_pandas.columns) == in_polars.columns == list(features.PANEL.column_names)
    for read in (in_polars, in_pandas):
        found = (len(read), read["rsi_14"].sum(), read["intraday_rsi_14"].sum())
        assert found == counted == (in_polars.height, 55.0, 40.0)
    # Compact as it is stored: float32 stays float32 in both.
    assert in_pandas["intraday_rsi_14"].dtype == "float32"
    assert in_polars.schema["intraday_rsi_14"] == pl.Float32


def test_features_of_ones_own_are_columns_of_the_panel(warehouse, run_dbt, tmp_path) -> None:
    file = tmp_path / "own.duckdb"
    shutil.copy(warehouse.file, file)
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "create table features.custom as "
            "select universe, symbol, ts, 7.0::double as own_gap from core.bars_1d where symbol = 'B'"
        )
    settings = json.dumps({"custom_modules": True})
    done = run_dbt(tmp_path, "build", "--select", "panel", "--vars", settings, file=file)
    assert done.returncode == 0, done.stdout
    with duckdb.connect(str(file)) as connection:
        found = connection.execute(
            "select symbol, freq, own_gap from features.panel where universe = 'us20' "
            "and ts = timestamptz '2020-01-08 21:00:00+00' order by symbol, freq"
        ).fetchall()
    assert ("B", "1d", 7.0) in found
    assert [value for *_, value in found if value is not None] == [7.0]


def test_the_feature_report_has_means_over_the_fits_of_each_model(warehouse) -> None:
    assert query(
        warehouse,
        "select feature, missing_share, importance_ridge, importance_lightgbm, n_fits "
        "from mart.feature_report",
    ) == [("rsi_14", 0.25, 0.25, 0.625, 3)]


def test_performance_has_a_row_a_month(warehouse) -> None:
    months = query(
        warehouse, "select month, n_sessions from mart.performance where strategy = 'ridge'"
    )
    # The first bar of January has no return; February lacks its holiday.
    assert months == [
        (dt.date(2020, 1, 1), 19),
        (dt.date(2020, 2, 1), 19),
        (dt.date(2020, 3, 1), 18),
    ]


def test_risk_today_is_the_newest_with_its_record(warehouse) -> None:
    assert query(
        warehouse,
        "select measure, ts, value, observed_exceedances from mart.risk_today "
        "where strategy = 'ridge' order by measure",
    ) == [("cvar", utc(3, 25), 0.03, None), ("var", utc(3, 25), 0.02, 6)]


def test_forecasts_and_targets_are_unions(warehouse) -> None:
    assert query(warehouse, "select distinct model from mart.forecasts") == [("ridge",)]
    assert query(
        warehouse, "select family, strategy, count(*) from mart.targets group by all order by 1"
    ) == [("baselines", "one_over_n", 4), ("rank", "ridge", 4)]


def test_data_health_tells_absent_from_empty(warehouse) -> None:
    rows = {
        row[0]: row[1:]
        for row in query(
            warehouse,
            "select table_name, present, n_rows, n_quarantined, first_at, emptiest_column "
            "from mart.data_health",
        )
    }
    watched = {
        contract.table
        for contract in all_contracts()
        if contract.layer not in (*dbt_files.LAYERS_OUT_OF_SIGHT, "mart")
        and contract is not features.PANEL
    }
    assert set(rows) == watched
    assert rows["regimes.states"] == (False, 0, 0, None, None)
    assert rows["raw.bars_folder"] == (True, 0, 0, None, None)
    present, n_rows, n_quarantined, first_at, emptiest = rows["raw.bars_sample"]
    assert present
    assert n_rows == query(warehouse, "select count(*) from raw.bars_sample")[0][0]
    assert n_quarantined == 1
    assert first_at == utc(1, 6, 18)
    # Four closes-only series lack five columns each; the index alone lacks its adjusted close.
    assert emptiest == "open"
    nulls = query(
        warehouse, "select n_null_cells from mart.data_health where table_name = 'raw.bars_sample'"
    )
    n_closes_only = query(warehouse, "select count(*) from raw.bars_sample where close is null")[0][
        0
    ]
    n_index = query(warehouse, "select count(*) from raw.bars_sample where dataset = 'index'")[0][0]
    assert nulls == [(5 * n_closes_only + n_index,)]


def test_without_the_variable_dbt_fails_at_once_and_names_it(
    warehouse, run_dbt, tmp_path: Path
) -> None:
    done = run_dbt(tmp_path, "debug", file=None)
    assert done.returncode != 0
    assert "BTQ_WAREHOUSE_FILE is not set" in done.stdout + done.stderr


def test_manifest_names_assets_as_the_warehouse_does(warehouse) -> None:
    manifest = json.loads((warehouse.target / "manifest.json").read_text())
    nodes = [*manifest["nodes"].values(), *manifest["sources"].values()]
    for node in nodes:
        if node["resource_type"] == "source" or (
            node["resource_type"] == "model" and node["schema"] != "staging"
        ):
            assert node["config"]["meta"]["dagster"]["asset_key"] == [node["schema"], node["name"]]
    # A test of core reads nothing that is built later.
    for node in nodes:
        if node["resource_type"] == "test" and node["fqn"][1] in ("core", "staging"):
            assert not [
                p
                for p in node["depends_on"]["nodes"]
                if manifest["nodes"].get(p, {}).get("schema") == "mart"
            ]
            assert not [
                p
                for p in node["depends_on"]["nodes"]
                if p.startswith("source.") and ".raw." not in p
            ]


def test_frames_read_back_in_the_contracts_types(warehouse) -> None:
    for contract in dbt_files.model_contracts():
        with warehouse.connect() as connection:
            frame = connection.execute(f"select * from {contract.table}").pl()
        assert isinstance(frame, pl.DataFrame)
        assert frame.schema == contract.schema, contract.table


def test_the_leaderboard_shows_alpha_of_the_universes_factors(warehouse) -> None:
    """Of several models and factors, the intercept of the universe's own; every run has one row."""
    rows = query(
        warehouse,
        "select beta, break_even_cost_bps, longest_underwater_sessions, factor_alpha_annual, "
        "factor_alpha_t_value from mart.leaderboard",
    )
    assert rows == [(0.9, 35.0, 40.0, 0.02, 1.5)] * 3


def test_a_capacity_that_is_not_known_says_why(warehouse) -> None:
    rows = query(warehouse, "select strategy, capacity, note from mart.leaderboard")
    known = {
        strategy: (capacity, "capacity: no volume" in note) for strategy, capacity, note in rows
    }
    assert known.pop("one_over_n") == (None, True)
    assert set(known.values()) == {(5e7, False)}


def test_months_show_the_excess_over_one_over_n(warehouse) -> None:
    """Figures of a month come from the slice of that month and run; the index has none."""
    found = query(
        warehouse,
        "select role = 'benchmark', month, excess_return, max_drawdown from mart.performance",
    )
    first = min(month for _, month, _, _ in found)
    assert {is_index for is_index, *_ in found} == {True, False}
    for is_index, month, excess, fall in found:
        assert (excess, fall) == ((None, None) if is_index or month != first else (0.004, 0.03))
