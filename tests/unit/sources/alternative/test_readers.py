"""Names of contracts, single cells, and every reader against anything at all."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.contracts.base import cast_to_contract
from btq_assets.contracts.raw import alternative as raw
from btq_assets.sources.alternative import cells
from btq_assets.sources.alternative.contract_names import parse_deribit, parse_occ
from btq_assets.sources.alternative.providers import (
    cboe,
    coinmetrics,
    defillama,
    deribit,
    deribit_trades,
    fear_greed,
    finra_ats,
    finra_short_volume,
)
from btq_assets.sources.rows import Parsed

NOW = dt.datetime(2024, 6, 21, 19, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("code", "root", "kind", "strike", "expires_at"),
    [
        # OCC's own example of the format: strike in thousandths.
        ("SPX   141122P00019500", "SPX", "put", 19.5, dt.datetime(2014, 11, 22, 14, 30)),
        ("AAPL240119C00192500", "AAPL", "call", 192.5, dt.datetime(2024, 1, 19, 21)),
        ("AAPL1240621P00100000", "AAPL1", "put", 100.0, dt.datetime(2024, 6, 21, 20)),
        ("SPXW240621C05450000", "SPXW", "call", 5450.0, dt.datetime(2024, 6, 21, 20)),
        ("VIX240717C00015000", "VIX", "call", 15.0, dt.datetime(2024, 7, 17, 13, 30)),
    ],
)
def test_occ_codes_are_read(code, root, kind, strike, expires_at):
    name = parse_occ(code)
    assert (name.root, name.kind, name.strike) == (root, kind, strike)
    assert name.expires_at == expires_at.replace(tzinfo=dt.UTC)
    assert name.expiry == expires_at.date()


@pytest.mark.parametrize(
    "code",
    ["", "AAPL", "AAPL240230C00192500", "AAPL240119X00192500", "AAPL240119C0019250",
     "AAPL240119C00000000", "aapl240119C00192500", "TOOLONGX240119C00192500",
     "AAPL240119C00192500 ", "240119C00192500", "AAPL２40119C00192500"],
)  # fmt: skip
def test_malformed_occ_codes_are_refused(code):
    with pytest.raises(cells.RowError):
        parse_occ(code)


def test_deribit_names_are_read():
    name = parse_deribit("ETH-5JUL24-3400-P")
    assert (name.root, name.kind, name.strike, name.currency, name.inverse) == (
        "ETH", "put", 3400.0, "USD", True,
    )  # fmt: skip
    assert name.expires_at == dt.datetime(2024, 7, 5, 8, tzinfo=dt.UTC)
    linear = parse_deribit("XRP_USDC-30JUN24-0d625-C")
    assert (linear.root, linear.strike, linear.currency, linear.inverse) == (
        "XRP_USDC", 0.625, "USDC", False,
    )  # fmt: skip
    for wrong in ("BTC-PERPETUAL", "BTC-27DEC24", "BTC-27DEZ24-1-C", "BTC-31JUN24-1-C", "BTC-1-C"):
        with pytest.raises(cells.RowError):
            parse_deribit(wrong)


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1.0), ("1.5", 1.5), (" 2 ", 2.0), (None, None), ("", None), ("N/A", None), ("-", None)],
)
def test_cells_that_are_numbers_or_missing(value, number):
    assert cells.number({"x": value}, "x") == number


@pytest.mark.parametrize("value", ["a", True, [], {}, "nan", "inf", float("inf"), 10**400, "1,5"])
def test_cells_that_are_neither(value):
    with pytest.raises(cells.RowError, match="x "):
        cells.number({"x": value}, "x")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def rows_of(*names: str, **likely):
    """Lists of objects whose cells are what a provider writes, or anything else."""
    cell = anything | st.sampled_from(["1", "47", 0, 1.5, 1_718_999_110, "2024-05-06", "BTC"])
    whole = st.fixed_dictionaries({}, optional={n: likely.get(n, cell) | anything for n in names})
    return st.lists(whole | anything, max_size=5)


OCC = st.sampled_from(["SPY240719C00550000", "SPY240719P00550000"])
COIN = st.sampled_from(["BTC-27DEC24-100000-C", "XRP_USDC-5JAN25-0d55-P"])
TIME = st.sampled_from(["2024-05-06T00:00:00.000000000Z", "2024"])


def accepted(found: Parsed, contract, n_given: int) -> None:
    """Typed rows, and every other row refused with a reason."""
    cast_to_contract(found.rows, contract)
    assert found.rows.height + found.rejected.height <= n_given
    assert all(found.rejected["reason"])


@settings(max_examples=60, deadline=None)
@given(
    rows_of("option", "bid", "ask", "iv", "volume", "open_interest", "delta", option=OCC), anything
)
def test_any_chain_is_read_or_refused(options, price):
    answer = {"data": {"options": options, "current_price": price}}
    found = cboe.parse_chain(answer, "SPY", NOW)
    accepted(found, raw.OPTION_QUOTES_CBOE, len(options) + 1)
    assert found.rows.height + found.rejected.height >= len(options)


@settings(max_examples=60, deadline=None)
@given(
    rows_of("instrument_name", "creation_timestamp", "bid_price", "mark_iv", instrument_name=COIN)
)
def test_any_summaries_are_read_or_refused(result):
    found = deribit.parse_summaries(result)
    accepted(found, raw.OPTION_QUOTES_DERIBIT, len(result))
    assert found.rows.height + found.rejected.height == len(result)


@settings(max_examples=60, deadline=None)
@given(rows_of("issueSymbolIdentifier", "MPID", "weekStartDate", "lastUpdateDate", "tierIdentifier",
               "marketParticipantName", "totalWeeklyShareQuantity", "totalWeeklyTradeCount"))  # fmt: skip
def test_any_weeks_are_read_or_refused(page):
    found = finra_ats.parse_rows(page, dt.date(2024, 5, 6))
    accepted(found, raw.DARK_POOL_FINRA, len(page))
    assert found.rows.height + found.rejected.height == len(page)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="|A1 .\r\n", max_size=80).map(str.encode))
def test_any_file_is_whole_or_cut_and_its_lines_read_or_refused(body):
    content = b"Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market\n" + body
    finra_short_volume.truncation(content)
    found = finra_short_volume.parse_file(content, dt.date(2024, 5, 6))
    cast_to_contract(found.rows, raw.SHORT_VOLUME_FINRA)


@settings(max_examples=60, deadline=None)
@given(rows_of("asset", "time", "TxCnt", time=TIME))
def test_any_page_is_read_or_refused(page):
    found, _ = coinmetrics.parse_page(page, ("TxCnt", "HashRate"))
    accepted(found, raw.ONCHAIN_COINMETRICS, 2 * len(page))


@settings(max_examples=60, deadline=None)
@given(rows_of("date", "tvl", "totalCirculating"))
def test_any_history_is_read_or_refused(days):
    for contract, read in (
        (raw.ONCHAIN_DEFILLAMA, defillama._tvl),
        (raw.ONCHAIN_STABLECOINS, defillama._supply),
    ):
        found = defillama.parse_days(days, NOW, asset="x", contract=contract, read=read)
        accepted(found, contract, len(days))


@settings(max_examples=60, deadline=None)
@given(rows_of("value", "timestamp"))
def test_any_index_is_read_or_refused(data):
    accepted(fear_greed.parse_values(data), raw.ONCHAIN_FEAR_GREED, len(data))


#: A row each reader accepts, and the reader.
VALID = {
    "cboe": (
        {"option": "SPY240719C00550000", "bid": 1.0, "ask": 1.2, "iv": 0.2, "volume": 1.0,
         "open_interest": 2.0, "delta": 0.5, "last_trade_price": 1.1},
        lambda row: cboe.parse_chain({"data": {"options": [row]}}, "SPY", NOW),
        raw.OPTION_QUOTES_CBOE,
    ),
    "deribit": (
        {"instrument_name": "BTC-27DEC24-100000-C", "creation_timestamp": 1_718_999_110_123,
         "bid_price": 0.1, "ask_price": 0.2, "mark_iv": 60.0, "volume": 1.0, "last": 0.1,
         "open_interest": 1.0, "underlying_price": 60_000.0},
        lambda row: deribit.parse_summaries([row]),
        raw.OPTION_QUOTES_DERIBIT,
    ),
    "deribit_trades": (
        {"instrument_name": "BTC-27DEC24-100000-C", "timestamp": 1_718_999_110_123, "price": 0.1,
         "trade_id": "1", "trade_seq": 7, "direction": "buy", "amount": 1.0, "iv": 60.0,
         "mark_price": 0.1, "index_price": 60_000.0, "tick_direction": 2, "block_trade_id": "B",
         "combo_id": None, "liquidation": "T"},
        lambda row: deribit_trades.parse_trades([row]),
        raw.OPTION_TRADES_DERIBIT,
    ),
    "finra_ats": (
        {"issueSymbolIdentifier": "AAPL", "MPID": "UBSA", "weekStartDate": "2024-05-06",
         "lastUpdateDate": "2024-05-27", "tierIdentifier": "T1", "marketParticipantName": "UBS",
         "totalWeeklyShareQuantity": 1, "totalWeeklyTradeCount": 1},
        lambda row: finra_ats.parse_rows([row], dt.date(2024, 5, 6)),
        raw.DARK_POOL_FINRA,
    ),
    "coinmetrics": (
        {"asset": "btc", "time": "2024-05-06T00:00:00.000000000Z", "TxCnt": "1"},
        lambda row: coinmetrics.parse_page([row], ("TxCnt",))[0],
        raw.ONCHAIN_COINMETRICS,
    ),
    "stablecoins": (
        {"date": "1715000000", "totalCirculating": {"peggedUSD": 1.0}},
        lambda row: defillama.parse_days(
            [row], NOW, asset="x", contract=raw.ONCHAIN_STABLECOINS, read=defillama._supply
        ),
        raw.ONCHAIN_STABLECOINS,
    ),
    "fear_greed": (
        {"value": "47", "timestamp": "1715000000"},
        lambda row: fear_greed.parse_values([row]),
        raw.ONCHAIN_FEAR_GREED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("reader", sorted(VALID))
def test_any_one_cell_may_be_anything(reader):
    row, read, contract = VALID[reader]
    accepted(read(row), contract, 1)
    assert read(row).rows.height == 1

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(sorted(row)), anything | st.sampled_from(["9999-12-31", "0001-01-01"]))
    def check(name, value):
        accepted(read(row | {name: value}), contract, 1)

    check()
