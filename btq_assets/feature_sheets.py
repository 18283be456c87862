"""Write the image sheets of docs/features.md: ``python -m btq_assets.feature_sheets``.

Run after ``make run`` with the bundled data; reads ``report.feature_plots`` from the published file.
"""

from __future__ import annotations

import sys
from pathlib import Path

#: Bytes all images of the docs may take.
MOST_BYTES = 4_000_000


def main() -> int:
    """Write one SVG a family; returns the exit status."""
    from btq_assets.config import TradingConfig
    from btq_assets.contracts import report
    from btq_assets.reports.gallery.sheets import sheets_of
    from btq_assets.warehouse.paths import DataPaths, project_root
    from btq_assets.warehouse.reading import read_file

    published = DataPaths.of(TradingConfig.load().warehouse.path).published_file
    if not published.exists():
        sys.stderr.write(f"{published} does not exist yet: `make run` makes it\n")
        return 1
    plots = read_file(published, (report.FEATURE_PLOTS,))[report.FEATURE_PLOTS.table]
    images = project_root() / "docs" / "images"
    written = write(sheets_of(plots), images / "features")
    size = sum(file.stat().st_size for file in images.rglob("*") if file.is_file())
    sys.stdout.write(f"{written} sheets; all images of the docs: {size:,} bytes\n")
    if size >= MOST_BYTES:
        sys.stderr.write(f"images of the docs must stay below {MOST_BYTES:,} bytes\n")
        return 1
    return 0


def write(sheets: dict[str, str], folder: Path) -> int:
    """Write the sheets and remove those of families that are gone; returns how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.svg"):
        if file.stem not in sheets:
            file.unlink()
    for family, image in sheets.items():
        (folder / f"{family}.svg").write_text(image, encoding="utf-8")
    return len(sheets)


if __name__ == "__main__":
    raise SystemExit(main())
