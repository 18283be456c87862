"""Answers of providers as they came, on disk, so that a parse can be run again without asking.

Belongs here: keeping and finding raw answers. Does not belong here: asking (`http.py`), reading
(`providers/`). Addresses are stored without keys.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

#: Headers worth keeping: for conditional requests, and to see what one has.
_KEPT_HEADERS = ("content-type", "etag", "last-modified")


@dataclass(frozen=True)
class Answer:
    """One answer.

    Parameters
    ----------
    address
        Method, path, and parameters without keys.
    fetched_at
        When it was fetched or last confirmed to be unchanged, UTC.
    headers
        Those worth keeping, names in lower case.
    body
        As it came.
    """

    address: str
    fetched_at: datetime
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class AnswerStore:
    """Answers of one provider in one folder.

    Parameters
    ----------
    folder
        Folder of the provider; made when first needed.
    """

    folder: Path

    def keep(self, answer: Answer) -> None:
        """Store an answer, atomically, in place of an earlier one to the same question."""
        file = self._file(answer.address)
        file.parent.mkdir(parents=True, exist_ok=True)
        head = {
            "address": answer.address,
            "fetched_at": answer.fetched_at.astimezone(UTC).isoformat(),
            "headers": {k: v for k, v in answer.headers.items() if k in _KEPT_HEADERS},
        }
        line = json.dumps(head, sort_keys=True).encode()
        handle, staging = tempfile.mkstemp(dir=file.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as out:
                # No time stamp inside: the same answer makes the same file.
                out.write(gzip.compress(line + b"\n" + answer.body, 6, mtime=0))
            Path(staging).replace(file)
        except OSError:
            Path(staging).unlink(missing_ok=True)
            raise

    def find(self, address: str) -> Answer | None:
        """The stored answer to a question; ``None`` where there is none, or it is damaged."""
        file = self._file(address)
        try:
            line, _, body = gzip.decompress(file.read_bytes()).partition(b"\n")
            head = json.loads(line)
            fetched_at = datetime.fromisoformat(head["fetched_at"])
            found = Answer(head["address"], fetched_at, dict(head["headers"]), body)
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
            return None
        return found if found.address == address else None

    def fresh(self, address: str, now: datetime, hours: float) -> Answer | None:
        """The stored answer if it was fetched within so many hours before `now`."""
        found = self.find(address)
        if found is None or now - found.fetched_at > timedelta(hours=hours):
            return None
        return found

    def _file(self, address: str) -> Path:
        name = hashlib.sha256(address.encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.gz"
