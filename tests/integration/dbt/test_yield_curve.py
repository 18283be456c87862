"""The factors of the yield curve by hand, and which source a shared series comes from."""

from __future__ import annotations

import datetime as dt


def query(warehouse, sql: str) -> list[tuple]:
    with warehouse.connect() as connection:
        return connection.execute(sql).fetchall()


def evening(day: int) -> dt.datetime:
    return dt.datetime(2020, 1, day, 23, tzinfo=dt.UTC)


def test_factors_by_hand_and_a_revision_from_its_own_moment_on(warehouse) -> None:
    """Yields of 3m, 2y, 10y: 1.5, 1.625, 1.875; the day after an eighth more; 2y revised to 1.75."""
    found = query(
        warehouse,
        """
        select period, known_at, superseded_at, level, slope, slope_2y, curvature
        from core.yield_curve order by period, known_at
        """,
    )
    sixth, seventh = dt.date(2020, 1, 6), dt.date(2020, 1, 7)
    assert found == [
        # 1.875; 1.875 - 1.5; 1.875 - 1.625; 2 * 1.625 - 1.5 - 1.875
        (sixth, evening(6), evening(8), 1.875, 0.375, 0.25, -0.125),
        # 2 * 1.75 - 1.5 - 1.875
        (sixth, evening(8), None, 1.875, 0.375, 0.125, 0.125),
        (seventh, evening(7), None, 2.0, 0.375, 0.25, -0.125),
        # 2020-01-08 has no 2-year yield, and so no curve.
    ]


def test_the_curve_as_of_a_time_is_what_was_known_then(warehouse) -> None:
    def curvatures(as_of: str) -> list[tuple]:
        return query(
            warehouse,
            f"select period, curvature from core.yield_curve_as_of(timestamptz '{as_of}') order by period",
        )

    sixth, seventh = dt.date(2020, 1, 6), dt.date(2020, 1, 7)
    assert curvatures("2020-01-06 22:59:59+00") == []
    assert curvatures("2020-01-06 23:00:00+00") == [(sixth, -0.125)]
    assert curvatures("2020-01-08 22:59:59+00") == [(sixth, -0.125), (seventh, -0.125)]
    assert curvatures("2020-01-08 23:00:00+00") == [(sixth, 0.125), (seventh, -0.125)]


def test_a_shared_series_comes_whole_from_the_preferred_source(warehouse) -> None:
    assert query(
        warehouse, "select value, known_at from core.macro_vintages where series_id = 'BOTH'"
    ) == [(7.0, dt.datetime(2020, 2, 1, 14, tzinfo=dt.UTC))]
    sources = "select series_id, any_value(source) from staging.stg_macro group by all order by all"
    assert query(warehouse, sources) == [
        ("BC_10YEAR", "treasury"), ("BC_2YEAR", "treasury"), ("BC_30YEAR", "treasury"),
        ("BC_3MONTH", "treasury"), ("BOTH", "fred"), ("CPI", "sample"),
    ]  # fmt: skip
