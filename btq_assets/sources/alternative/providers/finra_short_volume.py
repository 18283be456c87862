"""FINRA's daily short sale volume files.

Belongs here: one file a session, and its lines. The file of a session appears at about 18:00 in New
York; it counts as known from midnight there. It covers what was reported to FINRA's facilities,
which is about half of the market, and short sales by market makers too: it is no short interest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from btq_assets.config.sources import FinraShortVolumeSourceSection
from btq_assets.contracts.raw.alternative import SHORT_VOLUME_FINRA
from btq_assets.sources.alternative import cells
from btq_assets.sources.errors import NotFoundError, UnknownSymbolError, WindowError, WrongKeyError
from btq_assets.sources.http import TryAgainError
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.rows import Parsed, no_rejects
from btq_assets.timeline import session_closes

if TYPE_CHECKING:
    from btq_assets.sources.http import HttpClient

BASE_URL = "https://cdn.finra.org/equity/regsho/daily"
DATASET = "finra_cnms_short_volume"
_NEW_YORK = ZoneInfo("America/New_York")
_HEADER = ("Date", "Symbol", "ShortVolume", "ShortExemptVolume", "TotalVolume", "Market")
_TOTAL = "total"
#: The server refuses clients without a name.
_AGENT = {"User-Agent": "Mozilla/5.0 (compatible; BTQuant)"}
#: Files are kept for about a year; within so many days of now a missing one is merely late.
_LATE = timedelta(days=5)


class FinraShortVolume:
    """Short sale volume by symbol and session."""

    def __init__(self, settings: FinraShortVolumeSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(BASE_URL)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """The files of the sessions in the window that are published by `now`."""
        # The last session of a month is published when the next month has begun in UTC.
        first = (window.start - timedelta(days=1)).date()
        last = (window.end - timedelta(days=1)).date()
        sessions = [
            day
            for day in session_closes("XNYS", first, last)["session"].to_list()
            if known_time(day) <= now
        ]
        rows, rejected, absent = [SHORT_VOLUME_FINRA.empty()], [no_rejects()], []
        for session in sessions:
            body = self._file(session)
            if body is None:
                absent.append(session)
                continue
            found = parse_file(body, session, self.settings.symbols)
            rows.append(found.rows)
            rejected.append(found.rejected)
        stacked = pl.concat(rows)
        unknown = sorted(set(self.settings.symbols) - set(stacked["symbol"]))
        self._refuse_emptiness(sessions, absent, unknown, now)
        return Fetched(
            {SHORT_VOLUME_FINRA.table: stacked},
            pl.concat(rejected),
            {
                "sessions_without_file": [str(day) for day in absent],
                "symbols_without_lines": unknown,
            },
        )

    def _file(self, session: date) -> bytes | None:
        def judge(body: bytes) -> None:
            if not body.startswith(b"Date|"):
                raise self.client.shape_error(f"a header {'|'.join(_HEADER)}", body[:200])
            if (cut := truncation(body)) is not None:
                raise TryAgainError(cut)

        try:
            return self.client.get(f"CNMSshvol{session:%Y%m%d}.txt", headers=_AGENT, judge=judge)
        except (NotFoundError, WrongKeyError):
            # A file that is not there is "access denied", as in any storage bucket.
            return None

    def _refuse_emptiness(
        self,
        sessions: Sequence[date],
        absent: Sequence[date],
        unknown: Sequence[str],
        now: datetime,
    ) -> None:
        old = [day for day in sessions if day < (now - _LATE).date()]
        if old and len(absent) == len(sessions):
            raise WindowError(
                f"finra_short_volume has no file between {sessions[0]} and {sessions[-1]}: it keeps "
                "about a year; raise sources.finra_short_volume.start_month"
            )
        # One name may have no short sale in a quiet month; none of them means a wrong spelling.
        if (
            unknown
            and len(unknown) == len(set(self.settings.symbols))
            and len(absent) < len(sessions)
        ):
            raise UnknownSymbolError(
                f"finra_short_volume has no line of {', '.join(unknown)} in any file; correct "
                "sources.finra_short_volume.symbols (BRK.B is written BRK/B)"
            )


def known_time(session: date) -> datetime:
    """Midnight in New York after the session, UTC."""
    return datetime.combine(session + timedelta(days=1), time(0), _NEW_YORK).astimezone(UTC)


def truncation(body: bytes) -> str | None:
    """Why a file is not whole, or ``None``.

    A whole file ends with a line break or a trailer: the number of its lines, or a line of totals.
    """
    lines = body.decode(errors="replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if last.isdigit():
        have = sum(1 for line in lines[1:] if line.count("|") >= len(_HEADER) - 2)
        if have != int(last):
            return f"{have} lines where the trailer says {last}"
        return None
    if last.count("|") != len(_HEADER) - 1:
        return f"the file ends in the middle of a line: {last[:60]!r}"
    if not body.endswith(b"\n") and last.split("|")[1].strip().lower() != _TOTAL:
        return f"the file ends without a line break: {last[:60]!r}"
    return None


def parse_file(body: bytes, session: date, symbols: Sequence[str] = ()) -> Parsed:
    """Lines of one file.

    Parameters
    ----------
    body
        As it came; a number alone on a line, and the line of totals, are its trailer.
    session
        The session asked for; lines of other days are refused.
    symbols
        Symbols to keep; all when empty.
    """
    lines = body.decode(errors="replace").splitlines()
    header = [name.strip() for name in lines[0].split("|")]
    wanted = set(symbols)
    rows, refused = [], []
    for line in lines[1:]:
        values = [value.strip() for value in line.split("|")]
        if len(values) < 2:
            if line.strip() and not line.strip().isdigit():
                refused.append(cells.refusal(cells.RowError("a line without columns"), line))
            continue
        if values[1].lower() == _TOTAL or (wanted and values[1] not in wanted):
            continue
        row = dict(zip(header, values, strict=False))
        try:
            if len(values) != len(header):
                raise cells.RowError(f"{len(values)} fields where the header has {len(header)}")
            rows.append(_row(row, session))
        except cells.RowError as error:
            refused.append(cells.refusal(error, row))
    return cells.parsed(rows, refused, SHORT_VOLUME_FINRA)


def _row(row: Mapping[str, Any], session: date) -> dict[str, Any]:
    if row.get("Date") != f"{session:%Y%m%d}":
        raise cells.RowError(f"Date {row.get('Date')!r} is not {session:%Y%m%d}")
    return {
        "dataset": DATASET,
        "symbol": cells.word(row, "Symbol"),
        "session": session,
        "known_at": known_time(session),
        "known_at_basis": "assumed_lag",
        "short_volume": cells.required(row, "ShortVolume"),
        "short_exempt_volume": cells.number(row, "ShortExemptVolume"),
        "total_volume": cells.required(row, "TotalVolume"),
        "markets": row.get("Market") or None,
    }
