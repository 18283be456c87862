"""Macro curve family: vintages as known, forecasts made before the release, leaks caught."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from alternative_frames import rows_of
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.contracts.core_macro import YIELD_CURVE
from btq_assets.features import macro_curve
from btq_assets.features.checks import truncation_gate
from btq_assets.features.macro_surprises import autoregression

UTC = dt.UTC
NO_CURVE = YIELD_CURVE.empty()
NO_VINTAGES = core.MACRO_VINTAGES.empty()


def _bars(*days: dt.date) -> pl.DataFrame:
    stamps = [dt.datetime(day.year, day.month, day.day, 21, tzinfo=UTC) for day in days]
    return pl.DataFrame(
        {"universe": "us20", "ts": stamps}, schema_overrides={"ts": pl.Datetime("us", "UTC")}
    )


def _month(number: int) -> dt.date:
    return dt.date(2000 + number // 12, number % 12 + 1, 1)


def _released(number: int) -> dt.datetime:
    after = _month(number + 1)
    return dt.datetime(after.year, after.month, 10, 14, tzinfo=UTC)


def _vintages(series: str, *rows: tuple[int, dt.datetime, float]) -> pl.DataFrame:
    return rows_of(
        core.MACRO_VINTAGES,
        [
            {"series_id": series, "period": _month(n), "known_at": at, "value": v, "unit": "x", "revision": "VINTAGE"}
            for n, at, v in rows
        ],
    )  # fmt: skip


def _values(bars, vintages, *names) -> list[list[float | None]]:
    frame = macro_curve.compute(bars, vintages, NO_CURVE)
    return [frame[name].to_list() for name in names]


def test_a_surprise_is_the_first_print_against_what_was_known_before():
    # Unemployment in levels: changes 0.1, then 0.4 at the first print of month 2, which revises
    # month 1 from 5.1 to 5.2 at the same time. Actual 5.5 - 5.2, expected 5.1 - 5.0.
    vintages = _vintages(
        "UNRATE",
        (0, _released(0), 5.0),
        (1, _released(1), 5.1),
        (1, _released(2), 5.2),
        (2, _released(2), 5.5),
        (2, _released(2) + dt.timedelta(days=15), 9.0),  # a revision: no surprise any more
    )
    day = _released(2).date()
    bars = _bars(day - dt.timedelta(days=1), day, day + dt.timedelta(days=20))
    (found,) = _values(bars, vintages, "unemployment_surprise_rw")
    assert found == [None, pytest.approx(0.2), pytest.approx(0.2)]


def test_a_release_after_a_gap_has_no_surprise():
    vintages = _vintages(
        "UNRATE", (0, _released(0), 5.0), (1, _released(1), 5.1), (3, _released(3), 5.5)
    )
    (found,) = _values(_bars(_released(3).date()), vintages, "unemployment_surprise_rw")
    assert found == [None]


def test_the_autoregression_is_least_squares():
    # Against numpy's own least squares, and a noiseless recursion, which has no residual unit.
    random = np.random.default_rng(1)
    history = random.normal(0.2, 0.1, 40)
    design = np.column_stack([np.ones(39), history[:-1]])
    (constant, slope), (rss,), *_ = np.linalg.lstsq(design, history[1:], rcond=None)
    forecast, unit = autoregression(history)
    assert forecast == pytest.approx(constant + slope * history[-1], rel=1e-10)
    assert unit == pytest.approx(math.sqrt(rss / 37), rel=1e-10)
    exact = [1.0]
    for _ in range(30):
        exact.append(0.5 * exact[-1] + 0.1)
    assert np.isnan(autoregression(np.array(exact))).all()
    assert np.isnan(autoregression(history[:15])).all()


def test_ar_surprise_recovers_a_planted_shock():
    # x[m] = x[m-1] + g[m], g an AR(1) of slope 0.6: the surprise is about the shock in units of it.
    random = np.random.default_rng(2)
    shocks = random.normal(0, 0.1, 70)
    shocks[-1] = 0.5
    growth = [0.0]
    for shock in shocks:
        growth.append(0.6 * growth[-1] + shock)
    levels = 5 + np.cumsum(growth)
    rows = [(n, _released(n), float(level)) for n, level in enumerate(levels)]
    last = _released(len(levels) - 1).date()
    (found,) = _values(_bars(last), _vintages("UNRATE", *rows), "unemployment_surprise_ar")
    assert found[0] == pytest.approx(5.0, abs=1.5)


def test_standing_and_age_by_hand():
    levels = [100 * 1.01**n for n in range(26)]
    levels[25] = levels[24] * 1.03
    rows = [(n, _released(n), level) for n, level in enumerate(levels)]
    last = _released(25)
    bars = _bars(last.date(), last.date() + dt.timedelta(days=70))
    change, z, age = _values(
        bars, _vintages("PAYEMS", *rows), "payrolls_change_3m", "payrolls_z_24m", "payrolls_age_days"
    )  # fmt: skip
    assert change == [pytest.approx(4 * (2 * math.log(1.01) + math.log(1.03))), None]
    # 23 equal values and one outlier: (24 - 1) / sqrt(24), whatever its size.
    assert z[0] == pytest.approx(23 / math.sqrt(24))
    assert age == [pytest.approx(7 / 24), pytest.approx(70 + 7 / 24)]


def test_plain_names_go_before_the_packaged_panel():
    both = pl.concat(
        [
            _vintages("FRBNY:UNRATE", *((n, _released(n), 5.0 + n * n) for n in range(4))),
            _vintages("UNRATE", *((n, _released(n), 5.0 + 2 * n * n) for n in range(4))),
        ]
    )
    bars = _bars(_released(3).date())
    panel = both.filter(pl.col("series_id") != "UNRATE")
    assert _values(bars, both, "unemployment_change_3m") == [[pytest.approx(72.0)]]
    assert _values(bars, panel, "unemployment_change_3m") == [[pytest.approx(36.0)]]


def _curve_rows(curve: str, days: int, at: float = 0.0) -> list[dict[str, object]]:
    start = dt.date(2020, 1, 6)
    return [
        {
            "curve": curve,
            "period": start + dt.timedelta(days=n),
            "known_at": dt.datetime(2020, 1, 6, 23, tzinfo=UTC) + dt.timedelta(days=n),
            "level": at + n / 10,
            "slope": 1.0,
            "slope_2y": 0.5,
            "curvature": 0.1,
        }
        for n in range(days)
    ]


def test_a_curve_is_known_after_its_close_and_a_revision_later():
    rows = _curve_rows("treasury", 6)
    revised = dt.datetime(2020, 1, 13, 12, tzinfo=UTC)
    rows.append({**rows[0], "known_at": revised, "level": -1.0})
    curve = rows_of(YIELD_CURVE, rows)
    bars = _bars(
        dt.date(2020, 1, 11), dt.date(2020, 1, 12), dt.date(2020, 1, 13), dt.date(2020, 1, 19)
    )
    frame = macro_curve.compute(bars, NO_VINTAGES, curve)
    # Known at 23:00: each close at 21:00 sees the day before. Eight days later it is stale.
    assert frame["curve_level"].to_list() == [
        pytest.approx(0.4),
        pytest.approx(0.5),
        pytest.approx(0.5),
        None,
    ]
    change = frame["curve_level_change_5d"].to_list()
    assert change == [None, pytest.approx(0.5), pytest.approx(1.5), None]
    assert frame["curve_age_days"][-1] == pytest.approx(7 + 22 / 24)


def test_h15_stands_in_where_the_treasury_has_none():
    curve = rows_of(YIELD_CURVE, [*_curve_rows("treasury", 2), *_curve_rows("h15", 30, at=9.0)])
    bars = _bars(dt.date(2020, 1, 8), dt.date(2020, 1, 30))
    found = macro_curve.compute(bars, NO_VINTAGES, curve)["curve_level"].to_list()
    assert found == [pytest.approx(0.1), pytest.approx(9.0 + 2.3)]


def test_without_sources_or_switched_off_all_values_are_null(world):
    off = TradingConfig(use_macro=False)
    frames = (
        macro_curve.compute(world["bars"], NO_VINTAGES, NO_CURVE),
        macro_curve.compute_from(world, off),
    )
    for frame in frames:
        assert frame.height == world["bars"].select("universe", "ts").unique().height
        assert frame.select(pl.exclude("universe", "ts").is_null().all()).row(0) == (True,) * 40


def _final_values_at_first_dates(inputs, config):
    """The leak: each period shows its last vintage from its first release on."""
    newest = pl.col("value").sort_by("known_at").last().over("series_id", "period")
    return macro_curve.compute_from(
        {**inputs, "vintages": inputs["vintages"].with_columns(value=newest)}, config
    )


def test_a_revised_value_at_its_first_date_is_caught(world, config):
    gate = truncation_gate(contracts.MACRO_CURVE, _final_values_at_first_dates)
    frame = _final_values_at_first_dates(world, config)
    (outcome,) = gate.answer(CheckContext({"features.macro_curve": frame}, world, config))
    assert not outcome.passed
    honest = truncation_gate(contracts.MACRO_CURVE, macro_curve.compute_from)
    frame = macro_curve.compute_from(world, config)
    (outcome,) = honest.answer(CheckContext({"features.macro_curve": frame}, world, config))
    assert outcome.passed, outcome.message


def test_when_a_vintage_was_superseded_is_never_read(world, config):
    # It lies in the future of the row.
    nonsense = pl.lit(dt.datetime(1990, 1, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    spoilt = {
        **world,
        **{
            name: world[name].with_columns(superseded_at=nonsense)
            for name in ("vintages", "yield_curve")
        },
    }
    assert_frame_equal(
        macro_curve.compute_from(spoilt, config), macro_curve.compute_from(world, config)
    )


def test_a_changed_vintage_changes_what_follows_and_nothing_before(world, config):
    at = world["yield_curve"]["known_at"].sort()[400]
    moved = world["yield_curve"].with_columns(
        slope=pl.when(pl.col("known_at") == at).then(pl.col("slope") + 1).otherwise("slope")
    )
    before, after = (
        macro_curve.compute_from({**world, "yield_curve": c}, config)
        for c in (world["yield_curve"], moved)
    )
    past = pl.col("ts") < at
    assert_frame_equal(before.filter(past), after.filter(past))
    assert not before.filter(~past)["curve_slope"].equals(after.filter(~past)["curve_slope"])
