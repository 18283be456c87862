"""Deliberate leaks are caught by the real check, honest computations pass it."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE, number
from btq_assets.evidence.truncation import (
    TruncationError,
    cut_inputs,
    truncation_check,
    truncation_dates,
)
from btq_assets.timeline import asof_join, decision_times

TABLE = TableContract(
    layer="features",
    name="probe",
    description="A table made for these tests.",
    columns=(UNIVERSE, SYMBOL, TS, number("value", "Value.")),
    key=("universe", "symbol", "ts"),
)
BY = ("universe", "symbol")


def answer(compute, inputs, config, **options):
    frame = compute(inputs, config)
    (outcome,) = truncation_check(TABLE, compute, **options).answer(
        CheckContext({TABLE.table: frame}, inputs, config)
    )
    return outcome


def feature(expression):
    """A computation of one expression per symbol from bars."""

    def compute(inputs, config):
        bars = inputs["bars"].sort(*BY, "ts")
        return bars.select(*BY, "ts", expression.over(BY).alias("value"))

    return compute


RETURN = pl.col("adj_close").pct_change()


def unfinished_week(inputs, config):
    """The week's last close, told from its Monday on."""
    bars = inputs["bars"].sort(*BY, "ts").with_columns(week=pl.col("ts").dt.truncate("1w"))
    return bars.select(*BY, "ts", value=pl.col("adj_close").last().over(*BY, "week"))


def finished_week(inputs, config):
    """The last close of the week before: known since then."""
    bars = inputs["bars"].sort(*BY, "ts").with_columns(week=pl.col("ts").dt.truncate("1w"))
    weeks = bars.group_by(*BY, "week").agg(value=pl.col("adj_close").last()).sort(*BY, "week")
    shifted = weeks.with_columns(pl.col("value").shift(1).over(BY))
    return bars.join(shifted, on=[*BY, "week"], how="left").select(*BY, "ts", "value")


def smoothed_state(inputs, config):
    """Two-sided (backward pass after a forward pass) exponential smoothing, as smoothed states."""
    return feature(RETURN.fill_null(0).reverse().ewm_mean(half_life=5).reverse())(inputs, config)


def filtered_state(inputs, config):
    return feature(RETURN.fill_null(0).ewm_mean(half_life=5))(inputs, config)


LEAKS = {
    "centred window": feature(RETURN.rolling_mean(5, center=True)),
    "full-sample scaling": feature((RETURN - RETURN.mean()) / RETURN.std()),
    "next bar's close": feature(pl.col("adj_close").shift(-1)),
    "unfinished week": unfinished_week,
    "smoothed states": smoothed_state,
    "back-adjustment to the last price": feature(pl.col("adj_close") / pl.col("adj_close").last()),
}
HONEST = {
    "trailing window": feature(RETURN.rolling_mean(5)),
    "expanding scaling": feature(RETURN / RETURN.cum_count()),
    "exponential average": filtered_state,
    "finished week": finished_week,
}


@pytest.mark.parametrize("leak", LEAKS)
def test_leak_is_caught(leak, bars, config):
    outcome = answer(LEAKS[leak], {"bars": bars}, config)
    assert not outcome.passed
    for part in ("features.probe.value", "symbol=S0", "ts=20", "stored", "recomputed"):
        assert part in outcome.message


@pytest.mark.parametrize("honest", HONEST)
def test_honest_computation_passes(honest, bars, config):
    outcome = answer(HONEST[honest], {"bars": bars}, config)
    assert outcome.passed, outcome.message
    assert outcome.metadata["cells_compared"] > 1_000


def test_exhaustive_dates_catch_a_leak_in_the_warm_up(bars, config):
    filled_backwards = feature(RETURN.rolling_mean(30).backward_fill())
    short = {"bars": bars.filter(pl.col("ts") < dt.datetime(2010, 5, 1, tzinfo=dt.UTC))}
    assert not answer(filled_backwards, short, config, n_dates=1_000).passed
    honest = answer(feature(RETURN.rolling_mean(30)), short, config, n_dates=1_000)
    assert honest.passed
    assert len(honest.metadata["dates"]) == short["bars"]["ts"].n_unique()


def macro(bars):
    """Monthly values, released 20 days after the month, revised 60 days after it."""
    random = np.random.default_rng(3)
    months = bars["ts"].dt.month_start().unique().sort()
    rows = []
    for month in months:
        first = random.normal()
        for days, value in ((50, first), (90, first + 0.5)):
            rows.append((month.date(), month + dt.timedelta(days=days), value))
    return pl.DataFrame(
        rows,
        schema={"period": pl.Date, "known_at": pl.Datetime("us", "UTC"), "value": pl.Float64},
        orient="row",
    )


def asof_release(inputs, config):
    bars, vintages = inputs["bars"], inputs["macro"]
    return asof_join(bars.select(*BY, "ts"), vintages.select("known_at", "value")).select(
        *BY, "ts", "value"
    )


def asof_period(inputs, config):
    """Joined on the period, the last vintage of each: revised before it was revised."""
    final = inputs["macro"].sort("known_at").group_by("period").agg(pl.col("value").last())
    period = pl.col("period").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return (
        inputs["bars"]
        .select(*BY, "ts")
        .sort("ts")
        .join_asof(
            final.with_columns(period=period).sort("period"), left_on="ts", right_on="period"
        )
        .select(*BY, "ts", "value")
    )


def test_revised_macro_value_is_caught_and_release_passes(bars, config):
    inputs = {"bars": bars, "macro": macro(bars)}
    assert not answer(asof_period, inputs, config).passed
    assert answer(asof_release, inputs, config).passed


def test_weekly_decision_tables_are_cut_between_decisions(bars, config):
    def weekly(expression):
        def compute(inputs, config):
            weeks = decision_times(inputs["bars"]["ts"], "week")
            return feature(expression)(inputs, config).filter(pl.col("ts").is_in(weeks.implode()))

        return compute

    assert answer(weekly(RETURN.rolling_mean(5)), {"bars": bars}, config).passed
    assert not answer(weekly(pl.col("adj_close").shift(-1)), {"bars": bars}, config).passed


def test_null_that_becomes_a_value_and_rows_that_vanish_are_caught(bars, config):
    last = pl.col("ts") == pl.col("ts").max()
    null_at_end = feature(pl.when(last).then(None).otherwise(pl.col("adj_close")))
    assert not answer(null_at_end, {"bars": bars}, config).passed

    def without_last(inputs, config):
        return feature(RETURN)(inputs, config).filter(pl.col("ts") < inputs["bars"]["ts"].max())

    outcome = answer(without_last, {"bars": bars}, config)
    assert not outcome.passed
    assert "present" in outcome.message
    assert "absent" in outcome.message


def test_symbols_and_history_make_it_cheap_and_still_catch(bars, config):
    seen = []

    def counting(expression):
        def compute(inputs, config):
            seen.append(inputs["bars"].height)
            return feature(expression)(inputs, config)

        return compute

    options = {"symbols": 2, "history_sessions": 40, "last_sessions": 10}
    assert answer(counting(RETURN.rolling_mean(20)), {"bars": bars}, config, **options).passed
    assert seen[0] == bars.height
    assert set(seen[1:]) == {2 * 40}
    leak = feature(RETURN.rolling_mean(5, center=True))
    assert not answer(leak, {"bars": bars}, config, **options).passed


def test_a_leak_across_symbols_is_not_hidden_by_one_symbol(bars, config):
    def last_leader(inputs, config):
        """Every symbol shows the last close of the symbol that ended highest."""
        frame = inputs["bars"].sort(*BY, "ts")
        best = frame.group_by(BY).agg(pl.col("adj_close").last())["adj_close"].max()
        return frame.select(*BY, "ts", value=pl.lit(best))

    assert not answer(last_leader, {"bars": bars}, config).passed


def test_tolerance_is_relative_to_the_column(bars, config):
    def noisy(size):
        def compute(inputs, config):
            n = inputs["bars"]["ts"].n_unique()
            return feature(RETURN + size * n)(inputs, config)

        return compute

    assert answer(noisy(1e-16), {"bars": bars}, config).passed
    assert not answer(noisy(1e-9), {"bars": bars}, config).passed


def test_nan_and_infinity_equal_themselves(bars, config):
    odd = feature(pl.when(pl.col("ts").dt.day() == 3).then(float("nan")).otherwise(float("inf")))
    assert answer(odd, {"bars": bars}, config).passed


def test_inputs_without_time_are_named(bars, config):
    def compute(inputs, config):
        return feature(RETURN * inputs["factor"]["x"][0])(inputs, config)

    outcome = answer(compute, {"bars": bars, "factor": pl.DataFrame({"x": [2.0]})}, config)
    assert outcome.passed
    assert "factor" in outcome.message
    assert outcome.metadata["inputs_not_cut"] == ["factor"]


def test_name_finds_its_contract_and_unknown_name_is_an_error(bars, config):
    frame = bars.select(pl.all())
    context = CheckContext({"core.bars_1d": frame}, {"bars": bars}, config)
    check = truncation_check("core.bars_1d", lambda inputs, _: inputs["bars"])
    assert check.answer(context)[0].passed
    context = CheckContext({"x.y": frame}, {"bars": bars}, config)
    with pytest.raises(TruncationError, match=r"x\.y"):
        truncation_check("x.y", lambda inputs, _: inputs["bars"]).answer(context)


def test_missing_column_in_the_recomputation_is_an_error(bars, config):
    frame = feature(RETURN)({"bars": bars}, config)
    check = truncation_check(TABLE, lambda inputs, c: feature(RETURN)(inputs, c).drop("value"))
    with pytest.raises(TruncationError, match="value"):
        check.answer(CheckContext({TABLE.table: frame}, {"bars": bars}, config))


def test_an_error_of_the_computation_tells_the_date(bars, config):
    def compute(inputs, config):
        if inputs["bars"]["ts"].n_unique() < 400:
            raise ValueError("too short")
        return feature(RETURN)(inputs, config)

    with pytest.raises(ValueError, match="too short") as caught:
        answer(compute, {"bars": bars}, config)
    assert "while recomputing features.probe" in caught.value.__notes__[0]


def test_dates_are_seeded_inside_periods_and_spread(bars):
    frame = bars.select(*BY, "ts", value="adj_close")
    dates = truncation_dates(frame, 3, "features.probe")
    assert dates == truncation_dates(frame, 3, "features.probe")
    assert dates != truncation_dates(frame, 3, "features.other")
    times = frame["ts"].unique().sort().to_list()
    for date in dates:
        following = times[times.index(date) + 1]
        assert date.isocalendar()[:2] == following.isocalendar()[:2]
        assert date.month == following.month
    assert dates[0] < dates[1] < dates[2]
    assert dates[0] >= times[len(times) // 4]


def test_history_is_counted_per_universe(bars):
    late = bars.with_columns(universe=pl.lit("thin")).filter(pl.col("ts").dt.weekday() == 1)
    cut = bars["ts"].max()
    kept = cut_inputs({"bars": pl.concat([bars, late])}, cut, history_sessions=10)["bars"]
    assert kept.filter(pl.col("universe") == "thin")["ts"].n_unique() == 10
    assert kept.filter(pl.col("universe") == "test")["ts"].n_unique() >= 45
