"""FRED, its archive, the Treasury, Cboe and the ECB in their own shapes, from a local server."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import polars as pl
import pytest
from local_server import Reply, Request
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import quarantine, raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.assets import provider_asset
from btq_assets.sources.errors import (
    AnswerShapeError,
    MissingKeyError,
    ProviderUnavailableError,
    SourceError,
    UnknownSymbolError,
    WindowError,
    WrongKeyError,
)
from btq_assets.sources.fetching import fetch_window
from btq_assets.sources.macro import registry
from btq_assets.sources.provider import Fetched

NOW = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
ENTRIES = {entry.name: entry for entry in registry.ENTRIES}

HTML = "<!DOCTYPE html>\n<html><head><title>Access Denied</title></head></html>"


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.fixture
def fetch(web) -> Callable[..., Fetched]:
    def call(name: str, *, month: str | None = None, key: str = "", now=NOW, **settings) -> Fetched:
        options = {"base_url": web.url, "max_attempts": 1, "calls_per_minute": 6_000} | settings
        section = getattr(TradingConfig(sources={name: options}).sources, name)
        fetched, _ = fetch_window(ENTRIES[name], section, key=key, now=now, partition_key=month)
        return fetched

    return call


def rows_of(fetched: Fetched, name: str) -> pl.DataFrame:
    contract = ENTRIES[name].contracts[0]
    frame = cast_to_contract(fetched.frames[contract.table], contract)
    assert violations(frame, contract).is_empty()
    return frame.sort(contract.key)


def always(body: str | bytes, **options) -> Callable[[Request], Reply]:
    return lambda request: Reply(body, **options)


# --- FRED's graph files


FRED = """{stamp},DGS10,CPILFESL
2024-01-01,,313.216
2024-01-02,3.95,
2024-01-03,.,
2024-01-04,3.99,
2024-01-05,4.05,
2024-02-01,,314.121
2024-03-01,,315.565
"""


@pytest.mark.parametrize("stamp", ["observation_date", "DATE"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_fred_reads_both_header_forms_and_skips_both_kinds_of_gap(web, fetch, stamp, start):
    web.respond = always(start + FRED.format(stamp=stamp))
    fetched = fetch("fred", series=("DGS10", "CPILFESL"))
    (asked,) = web.asked
    assert asked.path == "/graph/fredgraph.csv"
    assert asked.params == {"id": "DGS10,CPILFESL", "cosd": "1950-01-01"}
    rows = rows_of(fetched, "fred")
    assert fetched.rejected.is_empty()
    assert rows.select("series_id", "period", "value", "revision").rows() == [
        ("CPILFESL", dt.date(2024, 1, 1), 313.216, "REVISED"),
        ("CPILFESL", dt.date(2024, 2, 1), 314.121, "REVISED"),
        ("CPILFESL", dt.date(2024, 3, 1), 315.565, "REVISED"),
        ("DGS10", dt.date(2024, 1, 2), 3.95, "FINAL"),
        ("DGS10", dt.date(2024, 1, 4), 3.99, "FINAL"),
        ("DGS10", dt.date(2024, 1, 5), 4.05, "FINAL"),
    ]
    # January's CPI came out on 2024-02-13 (bls.gov); 31 January + 31 days is later. H.15 of
    # Friday 2024-01-05 came out on Monday the 8th; 5 January + 5 days is later.
    known = dict(rows.select("period", "known_at").iter_rows())
    assert known[dt.date(2024, 1, 1)] == utc(2024, 3, 2, 14)
    assert known[dt.date(2024, 1, 5)] == utc(2024, 1, 10, 14)
    assert set(rows["known_at_basis"]) == {"assumed_lag"}


def test_fred_asks_in_groups_and_names_the_one_unknown_series(web, fetch):
    def respond(request: Request) -> Reply:
        names = request.params["id"].split(",")
        if "NOSUCH" in names:
            return Reply(HTML, 404)
        lines = [f"2024-01-0{day}," + ",".join("1.0" for _ in names) for day in (2, 3, 4)]
        return Reply("\n".join([f"observation_date,{','.join(names)}", *lines, ""]))

    web.respond = respond
    rows = rows_of(fetch("fred", series=("A", "B", "C"), series_per_request=2), "fred")
    assert [request.params["id"] for request in web.asked] == ["A,B", "C"]
    assert rows.height == 9
    with pytest.raises(
        UnknownSymbolError, match=r"fred does not know the series 'NOSUCH'.*sources\.fred\.series"
    ):
        fetch("fred", series=("A", "NOSUCH", "B"))


def test_fred_names_a_series_that_is_missing_among_the_columns(web, fetch):
    web.respond = always("observation_date,A\n2024-01-02,1\n")
    with pytest.raises(UnknownSymbolError, match="'B'"):
        fetch("fred", series=("A", "B"))


@pytest.mark.parametrize(
    ("dates", "lag_days", "cadence"),
    [
        # By hand: the last day of the period and the default lag, from 2024-01-01 on.
        (["2024-01-01", "2024-01-02", "2024-01-03"], 0 + 7, "day"),
        (["2024-01-01", "2024-01-08", "2024-01-15"], 6 + 60, "week"),
        (["2024-01-01", "2024-02-01", "2024-03-01"], 30 + 75, "month"),
        (["2024-01-01", "2024-04-01", "2024-07-01"], 90 + 125, "quarter"),
        (["2024-01-01", "2025-01-01", "2026-01-01"], 365 + 366, "year"),
        # Too few to tell: as late as any.
        (["2024-01-01", "2024-01-02"], 365 + 366, "year"),
        (["2024-01-01"], 365 + 366, "year"),
    ],
)
def test_an_unknown_series_gets_the_late_default_of_its_cadence(
    web, fetch, dates, lag_days, cadence
):
    web.respond = always("observation_date,XYZ\n" + "".join(f"{day},1.5\n" for day in dates))
    rows = rows_of(fetch("fred", series=("XYZ",)), "fred")
    first = rows.row(0, named=True)
    assert first["known_at"] == utc(2024, 1, 1, 14) + dt.timedelta(days=lag_days), cadence
    assert (first["revision"], first["unit"]) == ("REVISED", "as published")


def test_fred_refuses_cells_it_cannot_read_and_keeps_the_rest(web, fetch):
    body = "observation_date,A\n2024-01-02,1.0\n2024-13-02,2.0\n2024-01-04,four\n2024-01-05,inf\n2024-01-08,1,5\n2024-01-09,NaN\n2024-01-10,3.0\n"
    web.respond = always(body)
    fetched = fetch("fred", series=("A",))
    assert rows_of(fetched, "fred")["value"].to_list() == [1.0, 3.0]
    assert sorted(fetched.rejected["reason"]) == [
        "3 cells, the header has 2",
        "date '2024-13-02' is not %Y-%m-%d",
        "value 'NaN' is not a finite number",
        "value 'four' is not a finite number",
        "value 'inf' is not a finite number",
    ]
    assert json.loads(fetched.rejected["row_json"][0])


def test_a_number_cut_off_at_the_end_of_an_answer_is_not_taken_for_the_whole_one(web, fetch):
    """Without a length, an answer that breaks off inside 315.565 looks complete."""
    body = "observation_date,A\n2024-01-02,313.2\n2024-01-03,315.565\n"
    web.respond = always(body[:-5], how="unannounced")
    fetched = fetch("fred", series=("A",))
    assert rows_of(fetched, "fred")["value"].to_list() == [313.2]
    assert fetched.rejected["reason"].to_list() == ["the last line has no end and may be cut off"]
    web.respond = always(body, how="cut")
    with pytest.raises(ProviderUnavailableError, match="IncompleteRead"):
        fetch("fred", series=("B",))


def test_two_values_for_one_day_are_both_refused(web, fetch):
    web.respond = always("DATE,A\n2024-01-02,1.0\n2024-01-02,2.0\n2024-01-03,3.0\n2024-01-03,3.0\n")
    fetched = fetch("fred", series=("A",))
    assert rows_of(fetched, "fred")["value"].to_list() == [3.0]
    assert fetched.rejected["reason"].to_list() == ["A has several values for 2024-01-02"] * 2


def test_an_empty_series_is_an_empty_answer(web, fetch):
    web.respond = always("observation_date,A\n")
    assert rows_of(fetch("fred", series=("A",)), "fred").is_empty()


# --- What all of them do with an answer that is none

ASKING = {
    "fred": {"series": ("DGS10",)},
    "alfred": {"series": ("GDPC1",), "key": "k"},
    "treasury": {"month": "2024-01-01"},
    "vix": {},
    "ecb_rates": {"series": ("FM.D.U2.EUR.4F.KR.DFR.LEV",)},
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize(
    "body", [HTML, "", "  \n", "<html>rate limit</html>"], ids=["page", "empty", "blank", "html"]
)
def test_a_page_with_status_200_is_tried_again_and_then_named(web, fetch, name, body):
    web.respond = always(body)
    with pytest.raises(ProviderUnavailableError, match=f"{name} gave no usable answer"):
        fetch(name, max_attempts=1, **ASKING[name])


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize(
    "body",
    [
        b"a,b\n1,2\n",
        b"\xff\xfe\x00",
        b'{"rows": []}',
        b"<feed/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"[]",
    ],
    ids=["csv", "bytes", "json", "xml", "entities", "list"],
)
def test_an_answer_of_another_shape_is_named_with_its_start(web, fetch, name, body):
    web.respond = always(body)
    with pytest.raises((AnswerShapeError, ProviderUnavailableError)) as caught:
        fetch(name, **ASKING[name])
    assert f"{name}" in str(caught.value)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_provider_that_is_down_is_named(web, fetch, name):
    web.respond = always("maintenance", status=503)
    with pytest.raises(ProviderUnavailableError, match="HTTP 503: maintenance"):
        fetch(name, **ASKING[name])


# --- ALFRED


class Archive:
    """The API over a list of vintages: (series, period, first day, value)."""

    LIMIT = 2_000

    def __init__(
        self, rows: list[tuple[str, str, str, str]], key: str = "0123456789abcdef"
    ) -> None:
        self.rows, self.key = rows, key

    def __call__(self, request: Request) -> Reply:
        ask = request.params
        if ask["api_key"] != self.key:
            return self.refuse(
                "The value for variable api_key is not registered. Read "
                "https://fred.stlouisfed.org/docs/api/api_key.html for more information."
            )
        mine = [row for row in self.rows if row[0] == ask["series_id"]]
        if not mine:
            return self.refuse("The series does not exist.")
        days = sorted({first for _, _, first, _ in mine})
        if request.path == "/fred/series":
            return self.say(
                {"seriess": [{"id": ask["series_id"], "units": "Index", "frequency_short": "M"}]}
            )
        start, end = ask["realtime_start"], ask["realtime_end"]
        if request.path == "/fred/series/vintagedates":
            return self.page(ask, "vintage_dates", [day for day in days if start <= day <= end])
        within = [day for day in days if start <= day <= end]
        if len(within) > self.LIMIT:
            return self.refuse("This exceeds the maximum number of vintage dates allowed.")
        found = []
        for period in sorted({period for _, period, _, _ in mine}):
            history = sorted((first, value) for _, p, first, value in mine if p == period)
            for (first, value), after in zip(
                history, [*(f for f, _ in history[1:]), "9999-12-31"], strict=True
            ):
                # The API cuts what was current to the window that is asked for.
                if first <= end and after > start:
                    found.append(
                        {
                            "realtime_start": max(first, start),
                            "realtime_end": min(after, end),
                            "date": period,
                            "value": value,
                        }
                    )
        return self.page(ask, "observations", found)

    def page(self, ask, field, rows) -> Reply:
        offset, limit = int(ask["offset"]), int(ask["limit"])
        return self.say(
            {
                "count": len(rows),
                "offset": offset,
                "limit": limit,
                field: rows[offset : offset + limit],
            }
        )

    @staticmethod
    def say(body: dict, status: int = 200) -> Reply:
        return Reply(json.dumps(body), status)

    def refuse(self, message: str) -> Reply:
        return self.say({"error_code": 400, "error_message": f"Bad Request.  {message}"}, 400)


#: Vintages as those of 2014's first quarter, revised down twice; made up, so that what was withdrawn
#: and came back is among them.
GDP = [
    ("GDPC1", "2013-10-01", "2014-03-27", "15942.3"),
    ("GDPC1", "2014-01-01", "2014-04-30", "15946.6"),
    ("GDPC1", "2014-01-01", "2014-05-29", "15902.9"),
    ("GDPC1", "2014-01-01", "2014-06-25", "15824.2"),
    ("GDPC1", "2014-01-01", "2015-07-30", "."),
    ("GDPC1", "2014-01-01", "2015-08-27", "15824.2"),
]
KEY = "0123456789abcdef"


def test_alfred_gives_every_vintage_on_the_day_after_it_came_out(web, fetch):
    web.respond = Archive(GDP)
    rows = rows_of(fetch("alfred", series=("GDPC1",), key=KEY), "alfred")
    # Midnight in St. Louis is 06:00 UTC at the latest.
    assert rows.select("period", "known_at", "value").rows() == [
        (dt.date(2013, 10, 1), utc(2014, 3, 28, 6), 15942.3),
        (dt.date(2014, 1, 1), utc(2014, 5, 1, 6), 15946.6),
        (dt.date(2014, 1, 1), utc(2014, 5, 30, 6), 15902.9),
        (dt.date(2014, 1, 1), utc(2014, 6, 26, 6), 15824.2),
        (dt.date(2014, 1, 1), utc(2015, 8, 28, 6), 15824.2),
    ]
    assert set(rows["known_at_basis"]) == {"recorded"}
    assert set(rows["revision"]) == {"VINTAGE"}
    assert set(rows["unit"]) == {"Index"}
    # Asked without its window, the API calls today the beginning of everything.
    observed = [r.params for r in web.asked if r.path.endswith("observations")]
    assert [(p["realtime_start"], p["realtime_end"]) for p in observed] == [
        ("1776-07-04", "9999-12-31")
    ]


def daily(n_days: int) -> list[tuple[str, str, str, str]]:
    """A daily series: each value is out the next day, every tenth is revised a month later."""
    first, rows = dt.date(2010, 1, 1), []
    for n in range(n_days):
        day = first + dt.timedelta(days=n)
        rows.append(("D", str(day), str(day + dt.timedelta(days=1)), f"{n}.0"))
        if n % 10 == 0:
            rows.append(("D", str(day), str(day + dt.timedelta(days=30)), f"{n}.5"))
    return rows


@pytest.mark.parametrize("page_rows", [100_000, 701])
def test_alfred_cuts_long_archives_and_counts_what_goes_on_across_a_cut_once(web, fetch, page_rows):
    history = daily(2_600)
    web.respond = Archive(history)
    rows = rows_of(fetch("alfred", series=("D",), key=KEY, page_rows=page_rows), "alfred")
    spans = {r.params["realtime_start"] for r in web.asked if r.path.endswith("observations")}
    assert len(spans) == 2, "2,629 vintage days are asked for in two spans"
    found = rows.select(
        pl.col("period").cast(pl.String),
        (pl.col("known_at").dt.date() - pl.duration(days=1)).cast(pl.String),
        "value",
    ).rows()
    assert found == sorted((period, first, float(value)) for _, period, first, value in history)


def test_alfred_names_a_wrong_key_and_an_unknown_series(web, fetch):
    web.respond = Archive(GDP)
    with pytest.raises(
        WrongKeyError, match=r"FRED refused the key in FRED_API_KEY.*api_key\.html"
    ) as caught:
        fetch("alfred", series=("GDPC1",), key="wrong-key")
    assert "wrong-key" not in str(caught.value)
    with pytest.raises(
        UnknownSymbolError, match=r"no archive of the series 'XX'.*sources\.fred\.series"
    ):
        fetch("alfred", series=("XX",), key=KEY)


def test_alfred_without_a_key_names_the_variable():
    from btq_assets.sources.fetching import key_of

    with pytest.raises(
        MissingKeyError, match=r"FRED_API_KEY \(get one at https://fred\.stlouisfed"
    ):
        key_of(ENTRIES["alfred"], {})


def test_alfred_refuses_observations_it_cannot_read(web, fetch):
    web.respond = Archive(
        [
            *GDP,
            ("GDPC1", "2014-04-01", "2014-07-30", "many"),
            ("GDPC1", "2014Q3", "2014-10-30", "1"),
        ]
    )
    fetched = fetch("alfred", series=("GDPC1",), key=KEY)
    assert rows_of(fetched, "alfred").height == 5
    assert fetched.rejected.height == 2
    assert all(
        reason.startswith("not an observation (ValueError") for reason in fetched.rejected["reason"]
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"observations": "none"},
        {"count": 3},
        {"count": 3, "observations": []},
        {"seriess": []},
        {"vintage_dates": ["soon"], "count": 1},
    ],
    ids=str,
)
def test_alfred_names_an_answer_of_another_shape(web, fetch, broken):
    archive = Archive(GDP)

    def respond(request: Request) -> Reply:
        said = json.loads(archive(request).content)
        if set(broken) & set(said) - {"count"} or (
            set(broken) == {"count"} and "observations" in said
        ):
            said = broken if set(broken) == {"count"} else said | broken
        return Reply(json.dumps(said))

    web.respond = respond
    with pytest.raises(AnswerShapeError, match="alfred: expected"):
        fetch("alfred", series=("GDPC1",), key=KEY)


# --- Treasury


def feed(*days: tuple[str, dict[str, str]]) -> str:
    """An answer of the Treasury's site, as its feed writes it."""
    entries = "".join(
        '<entry><id>x</id><title type="text"/><updated>2024-06-03T15:51:03Z</updated>'
        '<content type="application/xml"><m:properties>'
        f'<d:NEW_DATE m:type="Edm.DateTime">{day}</d:NEW_DATE>'
        + "".join(
            f'<d:{name} m:type="Edm.Double">{value}</d:{name}>' for name, value in cells.items()
        )
        + '<d:BC_1_5MONTH m:type="Edm.Double" m:null="true"/>'
        "</m:properties></content></entry>"
        for day, cells in days
    )
    return (
        '<?xml version="1.0" encoding="utf-8" standalone="yes" ?>'
        '<feed xml:base="http://data.treasury.gov/Feed.svc/" xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
        'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
        f'<title type="text">DailyTreasuryYieldCurveRateData</title>{entries}</feed>'
    )


#: In the form of October 2023; some tenors. What counts is that the values come back as they are.
OCTOBER = feed(
    ("2023-10-02T00:00:00", {"BC_1MONTH": "5.56", "BC_3MONTH": "5.62", "BC_2YEAR": "5.12", "BC_10YEAR": "4.69", "BC_30YEAR": "4.81", "BC_30YEARDISPLAY": "4.81"}),
    ("2023-10-03T00:00:00", {"BC_1MONTH": "5.55", "BC_3MONTH": "5.62", "BC_2YEAR": "5.15", "BC_10YEAR": "4.81", "BC_30YEAR": "4.95"}),
    ("2023-11-06T00:00:00", {"BC_10YEAR": "4.67"}),
)  # fmt: skip


def test_treasury_reads_a_month_of_the_years_feed(web, fetch):
    web.respond = always(OCTOBER)
    rows = rows_of(fetch("treasury", month="2023-10-01"), "treasury")
    assert web.asked[0].params == {
        "data": "daily_treasury_yield_curve",
        "field_tdr_date_value": "2023",
    }
    assert rows.height == 10
    ten = rows.filter(series_id="BC_10YEAR").select("period", "known_at", "value").rows()
    # 18:00 in New York is 22:00 UTC in October, and 23:00 in November.
    assert ten == [
        (dt.date(2023, 10, 2), utc(2023, 10, 2, 22), 4.69),
        (dt.date(2023, 10, 3), utc(2023, 10, 3, 22), 4.81),
    ]
    assert "BC_30YEARDISPLAY" not in rows["series_id"].to_list()
    november = rows_of(fetch("treasury", month="2023-11-01"), "treasury")
    assert november["known_at"].to_list() == [utc(2023, 11, 6, 23)]


def test_treasury_does_not_store_a_curve_before_it_is_out(web, fetch):
    web.respond = always(OCTOBER)
    early = fetch("treasury", month="2023-10-01", now=utc(2023, 10, 3, 21, 59))
    assert rows_of(early, "treasury")["period"].unique().to_list() == [dt.date(2023, 10, 2)]


def test_treasury_before_its_history_names_the_first_curve(web, fetch):
    web.respond = always(OCTOBER)
    with pytest.raises(
        WindowError, match=r"treasury: 1989-12 is before the first curve, of 1990-01-02"
    ):
        fetch("treasury", month="1989-12-01", start_month="1985-01")
    assert web.asked == []


def test_treasury_refuses_an_entry_it_cannot_read_and_keeps_the_rest(web, fetch):
    web.respond = always(
        feed(
            ("2023-10-02T00:00:00", {"BC_2YEAR": "5.12", "BC_10YEAR": "n.a."}),
            ("yesterday", {"BC_2YEAR": "5.0"}),
            ("2023-10-04T00:00:00", {"BC_2YEAR": "5.05", "BC_10YEAR": "N/A"}),
            ("2023-10-04T00:00:00", {"BC_2YEAR": "5.06"}),
        )
    )
    fetched = fetch("treasury", month="2023-10-01")
    assert rows_of(fetched, "treasury").select("period", "value").rows() == [
        (dt.date(2023, 10, 2), 5.12)
    ]
    assert sorted(fetched.rejected["reason"]) == [
        "BC_10YEAR 'n.a.' of 2023-10-02 is not a number",
        "BC_2YEAR has several values for 2023-10-04",
        "BC_2YEAR has several values for 2023-10-04",
        "NEW_DATE 'yesterday' is not a date",
    ]


def test_treasury_a_truncated_feed_is_tried_again(web, fetch):
    web.play(Reply(OCTOBER[:-300], how="unannounced"), Reply(OCTOBER))
    assert rows_of(fetch("treasury", month="2023-10-01", max_attempts=2), "treasury").height == 10
    web.respond = always(OCTOBER[:-300], how="unannounced")
    with pytest.raises(ProviderUnavailableError, match="not a whole XML document"):
        fetch("treasury", month="2022-10-01")


def test_treasury_a_feed_without_entries_is_an_empty_answer(web, fetch):
    web.respond = always(feed())
    assert rows_of(fetch("treasury", month="2024-06-01"), "treasury").is_empty()


def test_treasury_is_stored_month_by_month_and_a_correction_is_a_vintage(web, tmp_path, run_month):
    config = TradingConfig(
        sources={
            "treasury": {
                "enabled": True,
                "base_url": web.url,
                "answers_fresh_hours": 0,
                "calls_per_minute": 6_000,
            }
        }
    )
    web.respond = always(OCTOBER)
    run_month("treasury", config, "2023-10-01")
    run_month("treasury", config, "2023-10-01")
    first = run_month.warehouse.read(raw.MACRO_TREASURY)
    assert first.height == 10
    web.respond = always(OCTOBER.replace(">4.81<", ">4.80<", 1))
    run_month("treasury", config, "2023-10-01")
    after = run_month.warehouse.read(raw.MACRO_TREASURY)
    (changed,) = after.join(first, on=raw.MACRO_TREASURY.key, how="anti").rows(named=True)
    assert (changed["series_id"], changed["value"], changed["known_at_basis"]) == (
        "BC_30YEAR",
        4.8,
        "recorded",
    )
    assert run_month.warehouse.read(quarantine.ROWS).is_empty()


@pytest.fixture
def run_month(tmp_path):
    """Materialize a provider's asset over a real file, one month of it."""
    import dagster as dg

    from btq_assets.automation.partitions import partitions_of
    from btq_assets.warehouse import Warehouse
    from btq_assets.warehouse.paths import DataPaths
    from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

    root = tmp_path / "data"

    def execute(name: str, config: TradingConfig, month: str | None = None, environment=None):
        asset = provider_asset(ENTRIES[name], environment or {})
        return dg.materialize(
            [asset.definition(config, partitions_of(asset, config))],
            resources={
                "trading": ConfigResource.of(config),
                "warehouse": WarehouseResource(path=str(root), lock_timeout_s=5),
                "device": DeviceResource(device="cpu"),
            },
            partition_key=month,
        )

    execute.warehouse = Warehouse(DataPaths(root), 5)
    return execute


# --- Cboe

#: In the form of VIX_History.csv; what counts is that the values come back as they are.
VIX = "DATE,OPEN,HIGH,LOW,CLOSE\n01/02/1990,17.240000,17.240000,17.240000,17.240000\n01/03/1990,18.190000,18.190000,18.190000,18.190000\n05/31/2024,14.290000,14.780000,12.920000,12.920000\n06/03/2024,12.980000,13.560000,12.820000,13.110000\n"


def test_cboe_reads_the_history_and_leaves_out_a_day_that_is_not_over(web, fetch):
    web.respond = always(VIX)
    rows = rows_of(fetch("vix"), "vix")
    assert web.asked[0].path == "/VIX_History.csv"
    closes = rows.filter(series_id="VIX").select("period", "known_at", "value").rows()
    assert closes == [
        (dt.date(1990, 1, 2), utc(1990, 1, 3, 14), 17.24),
        (dt.date(1990, 1, 3), utc(1990, 1, 4, 14), 18.19),
        (dt.date(2024, 5, 31), utc(2024, 6, 1, 14), 12.92),
    ]
    assert sorted(rows["series_id"].unique()) == ["VIX", "VIX_HIGH", "VIX_LOW", "VIX_OPEN"]
    evening = rows_of(fetch("vix", now=utc(2024, 6, 3, 22)), "vix")
    assert evening.filter(series_id="VIX")["value"].to_list()[-1] == 13.11


def test_cboe_reads_indices_with_a_single_column(web, fetch):
    web.respond = always("DATE,VVIX\n03/06/2006,71.73\n03/07/2006,71.61\n")
    rows = rows_of(fetch("vix", indices=("VVIX",)), "vix")
    assert rows.select("series_id", "value").rows() == [("VVIX", 71.73), ("VVIX", 71.61)]


@pytest.mark.parametrize("status", [403, 404])
def test_cboe_names_an_unknown_index(web, fetch, status):
    web.respond = always("<Error>AccessDenied</Error>", status=status)
    with pytest.raises(
        UnknownSymbolError, match=r"no VIXX_History\.csv; correct sources\.vix\.indices"
    ):
        fetch("vix", indices=("VIXX",))


def test_cboe_with_a_day_first_date_refuses_the_row(web, fetch):
    web.respond = always(VIX + "31/05/2024,1,1,1,1\n")
    fetched = fetch("vix")
    assert set(fetched.rejected["reason"]) == {"date '31/05/2024' is not %m/%d/%Y"}


# --- ECB

DFR = "FM.D.U2.EUR.4F.KR.DFR.LEV"
POLICY = (
    "KEY,FREQ,REF_AREA,CURRENCY,PROVIDER_FM,INSTRUMENT_FM,PROVIDER_FM_ID,DATA_TYPE_FM,TIME_PERIOD,OBS_VALUE\r\n"
    f"{DFR},D,U2,EUR,4F,KR,DFR,LEV,2023-09-19,3.75\r\n"
    f"{DFR},D,U2,EUR,4F,KR,DFR,LEV,2023-09-20,4\r\n"
    f"{DFR},D,U2,EUR,4F,KR,DFR,LEV,2023-09-21,\r\n"
)  # fmt: skip


def test_ecb_reads_the_deposit_facility_rate(web, fetch):
    """Raised from 3.75 to 4.00 with effect from 2023-09-20 (ecb.europa.eu)."""
    web.respond = always(POLICY)
    rows = rows_of(fetch("ecb_rates", series=(DFR,)), "ecb_rates")
    assert web.asked[0].path == "/service/data/FM/D.U2.EUR.4F.KR.DFR.LEV"
    assert web.asked[0].params["format"] == "csvdata"
    assert rows.select("period", "known_at", "value", "unit").rows() == [
        (dt.date(2023, 9, 19), utc(2023, 9, 20, 14), 3.75, "percent per year"),
        (dt.date(2023, 9, 20), utc(2023, 9, 21, 14), 4.0, "percent per year"),
    ]


@pytest.mark.parametrize(
    ("key", "period", "first", "known"),
    [
        # By hand: the end of the period, and the default lag.
        (
            "ICP.M.U2.N.000000.4.INX",
            "2024-02",
            dt.date(2024, 2, 1),
            utc(2024, 2, 29, 14) + dt.timedelta(75),
        ),
        ("MNA.Q.Y.I9", "2024-Q2", dt.date(2024, 4, 1), utc(2024, 6, 30, 14) + dt.timedelta(125)),
        ("GFS.A.N.I9", "2023", dt.date(2023, 1, 1), utc(2023, 12, 31, 14) + dt.timedelta(366)),
    ],
)
def test_ecb_periods_are_dated_by_their_first_day(web, fetch, key, period, first, known):
    web.respond = always(f"KEY,TIME_PERIOD,OBS_VALUE\n{key},{period},1.5\n")
    (row,) = rows_of(fetch("ecb_rates", series=(key,)), "ecb_rates").rows(named=True)
    assert (row["period"], row["known_at"], row["value"]) == (first, known, 1.5)


def test_ecb_names_an_unknown_series(web, fetch):
    web.respond = always("No results found.", status=404)
    for key in ("FM.D.XX", "nonsense"):
        with pytest.raises(
            UnknownSymbolError, match=rf"'{key}'; correct sources\.ecb_rates\.series"
        ):
            fetch("ecb_rates", series=(key,))


def test_ecb_rows_of_another_series_are_refused(web, fetch):
    web.respond = always(
        f"KEY,TIME_PERIOD,OBS_VALUE\nEXR.D.USD,2024-01-02,1.1\n{DFR},2024-01-0x,4\n{DFR},2024-01-03,4\n"
    )
    fetched = fetch("ecb_rates", series=(DFR,))
    assert rows_of(fetched, "ecb_rates").height == 1
    assert sorted(reason[:12] for reason in fetched.rejected["reason"]) == [
        "belongs to E",
        "date '2024-0",
    ]


# --- Stored like every other source


def test_fred_is_fetched_whole_again_and_a_revision_is_a_vintage(web, run_month):
    config = TradingConfig(
        sources={
            "fred": {
                "enabled": True,
                "base_url": web.url,
                "series": ["CPILFESL"],
                "answers_fresh_hours": 0,
                "calls_per_minute": 6_000,
            }
        }
    )
    body = "observation_date,CPILFESL\n2023-11-01,312.349\n2023-12-01,313.209\n2024-01-01,314.4\n"
    web.respond = always(body)
    run_month("fred", config)
    first = run_month.warehouse.read(raw.MACRO_FRED)
    run_month("fred", config)
    assert_frame_equal(run_month.warehouse.read(raw.MACRO_FRED), first)
    web.respond = always(body.replace("313.209", "313.216"))
    run_month("fred", config)
    (changed,) = (
        run_month.warehouse.read(raw.MACRO_FRED)
        .join(first, on=raw.MACRO_FRED.key, how="anti")
        .rows(named=True)
    )
    assert (changed["value"], changed["known_at_basis"]) == (313.216, "recorded")


def test_an_asset_says_what_a_provider_said_no_to(web, run_month):
    config = TradingConfig(
        sources={
            "alfred": {
                "enabled": True,
                "base_url": web.url,
                "series": ["XX"],
                "calls_per_minute": 6_000,
            }
        }
    )
    web.respond = Archive(GDP)
    with pytest.raises(SourceError, match="no archive of the series 'XX'"):
        run_month("alfred", config, environment={"FRED_API_KEY": KEY})
    with pytest.raises(SourceError, match="FRED_API_KEY"):
        run_month("alfred", config)
