"""The generated headlines: reproducible, labelled, and without any signal."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.sources.market.catalogue import SP500_DATASET
from btq_assets.sources.market.providers.sample import read_sample
from btq_assets.sources.sentiment import checks
from btq_assets.sources.sentiment.providers.synthetic import (
    NEGATIVE,
    POSITIVE,
    headlines,
)

SETTINGS = TradingConfig().sources.sample
SYMBOLS = ["AAPL", "XOM", "KO"]


def write(symbols=SYMBOLS, seed=7, per_symbol_year=12, **span) -> pl.DataFrame:
    return headlines(symbols, seed=seed, per_symbol_year=per_symbol_year, **span)


def test_equal_seeds_give_equal_documents_and_others_do_not():
    assert_frame_equal(write(), write(["KO", "XOM", "AAPL", "KO"]))
    assert not write().equals(write(seed=8))


def test_a_symbol_or_a_year_more_changes_no_other_document():
    fewer = write(["AAPL", "KO"])
    assert_frame_equal(write().filter(pl.col("symbol") != "XOM"), fewer)
    short = write(last_day=dt.date(2000, 6, 30))
    assert_frame_equal(
        write().filter(pl.col("published_at").dt.date() <= dt.date(2000, 6, 30)), short
    )


def test_symbols_are_written_about_independently():
    stamps = {s: set(write([s])["published_at"]) for s in ("AAPL", "KO")}
    # 33 years x 12 x 12 pairs / 31.5 million seconds: one pair of symbols in 6,600 would coincide.
    assert not stamps["AAPL"] & stamps["KO"]


def test_documents_obey_the_contract_and_say_what_they_are():
    documents = cast_to_contract(write(), raw.DOCUMENTS_SAMPLE)
    assert violations(documents, raw.DOCUMENTS_SAMPLE).is_empty()
    assert set(documents["label"]) == {"SYNTHETIC"}
    assert documents["headline"].str.starts_with("SYNTHETIC: ").all()
    assert (documents["known_at"] - documents["published_at"]).unique().to_list() == [
        dt.timedelta(minutes=5)
    ]
    # 12 a year for 32 whole years and nearly all of 2022.
    assert documents.group_by("symbol").len()["len"].is_between(32 * 12 + 8, 33 * 12).all()
    assert documents["published_at"].dt.second().n_unique() == 60


def test_no_documents_when_none_are_asked_for():
    assert write(per_symbol_year=0).is_empty()
    assert write([]).is_empty()


@pytest.mark.parametrize("horizon_sessions", [1, 5])
def test_tone_says_nothing_about_later_or_earlier_returns(horizon_sessions):
    """Correlation of tone (+1, 0, -1) with returns within 3 standard errors of zero.

    Under independence the correlation of n pairs has standard error 1/sqrt(n).
    """
    bars = (
        read_sample([SP500_DATASET]).rows.select("symbol", "ts", "adj_close").sort("symbol", "ts")
    )
    later = pl.col("adj_close").shift(-1 - horizon_sessions) / pl.col("adj_close").shift(-1) - 1
    before = pl.col("adj_close") / pl.col("adj_close").shift(horizon_sessions) - 1
    returns = bars.with_columns(
        later=later.over("symbol"), before=before.over("symbol")
    ).drop_nulls()
    documents = headlines(
        bars["symbol"].unique().to_list(),
        seed=SETTINGS.synthetic_documents_seed,
        per_symbol_year=SETTINGS.synthetic_documents_per_symbol_year,
    )
    joined = (
        documents.select("symbol", "known_at", tone=_tone(pl.col("headline")))
        .sort("known_at")
        .join_asof(
            returns.sort("ts"),
            left_on="known_at",
            right_on="ts",
            by="symbol",
            strategy="forward",
            check_sortedness=False,
        )
        .drop_nulls()
    )
    assert joined.height > 7_500
    assert set(joined["tone"]) == {-1, 0, 1}
    for name in ("later", "before"):
        ranks = joined[name].rank().to_numpy()
        correlation = np.corrcoef(joined["tone"].to_numpy(), ranks)[0, 1]
        assert abs(correlation) < 3 / np.sqrt(joined.height)


def _tone(headline: pl.Expr) -> pl.Expr:
    def matches(templates: tuple[str, ...]) -> pl.Expr:
        parts = [part for text in templates for part in text.split("{symbol}") if len(part) > 3]
        return pl.any_horizontal(headline.str.contains(part, literal=True) for part in parts)

    return pl.when(matches(POSITIVE)).then(1).when(matches(NEGATIVE)).then(-1).otherwise(0)


def test_checks_fail_on_unlabelled_and_on_early_documents():
    labelled, delivered = checks.CHECKS
    documents = write(["KO"])

    def passed(group, frame):
        context = CheckContext({"raw.documents_sample": frame}, {}, TradingConfig())
        return group.answer(context)[0].passed

    assert passed(labelled, documents)
    assert passed(delivered, documents)
    assert not passed(labelled, documents.with_columns(label=pl.lit("REAL")))
    bare = documents.with_columns(pl.col("headline").str.strip_prefix("SYNTHETIC: "))
    assert not passed(labelled, bare)
    assert not passed(delivered, documents.with_columns(known_at=pl.col("published_at")))
