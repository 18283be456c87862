"""The table of what was planted: complete, and each entry is found in what arrives.

Expected sizes are those asked for; statistics are held to several standard errors.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from btq_assets.config.sources import SyntheticSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.synthetic import generate
from btq_assets.sources.synthetic.bars import daily_bars
from btq_assets.sources.synthetic.news import documents
from btq_assets.sources.synthetic.settings import option_sessions, spec_of, tick_sessions
from btq_assets.sources.synthetic.truth import truth

SETTINGS = SyntheticSourceSection(
    enabled=True,
    seed=11,
    n_symbols=4,
    n_sessions=60,
    edge_correlation=0.1,
    regime_session=30,
    outage_minutes=45,
    bad_ticks_of_each_kind=3,
    missed_split_session=20,
    news_drift_bps=25,
)
LEADER, SPLIT = "SYN001", "SYN001"


@pytest.fixture(scope="module")
def market():
    return generate(spec_of(SETTINGS))


@pytest.fixture(scope="module")
def planted(market) -> pl.DataFrame:
    return truth(market, option_sessions=option_sessions(SETTINGS))


@pytest.fixture(scope="module")
def minutes(market) -> pl.DataFrame:
    """Bars that arrive, log return from open to close, without the spoiled ones."""
    bars = market.bars.filter(pl.col("close") > 0).unique(["symbol", "ts"], keep="none")
    return bars.with_columns(move=(pl.col("close") / pl.col("open")).log()).sort("symbol", "ts")


def facts(planted: pl.DataFrame, plant: str) -> list[dict]:
    rows = planted.filter(plant=plant).to_dicts()
    assert rows, f"nothing is listed as {plant}"
    return rows


def test_the_truth_keeps_its_contract_and_lists_every_kind(planted):
    kept = cast_to_contract(planted, raw.SYNTHETIC_TRUTH)
    assert violations(kept, raw.SYNTHETIC_TRUTH).is_empty()
    assert set(planted["plant"]) == set(raw.SYNTHETIC_TRUTH.column("plant").allowed)
    assert planted["dataset"].str.starts_with("SYNTHETIC").all()


def test_every_bad_tick_is_the_bar_that_the_truth_names(market, planted):
    for plant in ("hundredfold", "zero", "duplicate"):
        assert planted.filter(plant=plant).height == 3
        for row in facts(planted, plant):
            here = market.bars.filter(symbol=row["symbol"], ts=row["from_ts"])["close"].to_list()
            assert here[-1] == pytest.approx(row["planted_value"])
            assert len(here) == (2 if plant == "duplicate" else 1)
    assert {row["size"] for row in facts(planted, "zero")} == {0.0}
    assert [row["size"] for row in facts(planted, "hundredfold")] == pytest.approx([100.0] * 3)
    skewed = facts(planted, "clock_skew")
    assert {row["size"] for row in skewed} == {37.0}  # seconds, by default
    for row in skewed:
        late = pl.col("ts") == row["from_ts"].replace(second=37)
        assert market.bars.filter(late, symbol=row["symbol"]).height == 1


def test_the_outage_is_one_silence_per_symbol_of_the_length_asked_for(market, planted):
    silent = facts(planted, "outage")
    assert [row["symbol"] for row in silent] == list(market.spec.symbols)
    for row in silent:
        during = pl.col("ts").is_between(row["from_ts"], row["to_ts"])
        assert row["size"] == 45 == market.clean_bars.filter(during, symbol=row["symbol"]).height
        assert market.bars.filter(during, symbol=row["symbol"]).is_empty()


def test_the_split_divides_prices_where_the_truth_says_so(market, planted):
    (row,) = facts(planted, "missed_split")
    assert row["symbol"] == SPLIT
    both = market.daily_bars.filter(symbol=SPLIT).join(
        daily_bars(market.clean_bars), on=["symbol", "ts"], suffix="_clean"
    )
    # Closes of sessions: no bad tick is the last minute of one here, or the ratio would show it.
    ratio = (both["close_clean"] / both["close"]).to_numpy()
    after = (both["ts"] >= row["from_ts"]).to_numpy()
    assert after.sum() == 40
    assert ratio[after] == pytest.approx(row["size"], rel=2e-3)
    assert ratio[~after] == pytest.approx(1.0, rel=1e-9)


def test_regime_and_edge_are_found_at_the_size_and_time_of_the_truth(planted, minutes):
    change = facts(planted, "regime_volatility")[0]
    calm = minutes.filter(pl.col("ts") < change["from_ts"], pl.col("move").abs() < 0.5)
    wild = minutes.filter(pl.col("ts") >= change["from_ts"], pl.col("move").abs() < 0.5)
    # Volatility is itself random and slow: its level over 30 sessions varies by a fifth.
    assert wild["move"].std() / calm["move"].std() == pytest.approx(change["size"], rel=0.4)
    # Returns over their own volatility of the hour before, a stand-in for the true one.
    scaled = (
        minutes.with_columns(
            z=pl.col("move") / pl.col("move").rolling_std(60).shift(1).over("symbol")
        )
        .filter(pl.col("z").abs() < 6)
        .pivot("symbol", index="ts", values="z")
        .sort("ts")
        .drop_nulls()
    )
    late = scaled.filter(pl.col("ts") >= change["from_ts"])
    correlation = facts(planted, "regime_correlation")[0]["size"]
    assert np.corrcoef(late["SYN002"], late["SYN003"])[0, 1] == pytest.approx(correlation, abs=0.1)
    for row in facts(planted, "edge"):
        follower = row["symbol"]
        led = np.corrcoef(scaled[LEADER][:-1], scaled[follower][1:])[0, 1]
        # 23,000 minutes: standard error 0.007; a volatility that is guessed dilutes a little.
        assert led == pytest.approx(row["size"], abs=0.03)
        back = np.corrcoef(scaled[follower][:-1], scaled[LEADER][1:])[0, 1]
        assert abs(back) < 0.03


def test_news_drift_is_the_difference_to_the_market_without_it(market, planted):
    calm = generate(spec_of(SETTINGS.model_copy(update={"news_drift_bps": 0.0})))
    extra = market.paths.log_close - calm.paths.log_close
    assert set(planted.filter(plant="news_tone")["size"]) == {-1.0, 0.0, 1.0}
    for number, symbol in enumerate(market.spec.symbols):
        listed = planted.filter(plant="news_drift", symbol=symbol)
        assert extra[-1, number] * 1e4 == pytest.approx(listed["size"].sum())
        first = int(listed["from_ts"].min().timestamp() * 1e6)
        # The first bar that drifts is the one named: no price moved before.
        assert not extra[market.spec.bar_ends() < first, number].any()
        assert extra[market.spec.bar_ends() == first, number].all()


def test_nothing_is_listed_where_nothing_is_planted():
    settings = SyntheticSourceSection(enabled=True, n_symbols=2, n_sessions=2)
    market = generate(spec_of(settings))
    assert set(truth(market)["plant"]) <= {"news_tone"}
    assert truth(market, news=False).is_empty()
    assert truth(market, bars=False, news=False).is_empty()


def test_a_daily_bar_is_its_session_without_what_the_contract_refuses(market):
    clean = daily_bars(market.clean_bars)
    assert clean.height == 4 * 60
    assert violations(cast_to_contract(clean, raw.BARS_SYNTHETIC), raw.BARS_SYNTHETIC).is_empty()
    one = market.clean_bars.filter(symbol="SYN002").head(390)
    (day,) = clean.filter(symbol="SYN002").head(1).to_dicts()
    assert (day["open"], day["close"]) == (one["open"][0], one["close"][-1])
    assert (day["high"], day["low"]) == (one["high"].max(), one["low"].min())
    assert day["volume"] == one["volume"].sum()
    assert day["ts"] == one["ts"][-1]
    # Zero prices are impossible and touch no session; a price a hundred times too high passes.
    assert market.daily_bars["low"].min() > 0
    assert market.daily_bars.filter(pl.col("high") > 50 * pl.col("close")).height >= 1
    assert market.daily_bars.height == 4 * 60


def test_headlines_are_documents_that_hide_their_tone(market):
    rows = documents(market.news)
    contract = raw.DOCUMENTS_SYNTHETIC
    assert violations(cast_to_contract(rows, contract), contract).is_empty()
    assert "tone" not in rows.columns
    assert rows.height == market.news.height > 50


def test_sessions_of_ticks_and_options_stay_within_the_market():
    settings = SyntheticSourceSection(n_sessions=3, tick_sessions=9, option_sessions=2)
    assert list(tick_sessions(settings)) == [0, 1, 2]
    assert option_sessions(settings) == (1, 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_symbols": 500, "n_sessions": 2_520}, "one-minute bars"),
        ({"n_symbols": 50, "tick_sessions": 20}, "minutes of ticks"),
        ({"n_symbols": 500, "option_sessions": 2_520, "n_sessions": 10, "ticks": False}, None),
        ({"regime_session": 20}, "numbered from 0 to 19"),
        ({"missed_split_session": 20}, "numbered from 0 to 19"),
        ({"bad_ticks_of_each_kind": 700}, "one in sixty"),
        ({"edge_correlation": 0.29, "correlation": 0.93}, "no room for chance"),
    ],
)
def test_markets_that_cannot_be_are_refused_by_the_configuration(wrong, message):
    if message is None:
        assert SyntheticSourceSection(**wrong).n_bars == 1_950_000
        return
    with pytest.raises(ValidationError, match=message):
        SyntheticSourceSection(**wrong)
