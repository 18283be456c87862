"""The ECB's file of reference rates from a local server."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import pytest

from btq_assets.config.sources.market import EcbSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import (
    AnswerShapeError,
    ProviderUnavailableError,
    UnknownSymbolError,
)
from btq_assets.sources.fetching import BEGINNING
from btq_assets.sources.market.catalogue import ECB_RATES
from btq_assets.sources.market.providers.ecb import Ecb
from btq_assets.sources.packaged import read_packaged
from btq_assets.sources.provider import Window

LATER = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)

#: Newest first, N/A where a currency is not quoted, a comma at the end of each line.
RATES = """Date,USD,JPY,RUB,
2024-03-05,1.0849,163.13,N/A,
2024-03-04,1.0846,163.16,N/A,
2022-03-01,1.1162,128.42,117.201,
"""


def zipped(text: str | bytes = RATES, name: str = "eurofxref-hist.csv", more: int = 0) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
        for number in range(more):
            archive.writestr(f"more{number}.csv", "x")
    return packed.getvalue()


@pytest.fixture
def fetch(server, client_of):
    def call(*currencies, now=LATER, store=False, **settings):
        settings.setdefault("symbols", currencies or ("USD", "RUB"))
        section = EcbSourceSection(base_url=server.url, **settings)
        client = client_of("ecb", section, now, store=store)
        fetched = Ecb(section, client).fetch(Window(BEGINNING, now), now)
        return fetched.frames["raw.bars_ecb"], fetched.rejected

    return call


def test_rates_of_the_configured_currencies(server, fetch):
    server.answer = lambda request: server.Reply(zipped())
    frame, rejected = fetch()
    bars = cast_to_contract(frame, raw.BARS_ECB)
    assert violations(bars, raw.BARS_ECB).is_empty()
    assert rejected.is_empty()
    assert bars.select("symbol", "ts", "close", "adj_close", "currency").rows() == [
        ("EURRUB", dt.datetime(2022, 3, 1, 15, tzinfo=dt.UTC), 117.201, 117.201, "RUB"),
        ("EURUSD", dt.datetime(2022, 3, 1, 15, tzinfo=dt.UTC), 1.1162, 1.1162, "USD"),
        ("EURUSD", dt.datetime(2024, 3, 4, 15, tzinfo=dt.UTC), 1.0846, 1.0846, "USD"),
        ("EURUSD", dt.datetime(2024, 3, 5, 15, tzinfo=dt.UTC), 1.0849, 1.0849, "USD"),
    ]
    assert server.asked[0].path == "/stats/eurofxref/eurofxref-hist.zip"


def test_the_packaged_copy_of_the_same_file_gives_the_same_rates(server, fetch):
    content = read_packaged(ECB_RATES)
    server.answer = lambda request: server.Reply(content)
    frame, _ = fetch(*EcbSourceSection().symbols, now=dt.datetime(2026, 12, 1, tzinfo=dt.UTC))
    assert frame.height == ECB_RATES.n_rows


def test_todays_rate_waits_until_it_is_published_everywhere(server, fetch):
    server.answer = lambda request: server.Reply(zipped())
    early = dt.datetime(2024, 3, 5, 14, 59, tzinfo=dt.UTC)
    assert fetch("USD", now=early)[0].height == 2
    assert fetch("USD", now=early + dt.timedelta(minutes=2))[0].height == 3


def test_own_names_and_a_later_first_day(server, fetch):
    server.answer = lambda request: server.Reply(zipped())
    frame, _ = fetch(symbols={"dollars": "USD"}, start_day="2024-01-01")
    assert frame["symbol"].to_list() == ["dollars", "dollars"]


def test_an_unchanged_file_is_confirmed_and_not_sent_again(server, fetch):
    def answer(request):
        if request.headers.get("If-None-Match") == '"v1"':
            return server.Reply(b"", 304)
        return server.Reply(zipped(), headers={"ETag": '"v1"'})

    server.answer = answer
    first, _ = fetch(store=True)
    again, _ = fetch(store=True, now=LATER + dt.timedelta(hours=1))
    assert again.equals(first)
    assert len(server.asked) == 2


def test_an_unknown_currency_names_the_known_ones(server, fetch):
    server.answer = lambda request: server.Reply(zipped())
    with pytest.raises(UnknownSymbolError, match=r"quotes no XAU; .*known are JPY, RUB, USD"):
        fetch("USD", "XAU")


@pytest.mark.parametrize("damage", ["cut short", "not a zip", "a flipped byte"])
def test_a_damaged_archive_is_asked_for_again(server, fetch, waits, damage):
    whole = zipped(RATES * 50)
    flipped = bytearray(whole)
    flipped[120] ^= 0xFF
    body = {"cut short": whole[:-40], "not a zip": b"<html>", "a flipped byte": bytes(flipped)}
    server.before = [server.Reply(body[damage])]
    server.answer = lambda request: server.Reply(zipped())
    assert fetch()[0].height == 4
    assert len(waits) == 1


def test_throttling_is_waited_out_and_a_dead_site_named(server, fetch):
    server.before = [server.Reply("later", 429, {"Retry-After": "3"})]
    server.answer = lambda request: server.Reply(zipped())
    assert fetch()[0].height == 4
    server.answer = lambda request: server.Reply("down", 503)
    with pytest.raises(ProviderUnavailableError, match="ecb gave no usable answer"):
        fetch(max_attempts=2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped("Datum;USD\n2024-03-05;1.08\n"), "a first column Date"),
        (zipped(""), "a CSV of rates"),
        (zipped(b"\xff\xfe\x00\x00" * 9), "a (CSV of rates|first column Date)"),
        (zipped(more=1), "one CSV of rates in the archive"),
        (zipped(b"0" * (65 << 20)), "one CSV of rates in the archive"),
    ],
    ids=["other columns", "empty", "binary", "two files", "bomb"],
)
def test_an_archive_of_something_else_is_an_unknown_shape(server, fetch, content, said):
    server.answer = lambda request: server.Reply(content)
    with pytest.raises(AnswerShapeError, match=said):
        fetch()


def test_cells_and_days_that_cannot_be_are_refused(server, fetch):
    text = "Date,USD,\n2024-03-05,1.08,\n2024-03-04,one,\n2024-03-02,1.1,\n04.03.2024,1.1,\n"
    server.answer = lambda request: server.Reply(zipped(text))
    frame, rejected = fetch("USD")
    assert frame["close"].to_list() == [1.08]
    assert sorted(rejected["reason"]) == [
        "2024-03-02 is a weekend: the ECB sets no rate", "close 'one' is not a number",
        "date '04.03.2024' is not YYYY-MM-DD",
    ]  # fmt: skip
