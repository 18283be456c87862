"""Turn plain values, PNG images and contracts into Dagster metadata, and print progress."""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from btq_assets.contracts.base import TableContract

#: Tag under which Dagster keeps the data version of a materialization.
DATA_VERSION_TAG = "dagster/data_version"

_TABLE_ROWS_SHOWN = 40


def table_schema(contract: TableContract) -> dg.TableSchema:
    """Column schema of a contract, as the UI shows it."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.duckdb_type,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=contract.key == (column.name,)
                ),
            )
            for column in contract.columns
        ]
    )


def value(item: Any) -> Any:
    """Dagster metadata value of a plain value; frames become Markdown tables."""
    if isinstance(item, pl.DataFrame):
        return dg.MetadataValue.md(markdown_table(item))
    if isinstance(item, str) and item.lstrip().startswith("|"):
        return dg.MetadataValue.md(item)
    if isinstance(item, float):
        # Six digits: the rest is noise to a reader, and the tables keep every digit.
        return float(f"{item:.6g}") if math.isfinite(item) else str(item)
    if isinstance(item, (bool, int, str)):
        return item
    if isinstance(item, (list, tuple, dict)):
        return dg.MetadataValue.json(_plain(item))
    if item is None:
        return "none"
    return str(item)


def _plain(item: Any) -> Any:
    if isinstance(item, Mapping):
        return {str(key): _plain(inner) for key, inner in item.items()}
    if isinstance(item, (list, tuple)):
        return [_plain(inner) for inner in item]
    if item is None or isinstance(item, (bool, int, str)):
        return item
    if isinstance(item, float):
        return item if math.isfinite(item) else str(item)
    return str(item)


def convert(metadata: Mapping[str, Any], data_root: Path) -> dict[str, Any]:
    """Dagster metadata of a step's own metadata; ``report_path`` becomes a path to copy."""
    found: dict[str, Any] = {}
    for name, item in metadata.items():
        if name == "report_path":
            # No link: browsers refuse to follow one from a served page to a local file.
            found[name] = dg.MetadataValue.path(str(data_root / str(item)))
        else:
            found[name] = value(item)
    return found


def images(plots: Mapping[str, bytes]) -> dict[str, Any]:
    """Each PNG as an inline Markdown image."""
    return {
        f"plot: {title}": dg.MetadataValue.md(
            f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"
        )
        for title, png in plots.items()
    }


def carried(event: dg.EventLogEntry | None, data_version: str) -> dict[str, Any]:
    """Metadata and plots of the last materialization, for a run that re-uses the table.

    The UI shows the newest materialization only: without them a second run would hide every plot
    of the first. Nothing is carried when that event describes other data, as after a copied-in
    warehouse.
    """
    told = event.asset_materialization if event is not None else None
    if told is None or (told.tags or {}).get(DATA_VERSION_TAG) != data_version:
        return {}
    return dict(told.metadata)


def markdown_table(frame: pl.DataFrame) -> str:
    """Return the first rows of a frame as a Markdown table."""
    lines = [
        "| " + " | ".join(frame.columns) + " |",
        "|" + "---|" * frame.width,
    ]
    for row in frame.head(_TABLE_ROWS_SHOWN).iter_rows():
        cells = ["" if c is None else f"{c:.4g}" if isinstance(c, float) else str(c) for c in row]
        lines.append("| " + " | ".join(cells) + " |")
    if frame.is_empty():
        return "no rows"
    if frame.height > _TABLE_ROWS_SHOWN:
        lines.append(f"\n{frame.height - _TABLE_ROWS_SHOWN} more rows")
    return "\n".join(lines)


def progress(line: str) -> None:
    """Print one line of progress to standard output at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
