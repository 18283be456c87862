"""The suite of option trades passes a clean day and fails each day that breaks it."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from btq_assets.contracts.raw.alternative import OPTION_TRADES_DERIBIT
from data_quality import runner
from data_quality.option_trade_suites import option_trades_declaration

START = dt.datetime(2024, 6, 3, tzinfo=dt.UTC)
SUITE = option_trades_declaration(OPTION_TRADES_DERIBIT)


def clean_day() -> pl.DataFrame:
    """A hundred trades, every second one bought, at the mark."""
    stamps = [START + dt.timedelta(minutes=n) for n in range(100)]
    return pl.DataFrame(
        {
            "dataset": "test",
            "underlying": "BTC",
            "contract_id": "BTC-28JUN24-70000-C",
            "trade_id": [str(n) for n in range(100)],
            "trade_seq": range(100),
            "ts": stamps,
            "known_at": stamps,
            "price": 0.05,
            "mark_price": [0.05 + n % 3 * 0.001 for n in range(100)],
            "side": ["buy", "sell"] * 50,
        }
    )


FAULTS = {
    "both_sides_are_there": pl.lit("buy").alias("side"),
    # Percent read as a fraction of the underlying.
    "prices_are_near_the_mark": (pl.col("price") * 100).alias("price"),
    "no_number_has_two_prices": (pl.col("trade_seq") // 2).alias("trade_seq"),
}


def test_a_clean_day_passes_and_every_expectation_has_a_fault():
    assert all(outcome.passed for outcome in runner.run_suite(SUITE, clean_day()))
    assert set(FAULTS) == {expectation.name for expectation in SUITE.expectations}


@pytest.mark.parametrize("name", FAULTS)
def test_a_day_that_breaks_an_expectation_fails_it(name):
    outcomes = runner.run_suite(SUITE, clean_day().with_columns(FAULTS[name]))
    assert {outcome.name for outcome in outcomes if not outcome.passed} == {name}
