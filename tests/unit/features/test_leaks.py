"""Every family lets its future be shuffled; every known way of leaking is caught, on purpose."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import core, raw
from btq_assets.evidence.comparison import compare
from btq_assets.features import FeatureError, QuantumFeatureEngine
from btq_assets.features.families import FAMILIES, FAMILY
from btq_assets.features.leaks import leak_check, permuted, permuted_inputs, scaled

NAMES = tuple(family.name for family in FAMILIES)
SYMBOL = ["universe", "symbol"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shuffled_future_changes_nothing_before(name, families, world, small_config):
    full = families[name](world, small_config)
    sessions = world["bars"].filter(universe="us20")["ts"].unique().sort()
    for cut in sessions[[120, 265, 340, -2]]:
        again = families[name](permuted_inputs(world, cut, seed=7), small_config)
        found, n_cells = compare(
            full.filter(pl.col("ts") <= cut),
            again.filter(pl.col("ts") <= cut),
            FAMILY[name].contract.key,
            1e-10,
        )
        assert found is None, f"{name}: {found.describe(name, cut)}"
    assert n_cells > 0, f"{name} has no rows before {cut}"


@pytest.mark.parametrize("name", NAMES)
def test_features_that_say_so_do_not_depend_on_the_scale(name, families, world, small_config):
    invariant = [f.name for f in FAMILY[name].features(small_config) if f.scale_invariant]
    key = FAMILY[name].contract.key
    full = families[name](world, small_config)
    again = families[name]({**world, "bars": scaled(world["bars"], seed=3)}, small_config)
    found, _ = compare(full.select(*key, *invariant), again.select(*key, *invariant), key, 1e-7)
    assert found is None, f"{name}: {found}"


def test_shuffling_keeps_bars_and_the_past_as_they_are(world):
    bars = world["bars"]
    cut = bars["ts"].unique().sort()[200]
    mixed = permuted(bars, cut)
    before = pl.col("ts") <= cut
    assert_frame_equal(mixed.filter(before), bars.filter(before))
    assert not mixed.equals(bars)
    assert_frame_equal(
        mixed.select("symbol", *core.BARS_1D.schema.keys() - {"symbol", "ts", "session", "known_at"}).sort(pl.all()),
        bars.select("symbol", *core.BARS_1D.schema.keys() - {"symbol", "ts", "session", "known_at"}).sort(pl.all()),
        check_column_order=False,
    )  # fmt: skip
    assert (mixed["high"] >= mixed["low"]).drop_nulls().all()


def _filtered_and_smoothed(moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-state probabilities of a turbulent market, given the past and given everything.

    Forward-backward of Hamilton (1994), chapter 22, with stated parameters.
    """
    spreads, stay = np.array([0.01, 0.02]), 0.98
    move = np.array([[stay, 1 - stay], [1 - stay, stay]])
    density = np.exp(-0.5 * (moves[:, None] / spreads) ** 2) / spreads
    forward = np.empty_like(density)
    state = np.array([0.5, 0.5])
    for step, likelihood in enumerate(density):
        state = (state @ move) * likelihood
        state /= state.sum()
        forward[step] = state
    smoothed = forward.copy()
    for step in range(len(moves) - 2, -1, -1):
        ahead = forward[step] @ move
        smoothed[step] = forward[step] * (move @ (smoothed[step + 1] / ahead))
    return forward[:, 1], smoothed[:, 1]


def _states(which: int):
    def compute(bars: pl.DataFrame) -> pl.DataFrame:
        parts = []
        for _, rows in bars.group_by("symbol", maintain_order=True):
            moves = rows["adj_close"].log().diff().fill_null(0.0).to_numpy()
            found = _filtered_and_smoothed(moves)[which]
            parts.append(rows.select("symbol", "ts").with_columns(state=pl.Series(found)))
        return pl.concat(parts)

    return compute


def _weekly(finished: bool):
    """Close of the week over today's: of this week as the calendar has it, or of the last one."""

    def compute(bars: pl.DataFrame) -> pl.DataFrame:
        weeks = (
            bars.group_by("symbol", week=pl.col("ts").dt.truncate("1w"))
            .agg(weekly=pl.col("adj_close").sort_by("ts").last())
            .sort("symbol", "week")
        )
        if finished:
            weeks = weeks.with_columns(pl.col("weekly").shift(1).over("symbol"))
        return (
            bars.with_columns(week=pl.col("ts").dt.truncate("1w"))
            .join(weeks, on=["symbol", "week"], how="left", maintain_order="left")
            .select("symbol", "ts", weekly_ratio=pl.col("weekly") / pl.col("adj_close"))
        )

    return compute


_P = pl.col("adj_close")
_R = _P.log().diff()
LEAKS = {
    "centred window": (_R.rolling_mean(5, center=True), _R.rolling_mean(5)),
    "full-sample scaling": ((_R - _R.mean()) / _R.std(), (_R - _R.rolling_mean(60)) / _R.rolling_std(60)),
    "tomorrow's close": (_P.shift(-1) / _P - 1, _P / _P.shift(1) - 1),
    "backward fill": (
        pl.when(_R.abs() > 0.02).then(_R).fill_null(strategy="backward"),
        pl.when(_R.abs() > 0.02).then(_R).fill_null(strategy="forward"),
    ),
    "peak of the whole history": (_P / _P.max(), _P / _P.cum_max()),
}  # fmt: skip


@pytest.fixture(scope="module")
def bars(make_bars) -> pl.DataFrame:
    return make_bars(3, 300, seed=4)


@pytest.mark.parametrize("leak", LEAKS)
def test_leaks_written_as_expressions_are_caught_and_their_honest_twins_pass(leak, bars):
    leaking, honest = LEAKS[leak]
    report = leak_check(leaking.alias("mine"), bars)
    questions = {finding.question for finding in report.findings}
    assert report.leaking == ("mine",)
    expected = {"truncation", "permuted future"}
    if leak == "peak of the whole history":  # the same in any order: only cutting shows it
        expected = {"truncation"}
    assert expected <= questions, str(report)
    assert leak_check(honest.alias("mine"), bars).passed


@pytest.mark.parametrize(
    ("leaking", "honest"),
    [
        pytest.param(_states(1), _states(0), id="smoothed states"),
        pytest.param(_weekly(False), _weekly(True), id="unfinished higher-timeframe bar"),
    ],
)
def test_leaks_written_as_functions_are_caught_and_their_honest_twins_pass(leaking, honest, bars):
    report = leak_check(leaking, bars)
    assert {finding.question for finding in report.findings} == {"truncation", "permuted future"}
    honest_report = leak_check(honest, bars)
    assert honest_report.passed, str(honest_report)


def test_a_universe_restated_to_its_survivors_is_caught(bars):
    last = bars["ts"].max()
    stopped = (pl.col("symbol") == "S02") & (pl.col("ts") > last - dt.timedelta(days=45))
    given = bars.filter(~stopped)

    def survivors(frame: pl.DataFrame) -> pl.DataFrame:
        alive = frame.filter(pl.col("ts") == frame["ts"].max())["symbol"]
        moves = frame.with_columns(r=_R.over("symbol"))
        market = moves.filter(pl.col("symbol").is_in(alive.to_list())).group_by("ts").agg(market=pl.col("r").mean())  # fmt: skip
        return moves.join(market, on="ts", how="left").select("symbol", "ts", "market")

    def members(frame: pl.DataFrame) -> pl.DataFrame:
        moves = frame.with_columns(r=_R.over("symbol"))
        return moves.select("symbol", "ts", market=pl.col("r").mean().over("ts"))

    # Who is alive at the end is no number that could be shuffled: only cutting shows it.
    report = leak_check(survivors, given)
    assert {finding.question for finding in report.findings} == {"truncation"}
    assert leak_check(members, given).passed


def _published(revised: bool):
    """Newest core CPI at each session: as first released, or as last revised."""

    def compute(bars: pl.DataFrame, tables) -> pl.DataFrame:
        releases = tables["vintages"].filter(series_id=raw.CORE_CPI).sort("period", "known_at")
        value = pl.col("value").last() if revised else pl.col("value").first()
        newest = releases.group_by("period", maintain_order=True).agg(
            pl.col("known_at").first(), cpi=value
        )
        return bars.sort("ts").join_asof(
            newest.sort("known_at"), left_on="ts", right_on="known_at", suffix="_released"
        ).select("symbol", "ts", "cpi")  # fmt: skip

    return compute


def test_a_revised_macro_value_is_caught(world):
    given = world["bars"].filter(universe="us20").drop("universe")
    tables = {"vintages": world["vintages"]}
    report = leak_check(_published(revised=True), given, tables=tables, n_cuts=8)
    assert report.leaking == ("cpi",)
    assert {finding.question for finding in report.findings} == {"truncation", "permuted future"}
    honest = leak_check(_published(revised=False), given, tables=tables, n_cuts=8)
    assert honest.passed, str(honest)


def test_tables_are_for_functions_that_read_them(bars):
    with pytest.raises(FeatureError, match="function of bars and tables"):
        leak_check(pl.col("close").alias("x"), bars, tables={})


def test_a_price_level_is_reported_but_is_no_leak(bars):
    report = leak_check(pl.col("close").rolling_mean(5).alias("level"), bars)
    assert not report.passed
    assert report.leaking == ()
    assert "scale" in str(report)
    assert leak_check(pl.col("close").alias("level"), bars, scale_invariant=False).passed


def test_an_engine_of_ones_own_is_judged_with_all_its_features(bars):
    class Honest(QuantumFeatureEngine):
        def custom_features(self, frame):
            return [(pl.col("close") / pl.col("open") - 1).alias("body")]

    class Leaking(QuantumFeatureEngine):
        def custom_features(self, frame):
            return [pl.col("rsi_14").shift(-1).alias("rsi_tomorrow")]

    given = bars.select("symbol", "ts", "open", "high", "low", "close", "volume")
    config = TradingConfig(
        features={"named_sets": [], "correlation_window_sessions": 40, "quantum_features": {"window_sessions": 20}}
    )  # fmt: skip
    report = leak_check(Leaking(config), given, n_cuts=2, scale_invariant=False)
    assert report.leaking == ("rsi_tomorrow",)
    honest = leak_check(Honest(config), given.to_pandas(), n_cuts=2, scale_invariant=False)
    assert honest.passed, str(honest)
    assert "body" in honest.features


def test_too_few_bars_and_empty_answers_are_named(bars):
    with pytest.raises(FeatureError, match="at least 60"):
        leak_check(pl.col("close").alias("x"), bars.filter(pl.col("ts") < bars["ts"].unique().sort()[30]))  # fmt: skip
    with pytest.raises(FeatureError, match="nothing was computed"):
        leak_check(lambda frame: frame, bars)


def test_the_report_reads_as_sentences(bars):
    text = str(leak_check((pl.col("close").shift(-1) / pl.col("close")).alias("tomorrow"), bars))
    assert "tomorrow: truncation:" in text
    assert "value(s) differ" in text
