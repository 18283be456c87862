"""The 101 alphas: the paper's text, an independent package's values, formulas by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.features import alpha101
from btq_assets.features.alpha101_paper import PAPER
from btq_assets.features.formulas import FormulaError, is_scale_free, lookback, names, parse
from btq_assets.features.kernels import cross_section

REFERENCE = Path(__file__).with_name("alpha101_values.npz")
PRICES = ("open", "high", "low", "close")
LEVELS = ("sector", "industry", "subindustry")


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(REFERENCE) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def panel(reference) -> pl.DataFrame:
    """The panel of the reference as bars without corporate actions."""
    field = {name: reference[f"bar_{name}"] for name in (*PRICES, "volume", "vwap", "cap")}
    sessions, symbols = field["close"].shape
    stamps = [dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC) + dt.timedelta(k) for k in range(sessions)]
    parts = [
        pl.DataFrame(
            {
                "universe": "u",
                "symbol": f"S{j}",
                "ts": stamps,
                **{name: values[:, j] for name, values in field.items()},
                **{f"adj_{name}": field[name][:, j] for name in PRICES},
                **{name: f"g{reference[f'bar_{name}'][j]}" for name in LEVELS},
            }
        )
        for j in range(symbols)
    ]
    return pl.concat(parts).filter(pl.col("close").is_not_nan())


def test_every_alpha_has_the_values_of_an_independent_package(panel, reference):
    # alpha101v 0.1.9 with the stated differences; see alpha101_values.py.
    found = alpha101.compute(panel)
    for feature in alpha101.FEATURES:
        expected = reference[feature.name]
        wide = found.select("symbol", "ts", feature.name).pivot("symbol", index="ts", values=feature.name)  # fmt: skip
        ours = wide.sort("ts").drop("ts").select(sorted(wide.columns[1:])).to_numpy()
        ours = ours[-len(expected) :]
        if feature.name == "alpha101_078":
            # The package says 0 to the power of nothing is 0; here it is missing.
            expected = np.where(np.isnan(ours), np.nan, expected)
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6, err_msg=feature.name)
    defined = [name for name in reference if name.startswith("alpha") and not np.isnan(reference[name]).all()]  # fmt: skip
    assert len(defined) == 100


def test_how_many_have_values_on_bars_alone(make_bars):
    frame = alpha101.compute(make_bars(6, 380))
    live = [f.name for f in alpha101.FEATURES if f.name not in alpha101.WITHOUT_SOURCE]
    assert len(live) == 52
    assert all(frame[name].is_not_null().any() for name in live)
    assert all(frame[name].is_null().all() for name in alpha101.WITHOUT_SOURCE)


def test_some_alphas_by_hand(panel):
    found = alpha101.compute(panel, (12, 41, 54, 101))
    row = {"symbol": "S0", "ts": panel["ts"].max()}
    values = found.row(by_predicate=(pl.col("symbol") == "S0") & (pl.col("ts") == row["ts"]), named=True)  # fmt: skip
    before, today = panel.filter(symbol="S0").sort("ts").tail(2).to_dicts()
    o, h, low, c = (today[name] for name in PRICES)
    change = np.sign(today["volume"] - before["volume"]) * (before["close"] - c)
    assert values["alpha101_012"] == pytest.approx(change, rel=1e-6)
    assert values["alpha101_041"] == pytest.approx(np.sqrt(h * low) - today["vwap"], rel=1e-4)
    assert values["alpha101_054"] == pytest.approx(-(low - c) * o**5 / ((low - h) * c**5), rel=1e-5)
    assert values["alpha101_101"] == pytest.approx((c - o) / (h - low + 0.001), rel=1e-5)


def test_what_follows_from_a_formula():
    assert lookback(parse("correlation(delay(close, 5), adv20, 10.7)")) == 19 + 9
    assert lookback(parse("rank(delta(returns, 3)) + sum(open, 2)")) == 4
    assert names(parse("rank(Close) + ADV20 * close")) == ("close", "adv20")
    free = {
        "correlation(rank(volume / adv20), close, 5)": False,  # shares over money across symbols
        "rank(open / close)": True,
        "delta(log(volume), 2)": True,
        "rank(log(volume))": False,
        "rank(close)": False,
        "ts_rank(close, 5)": True,
        "(close - open) / (high - low + 0.001)": False,
        "(close > open) ? 1 : 0": True,
        "(close > 5) ? 1 : 0": False,
        "(0 < delta(close, 1)) ? 1 : -1": True,
        "close * volume": True,
        "(high * low)^0.5 / close": True,
    }
    assert {text: is_scale_free(parse(text)) for text in free} == free


@pytest.mark.parametrize("text", ["rank(close", "close +", "close ! open", "close)", "a ? b", ""])
def test_what_is_not_a_formula_is_named(text):
    with pytest.raises(FormulaError):
        parse(text)


def test_operators_bind_as_written(panel):
    # Unary minus, powers and choices: -2^2 * 3 is -(2^2) * 3; a choice ends in the last branch.
    from btq_assets.features.formula_values import Values

    values = Values({}, ())
    for text, expected in {
        "-2^2 * 3": -12.0,
        "8 - 2 - 1": 5.0,
        "2 * 3^2": 18.0,
        "1 < 2 ? 3 : 4 < 5 ? 6 : 7": 3.0,
        "(2 < 1) || (1 == 1)": 1.0,
        "0 - (1 * 2)": -2.0,
    }.items():
        assert float(np.asarray(values.of(parse(text)))) == expected, text


def test_a_split_changes_what_is_marked_free_of_scale_not_at_all(panel):
    bars = panel.drop("vwap", "cap", *LEVELS)
    halved = bars.with_columns(pl.col(f"adj_{name}") / 2 for name in PRICES)
    assert_frame_equal(alpha101.compute(halved), alpha101.compute(bars), check_exact=True)


@pytest.mark.parametrize("cut", [290, 320])
def test_a_tail_has_the_values_of_the_whole(panel, cut):
    whole = alpha101.compute(panel)
    stamps = panel["ts"].unique().sort()
    start = stamps[cut - alpha101.MEMORY_SESSIONS]
    tail = alpha101.compute(panel.filter(pl.col("ts") >= start, pl.col("ts") <= stamps[cut]))
    last = pl.col("ts") == stamps[cut]
    assert_frame_equal(tail.filter(last), whole.filter(last), rel_tol=1e-6)


def test_the_last_symbol_and_the_first_session_alone_are_null_not_an_error(make_bars):
    alone = alpha101.compute(make_bars(1, 60))
    assert alone["alpha101_004"].is_null().all()  # a rank among one
    assert alone["alpha101_101"].is_not_null().all()
    assert alpha101.compute(make_bars(2, 1)).height == 2
    assert alpha101.compute(make_bars(2, 20, ohlcv=False)).is_empty()


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.one_of(st.none(), st.integers(0, 6)), min_size=1, max_size=12))
def test_ranks_are_those_of_polars(values):
    x = np.array([np.nan if v is None else float(v) for v in values])
    found = cross_section.rank(np.ascontiguousarray(x[:, None]))[:, 0]
    n = np.count_nonzero(~np.isnan(x))
    ranks = pl.Series(values, dtype=pl.Float64).rank("average").fill_null(np.nan).to_numpy()
    expected = (ranks - 1) / (n - 1) if n > 1 else np.full(len(x), np.nan)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_groups_and_shares_of_a_session():
    x = np.array([[1.0], [3.0], [np.nan], [10.0], [4.0]])
    groups = np.array([[0], [0], [0], [1], [-1]])
    expected = [-1.0, 1.0, np.nan, 0.0, np.nan]
    np.testing.assert_allclose(cross_section.less_group_mean(x, groups)[:, 0], expected)
    np.testing.assert_allclose(np.nansum(np.abs(cross_section.scale(x))), 1.0)


def test_the_paper_has_101_formulas_and_each_reads_something():
    assert len(PAPER) == len(alpha101.FEATURES) == 101
    assert all(names(parse(text)) for text in PAPER)
