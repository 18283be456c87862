"""The bundled real data pass every blocking expectation, and warn of exactly what is known."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome
from data_quality import documents_suite, macro_suite, raw_bars_suite


def failures(group: CheckGroup, table: str, frame: pl.DataFrame) -> dict[str, CheckOutcome]:
    answers = group.answer(CheckContext({table: frame}, {}, config=None))
    return {outcome.name: outcome for outcome in answers if not outcome.passed}


def test_sample_bars() -> None:
    from btq_assets.sources.market.providers.sample import read_sample

    frame = cast_to_contract(read_sample().rows, raw.BARS_SAMPLE)
    failed = failures(raw_bars_suite(raw.BARS_SAMPLE), raw.BARS_SAMPLE.table, frame)
    assert set(failed) == {"no_split_sized_return", "no_stale_prices"}
    # Apple fell by 52 % on 29 September 2000, in two datasets. Range Resources lost two thirds of
    # its value on 10 April 1990 in this dataset, after 69 equal closes: hardly a traded price.
    splits = failed["no_split_sized_return"].metadata
    assert splits["rows_unexpected"] == 3
    assert splits["sample"].count("| AAPL | 1d | 2000-09-29") == 2
    assert splits["sample"].count("| RRC | 1d | 1990-04-10") == 1
    # The Czech koruna was held at a floor of 27 to the euro.
    stale = failed["no_stale_prices"].metadata["sample"]
    assert "| EURCZK | 1d | 39 |" in stale
    assert "| RRC | 1d | 69 |" in stale


def test_sample_macro() -> None:
    from btq_assets.sources.macro.providers.sample import read_sample

    frame = cast_to_contract(read_sample().rows, raw.MACRO_SAMPLE)
    failed = failures(macro_suite(raw.MACRO_SAMPLE), raw.MACRO_SAMPLE.table, frame)
    # The monthly bill rate was 0.00 or 0.01 for years after 2009.
    assert set(failed) == {"no_stale_values"}
    assert f"| {raw.RISK_FREE_RATE} | 35 |" in failed["no_stale_values"].metadata["sample"]


def test_sample_documents() -> None:
    from btq_assets.sources.sentiment.providers.synthetic import headlines

    frame = headlines(["AAPL", "XOM"], seed=1, per_symbol_year=12)
    assert not failures(documents_suite(raw.DOCUMENTS_SAMPLE), raw.DOCUMENTS_SAMPLE.table, frame)
