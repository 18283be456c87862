"""Real prices that ship inside installed packages.

Belongs here: opening the files of the catalogue and handing them to their parsers. Does not
belong here: what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence

from btq_assets.contracts import raw
from btq_assets.sources.errors import SourceError
from btq_assets.sources.market.catalogue import MARKET_FILES, MarketFile
from btq_assets.sources.packaged import read_packaged
from btq_assets.sources.rows import Parsed, combine


def read_sample(files: Sequence[MarketFile] = MARKET_FILES) -> Parsed:
    """Bars of all packaged price files.

    Raises
    ------
    SourceError
        A package or file is missing, a file is not the pinned one, or the parser no longer makes
        the pinned number of rows of it.
    """
    parts = []
    for file in files:
        parsed = file.parse(read_packaged(file), dataset=file.dataset)
        found = parsed.rows.height + parsed.rejected.height
        if found != file.n_rows:
            raise SourceError(
                f"dataset {file.dataset!r}: the parser made {found} rows of the pinned file, "
                f"{file.n_rows} are declared; the parser has changed, look at its last edit"
            )
        parts.append(parsed)
    return combine(parts, raw.BARS_SAMPLE.empty())
