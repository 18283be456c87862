"""Missing shares, drift and redundancy against hand arithmetic and scipy."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.features.quality import (
    RECENT_SESSIONS,
    _ks_statistic,
    population_stability,
    quality,
    redundancy,
    reference_window,
)

N_SESSIONS = 1_200


@pytest.fixture(scope="module")
def split() -> TradingConfig:
    return TradingConfig(
        models={"walk_forward": {"first_test": "2012-01-01", "train_years": 2}},
    )


def technical(seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    """Standard normal features, `shift` added in the last 252 sessions; twins planted."""
    random = np.random.default_rng(seed)
    start = dt.datetime(2010, 1, 1, 21, tzinfo=dt.UTC)
    stamps = pl.Series(
        [start + dt.timedelta(days=n) for n in range(N_SESSIONS)], dtype=pl.Datetime("us", "UTC")
    )
    frames = []
    for symbol in ("A", "B"):
        columns = {n: random.normal(size=N_SESSIONS) for n in contracts.feature_names("technical")}
        columns["return_5d"][-RECENT_SESSIONS:] += shift
        columns["rsi_14"] = np.exp(columns["bollinger_z_20"])  # one ranking, two columns
        frame = pl.DataFrame({"universe": "u", "symbol": symbol, "ts": stamps, **columns})
        frames.append(frame)
    hole = (pl.col("symbol") == "A") & (pl.col("ts") < stamps[300])
    return pl.concat(frames).with_columns(
        return_63d=pl.when(~hole).then("return_63d"), momentum_12_1=pl.lit(None, pl.Float64)
    )


def test_psi_by_hand() -> None:
    # Deciles of 1..1000 as reference; all recent values in the top one:
    # 9 (0.0001 - 0.1) ln(0.0001 / 0.1) + (1 - 0.1) ln(1 / 0.1).
    expected = 9 * (1e-4 - 0.1) * np.log(1e-4 / 0.1) + 0.9 * np.log(10)
    assert population_stability(np.arange(1, 1001.0), np.full(50, 5e3)) == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1_000), scale=st.floats(0.01, 100))
def test_psi_is_zero_for_the_same_values_and_knows_only_order(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    left, right = random.normal(size=500), random.normal(1, 2, size=400)
    assert population_stability(left, left) == pytest.approx(0, abs=1e-12)
    assert population_stability(scale * left, scale * right) == pytest.approx(
        population_stability(left, right)
    )


def test_a_shifted_feature_drifts_and_the_others_do_not(split: TradingConfig) -> None:
    rows = quality({"technical": technical(shift=1.0)}, split)
    by_name = {row["feature"]: row for row in rows.iter_rows(named=True)}
    assert by_name["return_5d"]["psi"] > 0.5
    assert by_name["return_5d"]["ks_statistic"] == pytest.approx(
        stats.norm.cdf(0.5) - stats.norm.cdf(-0.5), abs=0.07  # closed form for a shift of 1
    )  # fmt: skip
    others = [row["psi"] for name, row in by_name.items() if name != "return_5d" and row["psi"]]
    assert max(others) < 0.1


def test_missing_values_are_counted_and_dated(split: TradingConfig) -> None:
    frame = technical()
    rows = quality({"technical": frame}, split)
    hole = rows.row(by_predicate=pl.col("feature") == "return_63d", named=True)
    assert hole["missing_share"] == pytest.approx(300 / (2 * N_SESSIONS))
    assert hole["first_ts"] == frame["ts"].min()  # symbol B has it from the start
    empty = rows.row(by_predicate=pl.col("feature") == "momentum_12_1", named=True)
    assert (empty["missing_share"], empty["psi"], empty["cluster"]) == (1.0, None, None)


def test_the_same_ranking_is_one_cluster(split: TradingConfig) -> None:
    rows = quality({"technical": technical()}, split)
    twins = rows.filter(pl.col("cluster_size") == 2)
    assert twins["feature"].to_list() == ["bollinger_z_20", "rsi_14"]
    assert twins["nearest_correlation"].to_list() == pytest.approx([1.0, 1.0])
    assert twins["cluster"].n_unique() == 1
    assert rows.filter(pl.col("cluster_size") == 1).height == 8


def test_the_gap_of_two_distributions_is_scipys() -> None:
    random = np.random.default_rng(2)
    left, right = random.normal(size=300).round(1), random.normal(0.3, 1, 200).round(1)
    assert _ks_statistic(left, right) == pytest.approx(stats.ks_2samp(left, right).statistic)


def test_correlations_are_scipys() -> None:
    random = np.random.default_rng(1)
    left = random.normal(size=600)
    panel = pl.DataFrame({"a": left, "b": left + random.normal(size=600)})
    expected = stats.spearmanr(panel["a"], panel["b"]).statistic
    assert redundancy(panel)["a"]["nearest_correlation"] == pytest.approx(expected)


def test_the_training_window_alone_decides_what_is_redundant(split: TradingConfig) -> None:
    frame = technical()
    _, end = reference_window(split)
    later = pl.col("ts") >= end
    spoilt = frame.with_columns(return_1d=pl.when(later).then("return_5d").otherwise("return_1d"))
    columns = ["feature", "cluster", "nearest_feature", "nearest_correlation"]
    assert (
        quality({"technical": spoilt}, split)
        .select(columns)
        .equals(quality({"technical": frame}, split).select(columns))
    )


def test_features_of_ones_own_are_judged_beside_the_others(split: TradingConfig) -> None:
    house = technical()
    own = house.select("universe", "symbol", "ts", own_twin=pl.col("return_1d") * 2)
    rows = quality({"technical": house, "custom": own}, split)
    (row,) = rows.filter(family="custom").to_dicts()
    assert (row["feature"], row["freq"], row["missing_share"]) == ("own_twin", "1d", 0.0)
    assert (row["nearest_feature"], row["cluster_size"]) == ("return_1d", 2)


def test_each_bar_length_is_judged_by_itself(split: TradingConfig) -> None:
    house = technical().with_columns(freq=pl.lit("5m"))
    slow = house.with_columns(freq=pl.lit("1h"), return_1d=pl.lit(None, pl.Float64))
    rows = quality({"intraday": pl.concat([house, slow])}, split).filter(feature="return_1d")
    assert dict(rows.select("freq", "missing_share").iter_rows()) == {"1h": 1.0, "5m": 0.0}
    assert rows["n_rows"].to_list() == [house.height] * 2


def test_rows_fit_the_contract_and_absent_families_have_none(
    families, world, small_config, split: TradingConfig
) -> None:
    tables = {name: compute(world, small_config) for name, compute in families.items()}
    tables["technical"] = tables["technical"].clear()
    rows = cast_to_contract(quality(tables, split), contracts.QUALITY)
    assert violations(rows, contracts.QUALITY).is_empty()
    assert "technical" not in set(rows["family"])
    assert {"us20", "fx"} <= set(rows["universe"])
    lengths = rows.group_by("family").agg(pl.col("freq").unique().sort())
    by_family = dict(lengths.iter_rows())
    assert by_family["volatility"] == ["1d"]
    assert by_family["intraday"] == ["15m", "1h", "1m", "5m"]
    assert by_family["tick_microstructure"] == [small_config.features.tick_bar]
    assert quality({}, split).is_empty()
