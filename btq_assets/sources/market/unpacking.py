"""What is packed in a file of the inbox, as streams that cannot blow up.

Belongs here: gzip and zip, and the limits of what they may unpack to. Does not belong here: what
the streams hold (`text_tables.py`, `table_file.py`).
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import PurePath
from typing import IO, Any

from btq_assets.sources.errors import FolderError

#: Prices compress five to thirty times; what unpacks to more than this many times its size was
#: made to fill a disk.
LARGEST_RATIO = 200
#: Below this size nobody asks how well a file compresses.
HARMLESS_BYTES = 64 * 2**20
MOST_FILES = 10_000

_READ_BYTES = 1 << 20


def members(
    name: str, stream: IO[bytes], size: int, largest_bytes: float
) -> Iterator[tuple[str, io.BufferedReader]]:
    """The file itself, or what is compressed in it, one after the other.

    Parameters
    ----------
    name
        File name; tells what it is.
    stream, size
        The file, seekable, and its size in bytes.
    largest_bytes
        What it may unpack to in all.

    Raises
    ------
    FolderError
        At once, or while a stream is read: it cannot be unpacked, or unpacks to too much.
    """
    lower = name.lower()
    if lower.endswith(".gz"):
        limit = _Limit(name, size, largest_bytes)
        with closing(_Unpacked(name, _gzipped(stream), limit)) as raw:
            yield name[:-3], io.BufferedReader(raw, _READ_BYTES)
    elif lower.endswith(".zip"):
        yield from _zipped(name, stream, size, largest_bytes)
    else:
        yield name, io.BufferedReader(_Plain(name, stream), _READ_BYTES)


def _zipped(
    name: str, stream: IO[bytes], size: int, largest_bytes: float
) -> Iterator[tuple[str, io.BufferedReader]]:
    limit = _Limit(name, size, largest_bytes)
    try:
        archive = zipfile.ZipFile(stream)
    except _PACKING_ERRORS as error:
        raise _damaged(name, error) from None
    with archive:
        inner = [
            entry
            for entry in sorted(archive.infolist(), key=lambda entry: entry.filename)
            if not entry.is_dir() and not PurePath(entry.filename).name.startswith((".", "_"))
        ]
        if not inner:
            raise FolderError(name, "the zip holds no file")
        if len(inner) > MOST_FILES:
            raise FolderError(name, f"the zip holds {len(inner):,} files, at most {MOST_FILES:,}")
        # What the directory of the zip says may be a lie, which the limit finds out while reading.
        limit.check(sum(entry.file_size for entry in inner))
        for entry in inner:
            try:
                opened = archive.open(entry)
            except _PACKING_ERRORS as error:
                raise _damaged(f"{name}/{entry.filename}", error) from None
            with closing(_Unpacked(f"{name}/{entry.filename}", opened, limit)) as raw:
                yield f"{name}/{entry.filename}", io.BufferedReader(raw, _READ_BYTES)


def _gzipped(stream: IO[bytes]) -> IO[bytes]:
    return gzip.open(stream, "rb")  # type: ignore[return-value]


class _Limit:
    """How much a packed file has been unpacked to, and may be."""

    def __init__(self, name: str, size: int, largest_bytes: float) -> None:
        self.name = name
        self.size = size
        self.largest_bytes = largest_bytes
        self.n_bytes = 0

    def count(self, n_bytes: int) -> None:
        self.n_bytes += n_bytes
        self.check(self.n_bytes)

    def check(self, n_bytes: int) -> None:
        if n_bytes > self.largest_bytes:
            raise FolderError(
                self.name,
                f"unpacks to more than {self.largest_bytes / 2**30:g} GiB; unpack it yourself, or "
                "raise sources.folder.largest_unpacked_gib",
            )
        if n_bytes > max(HARMLESS_BYTES, LARGEST_RATIO * self.size):
            raise FolderError(
                self.name,
                f"unpacks to more than {LARGEST_RATIO} times its size, as a zip bomb does; unpack "
                "it yourself if it is none",
            )


class _Plain(io.RawIOBase):
    """A file whose errors name it."""

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self.name = name
        self.stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            found = self.stream.read(len(buffer))
        except OSError as error:
            raise FolderError(self.name, f"cannot be read ({error.strerror})") from None
        buffer[: len(found)] = found
        return len(found)


class _Unpacked(io.RawIOBase):
    """An unpacking stream that stops at the limit, and whose errors name the file."""

    def __init__(self, name: str, stream: IO[bytes], limit: _Limit) -> None:
        self.name = name
        self.stream = stream
        self.limit = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            found = self.stream.read(len(buffer))
        except _PACKING_ERRORS as error:
            raise _damaged(self.name, error) from None
        self.limit.count(len(found))
        buffer[: len(found)] = found
        return len(found)


# Encrypted members raise RuntimeError, unknown methods NotImplementedError, and damaged
# directories whatever the bytes happen to lead to.
_PACKING_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    NotImplementedError,
    OverflowError,
    IndexError,
    MemoryError,
    lzma.LZMAError,
    struct.error,
)


def _damaged(name: str, error: Exception) -> FolderError:
    return FolderError(name, f"cannot be decompressed ({error}); copy it again")
