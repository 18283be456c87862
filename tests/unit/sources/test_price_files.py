"""Files of unknown layout: every kind of bad input has its reason, every good layout one result."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import zipfile

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.config import FolderSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import FolderError, SourceError
from btq_assets.sources.market.membership import folder_membership
from btq_assets.sources.market.providers.folder import (
    folder_version,
    read_batches,
    read_folder,
)
from btq_assets.sources.market.table_file import parse_price_file, symbol_of

NOW = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
CLOSE_0102 = dt.datetime(2020, 1, 2, 21, tzinfo=dt.UTC)
CLOSE_0103 = dt.datetime(2020, 1, 3, 21, tzinfo=dt.UTC)


def parse(text: str | bytes, name: str = "aaa.csv", **folder):
    content = text.encode() if isinstance(text, str) else text
    return parse_price_file(name, content, FolderSourceSection(**folder), NOW)


def closes(parsed) -> list[tuple]:
    return parsed.rows.select("symbol", "ts", "close").rows()


EXPECTED = [("AAA", CLOSE_0102, 1.5), ("AAA", CLOSE_0103, 2.5)]


@pytest.mark.parametrize(
    "text",
    [
        "Date,Close\n2020-01-02,1.5\n2020-01-03,2.5\n",
        "Date,Close\n2020-01-03,2.5\n2020-01-02,1.5\n",  # unsorted: order carries no meaning
        "date\tPRICE\n2020/1/2\t1.5\n2020/1/3\t2.5\n",
        "<DATE>;<CLOSE>\r\n20200102;1,5\r\n20200103;2,5\r\n",
        "Trade Date|Close/Last\n1/2/2020|$1.50\n1/3/2020|$2.50\n",
        "day,last\n2.1.2020,1.5\n3.1.2020,2.5\n",
        '"timestamp","c"\n"2020-01-02T00:00:00Z","1.5"\n"2020-01-03 00:00:00-05:00","2.5"\n',
        "Date,Ticker,close,\n2020-01-02, AAA ,1.5,\n2020-01-03,AAA,2.5,\n",
        "unix,close\n1577923200,1.5\n1578009600000,2.5\n",
        "date,time,close\n2020-01-02,4:00 PM -0500,1.5\n2020-01-03,21:00 Z,2.5\n",
    ],
    ids=[
        "iso", "unsorted", "tab-slashes", "semicolon-decimal-comma", "us-dates-dollars",
        "german-dates", "midnights-with-zones", "symbol-column-trailing-comma", "epoch-s-and-ms",
        "date-and-clock-columns",
    ],
)  # fmt: skip
def test_layouts_that_mean_the_same_give_the_same_bars(text):
    parsed = parse(text, date_order="month_first")
    assert closes(parsed) == EXPECTED
    assert parsed.rejected.is_empty()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("AAA.csv.gz", gzip.compress),
        ("aaa_1d.csv", lambda body: "\ufeff".encode() + body),
        ("AAA daily.csv", lambda body: body.decode().encode("utf-16")),
    ],
)
def test_compression_and_encodings(name, pack):
    assert closes(parse(pack(b"Date,Close\n2020-01-02,1.5\n2020-01-03,2.5\n"), name)) == EXPECTED


def test_zip_may_hold_several_files_of_several_kinds():
    packed = io.BytesIO()
    table = pl.DataFrame({"date": [dt.date(2020, 1, 2)], "adj_close": [7.0]})
    parquet = io.BytesIO()
    table.write_parquet(parquet)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner/AAA.csv", "Date,Close\n2020-01-02,1.5\n")
        archive.writestr("BBB.parquet", parquet.getvalue())
    rows = parse(packed.getvalue(), "bundle.zip").rows
    assert rows.select("symbol", "close", "adj_close").rows() == [
        ("BBB", None, 7.0),
        ("AAA", 1.5, None),
    ]


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_parquet_with_our_own_column_names_and_exact_numbers():
    frame = pl.DataFrame(
        {
            "ts": [CLOSE_0102],
            "symbol": ["AAA"],
            "close": [0.1 + 0.2],
            "volume": [2**53 - 1],
            "session": ["ignored"],
        }
    )
    row = parse(parquet_bytes(frame), "x.parquet").rows.row(0, named=True)
    assert (row["ts"], row["close"], row["volume"]) == (CLOSE_0102, 0.1 + 0.2, 2**53 - 1)


def test_mixed_zones_are_converted_each_by_itself():
    text = (
        "ts,close\n2020-01-02T10:00:00+01:00,1\n2020-01-02T10:00:00Z,2\n"
        "2020-01-02T05:30:00.5-0500,3\n"
    )
    stamps = parse(text, freq="15m").rows["ts"].to_list()
    # Start of the bar plus 15 minutes.
    assert [stamp.time() for stamp in stamps] == [
        dt.time(9, 15),
        dt.time(10, 15),
        dt.time(10, 45, 0, 500_000),
    ]


def test_naive_intraday_times_are_refused_unless_a_zone_is_configured():
    text = "ts,close\n2020-01-02 10:00,1\n2020-01-02T10:00Z,2\n"
    parsed = parse(text, freq="1h")
    assert parsed.rows["close"].to_list() == [2.0]
    assert parsed.rejected["reason"].to_list() == [
        "time '2020-01-02 10:00' has no zone; set sources.folder.timezone"
    ]
    both = parse(text, freq="1h", timezone="America/New_York").rows.sort("ts")
    assert both["ts"].dt.hour().to_list() == [11, 16]
    # A daily bar with a time of day needs a zone as well; a plain date does not.
    daily = parse("ts,close\n2020-01-02 16:00,1\n2020-01-03,2\n")
    assert daily.rows["ts"].to_list() == [CLOSE_0103]
    assert "has no zone" in daily.rejected["reason"][0]


def test_local_times_that_do_not_exist_or_occur_twice_are_refused():
    text = "ts,close\n2020-03-08 02:30,1\n2020-11-01 01:30,2\n2020-11-02 01:30,3\n"
    parsed = parse(text, freq="1h", timezone="America/New_York")
    assert parsed.rows["close"].to_list() == [3.0]
    assert parsed.rejected["reason"].str.contains("does not exist or occurs twice").all()


def test_an_instant_belongs_to_the_exchange_day_it_falls_in():
    # 06:00 on the 4th in Tokyo is 16:00 on the 3rd in New York.
    assert closes(parse("ts,close\n2020-01-04T06:00:00+09:00,2.5\n")) == EXPECTED[1:]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2020-01-04,1.5", "2020-01-04 is not a session of XNYS"),
        ("1492-10-12,1.5", "1492-10-12 is outside 1900-01-01 to 2100-01-01"),
        ("2024-01-02,1.5", "bar ends at 2024-01-02 21:00:00"),
        ("yesterday,1.5", "'yesterday' is not a time I can read"),
        ("2020-02-30,1.5", "'2020-02-30' is not a time I can read"),
        ("2020-01-02T25:00Z,1.5", "'2020-01-02T25:00Z' is not a time I can read"),
        (",1.5", "'' is not a time I can read"),
        ("2020-01-02,dear", "close 'dear' is not a number"),
        ("2020-01-02,1.5,9", "3 fields where the header has 2"),
        ("2020-01-02", "1 fields where the header has 2"),
    ],
)
def test_a_bad_line_is_refused_with_reason_file_and_line(line, reason):
    parsed = parse(f"Date,Close\n2020-01-03,2.5\n{line}\n")
    assert closes(parsed) == EXPECTED[1:]
    ((found, text),) = parsed.rejected.rows()
    assert found.startswith(reason)
    assert json.loads(text)["_file"] == "aaa.csv"
    assert json.loads(text)["_line"] == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2020-01-02,10,11,9,-10", "close <= 0"),
        ("2020-01-02,10,11,9,NaN", "close is not finite"),
        ("2020-01-02,10,inf,9,10", "high is not finite"),
        ("2020-01-02,10,9,11,10", "high < low"),
        ("2020-01-02,10,11,9,12", "high does not enclose open and close"),
        ("2020-01-03,10,11,9,10", "duplicate key"),
        ("2020-01-02,10,11,9,", "no price at all"),
    ],
)
def test_values_that_parse_but_cannot_be_are_the_contracts_to_refuse(line, reason):
    parsed = parse(f"Date,O,H,L,C\n2020-01-03,10,11,9,10\n{line}\n")
    assert parsed.rejected.is_empty()
    bad = violations(cast_to_contract(parsed.rows, raw.BARS_FOLDER), raw.BARS_FOLDER)
    assert bad["reason"].str.contains(reason, literal=True).all()
    assert bad.height == (2 if reason == "duplicate key" else 1)


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"", "a.csv", "the file is empty"),
        (b" \n \n", "a.csv", "the file is empty"),
        (b"Date,Close\n", "a.csv", "has a header but no rows"),
        (b"when,what\n1,2\n", "a.csv", "no column is a date or time; found ['when', 'what']"),
        (b"date,what\n1,2\n", "a.csv", "no column is a close or adjusted close"),
        (b"date,close,close\n1,2,3\n", "a.csv", "column(s) ['close'] appear twice"),
        (b"date,last,price\n1,2,3\n", "a.csv", "columns ['last', 'price'] could all be 'close'"),
        (b"\x89PNG\x00\x01\x02", "a.csv", "is neither text nor Parquet"),
        (b"not gzip", "a.csv.gz", "cannot be decompressed"),
        (b"not zip", "a.zip", "cannot be decompressed"),
        (b"PAR1 cut off", "a.parquet", "is truncated or not Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content, name, problem):
    with pytest.raises(FolderError) as caught:
        parse(content, name)
    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize("kept_share", [0.1, 0.5, 0.99])
def test_truncated_parquet_is_refused_wherever_it_was_cut(kept_share):
    whole = parquet_bytes(pl.DataFrame({"date": ["2020-01-02"] * 50, "close": [1.5] * 50}))
    with pytest.raises(FolderError, match="truncated or not Parquet"):
        parse(whole[: int(len(whole) * kept_share)], "a.parquet")


def test_configured_columns_win_and_wrong_targets_are_named():
    text = "when,what,close\n2020-01-02,1.5,99\n2020-01-03,2.5,99\n"
    assert closes(parse(text, columns={"WHEN": "ts", "what": "close"})) == EXPECTED
    with pytest.raises(FolderError, match=r"maps to \['price_usd'\]; known meanings are"):
        parse(text, columns={"what": "price_usd"})


def test_unknown_zone_or_calendar_is_an_error_of_the_configuration():
    text = "ts,close\n2020-01-02,1\n"
    with pytest.raises(
        SourceError, match=r"sources\.folder\.timezone = 'Mars/Base' is no time zone"
    ):
        parse(text, timezone="Mars/Base")
    with pytest.raises(SourceError, match="calendar 'XMARS' does not exist"):
        parse(text, calendar="XMARS")


def test_symbol_in_the_file_name():
    assert [symbol_of(n) for n in ("aapl.csv", "BRK-B_2024.csv.gz", "x.zip/dir/^spx daily.csv")] == [
        "AAPL", "BRK-B", "^SPX",
    ]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(6)))
def test_order_of_lines_does_not_matter(order):
    lines = [
        "2020-01-02,B,1", "2020-01-03,A,2", "2020-01-06,A,x", "2020-01-07,C,4", "bad,C,5",
        "2020-01-02,A,6",
    ]  # fmt: skip
    parsed = parse("\n".join(["date,symbol,close", *(lines[place] for place in order)]))
    expected = parse("\n".join(["date,symbol,close", *lines]))
    assert_frame_equal(parsed.rows, expected.rows)
    assert set(parsed.rejected["reason"]) == set(expected.rejected["reason"])


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "AAA_2020.csv").write_text("Date,Close\n2020-01-02,1.5\n2020-01-03,2.5\n")
    (tmp_path / "AAA_again.csv").write_text("Date,Close\n2020-01-03,2.5\n2020-01-06,3.5\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "notes.md").write_text("not a price file")
    (tmp_path / ".hidden.csv").write_text("partial")
    return FolderSourceSection(enabled=True, path=str(tmp_path))


def test_one_broken_file_does_not_hold_back_the_others(inbox):
    parsed = read_folder(inbox, NOW)
    assert parsed.rows["close"].to_list() == [1.5, 2.5, 3.5]
    broken, empty = parsed.rejected["reason"]
    assert broken.startswith("broken.parquet: is truncated or not Parquet")
    assert empty == "empty.csv: the file is empty"


def test_the_same_bar_with_other_values_in_two_files_is_refused_as_a_duplicate(inbox, tmp_path):
    (tmp_path / "AAA_third.csv").write_text("Date,Close\n2020-01-06,9.9\n")
    rows = cast_to_contract(read_folder(inbox, NOW).rows, raw.BARS_FOLDER)
    bad = violations(rows, raw.BARS_FOLDER)
    assert sorted(bad["close"]) == [3.5, 9.9]
    assert bad["reason"].str.contains("duplicate key").all()


def test_folder_version_follows_the_content(inbox, tmp_path):
    before = folder_version(inbox)
    assert folder_version(inbox) == before
    (tmp_path / "AAA_2020.csv").write_text("Date,Close\n2020-01-02,1.6\n2020-01-03,2.5\n")
    assert folder_version(inbox) != before


def test_absent_folder_is_named(tmp_path):
    with pytest.raises(SourceError, match="is not a folder; create it"):
        read_folder(FolderSourceSection(path=str(tmp_path / "none")), NOW)


def test_folder_universe_lists_its_symbols_and_says_what_is_missing(inbox):
    (batch,) = read_batches(inbox, NOW)
    members = folder_membership(batch.files, "XNYS")
    cast_to_contract(members, raw.UNIVERSE_MEMBERSHIP)
    row = members.row(0, named=True)
    assert (row["universe"], row["symbol"], row["valid_from"]) == (
        "folder",
        "AAA",
        dt.date(2020, 1, 2),
    )
    assert row["price_basis"] == "unadjusted"
    assert "no adjusted close" in row["caveat"]
