"""What the gallery must be before anybody reads it: whole, drawn, small, and free of the network.

Belongs here: examining the plots table and the finished page. Does not belong here: whether a value
is right, which the checks of its family's table answer.
"""

from __future__ import annotations

import json

import polars as pl

from btq_assets.contracts.checks import CheckGroup, CheckOutcome, in_step_check
from btq_assets.reports.checks import FINISHED, OFFLINE, finished, offline, parsed
from btq_assets.reports.gallery.page import FIELDS, GalleryFrames

WHOLE = "shows_every_feature"
DRAWN = "draws_every_feature_with_values"
SMALL = "opens_on_a_phone"

#: Bytes above which a phone would wait for the page.
MOST_BYTES = 10_000_000
_MAX_SHOWN = 5

CHECKS: tuple[CheckGroup, ...] = (
    in_step_check(WHOLE, "Every feature of the catalogue is on the page, once."),
    in_step_check(
        DRAWN, "Every feature that has values in a table of this run has a plot on the page."
    ),
    in_step_check(FINISHED, "No nan, None, infinity or template mark is left on the page."),
    in_step_check(OFFLINE, "Nothing on the page is loaded from anywhere."),
    in_step_check(SMALL, f"The page is smaller than {MOST_BYTES // 1_000_000} MB."),
)


def examine_gallery(html: str, frames: GalleryFrames) -> list[CheckOutcome]:
    """Answer every check of a finished page.

    Parameters
    ----------
    html
        The page.
    frames
        What it was made from.
    """
    page = parsed(html)
    shown = _shown(page.scripts)
    return [
        _whole(shown, frames),
        _drawn(shown, frames),
        finished(page),
        offline(page),
        _small(html),
    ]


def _shown(scripts: list[str]) -> dict[str, list[dict[str, object]]]:
    """Rows of the page's data, by feature."""
    found: dict[str, list[dict[str, object]]] = {}
    for script in scripts:
        if script.startswith('{"fields"'):
            for row in json.loads(script)["rows"]:
                found.setdefault(row[0], []).append(dict(zip(FIELDS, row, strict=True)))
    return found


def _whole(shown: dict[str, list[dict[str, object]]], frames: GalleryFrames) -> CheckOutcome:
    wanted = set(frames.catalogue["name"])
    lost = sorted(wanted - set(shown))
    twice = sorted(name for name, rows in shown.items() if len(rows) > 1)
    foreign = sorted(set(shown) - wanted)
    if lost or twice or foreign:
        message = (
            f"not on the page: {lost[:_MAX_SHOWN]}; twice: {twice[:_MAX_SHOWN]}; in no "
            f"catalogue: {foreign[:_MAX_SHOWN]}"
        )
        return CheckOutcome(WHOLE, False, message, {"n_lost": len(lost)})
    return CheckOutcome(WHOLE, True, f"{len(wanted)} features", {"n_features": len(wanted)})


def _drawn(shown: dict[str, list[dict[str, object]]], frames: GalleryFrames) -> CheckOutcome:
    have = frames.quality.filter(pl.col("missing_share") < 1)["feature"].unique()
    blank = sorted(
        name for name in have if any(not row["middle"] or not row["bars"] for row in shown.get(name, ()))
    )  # fmt: skip
    n = sum(bool(row["middle"]) for rows in shown.values() for row in rows)
    if blank:
        message = f"{len(blank)} features have values and no plot: {blank[:_MAX_SHOWN]}"
        return CheckOutcome(DRAWN, False, message, {"n_blank": len(blank)})
    return CheckOutcome(DRAWN, True, f"{n} plots", {"n_plots": n})


def _small(html: str) -> CheckOutcome:
    size = len(html.encode())
    return CheckOutcome(SMALL, size < MOST_BYTES, f"{size:,} bytes", {"n_bytes": size})
