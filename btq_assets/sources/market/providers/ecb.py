"""Euro reference rates from the website of the European Central Bank.

Belongs here: asking for the one file there is. Does not belong here: reading it (`parsers.py`,
which reads the packaged copy of the same file too).

The file holds every day since 1999-01-04; the ECB allows free re-use with attribution.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from datetime import date, datetime

import polars as pl

from btq_assets.config.sources.market import EcbSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import UnknownSymbolError
from btq_assets.sources.http import HttpClient, TryAgainError
from btq_assets.sources.market.listing import instruments_of
from btq_assets.sources.market.parsers import parse_ecb_rates, read_text_table
from btq_assets.sources.provider import Fetched, Window

DATASET = "ecb_reference_rates_web"
ADDRESS = "https://www.ecb.europa.eu"
FILE = "stats/eurofxref/eurofxref-hist.zip"

#: The file unpacks to less than two; more is no file of rates.
_LARGEST_MIB = 64


class Ecb:
    """The history of reference rates."""

    def __init__(self, settings: EcbSourceSection, client: HttpClient) -> None:
        self.settings = settings
        self.client = client.at(ADDRESS)

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """Rates of the configured currencies that are published by now.

        Raises
        ------
        UnknownSymbolError
            The ECB does not quote a currency.
        AnswerShapeError
            The archive holds something else.
        """
        # One conditional request a run: the whole file is one answer, so age is no reason to spare it.
        content = self.client.get(FILE, fresh_hours=0.0, judge=_is_archive)
        pairs = {one.asked_as: one.symbol for one in instruments_of("ecb", self.settings)}
        columns = self._columns(content)
        unknown = sorted(set(pairs) - set(columns))
        if unknown:
            known = sorted(name for name in columns if name.strip() and name != "Date")
            raise UnknownSymbolError(
                f"the ECB quotes no {', '.join(unknown)}; correct sources.ecb.symbols, known are "
                f"{', '.join(known)}. Nothing was stored"
            )
        parsed = parse_ecb_rates(content, dataset=DATASET, currencies=pairs)
        first = date.fromisoformat(self.settings.start_day)
        rates = parsed.rows.filter(
            (pl.col("ts").dt.date() >= first)
            & (pl.col("ts") >= window.start)
            & (pl.col("ts") < window.end)
        )
        return Fetched({raw.BARS_ECB.table: rates}, parsed.rejected)

    def _columns(self, content: bytes) -> list[str]:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = archive.infolist()
            if len(inside) != 1 or inside[0].file_size > _LARGEST_MIB << 20:
                names = [f"{item.filename} ({item.file_size:,} bytes)" for item in inside[:5]]
                raise self.client.shape_error("one CSV of rates in the archive", names)
            text = archive.read(inside[0])
        try:
            columns = read_text_table(text).columns
        except (pl.exceptions.PolarsError, UnicodeDecodeError):
            raise self.client.shape_error("a CSV of rates", text[:200]) from None
        if columns[0] != "Date":
            raise self.client.shape_error("a first column Date", columns[:5])
        return columns


def _is_archive(body: bytes) -> None:
    """Refuse half an archive: its table of contents stands at its end."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            bomb = sum(item.file_size for item in archive.infolist()) > _LARGEST_MIB << 20
            damaged = None if bomb else archive.testzip()
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise TryAgainError(f"not a zip archive that opens: {error}") from None
    if damaged:
        raise TryAgainError(f"{damaged} in the archive is damaged")
