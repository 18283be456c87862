"""Every dbt test passes on the built warehouse and fails on one where its demand is broken.

The compiled SQL of each test runs in a transaction that is rolled back: a test fails when it
returns rows, which is how dbt judges it.
"""

from __future__ import annotations

import shutil

import pytest

from btq_assets.contracts import core_ticks, features
from data_quality import dbt_files

CORRUPTIONS = {
    "bars_1d_shows_latest_vintage": """
        insert into raw.bars_sample
        select * replace (known_at + interval 30 day as known_at) from raw.bars_sample
        where dataset = 'closes' and symbol = 'B' limit 1
    """,
    "bars_1d_adjusts_all_prices_alike": """
        update core.bars_1d set adj_open = adj_open * 1.001 where session = date '2020-01-09'
    """,
    "bars_1d_belong_to_instruments": """
        delete from core.bars_1d where symbol = 'B' and session = date '2020-03-25'
    """,
    "bars_1d_main_universe_is_there": "delete from core.bars_1d where universe = 'us20'",
    "instruments_every_member_has_bars": """
        insert into raw.universe_membership
        select * replace ('E' as symbol) from raw.universe_membership where symbol = 'B'
    """,
    "bars_1w_close_is_last_daily_close": """
        update core.bars_1d set adj_close = adj_close + 1
        where symbol = 'B' and session = date '2020-01-10'
    """,
    "bars_1w_has_ended_weeks_only": """
        delete from core.bars_1w where symbol = 'B' and session = date '2020-01-10'
    """,
    "macro_asof_is_known_by_ts": """
        update core.macro_asof set known_at = ts + interval 1 hour where value = 2.5
    """,
    "macro_asof_is_newest_known": "update core.macro_asof set value = 9 where period = '2019-12-01'",
    "macro_vintages_are_superseded_in_order": """
        update core.macro_vintages set superseded_at = null where value = 1
    """,
    "macro_vintages_come_from_one_source": """
        insert into core.macro_vintages
        select series_id, period, known_at, null, value, unit, revision from raw.macro_sample
        where series_id = 'BOTH'
    """,
    "yield_curve_follows_from_its_yields": """
        update core.yield_curve set slope = slope + 0.01 where period = '2020-01-06'
    """,
    "yield_curve_vintages_are_superseded_in_order": """
        update core.yield_curve set superseded_at = known_at where superseded_at is null
    """,
    "documents_keep_every_document": "delete from core.documents",
    "option_quotes_show_first_vintage": "delete from core.option_quotes",
    "option_trades_show_first_vintage": "delete from core.option_trades",
    "dark_pool_vintages_are_superseded_in_order": """
        update core.dark_pool set superseded_at = null
    """,
    "short_volume_vintages_are_superseded_in_order": """
        update core.short_volume set superseded_at = known_at where superseded_at is not null
    """,
    "onchain_metrics_vintages_are_superseded_in_order": """
        delete from core.onchain_metrics where superseded_at is null
    """,
    "trades_keep_every_trade": "delete from core.trades where trade_id = 1",
    "quotes_leave_out_crossed_ones_only": "delete from core.quotes where update_id = 1",
    "book_depth_is_best_first": "update core.book_depth set level = 11 - level",
    "leaderboard_has_one_row_per_run": "delete from mart.leaderboard where strategy = 'ridge'",
    "leaderboard_metrics_are_there": """
        update backtest.metrics set metric = 'sharpe_ratio' where metric = 'sharpe'
    """,
    "leaderboard_figures_follow_from_equity": """
        update backtest.equity set equity = equity * 1.02
        where strategy = 'ridge' and ts = (select max(ts) from backtest.equity)
    """,
    "leaderboard_candidates_are_deflated": "update mart.leaderboard set n_trials = null",
    "leaderboard_differences_have_order": "update mart.leaderboard set beats_one_over_n = true",
    "feature_report_keeps_every_feature": "delete from mart.feature_report",
    "performance_compounds_to_equity": """
        update mart.performance set monthly_return = 0 where month = '2020-02-01'
    """,
    "positions_and_cash_are_equity": """
        update backtest.positions set value = value + 1 where symbol = 'A' and strategy = 'ridge'
    """,
    "targets_within_limits": "update mart.targets set weight = 0.3 where symbol = 'A'",
    "targets_are_backtested": "delete from backtest.runs where strategy = 'ridge'",
    "forecasts_have_a_registered_model": """
        update models.registry set fitted_until = fitted_until + interval 1 day
    """,
    "forecasts_are_of_bars": "update mart.forecasts set ts = ts + interval 1 hour",
    "risk_today_covers_every_run": """
        update mart.risk_today set value = 0.01 where measure = 'cvar'
    """,
    "data_health_tables_are_not_empty": """
        update mart.data_health set n_rows = 0 where table_name = 'backtest.runs'
    """,
}

#: Second ways to break the same demand.
MORE_CORRUPTIONS = [
    ("macro_vintages_come_from_one_source", "delete from core.macro_vintages where value = 1.5"),
    ("yield_curve_follows_from_its_yields", "update core.yield_curve set curvature = -curvature"),
    (
        "yield_curve_follows_from_its_yields",
        "update core.yield_curve set known_at = known_at - interval 1 hour",
    ),
    (
        "bars_1w_has_ended_weeks_only",
        """
        insert into core.bars_1w
        select * replace (date '2020-03-25' as session) from core.bars_1w
        where symbol = 'B' and session = date '2020-03-20'
    """,
    ),
    (
        "option_quotes_show_first_vintage",
        "update core.option_quotes set known_at = known_at + interval 1 day",
    ),
    (
        "feature_report_keeps_every_feature",
        "update mart.feature_report set importance_lightgbm = 1",
    ),
    ("targets_within_limits", "update mart.targets set weight = 0.251"),
    ("targets_are_backtested", "update mart.targets set symbol = 'Z' where symbol = 'A'"),
    ("bars_1d_adjusts_all_prices_alike", "update core.bars_1d set adj_open = null"),
    (
        "leaderboard_differences_have_order",
        """
        update mart.leaderboard set comparable = true where role = 'benchmark'
    """,
    ),
    ("risk_today_covers_every_run", "update mart.risk_today set ts = ts - interval 1 day"),
    ("trades_keep_every_trade", "insert into core.trades select * from core.trades"),
    (
        "quotes_leave_out_crossed_ones_only",
        "insert into core.quotes select * replace (9 as update_id) from core.quotes limit 1",
    ),
    ("book_depth_is_best_first", "delete from core.book_depth where level = 1"),
]

SINGULAR = sorted(
    file.stem
    for layer in ("core", "mart")
    for file in (dbt_files.DBT_FOLDER / "tests" / layer).glob("*.sql")
)


@pytest.fixture(scope="module")
def spoilable(warehouse, tmp_path_factory):
    """The built warehouse with tables where it has views: only a table can be spoiled."""
    file = tmp_path_factory.mktemp("spoilable") / warehouse.file.name
    shutil.copy(warehouse.file, file)
    with warehouse.connect(file) as connection:
        for view in (*core_ticks.TICKS, features.PANEL):
            kept = f"{view.layer}.kept"
            connection.execute(f"create table {kept} as select * from {view.table}")
            connection.execute(f"drop view {view.table}")
            connection.execute(f"alter table {kept} rename to {view.name}")
    with warehouse.connect(file) as connection:
        yield connection


@pytest.fixture
def rows_found(warehouse, spoilable):
    def run(test: str, corruption: str | None) -> int:
        spoilable.execute("begin")
        try:
            if corruption:
                changed = spoilable.execute(corruption).fetchone()
                assert changed[0] > 0, "the corruption touched no row"
            sql = f"select count(*) from ({warehouse.compiled_test(test)})"
            return spoilable.execute(sql).fetchone()[0]
        finally:
            spoilable.execute("rollback")

    return run


def test_every_singular_test_has_a_case() -> None:
    assert set(SINGULAR) == set(CORRUPTIONS)


@pytest.mark.parametrize("test", SINGULAR)
def test_a_singular_test_fails_when_its_demand_is_broken(rows_found, test: str) -> None:
    assert rows_found(test, None) == 0
    assert rows_found(test, CORRUPTIONS[test]) > 0


@pytest.mark.parametrize(("test", "corruption"), MORE_CORRUPTIONS)
def test_a_singular_test_fails_the_other_way_too(rows_found, test: str, corruption: str) -> None:
    assert rows_found(test, corruption) > 0


@pytest.mark.parametrize("contract", dbt_files.model_contracts(), ids=lambda c: c.table)
def test_keys_and_rules_of_a_table_are_tested(rows_found, contract) -> None:
    again = f"insert into {contract.table} select * from {contract.table} limit 1"
    assert rows_found(f"{contract.name}_unique_key", again) == 1
    first = contract.key[0]
    missing = f"insert into {contract.table} select * replace (null as {first}) from {contract.table} limit 1"
    assert rows_found(f"{contract.name}_row_rules", missing) == 1


def test_a_rule_names_the_reason(warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("begin")
        connection.execute("update core.bars_1d set adj_close = -1, volume = 'nan' where rowid = 0")
        reasons = connection.execute(
            f"select reason from ({warehouse.compiled_test('bars_1d_row_rules')})"
        ).fetchall()
        connection.execute("rollback")
    assert reasons == [("volume is not finite; adj_close <= 0",)]
