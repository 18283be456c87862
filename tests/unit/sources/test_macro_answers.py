"""Readers of macro answers, fuzzed: whatever comes, rows, refusals or a named error."""

from __future__ import annotations

import datetime as dt
import random
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.contracts import raw
from btq_assets.contracts.base import violations
from btq_assets.sources.http import TryAgainError
from btq_assets.sources.macro.providers import alfred, cboe, ecb, fred, treasury
from btq_assets.sources.macro.releases import DEFAULT_LAG_DAYS, DESCRIBED, cadence_of, spec_of
from btq_assets.sources.macro.series import first_known
from btq_assets.sources.macro.tables import TableShapeError, read_table, refuse_pages
from btq_assets.sources.rows import Parsed

GRAPH = b"observation_date,A,B\n2024-01-02,1.5,\n2024-01-03,.,2.5\n2024-01-04,3.5,4.5\n"
FEED = (
    b'<feed xmlns="http://www.w3.org/2005/Atom" '
    b'xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
    b'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><entry><content>'
    b"<m:properties><d:NEW_DATE>2024-01-02T00:00:00</d:NEW_DATE><d:BC_2YEAR>4.33</d:BC_2YEAR>"
    b"<d:BC_10YEAR>3.95</d:BC_10YEAR></m:properties></content></entry></feed>"
)
VIX = b"DATE,OPEN,HIGH,LOW,CLOSE\n01/02/2024,13.2,14.2,13.1,13.2\n01/03/2024,13.4,14.2,13.3,14.0\n"
KEY = "FM.D.U2.EUR.4F.KR.DFR.LEV"
ECB = f"KEY,TIME_PERIOD,OBS_VALUE\n{KEY},2024-01-02,4\n{KEY},2024-01-03,4\n".encode()


def read_graph(body: bytes) -> Parsed:
    refuse_pages(body)
    table = read_table(body, ["observation_date", "A", "B"])
    parts = fred.parse_graph(table, "observation_date", ("A", "B"), first=dt.date(1950, 1, 1))
    return Parsed(pl.concat([p.rows for p in parts]), pl.concat([p.rejected for p in parts]))


def read_feed(body: bytes) -> Parsed:
    treasury.refuse_no_xml(body)
    return treasury.parse_feed(body)


READERS = {
    "fred": (GRAPH, read_graph, raw.MACRO_FRED),
    "treasury": (FEED, read_feed, raw.MACRO_TREASURY),
    "cboe": (VIX, lambda body: cboe.parse_history(body, "VIX"), raw.MACRO_CBOE),
    "ecb": (ECB, lambda body: ecb.parse_series(body, KEY), raw.MACRO_ECB),
}  # fmt: skip


def damaged(body: bytes, chance: random.Random) -> bytes:
    """Cut, doubled, overwritten or spliced somewhere."""
    places = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    piece = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 5)))
    kind = chance.randrange(5)
    if kind == 0:
        return body[: places[0]]
    if kind == 1:
        return body[: places[0]] + body[places[1] :]
    if kind == 2:
        return body[: places[1]] + body[places[0] :]
    spice = (
        piece if kind == 3 else chance.choice([b",", b"\n", b'"', b"<", b"9", b"e", b"-", b"\0"])
    )
    return body[: places[0]] + spice + body[places[0] :]


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_answer_gives_rows_of_the_contract_or_a_named_error(name):
    body, read, contract = READERS[name]
    assert read(body).rows.height >= 2
    chance = random.Random(7)
    outcomes = {"rows": 0, "error": 0}
    for _ in range(250):
        bad = damaged(body, chance)
        if chance.random() < 0.3:
            bad = damaged(bad, chance)
        try:
            parsed = read(bad)
        except (TableShapeError, TryAgainError):
            outcomes["error"] += 1
            continue
        outcomes["rows"] += 1
        assert parsed.rows.schema == contract.schema
        assert violations(parsed.rows, contract).is_empty(), bad
        assert parsed.rejected["reason"].null_count() == 0
    assert min(outcomes.values()) > 5, outcomes


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["date", "value", "realtime_start"]),
                    inner | st.just("2024-01-02") | st.just("1e400"),
                )
            ),
            max_leaves=6,
        ),
        max_size=5,
    )
)
def test_observations_of_any_json_are_rows_or_refused(found):
    parsed = alfred.parse_spans([found], series_id="S", unit="u")
    assert violations(parsed.rows, raw.MACRO_ALFRED).is_empty()
    assert parsed.rows.height + parsed.rejected.height <= len(found)


days = st.dates(dt.date(1960, 1, 1), dt.date(2030, 1, 1))


@settings(max_examples=60, deadline=None)
@given(
    history=st.dictionaries(
        st.integers(0, 40), st.sampled_from([1.0, 2.0, None]), min_size=1, max_size=12
    ),
    cuts=st.sets(st.integers(1, 40), max_size=4),
)
def test_cutting_an_archive_anywhere_changes_nothing(history, cuts):
    """What the API gives for spans, put together, is what it gives for all of time."""
    start = dt.date(2020, 1, 1)
    said = {day: history[day] for day in sorted(history)}

    def observed(first: int, last: int) -> list[dict]:
        rows = []
        for day, after in zip(said, [*list(said)[1:], 99], strict=True):
            if day <= last and after > first:
                shown = start + dt.timedelta(days=max(day, first))
                value = "." if said[day] is None else str(said[day])
                rows.append({"date": "2019-10-01", "realtime_start": str(shown), "value": value})
        return rows

    ends = [*sorted(cuts), 99]
    spans = [observed(a, b - 1) for a, b in zip([0, *sorted(cuts)], ends, strict=True)]
    cut = alfred.parse_spans(spans, series_id="S", unit="u").rows
    assert cut.equals(alfred.parse_spans([observed(0, 98)], series_id="S", unit="u").rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(days, max_size=30, unique=True), st.integers(1, 6))
def test_spans_cover_all_of_time_once_and_hold_few_vintages(vintage_days, size):
    spans = alfred.spans_of(sorted(vintage_days), size)
    assert (spans[0].first, spans[-1].last) == (alfred.FIRST_DAY, alfred.LAST_DAY)
    for before, after in pairwise(spans):
        assert after.first - before.last == dt.timedelta(days=1)
    for span in spans:
        assert sum(span.first <= day <= span.last for day in vintage_days) <= size


@pytest.mark.parametrize("cadence", DEFAULT_LAG_DAYS)
def test_no_default_is_earlier_than_what_is_known_of_a_series_of_its_cadence(cadence):
    described = [spec.lag_days for spec in DESCRIBED.values() if spec.cadence == cadence]
    assert DEFAULT_LAG_DAYS[cadence] >= max(described, default=0)


@pytest.mark.parametrize(
    ("series_id", "period", "released"),
    [
        # Release days of the delayed statistics of 2013 and 2025 (bls.gov, federalreserve.gov,
        # bea.gov): what is assumed must not be earlier.
        ("CPILFESL", dt.date(2013, 9, 1), dt.date(2013, 10, 30)),
        ("UNRATE", dt.date(2013, 9, 1), dt.date(2013, 10, 22)),
        ("PAYEMS", dt.date(2025, 9, 1), dt.date(2025, 11, 20)),
        ("CPIAUCSL", dt.date(2025, 9, 1), dt.date(2025, 10, 24)),
        ("INDPRO", dt.date(2025, 9, 1), dt.date(2025, 12, 3)),
        ("GDPC1", dt.date(2025, 7, 1), dt.date(2025, 12, 23)),
        ("ICSA", dt.date(2025, 9, 27), dt.date(2025, 11, 20)),
        # A Friday before a Monday holiday.
        ("DGS10", dt.date(2024, 5, 24), dt.date(2024, 5, 28)),
    ],
)
def test_assumed_releases_are_not_earlier_than_the_latest_real_ones(series_id, period, released):
    spec = DESCRIBED[series_id]
    known = pl.select(first_known(pl.lit(period), spec)).item()
    assert known.date() >= released


def test_a_series_that_comes_less_often_than_described_gets_the_default_of_what_came():
    assert spec_of("DGS10", "day").lag_days == 5
    monthly = spec_of("DGS10", "month")
    assert (monthly.lag_days, monthly.unit) == (DEFAULT_LAG_DAYS["month"], "percent per year")


def test_cadence_survives_gaps():
    """Holidays and missing months do not make a series another one."""
    weekdays = [
        dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(60) if n % 7 < 5 and n != 9
    ]
    assert cadence_of(pl.Series(weekdays)) == "day"
    months = [dt.date(2024 + n // 12, n % 12 + 1, 1) for n in range(30) if n not in (3, 4, 17)]
    assert cadence_of(pl.Series(months)) == "month"
