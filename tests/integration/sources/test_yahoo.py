"""yfinance itself against a local server: retries, named errors, unfinished bars, re-fetches."""

from __future__ import annotations

import datetime as dt
import json
import socket
from functools import partial

import pytest

from btq_assets.config.sources.market import YahooSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.answers import AnswerStore
from btq_assets.sources.errors import (
    ProviderUnavailableError,
    SourceError,
    UnknownSymbolError,
    WindowError,
)
from btq_assets.sources.http import HttpClient
from btq_assets.sources.market.providers.yahoo import Yahoo
from btq_assets.sources.provider import Window
from btq_assets.sources.vintages import new_vintages

MARCH = Window(dt.datetime(2024, 3, 1, tzinfo=dt.UTC), dt.datetime(2024, 4, 1, tzinfo=dt.UTC))
LATER = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)

pytestmark = [
    pytest.mark.filterwarnings("ignore:The inplace keyword"),
]


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def ask(yahoo, waits):
    """Everything fetched: bars, actions, refused rows, notes."""

    def call(*names, now=LATER, url=None, download=None, answers=None, replay=False, **settings):
        settings.setdefault("symbols", names or ("SPY",))
        section = YahooSourceSection(base_url=url or yahoo.url, calls_per_minute=6_000, **settings)

        def sleep(seconds: float) -> None:
            if seconds >= 1:  # Waits for the pace last a hundredth of a second.
                waits.append(seconds)

        client = HttpClient(
            "yahoo", section, now, sleep=sleep, clock=lambda: 0.0, answers=answers, replay=replay
        )
        return Yahoo(section, client, download).fetch(MARCH, now)

    return call


@pytest.fixture
def fetch(ask):
    def call(*symbols, **options):
        fetched = ask(*symbols, **options)
        return fetched.frames["raw.bars_yahoo"], fetched.rejected

    return call


def test_bars_of_the_answer_end_at_the_session_close(yahoo, fetch):
    yahoo.answers["SPY"] = yahoo.chart([100.0, None, 102.0, 103.0])
    frame, rejected = fetch()
    assert rejected.is_empty()
    bars = cast_to_contract(frame, raw.BARS_YAHOO)
    assert violations(bars, raw.BARS_YAHOO).is_empty()
    # A day of nulls is no bar; winter closes at 21:00 UTC, summer at 20:00 UTC.
    assert bars["ts"].to_list() == [
        dt.datetime(2024, 3, 4, 21, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 6, 21, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 28, 20, tzinfo=dt.UTC),
    ]
    row = bars.row(0, named=True)
    assert [row[name] for name in ("open", "high", "low", "close", "adj_close", "volume")] == [
        100.0, 101.0, 99.0, 100.0, 50.0, 1_000.0,
    ]  # fmt: skip
    assert (row["currency"], row["known_at"], row["known_at_basis"]) == (
        "USD",
        row["ts"],
        "assumed_lag",
    )


def test_a_bar_that_has_not_settled_is_not_stored(yahoo, fetch):
    yahoo.answers["SPY"] = yahoo.chart([100.0, 101.0, 102.0])
    during = dt.datetime(2024, 3, 6, 18, tzinfo=dt.UTC)
    assert fetch(now=during)[0]["close"].to_list() == [100.0, 101.0]
    just_closed = dt.datetime(2024, 3, 6, 21, 10, tzinfo=dt.UTC)
    assert fetch(now=just_closed)[0]["close"].to_list() == [100.0, 101.0]
    settled = dt.datetime(2024, 3, 6, 21, 30, tzinfo=dt.UTC)
    assert fetch(now=settled)[0]["close"].to_list() == [100.0, 101.0, 102.0]


@pytest.mark.parametrize(
    "failure",
    [(500, "<html>oops</html>"), (429, "Too Many Requests"), (200, "<html>"), (200, "{}")],
)
def test_a_passing_failure_is_tried_again_with_growing_waits(yahoo, fetch, waits, failure):
    yahoo.answers["SPY"] = yahoo.chart([100.0])
    # yfinance itself asks a refused question twice.
    yahoo.failures = [failure] * (4 if failure[0] >= 400 else 2)
    frame, _ = fetch()
    assert frame["close"].to_list() == [100.0]
    assert len(waits) == 2
    assert 1 <= waits[0] <= 2 <= waits[1] <= 3


def test_a_dead_provider_is_named_after_the_last_attempt(yahoo, fetch, waits):
    yahoo.answers["SPY"] = yahoo.chart([100.0])
    yahoo.failures = [(503, "down")] * 50
    with pytest.raises(ProviderUnavailableError, match="no bars of 'SPY' in 3 attempts, last: "):
        fetch(max_attempts=3)
    assert len(waits) == 2


def test_a_server_that_is_not_there_is_a_dead_provider(fetch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ProviderUnavailableError, match="in 2 attempts"):
        fetch("QQQ", url=f"http://127.0.0.1:{port}", max_attempts=2)


def test_an_unknown_symbol_is_named_at_once(yahoo, fetch, waits):
    yahoo.answers["SPY"] = yahoo.chart([100.0])
    with pytest.raises(UnknownSymbolError, match=r"does not know 'NOPE'.*sources\.yahoo\.symbols"):
        fetch("SPY", "NOPE")
    assert waits == []


def test_a_month_before_the_listing_is_empty_not_unknown(yahoo, ask):
    real = yahoo.respond

    def respond(path: str):
        if "period1" in path and "/NEW" in path:
            answer = yahoo.refusal(
                "Data doesn't exist for startDate = 1709269200, endDate = 1711944000"
            )
            return 400, json.dumps(answer)
        return real(path)

    yahoo.answers["NEW"] = yahoo.answers["SPY"] = yahoo.chart([1.0])
    yahoo.respond = respond
    fetched = ask("SPY", "NEW")
    assert set(fetched.frames["raw.bars_yahoo"]["symbol"]) == {"SPY"}
    assert fetched.rejected.is_empty()
    assert fetched.notes["symbols_without_bars"] == ["NEW"]
    # Nobody had anything: then the window is wrong, and somebody should hear of it.
    with pytest.raises(
        WindowError, match=r"no bar of NEW from 2024-03-01.*sources\.yahoo\.start_month"
    ):
        ask("NEW")


def test_a_symbol_that_trades_elsewhere_is_refused(yahoo, fetch):
    yahoo.answers["^N225"] = yahoo.chart([100.0], zone="Asia/Tokyo")
    with pytest.raises(SourceError, match="trades in Asia/Tokyo, its suffix says America/New_York"):
        fetch("^N225")


def test_a_refetch_adds_only_what_changed(yahoo, fetch):
    yahoo.answers["SPY"] = yahoo.chart([100.0, 101.0])
    stored, _ = fetch()
    add = partial(new_vintages, stored, now=LATER, relative_tolerance=1e-6)
    assert add(fetch()[0]).is_empty()
    yahoo.answers["SPY"] = yahoo.chart([100.0, 101.5, 102.0])
    added = add(fetch()[0])
    assert added.select("close", "known_at_basis").rows() == [
        (101.5, "recorded"),
        (102.0, "assumed_lag"),
    ]
    assert added["known_at"][0] == LATER


def test_a_bar_of_a_day_without_session_is_refused(yahoo, fetch):
    answer = yahoo.chart([100.0, 101.0])
    good_friday = dt.datetime(2024, 3, 29, 13, 30, tzinfo=dt.UTC)
    answer["chart"]["result"][0]["timestamp"][1] = int(good_friday.timestamp())
    yahoo.answers["SPY"] = answer
    frame, rejected = fetch()
    assert frame.height == 1
    assert rejected["reason"].to_list() == ["2024-03-29 is not a session of XNYS"]


def test_any_download_can_be_injected_and_nan_means_missing(fetch):
    import pandas as pd

    index = pd.DatetimeIndex([pd.Timestamp("2024-03-04", tz="America/New_York")])
    nan = float("nan")
    answer = pd.DataFrame(
        {"Open": nan, "High": nan, "Low": nan, "Close": 10.0, "Adj Close": 9.0, "Volume": nan},
        index,
    )
    asked = []

    def download(symbol, start, end):
        asked.append((symbol, start, end))
        return answer, "America/New_York", "USD"

    frame, _ = fetch(download=download)
    assert asked == [("SPY", dt.date(2024, 3, 1), dt.date(2024, 4, 1))]
    assert frame.select("open", "close", "volume").rows() == [(None, 10.0, None)]


def test_splits_and_dividends_are_stored_as_they_came(yahoo, ask):
    """Numbers of the answer; known at the close of the ex-date, 21:00 UTC in winter."""
    answer = yahoo.chart([100.0, 101.0, 51.0])
    stamps = answer["chart"]["result"][0]["timestamp"]
    answer["chart"]["result"][0]["events"] = {
        "dividends": {str(stamps[1]): {"amount": 0.24, "date": stamps[1]}},
        "splits": {
            str(stamps[2]): {
                "date": stamps[2], "numerator": 2.0, "denominator": 1.0, "splitRatio": "2:1",
            },
        },
    }  # fmt: skip
    yahoo.answers["SPY"] = answer
    fetched = ask()
    assert fetched.frames["raw.bars_yahoo"].height == 3
    actions = cast_to_contract(
        fetched.frames["raw.corporate_actions_yahoo"], raw.CORPORATE_ACTIONS_YAHOO
    )
    assert violations(actions, raw.CORPORATE_ACTIONS_YAHOO).is_empty()
    shown = actions.sort("ex_date").select("ex_date", "kind", "value", "known_at", "basis")
    assert shown.rows() == [
        (dt.date(2024, 3, 5), "dividend", 0.24, dt.datetime(2024, 3, 5, 21, tzinfo=dt.UTC),
         "split_adjusted"),
        (dt.date(2024, 3, 6), "split", 2.0, dt.datetime(2024, 3, 6, 21, tzinfo=dt.UTC),
         "split_adjusted"),
    ]  # fmt: skip
    during = ask(now=dt.datetime(2024, 3, 6, 18, tzinfo=dt.UTC))
    assert during.frames["raw.corporate_actions_yahoo"]["kind"].to_list() == ["dividend"]


def test_a_day_that_ends_at_midnight_belongs_to_the_month_it_ends_in(yahoo, ask):
    """29 February of a coin ends with the first instant of March, 31 March after its last."""
    answer = yahoo.chart([1.0, 2.0, 3.0], zone="UTC")
    days = [dt.datetime(2024, *day, tzinfo=dt.UTC) for day in ((2, 29), (3, 1), (3, 31))]
    answer["chart"]["result"][0]["timestamp"] = [int(day.timestamp()) for day in days]
    yahoo.answers["BTC-USD"] = answer
    bars = ask("BTC-USD").frames["raw.bars_yahoo"]
    assert bars["ts"].to_list() == [
        dt.datetime(2024, 3, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 2, tzinfo=dt.UTC),
    ]


def test_own_names_are_stored_and_yahoos_are_asked(yahoo, ask):
    yahoo.answers["VOD.L"] = yahoo.chart([70.0], zone="Europe/London")
    fetched = ask(symbols={"vodafone": "VOD.L"})
    assert fetched.frames["raw.bars_yahoo"]["symbol"].to_list() == ["vodafone"]
    assert yahoo.asked == ["/v8/finance/chart/VOD.L"]


def test_stored_answers_are_played_back_without_asking(yahoo, fetch, tmp_path):
    yahoo.answers["SPY"] = yahoo.chart([100.0, 101.0])
    store = AnswerStore(tmp_path / "answers")
    first, _ = fetch(answers=store)
    n_asked = len(yahoo.asked)
    yahoo.answers.clear()
    replayed, _ = fetch(answers=store, replay=True)
    assert replayed.equals(first)
    # The month was over when it was fetched, so the answer serves again.
    assert fetch(answers=store)[0].equals(first)
    assert len(yahoo.asked) == n_asked
    with pytest.raises(SourceError, match="no stored answer"):
        fetch("QQQ", answers=store, replay=True)
