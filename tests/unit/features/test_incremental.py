"""The tail of a family's table is what the full computation gives, for every family."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.config import FeaturesSection
from btq_assets.contracts.base import cast_to_contract
from btq_assets.features.definitions import prepare
from btq_assets.features.families import FAMILIES, FAMILY
from btq_assets.features.incremental import full_because, tail_of, updated
from btq_assets.features.kernels import garch
from btq_assets.features.kernels.garch_paths import NOT_CONVERGED, PREVIOUS, paths
from btq_assets.sources.sentiment import scored

UPDATED = tuple(family.name for family in FAMILIES if not full_because(family))

#: Quotients of two prices, extremes, ranks and counts: no sum whose order could matter.
EXACT = {
    "technical": ("return_1d", "return_63d", "momentum_12_1", "distance_high_252"),
    "cross_asset": ("momentum_rank", "return_21d_rank"),
    "alpha158": ("alpha158_max_20", "alpha158_rank_20", "alpha158_imax_60", "alpha158_qtlu_20"),
}

#: Symbols with bars of minutes keep their history: all of this world's main universe.
SOME_WHOLE = ("multi_timeframe", "realised_volatility")


def _memory(name: str) -> float:
    sessions = FAMILY[name].memory_sessions
    return float("inf") if sessions is None else sessions(FeaturesSection())


#: Of the larger of a value and its column's mean size (values near zero are differences of large
#: ones, whose rounding they inherit).
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def long_world(world, make_bars) -> dict[str, pl.DataFrame]:
    """The small world with bars that begin years earlier, so that a tail leaves most of them out."""
    bars, days = world["bars"], 1200
    early = dt.timedelta(days=days)
    parts = []
    for universe, n_symbols, ohlcv, seed in (("us20", 4, True, 31), ("fx", 3, False, 32)):
        rows = bars.filter(universe=universe)
        older = make_bars(
            n_symbols, days * 5 // 7, seed=seed, universe=universe, ohlcv=ohlcv,
            start=rows["ts"].min() - early,
        )  # fmt: skip
        names = rows["symbol"].unique().sort()
        older = older.with_columns(
            pl.col("symbol").replace(dict(zip(older["symbol"].unique().sort(), names, strict=True)))
        ).filter(pl.col("ts") < rows["ts"].min())
        late = pl.col("symbol") == names[2]  # begins inside the tail
        parts += [older.filter(~late), rows]
    joined = pl.concat(parts).sort("universe", "symbol", "ts")
    # A price that stood still for a year: averages that fade forget nothing meanwhile.
    sessions = joined.filter(universe="us20")["ts"].unique().sort()
    still = (pl.col("symbol") == "S01") & pl.col("ts").is_between(sessions[-420], sessions[-150])
    adjusted = ("adj_open", "adj_high", "adj_low", "adj_close")
    joined = joined.with_columns(
        pl.when(still).then(50.0).otherwise(pl.col(name)).alias(name) for name in adjusted
    )
    return {**world, "bars": joined, "scores": scored.score(world["documents"])}


def _before(inputs, since):
    """Inputs as they were; every table is cut by the earlier of its two times."""
    cut = {}
    for name, frame in inputs.items():
        times = [column for column in ("ts", "known_at") if column in frame.columns]
        cut[name] = frame.filter(pl.min_horizontal(times) < since) if times else frame
    return cut


def _gaps(found: pl.DataFrame, full: pl.DataFrame) -> dict[str, float]:
    """Largest gap of each column relative to value and column; infinite where nulls differ."""
    gaps = {}
    for name, dtype in full.schema.items():
        left, right = found[name], full[name]
        if not dtype.is_float() or not left.is_null().equals(right.is_null()):
            gaps[name] = 0.0 if left.equals(right) else float("inf")
            continue
        scale = right.abs().mean() or 0.0
        size = pl.max_horizontal(pl.col("b").abs(), pl.lit(scale))
        pair = pl.DataFrame({"a": left, "b": right}).cast(pl.Float64)
        gap = pair.select(((pl.col("a") - pl.col("b")).abs() / size).fill_nan(0.0).max()).item()
        gaps[name] = gap or 0.0
    return gaps


@pytest.mark.parametrize("back", [1, 6])
@pytest.mark.parametrize("name", UPDATED)
def test_a_tail_equals_the_full_computation(name, back, long_world, small_config):
    family = FAMILY[name]
    sessions = long_world["bars"].filter(universe="us20")["ts"].unique().sort()
    since = sessions[-back] - dt.timedelta(hours=8)  # the currencies of that day are new too
    inputs = {table: long_world[table] for table in family.inputs}
    full = cast_to_contract(family.compute(inputs, small_config), family.contract)
    full = full.sort(family.contract.key)
    stored = family.compute(_before(inputs, since), small_config)
    found = updated(stored, inputs, family, small_config, since)
    gaps = _gaps(found, full)
    assert found.height == full.height
    far = {column: gap for column, gap in gaps.items() if gap > TOLERANCE}
    assert not far, f"{name}: the tail differs from the full computation in {far}"
    exact = [column for column in EXACT.get(name, ()) if gaps[column] > 0]
    assert not exact, f"{name}: not the same bits in {exact}"
    assert found.filter(pl.col("ts") >= since).height > 0


@pytest.mark.parametrize("name", [n for n in UPDATED if n not in SOME_WHOLE and _memory(n) < 400])
def test_a_tail_leaves_most_bars_out(name, long_world, small_config):
    family = FAMILY[name]
    since = long_world["bars"]["ts"].max()
    inputs = {table: long_world[table] for table in family.inputs}
    assert tail_of(inputs, family, small_config, since).n_bars < 0.75 * inputs["bars"].height


def test_a_memory_that_is_too_short_shows(long_world, small_config, monkeypatch):
    # The comparison would see it: an average that fades has not forgotten after 60 sessions.
    family = FAMILY["technical"]
    short = type(family)(**{**vars(family), "memory_sessions": lambda _: 60})
    since = long_world["bars"]["ts"].max()
    inputs = {"bars": long_world["bars"]}
    stored = short.compute(_before(inputs, since), small_config)
    gaps = _gaps(
        updated(stored, inputs, short, small_config, since),
        family.compute(inputs, small_config).sort(family.contract.key),
    )
    assert gaps["rsi_14"] > TOLERANCE


def test_a_symbol_that_begins_today_and_one_that_stopped(make_bars, small_config):
    bars = make_bars(3, 900, seed=8)
    sessions = bars["ts"].unique().sort()
    begins = (pl.col("symbol") == "S01") & (pl.col("ts") < sessions[-1])
    stops = (pl.col("symbol") == "S02") & (pl.col("ts") > sessions[500])
    inputs = {"bars": bars.filter(~begins & ~stops)}
    for name in ("technical", "microstructure", "cross_asset"):
        family = FAMILY[name]
        stored = family.compute(_before(inputs, sessions[-1]), small_config)
        found = updated(stored, inputs, family, small_config, sessions[-1])
        full = cast_to_contract(family.compute(inputs, small_config), family.contract)
        assert max(_gaps(found, full.sort(family.contract.key)).values()) <= TOLERANCE, name


def test_nothing_new_leaves_the_table_alone(make_bars, small_config):
    bars = make_bars(2, 300)
    family = FAMILY["technical"]
    stored = family.compute({"bars": bars}, small_config)
    later = bars["ts"].max() + dt.timedelta(days=1)
    assert updated(stored, {"bars": bars}, family, small_config, later).equals(
        cast_to_contract(stored, family.contract)
    )


def test_prices_stay_in_units_of_the_first_bar_of_all(make_bars):
    bars = make_bars(2, 300)
    first = bars.group_by("symbol").agg(_anchor=pl.col("adj_close").first())
    whole = prepare(bars)
    tail = prepare(bars.join(first, on="symbol").group_by("symbol").tail(10))
    assert tail["_p"].equals(whole.group_by("symbol", maintain_order=True).tail(10)["_p"])


def test_a_family_that_reads_no_sessions_is_not_updated(world, small_config):
    family = FAMILY["tick_microstructure"]
    with pytest.raises(ValueError, match="no daily bars"):
        tail_of({"bars": world["bars"]}, family, small_config, world["bars"]["ts"].max())


@pytest.mark.parametrize("iterations", [200, 11, 8])
@pytest.mark.parametrize("window", [0, 90])
def test_a_garch_path_from_a_session_on_is_the_end_of_the_whole(iterations, window):
    # With few iterations some fits do not converge, and an earlier one stays in force.
    random = np.random.default_rng(5)
    returns = random.standard_t(5, 330) * 0.01
    returns[120:200] = 0.0  # nothing to fit in a window of these
    settings = {"first_fit": 60, "every": 30, "window": window, "max_iterations": iterations}
    for kind in (garch.GARCH, garch.GJR):
        values, status = paths(kind, returns, **settings)
        for shown in (10, 59, 60, 149, 239, 301, 329):
            found, states = paths(kind, returns, **settings, shown=shown)
            np.testing.assert_array_equal(found[:, shown:], values[:, shown:])
            np.testing.assert_array_equal(states[shown:], status[shown:])
    kinds = set(status.tolist())
    assert iterations == 200 or kinds & {PREVIOUS, NOT_CONVERGED}
