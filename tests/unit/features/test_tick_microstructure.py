"""Tick microstructure: known spreads, signs, impact and toxicity are found again; books by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import intraday_frames
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.special import ndtr

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.contracts import core_ticks
from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.features import tick_bars, tick_microstructure, tick_windows
from btq_assets.features.checks import truncation_gate
from btq_assets.features.definitions import KEY
from btq_assets.features.families import FAMILY

START = dt.datetime(2024, 3, 1, 15, tzinfo=dt.UTC)
SERIES = {"universe": "u", "symbol": "A", "source": "stream", "dataset": "x"}


def _seconds(values: Sequence[float]) -> list[dt.datetime]:
    return [START + dt.timedelta(seconds=float(s)) for s in values]


def _events(contract, at: Sequence[float], **columns) -> pl.DataFrame:
    times = _seconds(at)
    frame = pl.DataFrame({"ts": times, "known_at": times, **columns})
    missing = [n for n in contract.column_names if n not in (*frame.columns, *SERIES)]
    return frame.with_columns(
        *(pl.lit(value).alias(name) for name, value in SERIES.items()),
        *(pl.lit(None, contract.schema[name]).alias(name) for name in missing),
    ).cast({n: contract.schema[n] for n in frame.columns}).select(contract.column_names)  # fmt: skip


def _trades(at, price, quantity=1.0, aggressor=None) -> pl.DataFrame:
    n = len(at)
    return _events(
        core_ticks.TRADES, at, trade_id=range(n), price=price,
        quantity=np.broadcast_to(np.asarray(quantity, float), n),
        aggressor=pl.Series(aggressor or [None] * n, dtype=pl.String),
    )  # fmt: skip


def _quotes(at, bid, ask, bid_quantity=10.0, ask_quantity=10.0) -> pl.DataFrame:
    n = len(at)
    bid, ask = (
        np.broadcast_to(np.asarray(bid, float), n),
        np.broadcast_to(np.asarray(ask, float), n),
    )
    return _events(
        core_ticks.QUOTES, at, update_id=range(n), bid_price=bid, ask_price=ask,
        bid_quantity=np.broadcast_to(np.asarray(bid_quantity, float), n),
        ask_quantity=np.broadcast_to(np.asarray(ask_quantity, float), n),
        mid_price=(bid + ask) / 2, spread_bps=(ask - bid) / (ask + bid) * 2e4,
    )  # fmt: skip


NO_BOOK = core_ticks.BOOK_CHANGES.empty()
NO_TRADES = core_ticks.TRADES.empty()
NO_QUOTES = core_ticks.QUOTES.empty()


def test_signs_by_lee_and_ready_and_by_the_tick_rule():
    # Quotes 99-101 at 0 s and 103-105 at 10 s. The trade of second 10 is compared with the quote
    # strictly before it: 102 is above 100, though below the quote of its own instant.
    quotes = tick_bars.ordered_quotes(_quotes([0, 10], [99, 103], [101, 105]))
    trades = _trades([1, 2, 3, 4, 10, 11], [100.0, 101.0, 101.0, 100.0, 102.0, 103.5])
    signed = tick_bars.signed_trades(trades, quotes)
    # 100 is at the mid price with no earlier change: unknown. The second 100 is a downtick.
    assert signed["lee_ready"].to_list() == [None, 1, 1, -1, 1, -1]
    assert signed["tick_rule"].to_list() == [None, 1, 1, -1, 1, 1]
    assert signed["mid_price"].to_list() == [100, 100, 100, 100, 100, 104]
    late = tick_bars.signed_trades(_trades([3600, 3601], [99.0, 98.0]), quotes)
    assert late["mid_price"].is_null().all()
    assert late["lee_ready"].to_list() == [None, -1]


def test_signs_agree_with_the_known_aggressor_of_the_generated_market():
    # Each generated trade prints at the bid or the ask of a millisecond before: Lee and Ready are
    # always right. Its aggressor is a coin, so the tick rule is not.
    ticks = intraday_frames.ticks(n_sessions=1, minutes=60)
    found = tick_microstructure.compute(ticks["trades"], ticks["quotes"], ticks["book"])
    known, right, by_tick = (
        found[n].sum() for n in ("n_aggressor_known", "n_lee_ready_right", "n_tick_rule_right")
    )
    assert known == ticks["trades"].height == right
    assert 0.4 < by_tick / known < 0.6
    assert_frame_equal(
        found.select(x="lee_ready_imbalance"), found.select(x="aggressor_imbalance"), rel_tol=1e-12
    )


@pytest.mark.parametrize("half_spread_bps", [2.0, 10.0])
def test_the_spread_of_the_generated_market_is_found(half_spread_bps):
    # Quotes before each trade stand around it by the generator's half spread, in whole cents.
    ticks = intraday_frames.ticks(n_sessions=1, minutes=60, half_spread_bps=half_spread_bps)
    found = tick_microstructure.compute(ticks["trades"], ticks["quotes"], ticks["book"])
    quoted = ticks["quotes"]["spread_bps"].mean()
    trades, quotes = ticks["trades"].sort("symbol", "ts"), ticks["quotes"].sort("symbol", "ts")
    mid = quotes["mid_price"].to_numpy()
    paid = 2e4 * np.abs(trades["price"].to_numpy() / mid - 1)
    mean = np.average(paid, weights=trades["quantity"].to_numpy())
    whole = found.select((pl.col("effective_spread_bps") * pl.col("n_trades")).sum() / pl.col("n_trades").sum()).item()  # fmt: skip
    assert whole == pytest.approx(mean, rel=0.05)
    assert whole == pytest.approx(quoted, rel=0.05)
    assert found["quoted_spread_bps"].mean() == pytest.approx(quoted, rel=0.05)


def test_quoted_spread_is_weighted_by_time_and_carries_the_standing_quote():
    # Bar 15:01-15:02: 20 bps from before for 15 s, then 40 bps for 45 s: 35.
    quotes = _quotes([30, 75], [99.9, 99.8], [100.1, 100.2])
    found = tick_microstructure.compute(NO_TRADES, quotes, NO_BOOK)
    assert found["quoted_spread_bps"].to_list() == pytest.approx([20, (20 * 15 + 40 * 45) / 60])
    assert found["ts"].to_list() == _seconds([60, 120])


def test_effective_spread_is_realised_spread_plus_impact():
    # One buy of 100.2 at a mid price of 100; a minute later the mid price is 100.15.
    quotes = _quotes([1, 50], [99.9, 100.05], [100.1, 100.25])
    found = tick_microstructure.compute(
        _trades([10], [100.2]), quotes, NO_BOOK, FeaturesSection(tick_horizon_seconds=49)
    ).row(0, named=True)
    assert found["effective_spread_bps"] == pytest.approx(40)
    assert found["realised_spread_bps"] == pytest.approx(10)
    assert found["price_impact_bps"] == pytest.approx(30)
    # Until the horizon has ended nothing is said about it.
    late = tick_microstructure.compute(
        _trades([10], [100.2]), quotes, NO_BOOK, FeaturesSection(tick_horizon_seconds=51)
    )
    assert late["realised_spread_bps"].to_list() == [None]


def test_order_flow_imbalance_by_hand():
    # Cont, Kukanov and Stoikov (2014), equation 3, case by case: bid up (+20), bid size 20 -> 25
    # at one price (+5), ask up (+10: the size that left), ask down with 7 (-7), bid down (-25).
    quotes = _quotes(
        [1, 2, 3, 4, 5, 6],
        [10, 11, 11, 11, 11, 10],
        [13, 13, 13, 14, 13, 13],
        [15, 20, 25, 25, 25, 30],
        [10, 10, 10, 8, 7, 7],
    )
    row = tick_microstructure.compute(NO_TRADES, quotes, NO_BOOK).row(0, named=True)
    assert row["ofi_top_units"] == pytest.approx(20 + 5 + 10 - 7 - 25)
    depth = np.mean([25 / 2, 30 / 2, 35 / 2, 33 / 2, 32 / 2, 37 / 2])
    assert row["ofi_top_depths"] == pytest.approx(3 / depth)
    assert row["depth_imbalance_top"] == pytest.approx((30 - 7) / 37)
    # Weighted mid price: 10 with the ask's size and 13 with the bid's.
    micro = (10 * 7 + 13 * 30) / 37
    assert row["microprice_distance_bps"] == pytest.approx(1e4 * (micro / 11.5 - 1))


def _book(*messages) -> pl.DataFrame:
    """Rows of (second, first id, last id, kind, [(side, price, quantity), ...])."""
    rows = [
        (at, first, last, kind, side, price, quantity)
        for at, first, last, kind, levels in messages
        for side, price, quantity in levels
    ]
    at, first, last, kind, side, price, quantity = zip(*rows, strict=True)
    return _events(
        core_ticks.BOOK_CHANGES, at, update_id=last, first_update_id=first, kind=kind, side=side,
        price=np.array(price, float), quantity=np.array(quantity, float), received_at=_seconds(at),
    )  # fmt: skip


WHOLE = [("bid", 100 - k, 10 + k) for k in range(1, 7)] + [("ask", 100 + k, 20 + k) for k in range(1, 7)]  # fmt: skip


def test_a_book_by_hand():
    # The best bid falls from 11 to 6 units, the third ask grows from 23 to 33: -5 and -10 over
    # five levels; depth 5 levels of (13 + 23) / 2 before and 0.5 more after.
    book = _book(
        (1, 1, 12, "snapshot", WHOLE),
        (2, 13, 14, "change", [("bid", 99, 6), ("ask", 103, 33)]),
    )
    row = tick_microstructure.compute(NO_TRADES, NO_QUOTES, book).row(0, named=True)
    assert row["ofi_deep_depths"] == pytest.approx((-15 / 5) / np.mean([18, 18.5]))
    assert row["depth_imbalance_5"] == pytest.approx((60 - 125) / 185)
    assert row["depth_imbalance_10"] == pytest.approx((76 - 151) / 227)

    def side(sizes, prices):
        v = np.log1p(np.cumsum(sizes))
        first = v[0] / abs(prices[0] / 100 - 1)
        rest = [(v[k + 1] / v[k] - 1) / abs(prices[k + 1] / prices[k] - 1) for k in range(4)]
        return (first + sum(rest)) / 5

    bids = side([6, 12, 13, 14, 15], [99, 98, 97, 96, 95])
    asks = side([21, 22, 33, 24, 25], [101, 102, 103, 104, 105])
    assert row["book_slope"] == pytest.approx((bids + asks) / 2)


def test_a_book_that_lost_a_change_is_unknown_until_its_next_snapshot():
    gone = (61, 20, 20, "change", [("bid", 99, 1)])
    after = (62, 21, 21, "change", [("bid", 99, 0)])
    again = (121, 22, 33, "snapshot", WHOLE)
    stale = (122, 30, 31, "change", [("bid", 99, 500)])
    book = _book((1, 1, 12, "snapshot", WHOLE), gone, after, again, stale)
    found = tick_microstructure.compute(NO_TRADES, NO_QUOTES, book)
    known = pytest.approx((65 - 115) / 180)
    # What a snapshot contains already changes nothing when it comes later.
    assert found["depth_imbalance_5"].to_list() == [known, None, known]


def test_a_removed_level_lets_the_next_one_in():
    book = _book((1, 1, 12, "snapshot", WHOLE), (2, 13, 13, "change", [("bid", 99, 0)]))
    row = tick_microstructure.compute(NO_TRADES, NO_QUOTES, book).row(0, named=True)
    assert row["depth_imbalance_5"] == pytest.approx((12 + 13 + 14 + 15 + 16 - 115) / 185)


def test_a_known_lambda_and_volatility_are_found_within_their_errors():
    # mid[t] = mid[t-1] exp(lambda x + noise): 400 minutes, one signed trade in each, the quote
    # before it at the bar's start. lambda 8 bps per million, noise 3 bps.
    random, n, slope, noise = np.random.default_rng(11), 400, 8.0, 3.0
    signs = random.choice([-1.0, 1.0], n)
    millions = random.gamma(2.0, 0.5, n)
    moves = slope * signs * millions + random.normal(0, noise, n)
    after = 100 * np.exp(np.cumsum(moves) / 1e4)
    before = np.append(100.0, after[:-1])
    price = before * (1 + 2e-4 * signs)
    minute = 60.0 * np.arange(n)
    # Quotes: the state before the trade (second 1), and after it (second 40).
    at = np.stack([minute + 1, minute + 40], 1).ravel()
    mid = np.stack([before, after], 1).ravel()
    quotes = _quotes(at, mid * (1 - 1e-4), mid * (1 + 1e-4))
    trades = _trades(minute + 20, price, millions * 1e6 / price)
    features = FeaturesSection(tick_window_bars=300)
    row = tick_microstructure.compute(trades, quotes, NO_BOOK, features).row(-1, named=True)
    found, t = row["kyle_lambda_bps_per_million"], row["kyle_lambda_t"]
    error = found / t
    x = (signs * millions)[-300:]
    assert error == pytest.approx(noise / (np.std(x) * 300**0.5), rel=0.15)
    assert abs(found - slope) < 3 * error
    true_sd = np.sqrt(slope**2 * np.var(x) + noise**2)
    assert abs(row["mid_return_sd_bps"] - true_sd) < 3 * true_sd / (2 * 300) ** 0.5 * 1.5
    illiquid = np.mean(np.abs(moves[-300:]) / millions[-300:])
    assert row["amihud_bps_per_million"] == pytest.approx(illiquid, rel=1e-6)
    # Trades that move nothing have no impact.
    _, t = tick_windows.impact(random.normal(0, noise, 300), x, 300)
    assert abs(t[-1]) < 3


def test_vpin_by_hand():
    # Day one: four bars of 25 units, a bucket is 2. Moves 0, 1, -1, 2: deviation s. Day two: its
    # first bar trades 10 units on a move of 2, five buckets of a share Phi(2 / s); before them
    # lie 45 buckets of day one: all of bars 4 (12.5), 3, 2 and 7.5 of bar 1. No bucket edge falls
    # on the end of a bar, so buckets across two bars are mixed.
    day = np.array([1, 1, 1, 1, 2])
    volume = np.array([25.0, 25, 25, 25, 10])
    last = np.array([100.0, 101, 100, 102, 104])
    first = np.array([100.0, 100, 101, 100, 102])
    found = tick_windows.vpin(day, volume, first, last)
    assert np.isnan(found[:4]).all()
    moves = np.array([0.0, 1, -1, 2, 2])
    share = ndtr(moves / np.std(moves[:4], ddof=1))
    units = np.repeat(share, (volume * 2).astype(int))[-200:]  # half units, the last 50 buckets
    expected = np.abs(2 * units.reshape(50, 4).mean(axis=1) - 1).mean()
    assert found[4] == pytest.approx(expected, rel=1e-12)
    # One-sided prices make all volume one-sided; prices that stand still make it balanced.
    trend = tick_windows.vpin(day, volume, 100 + 0 * last, 100 + 0 * last)
    assert trend[4] == 0


def test_vpin_rises_with_one_sided_trading():
    random = np.random.default_rng(2)
    day = np.repeat([1, 2], 200)
    volume = np.full(400, 10.0)

    def last_vpin(drift: float) -> float:
        moves = np.concatenate([random.normal(0, 1, 200), random.normal(drift, 1, 200)])
        last = 1e3 + np.cumsum(moves)
        # After the last bar all fifty buckets, of four bars each, are of the second day.
        return float(tick_windows.vpin(day, volume, last - moves, last)[-1])

    assert last_vpin(0.0) < last_vpin(1.0) < last_vpin(3.0)
    assert last_vpin(3.0) > 0.9


def test_two_exchanges_do_not_mix():
    one = _quotes([1, 31], [99, 100], [101, 102])
    other = _quotes([2, 32], [49, 48], [51, 52]).with_columns(dataset=pl.lit("y"))
    alone = tick_microstructure.compute(NO_TRADES, one, NO_BOOK)
    both = tick_microstructure.compute(NO_TRADES, pl.concat([one, other]), NO_BOOK)
    assert_frame_equal(both, alone)
    assert both["dataset"].to_list() == ["x"]


def test_no_ticks_give_no_rows_and_the_family_is_absent_without_a_source(config):
    found = tick_microstructure.compute(NO_TRADES, NO_QUOTES, NO_BOOK)
    assert found.is_empty()
    assert found.columns == list(contracts.TICK_MICROSTRUCTURE.column_names)
    family = FAMILY["tick_microstructure"]
    assert not family.enabled(config)
    for sources, there in (
        ({"synthetic": {"enabled": True}}, True),
        ({"synthetic": {"enabled": True, "ticks": False}}, False),
        ({"stream": {"enabled": True}}, True),
    ):
        assert family.enabled(TradingConfig(sources=sources)) is there


def _quote_of_its_own_instant(inputs, config):
    honest = FAMILY["tick_microstructure"].compute(inputs, config)
    return honest.with_columns(pl.col("effective_spread_bps").shift(-1).over("universe", "symbol"))


def _realised_at_the_trade(inputs, config):
    honest = FAMILY["tick_microstructure"].compute(inputs, config)
    later = pl.col("realised_spread_bps").shift(-config.features.tick_window_bars // 6)
    return honest.with_columns(later.over("universe", "symbol"))


@pytest.mark.parametrize(
    ("leak", "passes"),
    [(None, True), (_quote_of_its_own_instant, False), (_realised_at_the_trade, False)],
)
def test_the_gate_tells_honest_bars_from_leaking_ones(leak, passes):
    config = TradingConfig(features={"tick_window_bars": 6, "tick_horizon_seconds": 60})
    family = FAMILY["tick_microstructure"]
    inputs = intraday_frames.ticks(n_symbols=1, minutes=20)
    compute = leak or family.compute
    frame = compute(inputs, config)
    assert frame.columns[:3] == list(KEY)
    context = CheckContext({family.contract.table: frame}, inputs, config)
    (outcome,) = truncation_gate(family.contract, compute, symbols=1).answer(context)
    assert outcome.passed is passes, outcome.message
