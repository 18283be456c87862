"""One bar at a time gives what the batch gives over the whole history, for every feature."""

from __future__ import annotations

import numpy as np
import polars as pl
import polars_talib as talib
import pytest

from btq_assets.config import TradingConfig
from btq_assets.features import FeatureError, LivePanel
from btq_assets.features.custom import custom_family
from btq_assets.features.definitions import KEY, prepare
from btq_assets.features.families import FAMILIES, FAMILY
from btq_assets.features.incremental import fresh_rows, full_because
from btq_assets.features.latest import Latest, NotEvaluatedError, parse
from btq_assets.features.reach import reach_of

DAILY = ("technical", "volatility", "microstructure")
LIVE = tuple(f.name for f in FAMILIES if set(f.inputs) == {"bars"} and not full_because(f))

#: Of the larger of a value and its column's mean size.
TOLERANCE = 1e-12


def _assert_equal(found: pl.DataFrame, batch: pl.DataFrame, names, label: str) -> None:
    both = found.select(*KEY, *names).join(
        batch.select(*KEY, *names), on=list(KEY), how="left", suffix="_batch"
    )
    for name in names:
        if batch[name].dtype == pl.String:
            assert both[name].equals(both[f"{name}_batch"].alias(name)), f"{label}.{name}"
            continue
        left = both[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        right = both[f"{name}_batch"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        np.testing.assert_array_equal(np.isnan(left), np.isnan(right), f"{label}.{name}")
        scale = abs(batch[name].cast(pl.Float64)).mean() or 0.0
        allowed = TOLERANCE * np.maximum(np.abs(right), scale)
        assert not (np.abs(left - right) > allowed).any(), f"{label}.{name}"


@pytest.fixture(scope="module")
def bars(world) -> pl.DataFrame:
    """Late, gappy, silent and close-only symbols; a symbol whose range is missing for a day."""
    sessions = world["bars"]["ts"].unique().sort()
    hole = (pl.col("symbol") == "S00") & (pl.col("ts") == sessions[-9])
    return world["bars"].with_columns(
        pl.when(~hole).then(pl.col(name)).alias(name) for name in ("high", "adj_high", "volume")
    )


def _told(panel: LivePanel, bars: pl.DataFrame, since) -> pl.DataFrame:
    times = bars.filter(pl.col("ts") >= since)["ts"].unique().sort()
    return pl.concat([panel.update(bars.filter(pl.col("ts") == ts)) for ts in times])


@pytest.mark.parametrize("name", DAILY)
def test_a_daily_family_from_its_windows_equals_the_batch(name, bars, small_config):
    # From a history too short for most windows to one beyond all of them: 340 bars, one by one.
    bars = bars.filter(universe="us20")
    since = bars["ts"].unique().sort()[30]
    panel = LivePanel(bars.filter(pl.col("ts") < since), (name,), small_config)
    assert panel.paths == {name: "windows"}
    found = _told(panel, bars, since)
    batch = FAMILY[name].compute({"bars": bars}, small_config)
    names = [feature.name for feature in FAMILY[name].features(small_config)]
    assert found.height == bars.filter(pl.col("ts") >= since).height
    _assert_equal(found, batch, names, name)


@pytest.mark.parametrize("name", LIVE)
def test_every_family_of_bars_equals_the_batch(name, bars, small_config):
    # Three bars of each universe: currencies close before shares, a gap and all.
    since = bars["ts"].unique().sort()[-6]
    panel = LivePanel(bars.filter(pl.col("ts") < since), (name,), small_config)
    found = _told(panel, bars, since)
    batch = FAMILY[name].compute({"bars": bars}, small_config)
    names = [c for c in FAMILY[name].contract.column_names if c in found.columns and c not in KEY]
    assert {f.name for f in FAMILY[name].features(small_config)} <= set(names)
    _assert_equal(found, batch, names, name)


def test_windows_go_on_when_they_are_moved_to_the_front(bars, small_config, monkeypatch):
    monkeypatch.setattr("btq_assets.features.live._ROOM", 16)
    since = bars["ts"].unique().sort()[-120]
    panel = LivePanel(bars.filter(pl.col("ts") < since), ("technical",), small_config)
    batch = FAMILY["technical"].compute({"bars": bars}, small_config)
    names = [feature.name for feature in FAMILY["technical"].features(small_config)]
    _assert_equal(_told(panel, bars, since), batch, names, "technical")


def test_a_symbol_that_is_new_today_has_a_row(bars, small_config):
    since = bars["ts"].unique().sort()[-4]
    new = bars["symbol"] == "S03"
    panel = LivePanel(bars.filter(~new & (bars["ts"] < since)), DAILY, small_config)
    late = bars.filter(~new | (bars["ts"] >= since))
    found = _told(panel, late, since)
    batch = FAMILY["technical"].compute({"bars": late}, small_config)
    names = [feature.name for feature in FAMILY["technical"].features(small_config)]
    _assert_equal(found, batch, names, "technical")
    assert found.filter(symbol="S03")["return_1d"].drop_nulls().len() > 0


def test_bars_that_do_not_go_on_are_refused(bars, small_config):
    newest = bars["ts"].max()
    panel = LivePanel(bars, ("technical",), small_config)
    with pytest.raises(FeatureError, match="not newer than the last one"):
        panel.update(bars.filter(pl.col("ts") == newest))
    later = bars.filter(pl.col("ts") == newest).with_columns(pl.col("ts").dt.offset_by("1d"))
    with pytest.raises(FeatureError, match="several bars"):
        panel.update(pl.concat([later, later]))
    unpriced = later.with_columns(adj_close=pl.lit(None, pl.Float64))
    assert panel.update(unpriced).is_empty()
    with pytest.raises(FeatureError, match="takes families of bars alone"):
        LivePanel(bars, ("sentiment",), small_config)
    with pytest.raises(FeatureError, match="no family 'magic'"):
        LivePanel(bars, ("magic",), small_config)


def test_a_bar_of_some_symbols_leaves_the_others_as_they_were(bars, small_config):
    # Symbols in turn, then all: what is carried on of those without a bar must not move.
    bars = bars.filter(universe="us20")
    sessions = bars["ts"].unique().sort()
    panel = LivePanel(bars.filter(pl.col("ts") < sessions[-40]), DAILY, small_config)
    found = []
    for ts in sessions[-40:]:
        of_day = bars.filter(pl.col("ts") == ts)
        for symbols in (["S00"], ["S01", "S03"], ["S02"]):
            found.append(panel.update(of_day.filter(pl.col("symbol").is_in(symbols))))
    for name in DAILY:
        batch = FAMILY[name].compute({"bars": bars}, small_config)
        names = [feature.name for feature in FAMILY[name].features(small_config)]
        _assert_equal(pl.concat(found), batch, names, name)


OWN = """
import polars as pl
import polars_talib as talib
from btq_assets.features import Feature

FEATURES = tuple(
    Feature(name, "custom", name, "own definition", "fraction", 30, ("adj_close",), expression=e)
    for name, e in {
        "own_gap": pl.col("adj_open") / pl.col("adj_close").shift(1) - 1,
        "own_smooth": pl.col("_r").ewm_mean(alpha=0.1, adjust=True).rolling_mean(5),
        "own_strength": talib.rsi(pl.col("_p"), 5) / 100,
        %s
    }.items()
)
"""


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("", "windows"),
        ('"own_middle": pl.col("_r").rolling_median(9),', "batch: every row depends on all"),
        ('"own_total": pl.col("volume").cum_sum().rolling_max(4).log(),', "batch: every row"),
    ],
)
def test_features_of_ones_own_join_the_panel(more, path, bars, tmp_path, monkeypatch):
    module = f"own_live_{abs(hash(more))}"
    (tmp_path / f"{module}.py").write_text(OWN % more)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = TradingConfig(features={"custom_modules": [module]})
    since = bars["ts"].unique().sort()[-5]
    panel = LivePanel(bars.filter(pl.col("ts") < since), ("technical", "custom"), config)
    assert panel.paths["custom"].startswith(path)
    family = custom_family(config)
    batch = family.compute({"bars": bars}, config)
    _assert_equal(_told(panel, bars, since), batch, batch.columns[3:], "custom")
    # And a new session in the warehouse: by its tail where it can be told how far back it looks.
    assert (family.memory_sessions is not None) == (path == "windows")
    if path == "windows":
        fresh = fresh_rows({"bars": bars}, family, config, since)
        _assert_equal(fresh, batch, batch.columns[3:], "custom")


REACHES = {
    "window of a window": (pl.col("_p").rolling_mean(20).rolling_max(5).shift(3), 19 + 4 + 3),
    "return": (pl.col("_r").rolling_std(21), 21),
    "the longer of two": (pl.col("_p") / pl.col("_p").shift(9) - pl.col("_p").rolling_min(4), 9),
    # ln(1e-17) / ln(0.9)
    "average that fades": (pl.col("_p").ewm_mean(alpha=0.1, adjust=True), 372),
    "running sum": (pl.col("volume").cum_sum(), None),
    "into the future": (pl.col("_p").shift(-1), None),
    "what cannot be read": (pl.col("_p").rolling_median(5), None),
}


@pytest.mark.parametrize("name", REACHES)
def test_how_far_back_an_expression_looks_is_read_off_itself(name):
    expression, sessions = REACHES[name]
    assert reach_of(expression) == sessions


EXPRESSIONS = {
    "nested windows with holes": (pl.when(pl.col("_r") > 0).then("_r")).rolling_mean(10, min_samples=3).rolling_std(5, min_samples=2),
    "logic with missing values": pl.when((pl.col("_r") > 0) & (pl.col("_r").shift(1) > 0) | pl.col("_r").shift(2).is_null()).then(1.0).otherwise(pl.col("_r").abs().fill_null(0.5)),
    "extremes and clips": pl.max_horizontal(pl.col("_r"), pl.col("_r").shift(3)).clip(-0.01, 0.01) - pl.col("_p").rolling_min(7),
    "exponential mean": pl.col("_r").shift(4).ewm_mean(alpha=0.1, adjust=True, min_samples=9),
    "running sum": pl.col("_r").cum_sum().rolling_max(4),
    "another period of RSI": talib.rsi(pl.col("_p"), 5).rolling_mean(3),
    "regression line": talib.linearreg(pl.col("_p").log(), 12),
    "powers and logarithms": pl.col("_p").log(10).exp().pow(3).sqrt(),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_at_its_last_bars_is_the_end_of_the_batch(name, make_bars):
    # Reference: polars' own evaluation of the very expression.
    expression = EXPRESSIONS[name]
    frame = prepare(make_bars(1, 90, seed=6))
    whole = frame.select(expression.cast(pl.Float64).alias("x"))["x"].fill_null(float("nan"))
    columns = {c: frame[c].fill_null(float("nan")).to_numpy()[None, :] for c in ("_p", "_r")}
    found = Latest(columns, {}, np.array([90])).of(parse(expression), 60)[0]
    np.testing.assert_allclose(found, whole.to_numpy()[-60:], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "expression",
    [
        pl.col("_r").rolling_median(5),
        pl.col("_r").rank(),
        pl.col("_r").rolling_mean(5, center=True),
    ],
)
def test_what_cannot_be_evaluated_at_single_bars_says_so(expression):
    with pytest.raises(NotEvaluatedError):
        parse(expression)


def test_a_shift_into_the_future_is_not_evaluated(make_bars):
    columns = {"_r": np.zeros((1, 9))}
    with pytest.raises(NotEvaluatedError, match="future"):
        Latest(columns, {}, np.array([9])).of(parse(pl.col("_r").shift(-1)))
