"""Realised volatility against closed forms, plain loops, and a generated market of known variance."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import core
from btq_assets.contracts import features as contracts
from btq_assets.features import realised_volatility
from btq_assets.features.kernels.regression import har
from btq_assets.sources.market.resampling import resample
from btq_assets.sources.synthetic.market import generate
from btq_assets.sources.synthetic.spec import MarketSpec

ROOT = math.sqrt(252)


def _with_prices(make_bars, path: np.ndarray, opens: np.ndarray) -> pl.DataFrame:
    """Bars of log paths ``(sessions, steps)`` that start at `opens`."""
    whole = np.hstack([opens[:, None], path])
    prices = {
        "adj_open": opens,
        "adj_high": whole.max(axis=1),
        "adj_low": whole.min(axis=1),
        "adj_close": path[:, -1],
    }
    return make_bars(1, len(path)).with_columns(
        pl.Series(name, np.exp(value)) for name, value in prices.items()
    )


def test_range_estimators_are_their_formulas(make_bars):
    bars = make_bars(1, 120, seed=4)
    frame = realised_volatility.compute(bars)
    o, h, l, c = (np.log(bars[f"adj_{n}"].to_numpy()) for n in ("open", "high", "low", "close"))  # noqa: E741
    gap, body = o[1:] - c[:-1], c - o
    rogers = (h - c) * (h - o) + (l - c) * (l - o)
    for n in (21, 63):
        k = 0.34 / (1.34 + (n + 1) / (n - 1))
        variance = gap[-n:].var(ddof=1) + k * body[-n:].var(ddof=1) + (1 - k) * rogers[-n:].mean()
        assert frame[f"yang_zhang_{n}_annual"][-1] == pytest.approx(ROOT * math.sqrt(variance))
    u, d = h - o, l - o
    garman = 0.511 * (u - d) ** 2 - 0.019 * (body * (u + d) - 2 * u * d) - 0.383 * body**2
    assert frame["garman_klass_cross_21_annual"][-1] == pytest.approx(
        ROOT * math.sqrt(garman[-21:].mean())
    )
    night, day = np.mean(gap[-21:] ** 2), np.mean(body[-21:] ** 2)
    assert frame["overnight_volatility_21_annual"][-1] == pytest.approx(ROOT * math.sqrt(night))
    assert frame["intraday_volatility_21_annual"][-1] == pytest.approx(ROOT * math.sqrt(day))
    assert frame["overnight_share_21"][-1] == pytest.approx(night / (night + day))
    s = np.sqrt(gap**2 + rogers[1:])
    assert frame["har_range_daily_annual"][-1] == pytest.approx(ROOT * s[-1])
    assert frame["har_range_weekly_annual"][-1] == pytest.approx(ROOT * s[-5:].mean())
    assert frame["har_range_monthly_annual"][-1] == pytest.approx(ROOT * s[-22:].mean())
    assert frame["range_volatility_of_volatility_63"][-1] == pytest.approx(
        s[-63:].std(ddof=1) / s[-63:].mean()
    )


def test_yang_zhang_recovers_a_volatility_with_gaps_and_drift(make_bars):
    # 20 % a year within sessions and 10 % overnight, drift 30 % a year, 1,000 steps a session.
    n_days, n_steps = 2_000, 1_000
    random = np.random.default_rng(6)
    within = random.normal(0, 0.20 / math.sqrt(252 * n_steps), (n_days, n_steps))
    within += 0.30 / 252 / n_steps
    gaps = random.normal(0, 0.10 / ROOT, n_days)
    ends = np.cumsum(gaps + within.sum(axis=1))
    opens = ends - within.sum(axis=1)
    bars = _with_prices(make_bars, opens[:, None] + np.cumsum(within, axis=1), opens)
    found = (realised_volatility.compute(bars)["yang_zhang_63_annual"][63::63] ** 2).mean()
    # Discrete paths miss their extremes, so estimates are a few per cent low.
    assert math.sqrt(found) == pytest.approx(math.sqrt(0.20**2 + 0.10**2), rel=0.04)


def test_terms_of_closes_are_their_formulas(make_bars):
    bars = make_bars(1, 300, ohlcv=False)
    frame = realised_volatility.compute(bars)
    r = np.diff(np.log(bars["adj_close"].to_numpy()))
    for decay in (0.90, 0.97, 0.99):
        weights = decay ** np.arange(r.size)[::-1]
        expected = ROOT * math.sqrt(np.sum(weights * r**2) / weights.sum())
        assert frame[f"ewma_volatility_{100 * decay:.0f}_annual"][-1] == pytest.approx(expected)
    rises, falls = np.maximum(r[-63:], 0) ** 2, np.minimum(r[-63:], 0) ** 2
    assert frame["upside_volatility_63_annual"][-1] == pytest.approx(ROOT * math.sqrt(rises.mean()))
    assert frame["semivariance_balance_63"][-1] == pytest.approx(
        (rises.sum() - falls.sum()) / (rises.sum() + falls.sum())
    )
    assert frame["yang_zhang_21_annual"].is_null().all()
    assert frame["har_range_forecast_1_annual"].is_null().all()


@pytest.mark.parametrize("horizon", [1, 21])
def test_har_is_least_squares_on_past_pairs(horizon):
    # Against numpy's least squares on each window, written out.
    s, window = np.exp(np.random.default_rng(2).normal(0, 0.4, 700)), 100
    found = har(s, window, horizon)
    first = 21 + window - 1 + horizon
    assert np.isnan(found[:first]).all()
    assert np.isfinite(found[first:]).all()

    def terms(t: int) -> list[float]:
        return [1.0, s[t], s[t - 4 : t + 1].mean(), s[t - 21 : t + 1].mean()]

    for t in (first, first + 1, 511, 512, 699):
        pairs = range(t - horizon - window + 1, t - horizon + 1)
        x = np.array([terms(i) for i in pairs])
        y = np.array([s[i + 1 : i + 1 + horizon].mean() for i in pairs])
        expected = np.array(terms(t)) @ np.linalg.lstsq(x, y, rcond=None)[0]
        assert found[t] == pytest.approx(expected, rel=1e-9)


def test_har_forecasts_a_har_process():
    # s[t+1] = 0.1 + 0.3 s + 0.3 week + 0.2 month + noise: errors of forecasts are the noise's,
    # a little more for estimation from 2,000 pairs.
    random = np.random.default_rng(3)
    s = np.full(6_000, 0.5)
    noise = random.normal(0, 0.05, s.size)
    for t in range(22, s.size):
        mean = 0.1 + 0.3 * s[t - 1] + 0.3 * s[t - 5 : t].mean() + 0.2 * s[t - 22 : t].mean()
        s[t] = mean + noise[t]
    found = har(s, 2_000, 1)
    errors = s[3_001:] - found[3_000:-1]
    assert errors.std() == pytest.approx(noise[3_001:].std(), rel=0.01)


def test_a_constant_volatility_has_no_regression():
    assert np.isnan(har(np.full(300, 0.2), 100, 1)).all()


@pytest.mark.parametrize("feature", realised_volatility.features_for(100), ids=lambda f: f.name)
def test_values_begin_after_the_stated_lookback(feature, begins):
    assert begins[feature.name] == feature.lookback_sessions


@pytest.fixture(scope="module")
def begins(make_bars_function) -> dict[str, int]:
    """Sessions before the first value of each feature, with bars of five minutes throughout."""
    import intraday_frames

    bars = make_bars_function(1, 200, seed=8)
    frame = realised_volatility.compute(bars, intraday_frames.shorter(bars, "5m"), har_window=100)
    names = contracts.feature_names("realised_volatility")
    return {name: frame[name].is_not_null().arg_max() for name in names}


def _daily(minutes: pl.DataFrame) -> pl.DataFrame:
    """Bars of sessions in the columns the family reads."""
    return (
        minutes.sort("symbol", "ts")
        .group_by("symbol", pl.col("ts").dt.date().alias("session"), maintain_order=True)
        .agg(
            pl.col("ts").last(), adj_open=pl.col("open").first(), adj_high=pl.col("high").max(),
            adj_low=pl.col("low").min(), adj_close=pl.col("close").last(),
        )
        .with_columns(universe=pl.lit("synthetic"))
    )  # fmt: skip


@pytest.fixture(scope="module")
def market():
    """80 sessions of two symbols: clustered volatility, normal innovations, nothing planted."""
    return generate(MarketSpec(seed=5, n_symbols=2, n_sessions=80, tail_degrees=500.0))


def _five(minutes: pl.DataFrame) -> pl.DataFrame:
    given = minutes.with_columns(
        universe=pl.lit("synthetic"), revised_at=pl.lit(None, pl.Datetime("us", "UTC")),
        n_bars=pl.lit(1, pl.Int64),
    )  # fmt: skip
    return resample(given.sort("universe", "symbol", "ts"), "5m").select(core.BARS_5M.column_names)


@pytest.fixture(scope="module")
def measured(market) -> pl.DataFrame:
    """The family's rows and the true integrated variance and quarticity of each session."""
    minutes = market.clean_bars
    frame = realised_volatility.compute(_daily(minutes), _five(minutes))
    square = pl.col("sigma") ** 2
    five = (pl.col("ts") - timedelta(minutes=1)).dt.truncate("5m")
    truth = (
        market.state.with_columns(_five=five)
        .group_by("symbol", "_five", pl.col("ts").dt.date().alias("day"))
        .agg(_v=square.sum())
        .group_by("symbol", "day")
        .agg(iv=pl.col("_v").sum(), squares=pl.col("_v").pow(2).sum())
    )
    return frame.with_columns(day=pl.col("ts").dt.date()).join(truth, on=["symbol", "day"])


def test_realised_and_bipower_variance_recover_the_integrated_one(measured):
    # Var(RV | sigma) is twice the sum of squared variances of the intervals; BV's is 2.61 times.
    for name, factor in (("rv_5m_daily_annual", 2.0), ("bipower_5m_annual", 2.61)):
        error = measured[name].to_numpy() ** 2 / 252 / measured["iv"].to_numpy() - 1
        scale = np.sqrt(factor * measured["squares"].to_numpy()) / measured["iv"].to_numpy()
        assert abs(error.mean()) < 3.5 * scale.mean() / math.sqrt(error.size), name
        assert (error / scale).std() == pytest.approx(1.0, abs=0.25), name


def test_a_session_by_plain_loops(market, measured):
    minutes = market.clean_bars.filter(symbol=market.clean_bars["symbol"][0]).head(390)
    close = minutes["close"].to_numpy()[4::5]
    r = np.diff(np.log(np.concatenate([[minutes["open"][0]], close])))
    n, row = r.size, measured.sort("symbol", "ts").row(0, named=True)
    a = np.abs(r)
    rv, bv = np.sum(r**2), math.pi / 2 * n / (n - 1) * np.sum(a[1:] * a[:-1])
    mean = 2 ** (2 / 3) * math.gamma(7 / 6) / math.gamma(1 / 2)
    tq = n**2 / (n - 2) * np.sum((a[2:] * a[1:-1] * a[:-2]) ** (4 / 3)) / mean**3
    z = (1 - bv / rv) / math.sqrt((math.pi**2 / 4 + math.pi - 5) / n * max(1, tq / bv**2))
    assert n == 78
    assert row["rv_5m_daily_annual"] == pytest.approx(ROOT * math.sqrt(rv))
    assert row["bipower_5m_annual"] == pytest.approx(ROOT * math.sqrt(bv))
    assert row["jump_z_5m"] == pytest.approx(z)
    assert row["semivariance_balance_5m"] == pytest.approx(np.sum(r * a) / rv)


def test_planted_jumps_are_found_at_their_size_and_nothing_else(market, measured):
    # A jump of 8 standard deviations of a five-minute return at 17:00 of every fourth session.
    minutes = market.clean_bars.with_columns(day=pl.col("ts").dt.date())
    days = minutes["day"].unique().sort()
    size = 8 * math.sqrt(measured["iv"].mean() / 78)
    from_then = pl.col("ts") > pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone(
        "UTC"
    ) + timedelta(hours=17)
    jumped = minutes.with_columns(
        pl.when(pl.col("day").is_in(days[::4].to_list()) & from_then)
        .then(pl.col(name) * math.exp(size))
        .otherwise(pl.col(name))
        .alias(name)
        for name in ("open", "high", "low", "close")
    ).drop("day")
    frame = realised_volatility.compute(_daily(jumped), _five(jumped)).with_columns(
        day=pl.col("ts").dt.date()
    )
    planted = pl.col("day").is_in(days[::4].to_list())
    found = frame.filter(planted)
    # Level 0.1 % in finite samples of 78 returns; power of 8 deviations in 78 is near one.
    assert (found["jump_share_5m"] > 0).mean() > 0.85
    assert (frame.filter(~planted)["jump_share_5m"] > 0).mean() <= 0.025
    jumps = (found["rv_5m_daily_annual"] ** 2 - found["bipower_5m_annual"] ** 2) / 252
    error = jumps.std() / math.sqrt(jumps.len())
    assert abs(jumps.mean() - size**2) < 3.5 * error
    joined = found.join(measured.select("symbol", "day", "iv"), on=["symbol", "day"])
    ratio = (joined["bipower_5m_annual"] ** 2 / 252 / joined["iv"]).to_numpy()
    # A jump leaves |r[i] J| twice in bipower variation: a few per cent at 78 returns, not 80.
    assert abs(ratio.mean() - 1) < 0.30


def test_bars_that_came_late_or_are_too_few_do_not_count(market):
    minutes = market.clean_bars.head(390 * 3)
    daily, five = _daily(minutes), _five(minutes)
    second = daily["ts"][1]
    late = five.with_columns(
        known_at=pl.when(pl.col("ts") == second)
        .then(pl.col("ts") + timedelta(minutes=1))
        .otherwise("known_at")
    )
    whole = realised_volatility.compute(daily, five)["rv_5m_daily_annual"]
    without = realised_volatility.compute(daily, late)["rv_5m_daily_annual"]
    assert (whole.gather([0, 2]) == without.gather([0, 2])).all()
    assert whole[1] != without[1]
    few = five.filter((pl.col("ts") > second) | (pl.col("ts") <= five["ts"][78 + 20]))
    rows = realised_volatility.compute(daily, few)["rv_5m_daily_annual"]
    assert rows.is_null().to_list() == [False, True, False]
