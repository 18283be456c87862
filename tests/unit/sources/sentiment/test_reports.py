"""A folder of analyst reports: what is read, when it is known, and what is refused with its reason."""

from __future__ import annotations

import datetime as dt
import os
import zlib
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.config import ReportsSourceSection
from btq_assets.contracts import raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.errors import SourceError
from btq_assets.sources.rows import Parsed
from btq_assets.sources.sentiment.documents import UnreadableError
from btq_assets.sources.sentiment.providers.reports import read_reports, reports_version
from btq_assets.sources.sentiment.report_file import decode, read_report

NOW = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
CHANGED = dt.datetime(2024, 6, 1, 9, tzinfo=dt.UTC)


def pdf(text: str | None, *, title: str = "", encrypt: bool = False) -> bytes:
    """A PDF of one page, written by hand after ISO 32000: objects, cross-reference, trailer."""
    content = (
        b"" if text is None else b"BT /F1 12 Tf 72 700 Td (" + text.encode("cp1252") + b") Tj ET"
    )
    packed = zlib.compress(content)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Title (%s) /CreationDate (D:20200101000000Z) >>" % title.encode(),
    ]  # fmt: skip
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    body += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    trailer = b"<< /Size %d /Root 1 0 R /Info 6 0 R >>" % (len(objects) + 1)
    body += b"trailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (trailer, start)
    if not encrypt:
        return body
    import io

    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(body)))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "reports"
    made.mkdir()
    return made


def put(folder: Path, name: str, content: bytes | str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(file, (CHANGED.timestamp(), CHANGED.timestamp()))
    return file


def read(folder: Path, **options) -> Parsed:
    section = ReportsSourceSection(path=str(folder), **options)
    parsed = read_reports(section, {"AAPL", "KO"}, NOW)
    frame = cast_to_contract(parsed.rows, raw.DOCUMENTS_REPORTS)
    assert violations(frame, raw.DOCUMENTS_REPORTS).is_empty()
    return parsed


HTML = """<html><head><title>Coke: still fizzy</title><style>p {}</style>
<meta property="article:published_time" content="2024-05-20T08:30:00-04:00"></head>
<body><h1>Coke</h1><p>We rate it a <b>buy</b>.</p><script>track()</script></body></html>"""


def test_every_kind_is_read_with_its_title_text_and_symbol(folder):
    put(folder, "AAPL_2024-05-28_note.pdf", pdf("Apple looks strong", title="Apple note"))
    put(folder, "sub/KO.html", HTML)
    put(folder, "plain.txt", "Weekly view\nPublished: 30 May 2024\nRates may fall.\n")
    put(folder, "XYZ_other.md", "# Not a known symbol\ntext")
    rows = {r["author"]: r for r in read(folder).rows.iter_rows(named=True)}
    note = rows["AAPL_2024-05-28_note.pdf"]
    assert (note["headline"], note["text"], note["symbol"]) == (
        "Apple note", "Apple looks strong", "AAPL",
    )  # fmt: skip
    coke = rows["sub/KO.html"]
    assert (coke["headline"], coke["text"]) == ("Coke: still fizzy", "Coke We rate it a buy .")
    assert rows["plain.txt"]["headline"] == "Weekly view"
    assert rows["XYZ_other.md"]["symbol"] == ""


@pytest.mark.parametrize(
    ("name", "text", "published", "known"),
    [
        # A day counts from its end; 28 May ends at 04:00 UTC in New York's summer.
        ("AAPL_2024-05-28.txt", "x", (2024, 5, 28, 4), (2024, 5, 29, 4)),
        ("a.txt", "t\nDate: 28 May 2024", (2024, 5, 28, 4), (2024, 5, 29, 4)),
        ("a.txt", "t\nPublished: May 28, 2024", (2024, 5, 28, 4), (2024, 5, 29, 4)),
        # A time of day counts at once.
        ("a.txt", "t\nDate: 2024-05-28 09:30", (2024, 5, 28, 13, 30), (2024, 5, 28, 13, 30)),
        ("a.txt", "t\nDate: 2024-05-28T09:30:00Z", (2024, 5, 28, 9, 30), (2024, 5, 28, 9, 30)),
        # Today is known now, not tonight.
        ("a_2024-06-03.txt", "x", (2024, 6, 3, 4), (2024, 6, 3, 12)),
        # Two readings, or none: when the file was changed.
        ("a.txt", "t\nDate: 05/06/2024", (2024, 6, 1, 9), (2024, 6, 1, 9)),
        ("a.txt", "no date", (2024, 6, 1, 9), (2024, 6, 1, 9)),
        ("a_2024-13-45.txt", "x", (2024, 6, 1, 9), (2024, 6, 1, 9)),
        ("v1.2024-05-281.txt", "x", (2024, 6, 1, 9), (2024, 6, 1, 9)),
    ],
)
def test_a_report_is_known_from_what_it_states_else_from_its_file(
    folder, name, text, published, known
):
    put(folder, name, text)
    (row,) = read(folder, timezone="America/New_York").rows.iter_rows(named=True)
    assert row["published_at"] == dt.datetime(*published, tzinfo=dt.UTC)
    assert row["known_at"] == dt.datetime(*known, tzinfo=dt.UTC)


def test_the_creation_date_inside_a_pdf_is_not_believed(folder):
    put(folder, "note.pdf", pdf("text", title="t"))  # created in 2020, it says
    assert read(folder).rows["known_at"].to_list() == [CHANGED]


def test_each_file_that_cannot_be_read_is_refused_with_its_reason_and_the_others_are_read(
    folder, tmp_path
):
    put(folder, "good.txt", "A good report")
    reasons = {
        "scan.pdf": ("no text in it", pdf(None)),
        "locked.pdf": ("locked with a password", pdf("x", encrypt=True)),
        "torn.pdf": ("PDF cannot be read", pdf("x" * 50)[:120]),
        "fake.pdf": ("PDF cannot be read", b"not a pdf at all"),
        "empty.txt": ("empty", b"  \n "),
        "hidden.html": ("no text in it", "<html><script>x</script></html>"),
        "mixed.txt": ("mixed encodings", "Märkte".encode() + b" f\xfcr Europa"),
        "binary.txt": ("zero bytes", b"a\x00b"),
        "neither.txt": ("neither UTF-8 nor Windows-1252", b"a \x81 b"),
        "future_2024-07-01.txt": ("has not come yet", "x"),
        "sheet.xlsx": ("not a report", b"PK"),
        "large.txt": ("more than sources.reports.max_file_mib", b"x" * 200_000),
    }
    for name, (_, content) in reasons.items():
        put(folder, name, content)
    outside = put(tmp_path, "outside.txt", "secret text")
    (folder / "link.txt").symlink_to(outside)
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    (folder / "linked_folder").symlink_to(tmp_path)
    put(folder, ".hidden.txt", "not seen")
    put(folder, "~$temp.txt", "not seen")
    parsed = read(folder, max_file_mib=0.1)
    assert parsed.rows["headline"].to_list() == ["A good report"]
    said = {r.split(":")[0]: r for r in parsed.rejected["reason"]}
    for name, (reason, _) in reasons.items():
        assert reason in said.pop(name)
    assert "outside the folder is not followed" in said.pop("link.txt")
    assert "cannot be opened" in said.pop("loop.txt")
    assert list(said) == ["linked_folder"]
    assert "secret text" not in str(parsed.rejected.rows())


def test_a_link_within_the_folder_is_followed(folder):
    put(folder, "real.txt", "Text")
    (folder / "alias.txt").symlink_to(folder / "real.txt")
    assert sorted(read(folder).rows["author"]) == ["alias.txt", "real.txt"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_encodings_are_told_apart(encoding):
    assert decode("a.txt", "Größe – 5 €".encode(encoding)) == "Größe – 5 €"


def test_a_folder_or_zone_that_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(SourceError, match=r"sources\.reports\.path = .* is not a folder"):
        read(tmp_path / "nowhere")
    put(folder, "a.txt", "x")
    with pytest.raises(SourceError, match=r"sources\.reports\.timezone = 'Mars/Base'"):
        read(folder, timezone="Mars/Base")


def test_the_version_follows_the_folder(folder):
    section = ReportsSourceSection(path=str(folder))
    prints = [reports_version(section)]
    file = put(folder, "a.txt", "x")
    prints.append(reports_version(section))
    file.write_text("y")
    prints.append(reports_version(section))
    assert len(set(prints)) == 3
    assert reports_version(ReportsSourceSection(path=str(folder / "none")))


_PDF = pdf("Apple looks strong", title="note")


@given(
    st.lists(st.tuples(st.integers(0, len(_PDF) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(_PDF)),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_pdf_is_read_or_refused(changes, length, cut):
    damaged = bytearray(_PDF)
    for place, value in changes:
        damaged[place] = value
    _read_or_refuse("a.pdf", bytes(damaged[:length] if cut else damaged))


@given(st.binary(max_size=400), st.sampled_from(["a.pdf", "a.html", "a.txt"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(content, name):
    _read_or_refuse(name, content)


def _read_or_refuse(name: str, content: bytes) -> None:
    try:
        document = read_report(name, content, CHANGED, NOW, ReportsSourceSection())
    except UnreadableError:
        return
    assert document.published_at <= document.known_at <= NOW
    assert isinstance(document.text, str | None)


def test_deep_markup_is_read_or_refused(folder):
    put(folder, "deep.html", "<div>" * 20_000 + "text" + "</div>" * 20_000)
    parsed = read(folder)
    assert parsed.rows.height + parsed.rejected.height == 1
    assert isinstance(parsed.rows, pl.DataFrame)
