"""Alpha158 against values from qlib's own operators, and its stricter table against both."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.features import FeatureError, alpha158, alpha360
from btq_assets.features.qlib_bars import Fields

REFERENCE = Path(__file__).with_name("qlib_values.npz")


def ours(name: str) -> str:
    """qlib's name in our spelling: ROC5 is roc_5, KMID2 stays kmid2."""
    if name.startswith("K"):
        return name.lower()
    return re.sub(r"([A-Z]+)(\d+)", r"\1_\2", name).lower()


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    """Panel and values written by `qlib_values.py` with pyqlib 0.9.7."""
    with np.load(REFERENCE) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def fields(reference) -> Fields:
    """The panel of the reference as arrays."""
    names = ("open", "high", "low", "close", "volume", "vwap")
    arrays = dict(zip(names, reference["fields"].astype(np.float64), strict=True))
    arrays["log_volume"] = np.log(arrays["volume"] + 1)
    return Fields(arrays, reference["starts"].astype(np.int64), pl.DataFrame())


def test_the_names_are_qlibs_in_its_order(reference):
    assert tuple(ours(str(name)) for name in reference["alpha158_names"]) == alpha158.NAMES
    assert len(alpha158.NAMES) == 158


def _same(found: np.ndarray, expected: np.ndarray, name: str) -> None:
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(found), finite, err_msg=name)
    # qlib reads and adds prices and volumes in single precision: 6e-8 of a price, which is up to
    # 1e-5 of a small difference of prices.
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-5, atol=5e-6, err_msg=name)


def test_every_expression_equals_qlibs(reference, fields):
    found = alpha158.evaluate(fields, compatible=True)
    for name, expected in zip(reference["alpha158_names"], reference["alpha158"], strict=True):
        _same(found[ours(str(name))], expected, str(name))


def test_prices_of_sixty_sessions_equal_qlibs(reference, fields):
    found = alpha360.evaluate(fields, compatible=True)
    for name, expected in zip(reference["alpha360_names"], reference["alpha360"], strict=True):
        _same(found[ours(str(name))], expected, str(name))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("qlib") is None, reason="pyqlib is not installed")
def test_the_stored_values_are_qlibs_today(reference, tmp_path):
    script = REFERENCE.with_suffix(".py")
    subprocess.run([sys.executable, script, tmp_path / "again.npz"], check=True)
    with np.load(tmp_path / "again.npz") as again:
        for name, values in reference.items():
            np.testing.assert_array_equal(again[name], values, err_msg=name)


def test_the_table_is_qlib_where_windows_are_full_and_nothing_is_zero(make_bars):
    bars = make_bars(2, 150)
    table, qlib = alpha158.compute(bars), alpha158.compute(bars, compatible=True)
    late = pl.int_range(pl.len()).over("symbol") >= 60
    assert_frame_equal(table.filter(late), qlib.filter(late), rel_tol=1e-6, abs_tol=1e-7)
    assert table.filter(~late)["alpha158_ma_60"].null_count() == 2 * 59
    assert qlib.filter(~late)["alpha158_ma_60"].null_count() == 0


def test_the_first_value_comes_after_the_stated_lookback(make_bars):
    frame = alpha158.compute(make_bars(1, 100))
    for feature in alpha158.FEATURES:
        if feature.name != "alpha158_vwap_0":
            found = frame[feature.name].is_not_null().arg_max()
            assert found == feature.lookback_sessions, feature.name


def test_a_hole_is_missing_in_every_window_that_holds_it(make_bars):
    bars = make_bars(1, 100)
    row = pl.int_range(pl.len()) == 50
    holed = bars.with_columns(
        pl.when(~row).then(pl.col(name)).alias(name) for name in ("high", "adj_high")
    )
    frame = alpha158.compute(holed)
    assert frame.height == 99  # no row without a whole bar
    highs = frame.with_row_index()["alpha158_max_10"]
    assert highs[9:50].null_count() == 0
    assert highs[50:59].null_count() == 9
    assert highs[59:].null_count() == 0
    assert frame["alpha158_ma_10"][9:].null_count() == 0


def test_nothing_is_divided_by_zero(make_bars):
    bars = make_bars(1, 80)
    still = bars.with_columns(
        pl.lit(0.1).alias(name)
        for name in bars.columns
        if name.endswith(("open", "high", "low", "close"))
    ).with_columns(volume=pl.lit(0.0))
    frame = alpha158.compute(still)
    undefined = ("kmid2", "ksft2", "rsv_5", "rsqr_10", "corr_10", "cord_10", "sump_5", "vma_5", "wvma_5", "vsump_5")  # fmt: skip
    for name in undefined:
        assert frame[f"alpha158_{name}"].is_null().all(), name
    # Closed form: every price is the same.
    last = frame.row(-1, named=True)
    assert last["alpha158_kmid"] == 0
    assert last["alpha158_ma_60"] == pytest.approx(1)
    assert last["alpha158_std_60"] == pytest.approx(0, abs=1e-12)
    assert last["alpha158_rank_5"] == pytest.approx(0.6)  # (1 + 5) / 2 of 5
    assert last["alpha158_imax_5"] == pytest.approx(0.2)


def test_a_later_split_changes_nothing(make_bars):
    # Two for one at session 50, told later: raw prices halve, shares double, adjusted history as
    # if it had always been so. What is known before it does not change.
    bars = make_bars(1, 90)
    after = pl.int_range(pl.len()) >= 50
    raw = ("open", "high", "low", "close")
    split = bars.with_columns(
        *(
            pl.when(after).then(pl.col(name) / 2).otherwise(pl.col(name)).alias(name)
            for name in raw
        ),
        *((pl.col(f"adj_{name}") / 2).alias(f"adj_{name}") for name in raw),
        pl.when(after).then(pl.col("volume") * 2).otherwise(pl.col("volume")).alias("volume"),
    )
    found, expected = alpha158.compute(split), alpha158.compute(bars)
    corr = [name for name in expected.columns if "_corr_" in name]
    assert_frame_equal(
        found.drop(corr), expected.drop(corr), rel_tol=1e-6, abs_tol=1e-7, check_exact=False
    )
    # The one share added before the logarithm is half an old one from then on.
    assert_frame_equal(found.select(corr), expected.select(corr), abs_tol=1e-3)
    assert_frame_equal(found.head(50), expected.head(50), rel_tol=1e-6, abs_tol=1e-7)


def test_vwap_is_read_where_bars_have_it_and_null_where_not(make_bars):
    bars = make_bars(1, 5)
    with_vwap = bars.with_columns(
        vwap=(pl.col("high") + pl.col("low")) / 2, adj_close=pl.col("close") / 2
    )
    assert alpha158.compute(bars)["alpha158_vwap_0"].is_null().all()
    found = alpha158.compute(with_vwap)["alpha158_vwap_0"]
    expected = (with_vwap["vwap"] / with_vwap["close"]).cast(pl.Float32)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_some_expressions_alone_are_as_with_all(make_bars):
    bars = make_bars(3, 120)
    some = ("corr_20", "roc_5", "imxd_60", "kup2", "vsumd_10", "qtld_30", "wvma_5")
    whole = alpha158.compute(bars)
    names = [f"alpha158_{name}" for name in some]
    assert_frame_equal(
        alpha158.compute(bars, some), whole.select("universe", "symbol", "ts", *names),
        check_exact=True,
    )  # fmt: skip


def test_repeated_bars_and_missing_columns_are_named(make_bars):
    bars = make_bars(1, 5)
    with pytest.raises(FeatureError, match="several bars at 2010-01-04"):
        alpha158.compute(pl.concat([bars, bars.head(1)]))
    with pytest.raises(FeatureError, match="adj_close"):
        alpha158.compute(bars.drop("adj_close"))
