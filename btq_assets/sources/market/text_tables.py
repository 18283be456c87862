"""Text of unknown encoding and layout, part by part, as cells.

Belongs here: encodings, lines, CSV and JSON lines, up to tables whose cells are text as it was
written. Does not belong here: compression (`unpacking.py`), Parquet and the meaning of columns
(`table_file.py`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import polars as pl

from btq_assets.sources.errors import FolderError
from btq_assets.sources.market.columns import require_distinct
from btq_assets.sources.rows import REJECTED_SCHEMA

DELIMITERS = ",;\t|"
LINE, FILE = "_line", "_file"

#: Text is read in parts of about this size, cut at the end of a line.
PART_BYTES = 4 * 2**20
#: A quoted field may run over this many bytes before the file counts as broken.
LONGEST_RECORD_BYTES = 16 * PART_BYTES

_QUOTES_TRIED = 64

#: Titles of columns that are not read: none, and those that say where a cell stood.
_NO_TITLES = ("", LINE, FILE)


@dataclass(frozen=True)
class TextPart:
    """Whole lines of a file.

    Parameters
    ----------
    text
        The lines; those that could not be decoded are empty.
    first_line
        Number of the first one, from 1.
    undecodable
        Lines that could not be decoded: number, and bytes as latin-1 text.
    """

    text: str
    first_line: int
    undecodable: tuple[tuple[int, str], ...] = ()


def text_parts(name: str, stream: IO[bytes], *, quotes: bool) -> Iterator[TextPart]:
    """Lines of a file, decoded, in parts that fit in memory.

    UTF-8 and UTF-16 are recognised. Bytes that are not UTF-8 are Windows-1252, unless other lines
    are UTF-8 beyond ASCII: then the file is mixed, and nobody can tell what those lines mean.

    Parameters
    ----------
    name
        File name, for messages.
    stream
        The file, unpacked.
    quotes
        Whether a line break inside double quotes does not end a record.

    Raises
    ------
    FolderError
        It is no text.
    """
    start = stream.read(4)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield from _utf16_parts(name, start, stream, quotes)
        return
    decoder, rest, line = _Decoder(name), start.removeprefix(b"\xef\xbb\xbf"), 1
    ended = False
    while not ended:
        more = stream.read(PART_BYTES)
        ended = len(more) < PART_BYTES
        rest += more
        cut = len(rest) if ended else _cut(name, rest, b"\n", b'"' if quotes else None)
        whole, rest = rest[:cut], rest[cut:]
        if whole:
            text, undecodable = decoder.decode(whole, line)
            yield TextPart(text, line, undecodable)
            line += whole.count(b"\n")


def _utf16_parts(name: str, start: bytes, stream: IO[bytes], quotes: bool) -> Iterator[TextPart]:
    import codecs

    decoder = codecs.getincrementaldecoder("utf-16")()
    rest, line, ended, pending = "", 1, False, start
    while not ended:
        more = stream.read(PART_BYTES)
        ended = len(more) < PART_BYTES
        try:
            rest += decoder.decode(pending + more, final=ended)
        except UnicodeDecodeError as error:
            raise FolderError(name, f"is not UTF-16 as it begins ({error.reason})") from None
        pending = b""
        cut = len(rest) if ended else _cut(name, rest, "\n", '"' if quotes else None)
        whole, rest = rest[:cut], rest[cut:]
        if "\x00" in whole:
            raise FolderError(name, "is neither text nor Parquet")
        if whole:
            yield TextPart(whole, line)
            line += whole.count("\n")


def _cut(name: str, buffer: Any, newline: Any, quote: Any) -> int:
    """Where the last complete record of `buffer` ends."""
    end = buffer.rfind(newline) + 1
    for _ in range(_QUOTES_TRIED):
        if end == 0 or quote is None or buffer.count(quote, 0, end) % 2 == 0:
            break
        end = buffer.rfind(newline, 0, end - 1) + 1
    else:
        end = 0
    if end == 0 and len(buffer) > LONGEST_RECORD_BYTES:
        raise FolderError(
            name,
            f"has a line, or a quoted field, longer than {LONGEST_RECORD_BYTES / 2**20:g} MiB; "
            "look for a quotation mark that is not closed",
        )
    return end


class _Decoder:
    """Decodes parts of one file, and remembers what it has turned out to be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.encoding = "ascii"

    def decode(self, content: bytes, first_line: int) -> tuple[str, tuple[tuple[int, str], ...]]:
        if b"\x00" in content:
            raise FolderError(self.name, "is neither text nor Parquet")
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return self._not_utf8(content, first_line)
        if not content.isascii():
            if self.encoding == "cp1252":
                return self._not_utf8(content, first_line)
            self.encoding = "utf-8"
        return text, ()

    def _not_utf8(self, content: bytes, first_line: int) -> tuple[str, tuple[tuple[int, str], ...]]:
        lines = content.split(b"\n")
        readable = [_is_utf8(line) for line in lines]
        beyond_ascii = any(
            good and not line.isascii() for good, line in zip(readable, lines, strict=True)
        )
        if self.encoding == "ascii":
            self.encoding = "utf-8" if beyond_ascii else "cp1252"
        if self.encoding == "cp1252" and not beyond_ascii:
            try:
                return content.decode("cp1252"), ()
            except UnicodeDecodeError:
                raise FolderError(self.name, "is neither text nor Parquet") from None
        # Windows-1252 that happens to be UTF-8 in some line is as mixed as the other way round.
        refused = [
            good is (self.encoding == "cp1252") and not line.isascii()
            for good, line in zip(readable, lines, strict=True)
        ]
        encoding = self.encoding
        undecodable = tuple(
            (first_line + place, lines[place].decode("latin-1"))
            for place, bad in enumerate(refused)
            if bad
        )
        kept = b"\n".join(b"" if bad else line for bad, line in zip(refused, lines, strict=True))
        try:
            return kept.decode(encoding), undecodable
        except UnicodeDecodeError:
            raise FolderError(self.name, "is neither text nor Parquet") from None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def undecodable_rows(name: str, part: TextPart) -> pl.DataFrame:
    """Refused rows for the lines of a part that could not be decoded."""
    return refused(
        name,
        [
            (line, "the file mixes encodings, and this line is not in that of the others", text)
            for line, text in part.undecodable
        ],
    )


def refused(name: str, lines: Sequence[tuple[int, str, object]]) -> pl.DataFrame:
    """Refused rows: line number, reason and what the line holds."""
    return pl.DataFrame(
        [
            {
                "reason": reason,
                "row_json": json.dumps({FILE: name, LINE: line, "cells": cells}, default=str),
            }
            for line, reason, cells in lines
        ],
        schema=REJECTED_SCHEMA,
    )


class CsvReader:
    """Cells of one delimited file, part by part; the first part has the header."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.header: list[str] = []
        self.delimiter = ","

    def read(self, part: TextPart) -> tuple[pl.DataFrame, pl.DataFrame]:
        """All cells as text with a line number, and the lines with more or fewer fields.

        Raises
        ------
        FolderError
            The header cannot be used, or the text is no CSV.
        """
        if not self.header:
            first = next((line for line in part.text.splitlines() if line.strip()), "")
            if not first:
                return _no_cells([]), refused(self.name, [])
            self.delimiter = max(DELIMITERS, key=first.count)
        # Without quotes a record is a line, and polars splits lines a hundred times faster.
        if '"' in part.text or "\r" in part.text.replace("\r\n", "\n"):
            return self._read_quoted(part)
        return self._read_plain(part)

    def _take_header(self, cells: list[str]) -> None:
        self.header = [cell.strip().strip("<>") for cell in cells]
        require_distinct(self.name, [title for title in self.header if title])

    def _read_plain(self, part: TextPart) -> tuple[pl.DataFrame, pl.DataFrame]:
        text = part.text.replace("\r\n", "\n")
        lines = pl.DataFrame({"text": pl.Series(text.split("\n"), dtype=pl.String)})
        lines = lines.select(
            pl.int_range(part.first_line, part.first_line + pl.len(), dtype=pl.UInt32).alias(LINE),
            "text",
        ).filter(pl.col("text").str.contains(f"[^\\s{self.delimiter}]"))
        if lines.is_empty():
            return _no_cells(self._named()), refused(self.name, [])
        if not self.header:
            self._take_header(lines["text"][0].split(self.delimiter))
            lines = lines.slice(1)
        n_fields = lines["text"].str.count_matches(self.delimiter, literal=True) + 1
        fits = n_fields == len(self.header)
        places = self._places()
        cells = lines.filter(fits).select(
            LINE, pl.col("text").str.split_exact(self.delimiter, len(self.header) - 1).alias("c")
        )
        table = cells.select(
            LINE,
            *(pl.col("c").struct[f"field_{place}"].alias(self.header[place]) for place in places),
        )
        ragged = [
            (line, self._ragged(len(cells)), cells)
            for line, text in lines.filter(~fits).iter_rows()
            for cells in [text.split(self.delimiter)]
        ]
        return table, refused(self.name, ragged)

    def _read_quoted(self, part: TextPart) -> tuple[pl.DataFrame, pl.DataFrame]:
        reader = csv.reader(io.StringIO(part.text, newline=""), delimiter=self.delimiter)
        try:
            records = [
                (part.first_line + reader.line_num - 1, cells)
                for cells in reader
                if any(cell.strip() for cell in cells)
            ]
        except csv.Error as error:
            raise FolderError(self.name, f"is not CSV ({error})") from None
        if not self.header and records:
            self._take_header(records.pop(0)[1])
        named = self._places()
        fitting = [(line, cells) for line, cells in records if len(cells) == len(self.header)]
        table = pl.DataFrame(
            {
                LINE: [line for line, _ in fitting],
                **{self.header[place]: [cells[place] for _, cells in fitting] for place in named},
            },
            schema=_cells_schema(self._named()),
        )
        ragged = [
            (line, self._ragged(len(cells)), cells)
            for line, cells in records
            if len(cells) != len(self.header)
        ]
        return table, refused(self.name, ragged)

    def _places(self) -> list[int]:
        # A trailing delimiter makes a nameless last column; the ECB's own files have one.
        return [place for place, title in enumerate(self.header) if title not in _NO_TITLES]

    def _named(self) -> list[str]:
        return [self.header[place] for place in self._places()]

    def _ragged(self, n_fields: int) -> str:
        return f"{n_fields} fields where the header has {len(self.header)}"


def read_json_lines(name: str, part: TextPart) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One object a line: its members as text, numbers as they were written; nested ones left out.

    Raises
    ------
    FolderError
        Two members have the same name but for spaces around it.
    """
    objects: list[tuple[int, dict[str, object]]] = []
    bad: list[tuple[int, str, object]] = []
    for number, line in enumerate(part.text.split("\n"), part.first_line):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            bad.append((number, "is not JSON", line))
            continue
        if isinstance(found, dict):
            objects.append((number, found))
        else:
            bad.append((number, "is not a JSON object", line))
    names = list(dict.fromkeys(key for _, found in objects for key in found))
    names = [key for key in names if key.strip() not in _NO_TITLES]
    require_distinct(name, [key.strip() for key in names])
    table = pl.DataFrame(
        {
            LINE: [number for number, _ in objects],
            **{key.strip(): [_json_cell(found.get(key)) for _, found in objects] for key in names},
        },
        schema=_cells_schema([key.strip() for key in names]),
    )
    return table, refused(name, bad)


def _json_cell(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return None
    # A lone surrogate is legal in JSON and in no text that can be stored.
    return value.encode("utf-8", "replace").decode()


def _cells_schema(names: list[str]) -> pl.Schema:
    return pl.Schema({LINE: pl.UInt32, **dict.fromkeys(names, pl.String)})


def _no_cells(names: list[str]) -> pl.DataFrame:
    return pl.DataFrame(schema=_cells_schema(names))
