"""Analyst reports that people drop in a folder: PDF, HTML and text.

Belongs here: listing the folder, opening files, and saying why one cannot be read. Does not belong
here: what is in a report (`report_file.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from btq_assets.config import ReportsSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import FolderError, SourceError
from btq_assets.sources.rows import Parsed
from btq_assets.sources.sentiment.documents import (
    Collected,
    UnreadableError,
    checked,
    document_rows,
)
from btq_assets.sources.sentiment.report_file import SUFFIXES, read_report

_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class ReportFile:
    """A file of the folder.

    Parameters
    ----------
    name
        Path below the folder.
    path
        Where it is.
    """

    name: str
    path: Path


def report_files(settings: ReportsSourceSection) -> list[ReportFile]:
    """Files of the folder and its subfolders, by name; hidden and temporary ones left out.

    Raises
    ------
    SourceError
        The folder does not exist.
    """
    folder = Path(settings.path)
    if not folder.is_dir():
        raise SourceError(
            f"sources.reports.path = {settings.path!r} is not a folder; create it or set "
            "sources.reports.enabled: false"
        )
    return sorted(
        (
            ReportFile(path.relative_to(folder).as_posix(), path)
            for path in folder.rglob("*")
            if not any(part.startswith((".", "~")) for part in path.relative_to(folder).parts)
            and (path.is_symlink() or path.is_file())
        ),
        key=lambda file: file.name,
    )


def read_reports(settings: ReportsSourceSection, symbols: Collection[str], now: datetime) -> Parsed:
    """Rows of every readable report; one refused row for each file that is not.

    Parameters
    ----------
    settings
        Folder, zone of stated times, and limits.
    symbols
        Symbols a file name may begin with.
    now
        Time of the reading, UTC.
    """
    found = Collected()
    root = Path(settings.path).resolve()

    for file in report_files(settings):
        try:
            content, modified = _open(file, root, settings)
            found.documents.append(
                checked(read_report(file.name, content, modified, now, settings, symbols))
            )
        except UnreadableError as error:
            found.refuse(str(error), {"_file": file.name})
        except FolderError as error:
            found.refuse(str(error), {"_file": file.name})
    return Parsed(document_rows(found.documents, raw.DOCUMENTS_REPORTS), found.rejected())


def reports_version(settings: ReportsSourceSection) -> str:
    """Hash over names, sizes and modification times; an absent folder counts as empty."""
    state = hashlib.sha256()
    folder = Path(settings.path)
    for file in report_files(settings) if folder.is_dir() else []:
        try:
            facts = file.path.stat()
        except OSError:
            facts = None
        mark = f"{facts.st_size}|{facts.st_mtime_ns}" if facts else "unreadable"
        state.update(f"{file.name}|{mark}\n".encode(errors="replace"))
    return state.hexdigest()[:16]


def _open(file: ReportFile, root: Path, settings: ReportsSourceSection) -> tuple[bytes, datetime]:
    """Content and modification time.

    Raises
    ------
    FolderError
        The file lies elsewhere, is too large, of no known kind, or cannot be opened.
    """
    if file.path.suffix.lower() not in SUFFIXES:
        raise FolderError(file.name, f"not a report: only {', '.join(SUFFIXES)} are read")
    try:
        place = file.path.resolve(strict=True)
        if not place.is_relative_to(root):
            raise FolderError(file.name, "a link to a file outside the folder is not followed")
        if not place.is_file():
            raise FolderError(file.name, "not a regular file")
        facts = place.stat()
        if facts.st_size > settings.max_file_mib * _MEBIBYTE:
            raise FolderError(
                file.name,
                f"{facts.st_size / _MEBIBYTE:.1f} MiB is more than sources.reports.max_file_mib = "
                f"{settings.max_file_mib:g}",
            )
        return place.read_bytes(), datetime.fromtimestamp(facts.st_mtime, UTC)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        if isinstance(error, FolderError):
            raise
        raise FolderError(file.name, f"cannot be opened ({error})") from None
