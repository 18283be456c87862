"""Files that lie, break or bite: each ends in bars, refused rows or a `FolderError`, never else."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import zipfile
from unittest import mock

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.config import FolderSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import FolderError
from btq_assets.sources.market import text_tables, unpacking
from btq_assets.sources.market.providers.folder import file_mark, read_batches, read_folder
from btq_assets.sources.market.table_file import parse_price_file
from btq_assets.sources.rows import Parsed

NOW = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)


def parse(content: str | bytes, name: str = "aaa.csv", **folder) -> Parsed:
    content = content.encode() if isinstance(content, str) else content
    return parse_price_file(name, content, FolderSourceSection(**folder), NOW)


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def zipped(**inner: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in inner.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


CSV = b'date,symbol,close\n2020-01-02,A,1.5\n2020-01-03,"B",2.5\n31/1/2020,C,"1,5"\n'
JSON = b'{"date": "2020-01-02", "close": 1.5}\n{"date": "2020-01-03", "close": null}\n[1]\n'
FRAME = pl.DataFrame({"date": [dt.date(2020, 1, 2)] * 3, "close": [1.0, None, 3.0]})
VALID = {
    "a.csv": CSV,
    "a.jsonl": JSON,
    "a.parquet": parquet(FRAME),
    "a.csv.gz": gzip.compress(CSV),
    "a.zip": zipped(a__csv=CSV, b__ndjson=JSON, c__parquet=parquet(FRAME)),
    "b.csv": CSV.decode().encode("utf-16"),
}
NAMES = st.sampled_from([*VALID, "a.ndjson.gz", "a.txt", "a.tsv", "x"])
fuzzed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def reads_or_says_why(name: str, content: bytes) -> None:
    try:
        parsed = parse(content, name)
    except FolderError:
        pass
    else:
        assert parsed.rows.schema == raw.BARS_FOLDER.schema
        for text in parsed.rejected["row_json"]:
            json.loads(text)


@fuzzed
@given(name=NAMES, content=st.binary(max_size=400))
def test_any_bytes_are_bars_or_a_named_error(name, content):
    reads_or_says_why(name, content)


@fuzzed
@given(name=NAMES, text=st.text(max_size=200), lead=st.sampled_from(["", "date,close\n", "{"]))
def test_any_text_is_bars_or_a_named_error(name, text, lead):
    reads_or_says_why(name, (lead + text).encode("utf-8", "surrogatepass"))


@fuzzed
@given(
    kind=st.sampled_from(sorted(VALID)),
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3)), min_size=1, max_size=4
    ),
    keep=st.floats(0.3, 1.0),
)
def test_a_damaged_file_is_bars_or_a_named_error(kind, edits, keep):
    content = bytearray(VALID[kind])
    for where, new in edits:
        place = int(where * len(content))
        content[place : place + len(new)] = new
    reads_or_says_why(kind, bytes(content[: max(1, int(keep * len(content)))]))


CELL = st.sampled_from(["1.5", "2", "x", "", '"3.5"', '"a\nb"', "1,2", "é"])


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.tuples(st.sampled_from(["2020-01-02", "bad", ""]), CELL, CELL), max_size=30),
    part=st.integers(8, 200),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_parts_of_any_size_say_the_same_as_the_whole(lines, part, ending):
    text = ending.join(["date,close,symbol", *(",".join(cells) for cells in lines), ""])
    text += "2020-01-03,7,Z"

    def outcome() -> tuple[pl.DataFrame, pl.DataFrame]:
        parsed = parse(text)
        order = raw.BARS_FOLDER.column_names
        return parsed.rows.sort(order), parsed.rejected.sort("row_json", "reason")

    whole = outcome()
    with mock.patch.object(text_tables, "PART_BYTES", part):
        for found, expected in zip(outcome(), whole, strict=True):
            assert_frame_equal(found, expected)


def test_json_lines_keep_numbers_as_written_and_refuse_what_is_no_object():
    lines = [
        '{"date": "2020-01-02", "ticker": "A", "close": 0.1234567890123456789, "tags": [1, 2]}',
        '{"close": 2, "date": "2020-01-03", "ticker": "A", "note": "\\ud800"}',
        "[1, 2]",
        '{"date": "2020-01-06", "close": ',
        "[" * 100_000,
        '{"date": "2020-01-06", "ticker": "A", "close": NaN}',
    ]
    parsed = parse("\n".join(lines), "x.jsonl")
    assert parsed.rows["close"].to_list()[:2] == [0.1234567890123456789, 2.0]
    assert parsed.rejected["reason"].to_list() == [
        "is not a JSON object", "is not JSON", "is not JSON",
    ]  # fmt: skip
    packed = parse(gzip.compress("\n".join(lines[:2]).encode()), "x.ndjson.gz")
    assert packed.rows.height == 2


def test_a_zip_bomb_is_refused_before_it_goes_off():
    zeros = b"0" * (unpacking.HARMLESS_BYTES + 2**20)
    with pytest.raises(FolderError, match="as a zip bomb does"):
        parse(gzip.compress(zeros, 1), "a.csv.gz")
    with pytest.raises(FolderError, match="as a zip bomb does"):
        parse(zipped(a__csv=zeros), "a.zip")
    with pytest.raises(FolderError, match="largest_unpacked_gib"):
        parse(gzip.compress(CSV * 100_000, 1), "a.csv.gz", largest_unpacked_gib=0.001)


def test_a_zip_goes_on_after_a_member_that_cannot_be_read():
    parsed = parse(
        zipped(
            a__csv=b"\x00\x01", b__csv=b"date,close\n2020-01-02,1.5\n", c__zip=zipped(x__csv=CSV)
        ),
        "all.zip",
    )
    assert parsed.rows["close"].to_list() == [1.5]
    assert parsed.rejected["reason"].to_list() == [
        "all.zip/a.csv: is neither text nor Parquet",
        "all.zip/c.zip: is neither text nor Parquet",
    ]


def test_mixed_encodings_refuse_the_lines_that_are_not_like_the_others():
    lines = [
        b"date,symbol,close",
        "2020-01-02,Zürich,1".encode(),
        "2020-01-03,Zürich,2".encode("cp1252"),
    ]
    parsed = parse(b"\n".join(lines))
    assert parsed.rows.select("symbol", "close").rows() == [("Zürich", 1.0)]
    (reason, text) = parsed.rejected.row(0)
    assert reason.startswith("the file mixes encodings")
    assert json.loads(text) == {"_file": "aaa.csv", "_line": 3, "cells": "2020-01-03,Z\xfcrich,2"}
    only_windows = parse(b"\n".join([lines[0], lines[2]]))
    assert only_windows.rows["symbol"].to_list() == ["Zürich"]
    # A later part cannot change what the file has shown itself to be.
    with mock.patch.object(text_tables, "PART_BYTES", 20):
        assert parse(b"\n".join([*lines, lines[2]])).rejected.height == 2


@pytest.mark.parametrize(
    ("cells", "decimal", "expected", "refused"),
    [
        (["12.5", "1,234"], None, [12.5, 1234.0], 0),
        (["12,5", "1,234"], None, [12.5, 1.234], 0),
        (["1.234,5", "1.234"], None, [1234.5, 1234.0], 0),
        (["1,234", "5,678"], None, [], 2),
        (["1,234", "5,678"], "point", [1234.0, 5678.0], 0),
        (["1,234", "5,678"], "comma", [1.234, 5.678], 0),
        (["12,5", "12.55"], None, [12.55], 1),
        (["0,123"], None, [0.123], 0),
        (["12,5", "nan"], "comma", [12.5], 0),
    ],
)
def test_decimal_commas_are_told_by_the_file_or_by_configuration(cells, decimal, expected, refused):
    lines = [f"2020-01-{day:02d};{cell}" for day, cell in zip((2, 3), cells, strict=False)]
    parsed = parse("\n".join(["date;close", *lines]), decimal=decimal)
    assert parsed.rows["close"].drop_nans().to_list() == expected
    assert parsed.rejected.height == refused
    if refused == 2:
        assert parsed.rejected["reason"].str.contains("set sources.folder.decimal").all()


@pytest.mark.parametrize(
    ("dates", "order", "days", "refused"),
    [
        (["1/2/2020", "1/15/2020"], None, [dt.date(2020, 1, 2), dt.date(2020, 1, 15)], 0),
        (["3/2/2020", "15/1/2020"], None, [dt.date(2020, 1, 15), dt.date(2020, 2, 3)], 0),
        (["2/3/2020", "3/2/2020"], None, [], 2),
        (["2/3/2020"], "month_first", [dt.date(2020, 2, 3)], 0),
        (["2/3/2020"], "day_first", [dt.date(2020, 3, 2)], 0),
        (["3/3/2020"], None, [dt.date(2020, 3, 3)], 0),
        (["2/3/2020", "15/1/2020", "1/16/2020"], None, [dt.date(2020, 1, 15), dt.date(2020, 1, 16)], 1),
    ],
)  # fmt: skip
def test_dates_that_may_be_two_days_are_settled_or_refused(dates, order, days, refused):
    parsed = parse("\n".join(["date,close", *(f"{day},1" for day in dates)]), date_order=order)
    assert sorted(parsed.rows["ts"].dt.date()) == days
    assert parsed.rejected.height == refused
    assert parsed.rejected["reason"].str.contains("set sources.folder.date_order").all()


def test_mixed_delimiters_refuse_the_lines_with_the_other_one():
    parsed = parse("date,close\n2020-01-02,1.5\n2020-01-03;2.5\n")
    assert parsed.rows["close"].to_list() == [1.5]
    assert parsed.rejected["reason"].to_list() == ["1 fields where the header has 2"]


def test_a_link_out_of_the_folder_is_refused_and_one_within_it_followed(tmp_path):
    inbox, outside = tmp_path / "inbox", tmp_path / "secret.csv"
    inbox.mkdir()
    outside.write_text("date,close\n2020-01-02,1\n")
    (inbox / "in.csv").write_text("date,symbol,close\n2020-01-02,IN,1\n")
    (inbox / "link.csv").symlink_to(outside)
    (inbox / "alias.csv").symlink_to(inbox / "in.csv")
    (inbox / "gone.csv").symlink_to(tmp_path / "nothing")
    parsed = read_folder(FolderSourceSection(path=str(inbox)), NOW)
    assert parsed.rows["symbol"].to_list() == ["IN"]
    assert sorted(parsed.rejected["reason"]) == [
        f"{name}: is a link to a file outside the inbox; copy the file itself"
        for name in ("gone.csv", "link.csv")
    ]


def test_files_are_read_once_and_batches_end_where_they_should(tmp_path):
    config = FolderSourceSection(path=str(tmp_path))
    for number in range(4):
        days = "".join(f"2020-01-{day:02d},{number + 1}\n" for day in (2, 3, 6))
        (tmp_path / f"S{number}.csv").write_text(f"date,close\n{days}")
    batches = list(read_batches(config, NOW, batch_rows=5))
    assert [batch.rows.height for batch in batches] == [6, 6]
    files = pl.concat([batch.files for batch in batches])
    assert files.select("file", "symbol", "n_bars", "has_adjusted").rows() == [
        (f"S{n}.csv", f"S{n}", 3, False) for n in range(4)
    ]
    seen = frozenset(files.select("file", "mark").iter_rows())
    (nothing,) = read_batches(config, NOW, read_before=seen)
    assert nothing.rows.is_empty()
    assert nothing.files.is_empty()
    (tmp_path / "S1.csv").write_text("date,close\n2020-01-02,9\n")
    (one,) = read_batches(config, NOW, read_before=seen)
    assert one.files["file"].to_list() == ["S1.csv"]
    # Read another way, every file is new.
    other = config.model_copy(update={"calendar": "24/7"})
    assert len({file_mark(tmp_path / "S0.csv", c) for c in (config, other)}) == 2
