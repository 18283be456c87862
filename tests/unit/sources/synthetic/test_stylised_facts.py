"""A generated market shows what real ones show (Cont 2001), and only what was planted is found.

One market of 4 symbols and 100 sessions serves all tests; tolerances are several standard errors
of the statistic on a market of that size.
"""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.synthetic import (
    BadTicks,
    Edge,
    MarketSpec,
    MissedSplit,
    NewsDrift,
    Outage,
    Plants,
    RegimeChange,
    generate,
)

SPEC = MarketSpec(seed=11, n_symbols=4, n_sessions=100)


def with_plants(**plants) -> MarketSpec:
    return MarketSpec(seed=11, n_symbols=4, n_sessions=100, plants=Plants(**plants))


@pytest.fixture(scope="module")
def market():
    return generate(SPEC)


@pytest.fixture(scope="module")
def steps(market) -> np.ndarray:
    """Log return of each minute from open to close, ``[sessions, minutes, symbols]``."""
    bars = market.bars
    returns = np.log(bars["close"].to_numpy() / bars["open"].to_numpy())
    return returns.reshape(4, 100, 390).transpose(1, 2, 0)


def lagged(a: np.ndarray, b: np.ndarray, lag: int) -> float:
    """Mean over symbols of corr(a[t], b[t + lag]); both ``[minutes, symbols]``."""
    pairs = [np.corrcoef(a[:-lag, i], b[lag:, i])[0, 1] for i in range(a.shape[1])]
    return float(np.mean(pairs))


def test_tails_are_fat(steps):
    flat = steps.reshape(-1, 4)
    kurtosis = ((flat - flat.mean(0)) ** 4).mean(0) / flat.var(0) ** 2
    assert (kurtosis > 5).all()  # a normal distribution has 3


def test_volatility_clusters_and_returns_do_not(steps):
    flat = steps.reshape(-1, 4)
    size = np.abs(flat)
    assert lagged(size, size, 1) > 0.15
    assert lagged(size, size, 60) > 0.05
    # 39,000 minutes of 4 correlated symbols: standard error about 0.005 (wider: tails are fat).
    assert abs(lagged(flat, flat, 1)) < 0.02


def test_falls_make_waves(market, steps):
    flat, sigma = market.paths.innovation, market.paths.log_variance
    for lag in (1, 5, 20):
        assert lagged(flat, sigma, lag) < -0.02
    # Volatility is known before its minute: it has nothing to do with the minute's own return.
    own = [np.corrcoef(flat[:, i], sigma[:, i])[0, 1] for i in range(4)]
    assert abs(np.mean(own)) < 0.015
    # And not the other way round: volatility says nothing about the next return.
    assert abs(lagged(sigma, flat, 1)) < 0.02
    daily = steps.sum(axis=1)
    realised = np.log((steps**2).sum(axis=1))
    assert lagged(daily, realised, 1) < -0.1


def test_volume_is_u_shaped_and_follows_the_size_of_returns(market, steps):
    volume = market.bars["volume"].to_numpy().reshape(4, 100, 390)
    by_minute = volume.mean(axis=(0, 1))
    opening, noon, closing = (
        by_minute[:30].mean(),
        by_minute[180:210].mean(),
        by_minute[-30:].mean(),
    )
    assert opening > 1.7 * noon
    assert closing > 1.7 * noon
    rank = spearmanr(np.abs(steps[:, :, 0]).ravel(), volume[0].ravel()).statistic
    assert rank > 0.2


def test_spread_widens_with_volatility(market):
    rank = spearmanr(market.state["sigma"], market.state["half_spread_bps"]).statistic
    assert rank > 0.3
    typical = market.state["half_spread_bps"].median()
    assert 0.5 * SPEC.half_spread_bps < typical < 3 * SPEC.half_spread_bps


def test_volatility_and_correlation_are_those_asked_for(market, steps):
    flat = steps.reshape(-1, 4)
    annual = flat.std() * np.sqrt(252 * 390)
    assert 0.7 * SPEC.annual_volatility < annual < 1.4 * SPEC.annual_volatility
    found = np.corrcoef(market.paths.innovation.T)[np.triu_indices(4, 1)]
    assert found == pytest.approx(SPEC.correlation, abs=0.03)


def test_clean_bars_keep_the_contract(market):
    bars = cast_to_contract(market.bars, raw.BARS_SYNTHETIC)
    assert violations(bars, raw.BARS_SYNTHETIC).is_empty()
    assert bars.height == 4 * 100 * 390
    assert market.faults.is_empty()
    assert bars["dataset"].str.starts_with("SYNTHETIC").all()
    assert market.news["headline"].str.starts_with("SYNTHETIC").all()
    assert market.news["label"].unique().to_list() == ["SYNTHETIC"]


def test_equal_seeds_give_equal_markets_and_others_do_not(market):
    small = MarketSpec(seed=3, n_symbols=2, n_sessions=2)
    assert generate(small).bars.equals(generate(small).bars)
    other = generate(MarketSpec(seed=4, n_symbols=2, n_sessions=2))
    assert not generate(small).bars.equals(other.bars)


def test_the_size_of_a_planted_edge_is_recovered():
    planted = generate(with_plants(edge=Edge(0.08)))
    signal, innovation = planted.paths.signal, planted.paths.innovation
    # 4 x 39,000 pairs: standard error 0.0025.
    assert lagged(signal, innovation, 1) == pytest.approx(0.08, abs=0.012)
    assert abs(lagged(signal, innovation, 2) - 0.9 * 0.08) < 0.012  # the signal's memory is 0.9
    # The signal remembers, so the return it caused still looks like it: 0.9 squared times 0.08.
    assert lagged(innovation, signal, 1) == pytest.approx(0.81 * 0.08, abs=0.012)


def test_a_planted_leader_is_followed_and_without_the_plant_is_not(market):
    led = generate(with_plants(edge=Edge(0.1, via="leader"))).paths.innovation
    free = market.paths.innovation
    for follower in (1, 2, 3):
        assert np.corrcoef(led[:-1, 0], led[1:, follower])[0, 1] == pytest.approx(0.1, abs=0.02)
        assert abs(np.corrcoef(free[:-1, 0], free[1:, follower])[0, 1]) < 0.02
    assert abs(np.corrcoef(led[:-1, 1], led[1:, 0])[0, 1]) < 0.02


def test_without_a_plant_the_signal_is_worthless(market):
    assert abs(lagged(market.paths.signal, market.paths.innovation, 1)) < 0.012


def test_a_regime_change_raises_volatility_and_correlation():
    wild = generate(with_plants(regime=RegimeChange(50, 2.5, 0.7)))
    calm = generate(SPEC)
    half = 50 * 390
    np.testing.assert_array_equal(wild.paths.innovation[:half], calm.paths.innovation[:half])
    ratio = wild.paths.sigma[half:].mean() / calm.paths.sigma[half:].mean()
    assert ratio == pytest.approx(2.5, rel=0.35)  # innovations differ, so volatility does a little
    late = np.corrcoef(wild.paths.innovation[half:].T)[np.triu_indices(4, 1)]
    assert late == pytest.approx(0.7, abs=0.04)
    assert wild.state.group_by("regime").len().sort("regime")["len"].to_list() == [4 * half] * 2


def test_news_move_prices_only_after_they_are_known():
    planted = generate(with_plants(news=NewsDrift(40.0, minutes=30)))
    calm = generate(SPEC)
    extra = planted.paths.log_close - calm.paths.log_close
    ends = SPEC.bar_ends()
    one = planted.news.filter(pl.col("tone") != 0).head(1)
    column = SPEC.symbols.index(one["symbol"][0])
    others = planted.news.filter(pl.col("symbol") == one["symbol"][0], pl.col("tone") != 0)
    assert others["known_at"][0] == one["known_at"][0]
    known = int(one["known_at"].dt.epoch("us")[0])
    assert not extra[ends - 60_000_000 < known, column].any()
    total = planted.news.filter(symbol=SPEC.symbols[column])["tone"].sum() * 40e-4
    # All but news of the last evening have run their course.
    assert extra[-1, column] == pytest.approx(total, abs=2 * 40e-4)


def test_650_000_bars_take_seconds():
    started = time.perf_counter()
    bars = generate(MarketSpec(n_symbols=10, n_sessions=167)).bars
    assert bars.height > 650_000
    assert time.perf_counter() - started < 15  # 1.5 s on an idle core


@pytest.fixture(scope="module")
def spoiled():
    return generate(
        with_plants(
            bad_ticks=BadTicks(hundredfold=5, zero=4, duplicate=3, out_of_order=6, clock_skew=2),
            outages=(Outage(10, 100, 60), Outage(20, 0, 5, symbol=2)),
            missed_split=MissedSplit(60, symbol=1, ratio=4.0),
        )
    )


def test_every_planted_fault_is_in_the_truth_and_nothing_else_changed(market, spoiled):
    counts = dict(spoiled.faults["fault"].value_counts().rows())
    assert counts == {
        "hundredfold": 5, "zero": 4, "duplicate": 3, "out_of_order": 6, "clock_skew": 2,
        "outage": 4 * 60 + 5, "missed_split": 1,
    }  # fmt: skip
    key = ["symbol", "ts"]
    assert spoiled.clean_bars.equals(market.clean_bars)
    touched = spoiled.faults.filter(pl.col("fault") != "missed_split").select(key)
    split = (pl.col("symbol") == SPEC.symbols[1]) & (
        pl.col("ts") >= spoiled.faults.filter(fault="missed_split")["ts"][0]
    )
    left = spoiled.clean_bars.join(touched, on=key, how="anti").filter(~split)
    arrived = spoiled.bars.join(left.select(key), on=key, how="semi").sort(key)
    assert arrived.equals(left.sort(key))


def test_planted_values_are_the_ones_that_arrive(spoiled):
    for fault, factor in (("hundredfold", 100.0), ("zero", 0.0)):
        rows = spoiled.faults.filter(fault=fault).join(spoiled.bars, on=["symbol", "ts"])
        assert rows["close"].to_list() == pytest.approx(rows["planted_value"].to_list())
        ratio = rows["close"] / rows["true_value"]
        # The split symbol's truth is already divided by four where the split was missed.
        assert ratio.to_list() == pytest.approx([factor] * rows.height, rel=1e-3)
    twice = spoiled.faults.filter(fault="duplicate").join(spoiled.bars, on=["symbol", "ts"])
    assert twice.height == 6
    skewed = spoiled.faults.filter(fault="clock_skew").with_columns(
        ts=pl.col("ts") + pl.duration(seconds=37)
    )
    assert skewed.join(spoiled.bars, on=["symbol", "ts"]).height == 2
    late = spoiled.bars.with_columns(back=pl.col("ts").diff().over("symbol"))
    assert late.filter(pl.col("back").dt.total_seconds() < 0).height == 6


def test_what_the_contract_can_see_it_refuses(spoiled):
    bars = cast_to_contract(spoiled.bars, raw.BARS_SYNTHETIC)
    refused = violations(bars, raw.BARS_SYNTHETIC)
    assert refused.filter(pl.col("reason").str.contains("duplicate key")).height == 6
    assert refused.filter(pl.col("reason").str.contains("close <= 0")).height == 4
    assert refused.height == 10


def test_a_missed_split_divides_the_prices_and_not_the_value_traded(spoiled):
    (row,) = spoiled.faults.filter(fault="missed_split").rows(named=True)
    assert row["true_value"] / row["planted_value"] == pytest.approx(4.0, rel=1e-3)
    after = (pl.col("symbol") == SPEC.symbols[1]) & (pl.col("ts") > row["ts"])
    clean, found = (
        frame.filter(after)
        .join(spoiled.faults.select("symbol", "ts"), on=["symbol", "ts"], how="anti")
        .select((pl.col("close") * pl.col("volume")).sum())
        .item()
        for frame in (spoiled.clean_bars, spoiled.bars)
    )
    skew = 1e-3  # the two skewed bars may be among them
    assert found == pytest.approx(clean, rel=skew)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_symbols": 0}, "at least one symbol"),
        ({"correlation": 1.0}, "correlation"),
        ({"tail_degrees": 2.0}, "tail_degrees"),
    ],
)
def test_impossible_markets_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MarketSpec(**wrong)
