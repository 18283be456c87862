"""Macro series that ship inside installed packages.

Belongs here: opening the files of the catalogue and handing them to their parsers. Does not
belong here: what is in them, and when it was known.
"""

from __future__ import annotations

from collections.abc import Sequence

from btq_assets.contracts import raw
from btq_assets.sources.errors import SourceError
from btq_assets.sources.macro.catalogue import MACRO_FILES, MacroFile
from btq_assets.sources.macro.parsers import differing_vintages
from btq_assets.sources.packaged import read_packaged
from btq_assets.sources.rows import Parsed, combine


def read_sample(files: Sequence[MacroFile] = MACRO_FILES) -> Parsed:
    """Every value of every packaged macro file, with the vintages in order.

    Raises
    ------
    SourceError
        A package or file is missing, a file is not the pinned one, or the parser no longer makes
        the pinned number of rows of it.
    """
    parts, vintages = [], []
    for file in sorted(files, key=lambda item: str(item.vintage or "")):
        parsed = file.parse(read_packaged(file), dataset=file.dataset)
        found = parsed.rows.height + parsed.rejected.height
        if found != file.n_rows:
            raise SourceError(
                f"dataset {file.dataset!r}: the parser made {found} rows of the pinned file, "
                f"{file.n_rows} are declared; the parser has changed, look at its last edit"
            )
        if file.vintage is None:
            parts.append(parsed)
        else:
            vintages.append(parsed)
    if vintages:
        panel = differing_vintages([parsed.rows for parsed in vintages])
        parts.append(Parsed(panel, combine(vintages, raw.MACRO_SAMPLE.empty()).rejected))
    return combine(parts, raw.MACRO_SAMPLE.empty())
