"""Ticks aggregate to their bars, trades hit the quotes, options come from the stated surface."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.raw.alternative import onchain_contract, option_quotes_contract
from btq_assets.sources.synthetic import MarketSpec, generate
from btq_assets.sources.synthetic.onchain import onchain_metrics
from btq_assets.sources.synthetic.options import Surface, black_scholes, option_quotes
from btq_assets.sources.synthetic.ticks import N_LEVELS, session_ticks

SPEC = MarketSpec(seed=5, n_symbols=2, n_sessions=12)


@pytest.fixture(scope="module")
def market():
    return generate(SPEC)


@pytest.fixture(scope="module")
def ticks(market):
    return session_ticks(market, 1, minutes=60)


def test_ticks_keep_the_contracts(ticks):
    for frame, contract in (
        (ticks.trades, raw.TRADES_STREAM),
        (ticks.quotes, raw.QUOTES_STREAM),
        (ticks.book, raw.BOOK_STREAM),
    ):
        assert violations(cast_to_contract(frame, contract), contract).is_empty(), contract.table
        assert frame["dataset"].str.starts_with("SYNTHETIC").all()


def test_trades_aggregate_to_the_bars_exactly(market, ticks):
    minute = pl.col("ts").dt.truncate("1m") + pl.duration(minutes=1)
    made = (
        ticks.trades.sort("symbol", "trade_id")
        .group_by("symbol", minute.alias("ts"), maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("quantity").sum(),
        )
        .sort("symbol", "ts")
    )
    bars = market.clean_bars.join(made.select("symbol", "ts"), on=["symbol", "ts"], how="semi")
    assert made.height == 2 * 60
    assert made.equals(bars.sort("symbol", "ts").select(made.columns))


def test_every_trade_prints_at_the_quote_that_stood_before_it(ticks):
    joined = ticks.trades.sort("ts").join_asof(
        ticks.quotes.sort("ts").select("symbol", "ts", "bid_price", "ask_price", "bid_quantity"),
        on="ts",
        by="symbol",
        strategy="backward",
        check_sortedness=False,
        allow_exact_matches=False,
    )
    # Several trades in a millisecond share the last quote before it; few do.
    alone = joined.filter(pl.struct("symbol", "ts").is_unique())
    alone = alone.filter(pl.col("ts").diff().over("symbol") > pl.duration(milliseconds=2))
    hit = pl.when("buyer_is_maker").then("bid_price").otherwise("ask_price")
    assert alone.filter(hit != pl.col("price")).is_empty()
    assert alone.height > 0.9 * joined.height


def test_the_book_replays_to_the_quotes(ticks):
    symbol = SPEC.symbols[0]
    book: dict[str, dict[float, float]] = {"bid": {}, "ask": {}}
    quotes = iter(ticks.quotes.filter(symbol=symbol).sort("update_id").iter_rows(named=True))
    last = None
    events = ticks.book.filter(symbol=symbol).partition_by("update_id", maintain_order=True)
    for event in events:
        first = event["first_update_id"][0]
        assert last is None or first == last + 1  # update ids have no hole
        last = event["update_id"][0]
        for side, price, quantity in event.select("side", "price", "quantity").iter_rows():
            book[side].pop(price, None)
            if quantity:
                book[side][price] = quantity
        quote = next(quotes)
        best_bid, best_ask = max(book["bid"]), min(book["ask"])
        assert (best_bid, book["bid"][best_bid]) == (quote["bid_price"], quote["bid_quantity"])
        assert (best_ask, book["ask"][best_ask]) == (quote["ask_price"], quote["ask_quantity"])
        assert len(book["bid"]) == len(book["ask"]) == N_LEVELS
    assert next(quotes, None) is None


def test_black_scholes_at_the_money_has_a_closed_form():
    # S = K = 100, T = 1, volatility 20 %, rate 0: call = put = 100 (2 N(0.1) - 1) = 7.965567.
    args = (np.array([100.0]), np.array([100.0]), np.array([1.0]), np.array([0.2]))
    assert black_scholes(np.array([True]), *args)[0] == pytest.approx(7.965567, abs=1e-6)
    assert black_scholes(np.array([False]), *args)[0] == pytest.approx(7.965567, abs=1e-6)


def test_quotes_lie_around_the_true_price_and_the_surface_is_recovered(market):
    quotes = option_quotes(market, sessions=(0, 5))
    contract = option_quotes_contract("synthetic", "SYNTHETIC quotes.")
    kept = cast_to_contract(quotes.select(contract.column_names), contract)
    assert violations(kept, contract).is_empty()
    assert quotes.filter(pl.col("ask") < pl.col("true_price")).is_empty()
    assert quotes.filter(pl.col("bid") > pl.col("true_price")).is_empty()
    assert (quotes["open_interest"] >= 0).all()
    years = (quotes["expires_at"] - quotes["ts"]).dt.total_seconds() / (365 * 86_400)
    again = black_scholes(
        (quotes["kind"] == "call").to_numpy(),
        quotes["underlying_price"].to_numpy(),
        quotes["strike"].to_numpy(),
        years.to_numpy(),
        quotes["true_volatility"].to_numpy(),
    )
    assert quotes["true_price"].to_list() == pytest.approx(again.tolist(), rel=1e-9)
    falls = quotes.filter(pl.col("strike") < 0.9 * pl.col("underlying_price"))
    rises = quotes.filter(pl.col("strike") > 1.1 * pl.col("underlying_price"))
    assert falls["true_volatility"].mean() > rises["true_volatility"].mean()  # the skew


def test_the_surface_allows_no_static_arbitrage(market):
    """Call prices fall and are convex in strike; total variance grows with time at each strike."""
    quotes = option_quotes(market).filter(kind="call").sort("underlying", "expiry", "strike")
    for chain in quotes.partition_by("underlying", "expiry"):
        strike, price = chain["strike"].to_numpy(), chain["true_price"].to_numpy()
        slope = np.diff(price) / np.diff(strike)
        assert (slope <= 0).all()
        assert (slope >= -1).all()
        assert (np.diff(slope) >= -1e-9).all()
    surface, years = Surface(), np.array([0.02, 0.1, 0.3, 1.0, 2.0])
    for now in (0.1, 0.3, 0.9):
        for k in (-0.5, -0.1, 0.0, 0.2):
            total = surface.volatility(now, np.full(5, k), years) ** 2 * years
            assert (np.diff(total) > 0).all()
    with pytest.raises(ValueError, match="arbitrage"):
        Surface(smile=2.0)


def test_a_surface_is_what_its_formula_says():
    surface = Surface(skew=-0.6, smile=1.0, long_run=0.3, half_life_years=1.0)
    # At the money: the root of the mean variance. now = long run: 0.3 at any time.
    at_money = surface.volatility(0.3, np.zeros(2), np.array([0.1, 2.0]))
    assert at_money.tolist() == pytest.approx([0.3, 0.3])
    # T = 1, now = long run: theta 0.09, phi 1/0.3; k = 0.3 makes phi k = 1, so
    # w = 0.045 (1 - 0.6 + sqrt(0.16 + 0.64)) = 0.045 (0.4 + 0.894427) = 0.0582492.
    away = surface.volatility(0.3, np.array([0.3]), np.array([1.0]))
    assert away[0] ** 2 == pytest.approx(0.0582492, abs=1e-7)
    # One half-life from 0.5: 0.09 + 0.16 (1 - 1/2) / ln 2 = 0.2054156.
    turbulent = surface.volatility(0.5, np.zeros(1), np.array([1.0]))
    assert turbulent[0] ** 2 == pytest.approx(0.2054156, abs=1e-7)


def test_onchain_activity_follows_the_volume_of_its_day(market):
    metrics = onchain_metrics(market)
    contract = onchain_contract("synthetic", "SYNTHETIC metrics.")
    assert violations(cast_to_contract(metrics, contract), contract).is_empty()
    volume = (
        market.clean_bars.group_by("symbol", day=pl.col("ts").dt.date())
        .agg(pl.col("volume").sum())
        .rename({"symbol": "asset"})
    )
    joined = (
        metrics.filter(metric="transaction_count")
        .with_columns(day=(pl.col("ts") - pl.duration(days=1)).dt.date())
        .join(volume, on=["asset", "day"])
    )
    assert joined.height == 2 * 12
    for symbol in joined.partition_by("asset"):
        found = np.corrcoef(np.log(symbol["value"]), np.log(symbol["volume"]))[0, 1]
        assert found > 0.5
    assert (metrics["known_at"] > metrics["ts"]).all()
