"""FINRA's weekly dark-pool volume and daily short volume, answering in their own shapes."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from local_server import Reply

from btq_assets.config import TradingConfig
from btq_assets.contracts.raw.alternative import DARK_POOL_FINRA
from btq_assets.sources.errors import (
    AnswerShapeError,
    ProviderUnavailableError,
    UnknownSymbolError,
    WindowError,
)
from btq_assets.sources.vintages import new_vintages

NOW = dt.datetime(2024, 6, 10, 12, tzinfo=dt.UTC)


def row(week: str, symbol: str = "AAPL", venue: str = "UBSA", **cells) -> dict:
    """One row of ``weeklySummary``; published on the Monday two weeks after the week's end."""
    monday = dt.date.fromisoformat(week)
    return {
        "issueSymbolIdentifier": symbol, "issueName": "Apple Inc. Common Stock", "MPID": venue,
        "marketParticipantName": "UBS ATS", "firmCRDNumber": 7654, "productTypeCode": "NMS",
        "tierIdentifier": "T1", "tierDescription": "NMS Tier 1", "weekStartDate": week,
        "summaryStartDate": week, "summaryTypeCode": "ATS_W_SMBL_FIRM",
        "totalWeeklyShareQuantity": 1_234_567, "totalWeeklyTradeCount": 8_900,
        "lastReportedDate": week, "initialPublishedDate": str(monday + dt.timedelta(days=21)),
        "lastUpdateDate": str(monday + dt.timedelta(days=21)),
    } | cells  # fmt: skip


class Finra:
    """Keeps rows by week and serves them page by page, as filters, offset and limit ask."""

    def __init__(self, rows: list) -> None:
        self.rows = rows

    def __call__(self, request) -> Reply:
        asked = json.loads(request.body)
        assert request.method == "POST"
        assert request.headers["accept"] == "application/json"
        wanted = {f["fieldName"]: f["fieldValue"] for f in asked["compareFilters"]}
        assert wanted["summaryTypeCode"] == "ATS_W_SMBL_FIRM"
        (symbols,) = asked["domainFilters"]
        found = [
            r
            for r in self.rows
            if not isinstance(r, dict)
            or (
                r["weekStartDate"] == wanted["weekStartDate"]
                and r["issueSymbolIdentifier"] in symbols["values"]
            )
        ]
        page = found[asked["offset"] : asked["offset"] + asked["limit"]]
        return Reply(json.dumps(page)) if page else Reply(b"", 204)


def test_every_page_of_every_published_week_is_read(web, ask):
    rows = [row("2024-05-13", venue=f"V{n:03}") for n in range(7)] + [row("2024-05-06")]
    web.respond = Finra([*rows, row("2024-05-27", lastUpdateDate="2024-06-17")])
    found = ask("finra_ats", NOW, "2024-05-01", symbols=["AAPL"], page_rows=3)
    assert found.height == 8
    assert sorted(found.filter(week=dt.date(2024, 5, 13))["venue"]) == [
        f"V{n:03}" for n in range(7)
    ]
    pages = [json.loads(r.body) for r in web.asked if b"2024-05-13" in r.body]
    assert [page["offset"] for page in pages] == [0, 3, 6]
    # Weeks that begin up to six weeks before May, and not the one of the 27th, which is not out.
    weeks = {json.loads(r.body)["compareFilters"][0]["fieldValue"] for r in web.asked}
    assert min(weeks) == "2024-03-25"
    assert max(weeks) == "2024-05-20"


def test_a_week_is_known_when_it_was_published_in_new_york(web, ask):
    web.respond = Finra(
        [row("2024-05-06"), row("2024-04-29", tierIdentifier="T2", lastUpdateDate="2024-06-03")]
    )
    found = ask("finra_ats", NOW, "2024-05-01", symbols=["AAPL"]).sort("week")
    # Published 2024-06-03 (tier 2, four weeks) and 2024-05-27 (tier 1, two weeks): known when those
    # days are over in New York, 04:00 UTC in summer.
    assert found.select("known_at", "known_at_basis", "published").rows() == [
        (dt.datetime(2024, 6, 4, 4, tzinfo=dt.UTC), "recorded", dt.date(2024, 6, 3)),
        (dt.datetime(2024, 5, 28, 4, tzinfo=dt.UTC), "recorded", dt.date(2024, 5, 27)),
    ]


def test_a_date_too_early_to_be_a_publication_gives_way_to_the_rule(web, ask):
    rows = [
        row("2024-05-06", lastUpdateDate="2024-05-10"),
        row("2024-05-06", venue="X", lastUpdateDate=None),
        row("2024-04-15", venue="X", lastUpdateDate=None, tierIdentifier="T2"),
    ]
    web.respond = Finra(rows)
    found = ask("finra_ats", NOW, "2024-05-01", symbols=["AAPL"]).sort("week", "venue")
    # Two weeks after the week of 2024-05-06 ended is Monday 2024-05-27, four after that of
    # 2024-04-15 is 2024-05-20; one day more, to its end.
    assert found["known_at"].to_list() == [
        dt.datetime(2024, 5, 22, 4, tzinfo=dt.UTC),
        dt.datetime(2024, 5, 29, 4, tzinfo=dt.UTC),
        dt.datetime(2024, 5, 29, 4, tzinfo=dt.UTC),
    ]
    assert set(found["known_at_basis"]) == {"assumed_lag"}


def test_a_revised_week_is_a_new_vintage(web, ask):
    web.respond = Finra([row("2024-05-06")])
    first = ask("finra_ats", NOW, "2024-05-01", symbols=["AAPL"])
    web.respond = Finra(
        [row("2024-05-06", totalWeeklyShareQuantity=1_300_000, lastUpdateDate="2024-06-03")]
    )
    again = ask("finra_ats", NOW, "2024-05-01", symbols=["AAPL"])
    key = [name for name in DARK_POOL_FINRA.key if name != "known_at"]
    added = new_vintages(first, again, NOW, key=key)
    assert added.select("shares", "known_at").rows() == [
        (1_300_000, dt.datetime(2024, 6, 4, 4, tzinfo=dt.UTC))
    ]
    assert new_vintages(first, first, NOW, key=key).is_empty()


def test_bad_rows_are_refused_and_the_others_kept(web, ask):
    web.respond = Finra(
        [
            row("2024-05-06"),
            row("2024-05-06", venue=None),
            row("2024-05-06", venue="B", totalWeeklyShareQuantity=None),
            row("2024-05-06", venue="C", totalWeeklyShareQuantity="many"),
            row("2024-05-06", venue="D", lastUpdateDate="soon"),
            row("2024-05-06", venue="E", totalWeeklyTradeCount=None),
        ]
    )
    found = ask("finra_ats", NOW, "2024-05-01", symbols=["AAPL", "NOPE"])
    assert found["venue"].to_list() == ["UBSA", "E"]
    assert found["trades"].to_list() == [8_900, None]
    assert len(ask.reasons) == 4
    assert ask.fetched.notes["symbols_without_rows"] == ["NOPE"]


def test_a_window_before_the_history_is_named(web, ask):
    web.respond = Finra([])
    with pytest.raises(WindowError, match=r"keeps about a year .*sources\.finra_ats\.start_month"):
        ask("finra_ats", NOW, "2022-05-01", symbols=["AAPL"])
    assert ask("finra_ats", NOW, "2024-06-01", symbols=["AAPL"]).is_empty()


def test_an_answer_that_is_no_list_or_cut_is_named(web, ask):
    web.respond = lambda request: Reply('{"message": "Data set does not exist"}')
    with pytest.raises(AnswerShapeError, match="a list of rows"):
        ask("finra_ats", NOW, "2024-05-01")
    web.respond = lambda request: Reply('[{"MPID": "UB', how="unannounced")
    with pytest.raises(ProviderUnavailableError, match="last: not JSON"):
        ask("finra_ats", NOW, "2024-05-01")


# Short volume -------------------------------------------------------------------------------------

HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"


def daily(path: str, trailer: str = "{n}", lines: list[str] | None = None) -> str:
    day = path[-12:-4]
    lines = lines or [f"{day}|A|600.5|10|1000.5|B,Q,N", f"{day}|BRK/B|40|0|100|Q,N"]
    return "\r\n".join([HEADER, *lines, trailer.format(n=len(lines), day=day)]) + "\r\n"


def test_a_file_a_session_is_read_and_holidays_are_not_asked_for(web, ask):
    web.respond = lambda request: Reply(daily(request.path))
    found = ask("finra_short_volume", NOW, "2024-05-01")
    # May 2024 has 22 sessions (Memorial Day is Monday 27); the last of April is asked for again.
    assert found["session"].n_unique() == 23
    assert not any("20240527" in request.path for request in web.asked)
    assert web.asked[0].path == "/CNMSshvol20240430.txt"
    assert "Mozilla" in web.asked[0].headers["user-agent"]
    first = found.filter(symbol="A").row(0, named=True)
    assert (first["short_volume"], first["short_exempt_volume"], first["total_volume"]) == (
        600.5, 10.0, 1000.5,
    )  # fmt: skip
    # Published at 18:00 in New York; counted from its midnight, 04:00 UTC in summer.
    assert first["known_at"] == dt.datetime(2024, 5, 1, 4, tzinfo=dt.UTC)


def test_a_session_is_not_asked_for_before_its_file_is_out(web, ask):
    web.respond = lambda request: Reply(daily(request.path))
    evening = dt.datetime(2024, 6, 6, 3, 59, tzinfo=dt.UTC)
    found = ask("finra_short_volume", evening, "2024-06-01")
    assert found["session"].max() == dt.date(2024, 6, 4)


def test_symbols_are_kept_as_configured_and_unknown_ones_named(web, ask):
    web.respond = lambda request: Reply(daily(request.path))
    found = ask("finra_short_volume", NOW, "2024-06-01", symbols=["BRK/B", "NOPE"])
    assert set(found["symbol"]) == {"BRK/B"}
    assert ask.fetched.notes["symbols_without_lines"] == ["NOPE"]
    with pytest.raises(UnknownSymbolError, match=r"no line of NOPE .*BRK\.B is written BRK/B"):
        ask("finra_short_volume", NOW, "2024-06-01", symbols=["NOPE"])


@pytest.mark.parametrize(
    "trailer", ["{n}", "{day}|Total|640.5|10|1100.5|", ""], ids=["count", "totals", "none"]
)
def test_every_known_trailer_is_understood(web, ask, trailer):
    web.respond = lambda request: Reply(daily(request.path, trailer))
    found = ask("finra_short_volume", NOW, "2024-06-01")
    assert set(found["symbol"]) == {"A", "BRK/B"}
    assert ask.reasons == []


@pytest.mark.parametrize(
    "cut",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("\r\n2\r\n", "\r\n3\r\n"),
        lambda text: text.rsplit("\r\n", 3)[0],
    ],
    ids=["half a line", "fewer lines than the trailer says", "a line without its break"],
)
def test_a_cut_file_is_asked_for_again(web, ask, cut):
    """Cut by the provider's own server, so that the announced length is that of what came."""
    whole = daily("/CNMSshvol20240603.txt")
    web.play(Reply(daily("/CNMSshvol20240531.txt")), Reply(cut(whole)))
    web.respond = lambda request: Reply(daily(request.path))
    found = ask("finra_short_volume", dt.datetime(2024, 6, 4, 12, tzinfo=dt.UTC), "2024-06-01")
    assert found.filter(session=dt.date(2024, 6, 3)).height == 2
    assert len([wait for wait in ask.waits if wait >= 1]) == 1


def test_bad_lines_are_refused_and_the_others_kept(web, ask):
    def respond(request):
        day = request.path[-12:-4]
        lines = [
            f"{day}|B|x|0|100|Q", f"{day}|C||0|100|Q", "19990101|D|1|0|100|Q",
            f"{day}|E|1|0|100|Q|extra", "nonsense", f"{day}|A|600|10|1000|Q",
        ]  # fmt: skip
        return Reply(daily(request.path, "", lines))

    web.respond = respond
    now = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)
    assert ask("finra_short_volume", now, "2024-06-01")["symbol"].to_list() == ["A"]
    assert ask.reasons == [
        "ShortVolume 'x' is not a number", "ShortVolume is missing",
        "Date '19990101' is not 20240531", "7 fields where the header has 6",
        "a line without columns",
    ]  # fmt: skip


def test_missing_files_are_noted_and_a_missing_history_named(web, ask):
    denied = Reply("<Error><Code>AccessDenied</Code></Error>", 403)
    web.respond = lambda r: denied if "20240604" in r.path else Reply(daily(r.path))
    ask("finra_short_volume", NOW, "2024-06-01")
    assert ask.fetched.notes["sessions_without_file"] == ["2024-06-04"]
    web.respond = lambda request: denied
    with pytest.raises(WindowError, match="it keeps about a year"):
        ask("finra_short_volume", NOW, "2023-01-01")
    # Only the session of yesterday, and its file is late: no reason to fail.
    yesterday = dt.datetime(2024, 6, 4, 5, tzinfo=dt.UTC)
    assert ask("finra_short_volume", yesterday, "2024-06-01").is_empty()


def test_an_error_page_is_no_file(web, ask):
    web.respond = lambda request: Reply("<html>down for maintenance</html>\n")
    with pytest.raises(AnswerShapeError, match=r"a header Date\|Symbol"):
        ask("finra_short_volume", NOW, "2024-06-01")


def test_settings_out_of_range_are_named():
    with pytest.raises(Exception, match="page_rows"):
        TradingConfig(sources={"finra_ats": {"page_rows": 0}})
    with pytest.raises(Exception, match="symbols"):
        TradingConfig(sources={"finra_ats": {"symbols": []}})
