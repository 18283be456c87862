"""Alpha Vantage from a local server: every answer comes with HTTP 200, also "not now" and "no"."""

from __future__ import annotations

import datetime as dt

import pytest

from btq_assets.config.sources.market import AlphaVantageSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import (
    AnswerShapeError,
    MissingKeyError,
    ProviderUnavailableError,
    SourceError,
    UnknownSymbolError,
    WindowError,
    WrongKeyError,
)
from btq_assets.sources.fetching import BEGINNING, fetch_window
from btq_assets.sources.market.providers.alpha_vantage import AlphaVantage
from btq_assets.sources.market.registry import ALPHA_VANTAGE
from btq_assets.sources.provider import Window

LATER = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
KEY = "PLANTED5ECRET"

THROTTLED = {
    "Information": f"We have detected your API key as {KEY} and our standard API rate limit is 25 "
    "requests per day. Please subscribe to any of the premium plans to remove it."
}
PREMIUM = {"Information": "Thank you for using Alpha Vantage! This is a premium endpoint."}
UNKNOWN = {
    "Error Message": "Invalid API call. Please retry or visit the documentation for TIME_SERIES_DAILY."
}
REFUSED_KEY = {"Error Message": "the parameter apikey is invalid or missing."}


def bar(close: float, **changed) -> dict:
    names = ("1. open", "2. high", "3. low", "4. close", "5. volume")
    values = (close, close + 1, close - 1, close, 3_616_014)
    return {**dict(zip(names, (f"{v:.4f}" for v in values), strict=True)), **changed}


def daily(series: dict) -> dict:
    meta = {
        "1. Information": "Daily Prices (open, high, low, close) and Volumes",
        "2. Symbol": "IBM",
        "3. Last Refreshed": "2024-03-06",
        "4. Output Size": "Compact",
        "5. Time Zone": "US/Eastern",
    }
    return {"Meta Data": meta, "Time Series (Daily)": series}


def intraday(series: dict, zone: str = "US/Eastern") -> dict:
    meta = {"2. Symbol": "IBM", "4. Interval": "60min", "6. Time Zone": zone}
    return {"Meta Data": meta, "Time Series (60min)": series}


@pytest.fixture
def fetch(server, client_of):
    def call(*names, now=LATER, store=False, **settings):
        settings.setdefault("symbols", names or ("IBM",))
        section = AlphaVantageSourceSection(base_url=server.url, **settings)
        client = client_of("alpha_vantage", section, now, key=KEY, store=store)
        fetched = AlphaVantage(section, client).fetch(Window(BEGINNING, now), now)
        return fetched.frames["raw.bars_alpha_vantage"], fetched.rejected

    return call


def test_numbered_strings_become_bars_as_traded(server, fetch):
    server.answer = lambda request: server.Reply(
        daily({"2024-03-05": bar(191.95), "2024-03-04": bar(193.06)})
    )
    frame, rejected = fetch()
    bars = cast_to_contract(frame, raw.BARS_ALPHA_VANTAGE)
    assert violations(bars, raw.BARS_ALPHA_VANTAGE).is_empty()
    assert rejected.is_empty()
    assert bars["ts"].to_list() == [
        dt.datetime(2024, 3, 4, 21, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 5, 21, tzinfo=dt.UTC),
    ]
    row = bars.row(1, named=True)
    assert [row[name] for name in ("open", "high", "low", "close", "adj_close", "volume")] == [
        191.95, 192.95, 190.95, 191.95, None, 3_616_014.0,
    ]  # fmt: skip
    (asked,) = server.asked
    assert asked.params == {
        "function": "TIME_SERIES_DAILY", "symbol": "IBM", "outputsize": "compact", "apikey": KEY,
    }  # fmt: skip


def test_todays_bar_waits_until_its_session_has_settled(server, fetch):
    server.answer = lambda request: server.Reply(
        daily({"2024-03-05": bar(1), "2024-03-04": bar(1)})
    )
    during = dt.datetime(2024, 3, 5, 18, tzinfo=dt.UTC)
    assert fetch(now=during)[0].height == 1
    assert fetch(now=during.replace(hour=21, minute=30))[0].height == 2


def test_rows_before_the_first_configured_day_are_left_out(server, fetch):
    server.answer = lambda request: server.Reply(
        daily({"2024-03-05": bar(1), "2024-03-04": bar(1)})
    )
    assert fetch(start_day="2024-03-05")[0].height == 1


@pytest.mark.parametrize("throttle", [THROTTLED, {"Note": "Please consider optimizing your calls"}])
def test_a_throttle_in_an_ordinary_answer_is_waited_out_and_not_kept(
    server, fetch, waits, throttle
):
    server.before = [server.Reply(throttle), server.Reply(throttle)]
    server.answer = lambda request: server.Reply(daily({"2024-03-04": bar(1)}))
    assert fetch(store=True)[0].height == 1
    assert len(waits) == 2
    assert 1 <= waits[0] <= 2 <= waits[1] <= 3
    # What is kept is the answer, not the throttle.
    assert fetch(store=True)[0].height == 1
    assert len(server.asked) == 3


def test_a_lasting_throttle_is_named_without_the_key_it_repeats(server, fetch):
    server.answer = lambda request: server.Reply(THROTTLED)
    with pytest.raises(ProviderUnavailableError, match="25 requests per day") as caught:
        fetch(max_attempts=2)
    assert KEY not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (UNKNOWN, UnknownSymbolError, r"does not know 'IBM'.*sources\.alpha_vantage\.symbols"),
        (REFUSED_KEY, WrongKeyError, "refused the key"),
        (PREMIUM, WrongKeyError, "plan at alpha_vantage does not hold this"),
        ({}, AnswerShapeError, "Time Series"),
        ([1, 2], AnswerShapeError, "Time Series"),
        ({"Time Series (Daily)": ["2024-03-04"]}, AnswerShapeError, "Time Series"),
    ],
)
def test_refusals_and_unknown_shapes_are_named_at_once(server, fetch, waits, answer, error, said):
    server.answer = lambda request: server.Reply(answer)
    with pytest.raises(error, match=said):
        fetch()
    assert waits == []


def test_half_an_answer_and_http_429_are_asked_again(server, fetch):
    good = daily({"2024-03-04": bar(1)})
    server.before = [server.Reply(good, cut=25), server.Reply("slow down", 429)]
    server.answer = lambda request: server.Reply(good)
    assert fetch()[0].height == 1


def test_entries_that_make_no_bar_are_refused_with_their_reasons(server, fetch):
    server.answer = lambda request: server.Reply(
        daily(
            {
                "2024-03-04": bar(1),
                "2024-03-05": None,
                "2024-03-06": bar(1, **{"4. close": None}),
                "2024-03-07": bar(1, **{"1. open": "one"}),
                "2024-03-09": bar(1),
                "yesterday": bar(1),
            }
        )
    )
    frame, rejected = fetch()
    assert frame.height == 1
    assert sorted(rejected["reason"]) == [
        "'yesterday' is no date", "2024-03-09 is not a session of XNYS", "no close", "no close",
        "open 'one' is not a number",
    ]  # fmt: skip


def test_intraday_times_are_local_and_mark_the_start_of_the_bar(server, fetch):
    """14:00 in New York is 19:00 UTC in winter; a bar of an hour ends an hour later."""
    server.answer = lambda request: server.Reply(
        intraday({"2024-03-08 14:00:00": bar(1), "2024-03-11 14:00:00": bar(1),
                  "2024-03-10 02:30:00": bar(1)})
    )  # fmt: skip
    frame, rejected = fetch(freq="1h")
    # The clocks change on 2024-03-10: half past two did not happen, and Monday is summer time.
    assert frame["ts"].to_list() == [
        dt.datetime(2024, 3, 8, 20, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 11, 19, tzinfo=dt.UTC),
    ]
    assert frame["freq"].unique().to_list() == ["1h"]
    assert "is no time, or not one time, in US/Eastern" in rejected["reason"][0]
    assert server.asked[0].params["adjusted"] == "false"
    server.answer = lambda request: server.Reply(intraday({"2024-03-08 14:00:00": bar(1)}, "Mars"))
    with pytest.raises(AnswerShapeError, match="Time Zone"):
        fetch(freq="1h")


def test_a_symbol_of_an_exchange_nobody_here_knows_is_refused_before_asking(server, fetch):
    with pytest.raises(SourceError, match=r"'X\.MARS' is not known; suffixes known are"):
        fetch("X.MARS")
    assert server.asked == []


def test_the_key_is_required_and_its_variable_and_page_are_named():
    from btq_assets.sources.fetching import key_of

    with pytest.raises(MissingKeyError, match=r"ALPHA_VANTAGE_KEY.*alphavantage\.co/support"):
        key_of(ALPHA_VANTAGE, {})


def test_the_key_is_nowhere_in_what_is_kept(server, tmp_path):
    import gzip

    server.answer = lambda request: server.Reply(daily({"2024-03-04": bar(1)}))
    section = AlphaVantageSourceSection(base_url=server.url, calls_per_minute=6_000)
    fetch_window(ALPHA_VANTAGE, section, key=KEY, now=LATER, answers=tmp_path / "answers")
    kept = [file for file in (tmp_path / "answers").rglob("*") if file.is_file()]
    assert kept
    assert all(KEY.encode() not in gzip.decompress(file.read_bytes()) for file in kept)


def adjusted(close: float, adj: float, dividend: str = "0.0000", split: str = "1.0") -> dict:
    """One day of TIME_SERIES_DAILY_ADJUSTED, in the order and words of the answer."""
    return {
        "1. open": f"{close:.4f}", "2. high": f"{close + 1:.4f}", "3. low": f"{close - 1:.4f}",
        "4. close": f"{close:.4f}", "5. adjusted close": f"{adj:.4f}", "6. volume": "3616014",
        "7. dividend amount": dividend, "8. split coefficient": split,
    }  # fmt: skip


@pytest.fixture
def fetch_all(server, client_of):
    def call(now=LATER, store=False, **settings):
        section = AlphaVantageSourceSection(base_url=server.url, symbols=("IBM",), **settings)
        client = client_of("alpha_vantage", section, now, key=KEY, store=store)
        return AlphaVantage(section, client).fetch(Window(BEGINNING, now), now).frames

    return call


def test_a_paid_plan_gives_adjusted_closes_splits_and_dividends(server, fetch_all):
    """IBM paid 1.67 a share on 2024-05-09 (its investor pages); the split is made up."""
    days = {
        "2024-05-10": adjusted(84.0, 84.0, split="2.0"),
        "2024-05-09": adjusted(166.27, 83.1, dividend="1.6700"),
        "2024-05-08": adjusted(169.90, 84.0),
    }
    server.answer = lambda request: server.Reply(daily(days))
    frames = fetch_all(adjusted=True)
    (asked,) = server.asked
    assert asked.params["function"] == "TIME_SERIES_DAILY_ADJUSTED"
    bars = cast_to_contract(frames["raw.bars_alpha_vantage"], raw.BARS_ALPHA_VANTAGE)
    assert violations(bars, raw.BARS_ALPHA_VANTAGE).is_empty()
    assert bars["close"].to_list() == [169.90, 166.27, 84.0]
    assert bars["adj_close"].to_list() == [84.0, 83.1, 84.0]
    assert bars["volume"].to_list() == [3_616_014] * 3
    contract = raw.CORPORATE_ACTIONS_ALPHA_VANTAGE
    actions = cast_to_contract(frames[contract.table], contract)
    assert violations(actions, contract).is_empty()
    # Known at the close of the ex-date: 16:00 in New York, in summer 20:00 UTC.
    assert sorted(actions.select("kind", "ex_date", "value", "basis", "known_at").rows()) == [
        ("dividend", dt.date(2024, 5, 9), 1.67, "as_traded", dt.datetime(2024, 5, 9, 20, tzinfo=dt.UTC)),
        ("split", dt.date(2024, 5, 10), 2.0, "as_traded", dt.datetime(2024, 5, 10, 20, tzinfo=dt.UTC)),
    ]  # fmt: skip


def test_a_plan_without_adjusted_bars_is_named(server, fetch_all):
    server.answer = lambda request: server.Reply(PREMIUM)
    with pytest.raises(
        WrongKeyError, match=r"plan .* does not hold this.*sources\.alpha_vantage\.adjusted"
    ):
        fetch_all(adjusted=True)
    assert len(server.asked) == 1


def test_a_free_plan_stores_no_actions_and_no_adjusted_close(server, fetch_all):
    server.answer = lambda request: server.Reply(daily({"2024-03-04": bar(191.0)}))
    frames = fetch_all()
    assert frames["raw.corporate_actions_alpha_vantage"].is_empty()
    assert frames["raw.bars_alpha_vantage"]["adj_close"].to_list() == [None]


def test_old_minutes_come_month_by_month_and_each_month_once(server, fetch_all):
    def answer(request):
        return server.Reply(intraday({f"{request.params['month']}-04 10:00:00": bar(191.0)}))

    server.answer = answer
    now = dt.datetime(2024, 4, 15, tzinfo=dt.UTC)
    settings = {"freq": "1h", "start_month": "2024-02", "store": True}
    bars = fetch_all(now, **settings)["raw.bars_alpha_vantage"]
    assert [request.params["month"] for request in server.asked] == [
        "2024-02",
        "2024-03",
        "2024-04",
    ]
    assert {request.params["outputsize"] for request in server.asked} == {"full"}
    # 10:00 in New York is 15:00 UTC in winter and 14:00 in summer, from 10 March 2024; an hour long.
    assert bars["ts"].to_list() == [
        dt.datetime(2024, 2, 4, 16, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 4, 16, tzinfo=dt.UTC),
        dt.datetime(2024, 4, 4, 15, tzinfo=dt.UTC),
    ]
    server.asked.clear()
    fetch_all(now + dt.timedelta(days=9), **settings)
    # A key is good for 25 requests a day: months that were over are not asked for again.
    assert [request.params["month"] for request in server.asked] == ["2024-04"]
    with pytest.raises(WindowError, match="has not begun"):
        fetch_all(now, freq="1h", start_month="2024-05")


def test_the_hour_that_autumn_repeats_is_refused_and_its_neighbours_stand(server, fetch):
    """2024-11-03 01:30 happened twice in New York; 03-10 02:30 never (tz database)."""
    times = (
        "2024-03-10 02:30:00",
        "2024-11-03 00:30:00",
        "2024-11-03 01:30:00",
        "2024-11-03 02:30:00",
    )
    server.answer = lambda request: server.Reply(intraday({time: bar(191.0) for time in times}))
    frame, rejected = fetch(freq="1h", now=dt.datetime(2024, 12, 1, tzinfo=dt.UTC))
    assert frame["ts"].to_list() == [
        dt.datetime(2024, 11, 3, 5, 30, tzinfo=dt.UTC),
        dt.datetime(2024, 11, 3, 8, 30, tzinfo=dt.UTC),
    ]
    assert rejected.height == 2
    assert all("not one time" in reason for reason in rejected["reason"])
