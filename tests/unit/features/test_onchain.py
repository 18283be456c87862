"""On-chain family: days and symbols by hand, restatements from their own date on."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest
from alternative_frames import rows_of
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.contracts.core_alternative import ONCHAIN_METRICS
from btq_assets.features import onchain
from btq_assets.features.checks import truncation_gate

UTC = dt.UTC
START = dt.datetime(2010, 1, 4, tzinfo=UTC)
HOUR = dt.timedelta(hours=1)


def _metrics(
    metric: str, *rows: tuple[int, float], asset: str = "btc", unit: str = "", late: int = 1
) -> pl.DataFrame:
    """Values of the days that end so many days after the first Monday began, known `late` hours on."""
    return rows_of(
        ONCHAIN_METRICS,
        [
            {
                "source": "test", "dataset": "test", "asset": asset, "metric": metric,
                "ts": START + dt.timedelta(days=day), "value": value, "unit": unit,
                "known_at": START + dt.timedelta(days=day) + late * HOUR,
            }
            for day, value in rows
        ],
    )  # fmt: skip


def _on(frame: pl.DataFrame, day: int) -> dict[str, object]:
    found = frame.filter(pl.col("ts") == START + dt.timedelta(days=day, hours=21))
    return found.row(0, named=True) if found.height else {}


@pytest.fixture
def bitcoin(make_bars) -> pl.DataFrame:
    return make_bars(2, 30).with_columns(
        pl.col("symbol").replace({"S00": "BTC-USD", "S01": "A SHARE"})
    )


def test_a_change_over_seven_days_reads_that_very_day(bitcoin):
    rows = _metrics("AdrActCnt", *((day, 100.0 * 1.1**day) for day in range(1, 12) if day != 3))
    frame = onchain.compute(bitcoin, rows)
    assert set(frame["symbol"]) == {"BTC-USD"}
    assert _on(frame, 0) == {}
    assert _on(frame, 8)["active_addresses_change_7d"] == pytest.approx(7 * math.log(1.1))
    assert _on(frame, 10)["active_addresses_change_7d"] is None  # day 3 is missing
    assert _on(frame, 14)["active_addresses_change_7d"] == pytest.approx(7 * math.log(1.1))
    assert _on(frame, 15)["active_addresses_change_7d"] is None  # four days after the last


def test_a_metric_counts_from_when_it_is_known(bitcoin):
    frame = onchain.compute(bitcoin, _metrics("CapMVRVCur", (1, 2.0), (2, 3.0), late=22))
    # Known at 22:00, after the close at 21:00.
    assert _on(frame, 1) == {}
    assert _on(frame, 2)["mvrv_ratio"] == 2.0
    assert _on(frame, 3)["mvrv_ratio"] == 3.0


def test_stablecoins_are_added_once_all_of_them_are_known(bitcoin):
    rows = pl.concat(
        [
            _metrics("circulating", *((d, 60.0) for d in range(1, 9)), asset="USDT", unit="USD"),
            _metrics("circulating", *((d, 40.0 + 5 * d) for d in range(1, 9)), asset="USDC", unit="USD", late=25),
            _metrics("circulating", (8, 1e9), asset="EURS", unit="EUR"),
            _metrics("CapMVRVCur", *((d, 1.0) for d in range(1, 9))),
        ]
    )  # fmt: skip
    frame = onchain.compute(bitcoin, rows)
    # Day 8 is complete a day later: (60 + 80) / (60 + 45).
    assert _on(frame, 8)["stablecoin_supply_change_7d"] is None
    assert _on(frame, 9)["stablecoin_supply_change_7d"] == pytest.approx(math.log(140 / 105))


def test_a_restated_stablecoin_replaces_what_it_was(bitcoin):
    days = range(1, 10)
    first = [_metrics("circulating", *((d, 60.0) for d in days), asset="USDT", unit="USD")]
    first += [_metrics("circulating", *((d, 40.0) for d in days), asset="USDC", unit="USD")]
    # Day 1 of one of them becomes 70 while day 8 is still to come.
    again = _metrics("circulating", (1, 70.0), asset="USDT", unit="USD", late=100)
    anything = _metrics("CapMVRVCur", *((d, 1.0) for d in days))
    frame = onchain.compute(bitcoin, pl.concat([*first, again, anything]))
    assert _on(frame, 8)["stablecoin_supply_change_7d"] == pytest.approx(math.log(100 / 110))
    assert _on(frame, 9)["stablecoin_supply_change_7d"] == pytest.approx(0)


def test_market_wide_metrics_are_for_configured_symbols_only(bitcoin):
    rows = _metrics("fear_greed", *((day, 10.0 + day) for day in range(1, 12)), asset="crypto")
    frame = onchain.compute(bitcoin, rows)
    assert set(frame["symbol"]) == {"BTC-USD"}
    assert _on(frame, 8)["fear_greed_level"] == 18.0
    assert _on(frame, 8)["fear_greed_change_7d"] == 7.0


def test_which_coin_and_chain_is_behind_a_symbol_is_configured(bitcoin):
    rows = pl.concat(
        [
            _metrics("tvl_usd", *((d, 2.0**d) for d in range(1, 9)), asset="Ours", unit="USD"),
            _metrics("CapMVRVCur", (8, 4.0), asset="A SHARE"),
        ]
    )
    config = TradingConfig(features={"onchain_chains": {"BTC-USD": "Ours"}})
    frame = onchain.compute(bitcoin, rows, config.features)
    chain = frame.filter(symbol="BTC-USD")
    assert _on(chain, 8)["tvl_change_7d"] == pytest.approx(7 * math.log(2))
    # An asset that bears the symbol's own name belongs to it.
    assert _on(frame.filter(symbol="A SHARE"), 8)["mvrv_ratio"] == 4.0
    assert "BTC-USD" not in onchain.compute(bitcoin, rows)["symbol"]


def _restated_from_the_start(inputs, config):
    """The leak: each day shows its last vintage from its first release on."""
    rows = inputs["onchain_metrics"]
    last = pl.col("value").sort_by("known_at").last().over("source", "asset", "metric", "ts")
    return onchain.compute_from(
        {**inputs, "onchain_metrics": rows.with_columns(value=last)}, config
    )


def test_a_restated_metric_at_its_first_date_is_caught(world):
    # A cut shows it while the restatement is still to come.
    config = TradingConfig(features={"truncation_dates": 10})
    for compute, passes in ((_restated_from_the_start, False), (onchain.compute_from, True)):
        frame = compute(world, config)
        gate = truncation_gate(contracts.ONCHAIN, compute)
        (outcome,) = gate.answer(CheckContext({"features.onchain": frame}, world, config))
        assert outcome.passed == passes, outcome.message


def test_a_changed_metric_changes_what_follows_and_nothing_before(world, config):
    rows = world["onchain_metrics"]
    at = rows["known_at"].sort()[1200]
    moved = rows.with_columns(
        value=pl.when(pl.col("known_at") == at).then(pl.col("value") * 2).otherwise("value")
    )
    before = onchain.compute_from(world, config)
    after = onchain.compute_from({**world, "onchain_metrics": moved}, config)
    past = pl.col("ts") < at
    assert_frame_equal(before.filter(past), after.filter(past))
    assert not before.equals(after)


def test_impossible_values_give_null(bitcoin):
    rows = _metrics("TxCnt", *((day, -1.0 if day == 1 else 5.0) for day in range(1, 12)))
    frame = onchain.compute(bitcoin, rows)
    assert _on(frame, 8)["transactions_change_7d"] is None
    assert _on(frame, 9)["transactions_change_7d"] == 0.0
