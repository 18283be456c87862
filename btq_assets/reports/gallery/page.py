"""Rows of the plots table in, one self-contained HTML page of all features out.

Belongs here: what stands beside a plot, and filling the template. Does not belong here: any
statistic of the values (`summaries.py`), what the script draws (`templates/gallery.js.j2`).

The page carries its numbers as one JSON list a feature; the script draws what is scrolled to, so
that a phone opens the page as fast as it reads it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl
from markupsafe import Markup

from btq_assets.contracts import features, models
from btq_assets.contracts.features.quality import QUALITY
from btq_assets.plots.small import ALPHABET
from btq_assets.reports.render import page_environment, source_of

#: Above this a population stability index is usually called a shift; below the other, stable.
SHIFTED_ABOVE, STABLE_BELOW = 0.25, 0.1

#: What the page knows of a feature, in the order of its JSON list.
FIELDS = (
    "name", "family", "formula", "source", "unit", "lookback_sessions", "requires", "needs",
    "recursive", "scale_invariant", "enabled", "in_a_table", "universe", "freq", "n_symbols", "n_values",
    "first", "last", "stretch", "shown", "lower", "middle", "upper", "axis_low", "axis_high",
    "bars", "bars_low", "bars_high", "minimum", "p10", "median", "p90", "maximum",
    "missing_share", "psi", "ks_statistic", "cluster", "cluster_size", "nearest_feature",
    "nearest_correlation", "ridge", "lightgbm",
)  # fmt: skip

_SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True)
class GalleryFrames:
    """What the page is made from.

    Parameters
    ----------
    plots
        Rows of ``report.feature_plots``.
    catalogue
        Rows of ``features.catalogue``.
    quality
        Rows of ``features.quality``; may be empty.
    importances
        Model → rows of ``models.importances_<model>``; may be empty.
    """

    plots: pl.DataFrame
    catalogue: pl.DataFrame
    quality: pl.DataFrame = field(default_factory=QUALITY.empty)
    importances: Mapping[str, pl.DataFrame] = field(default_factory=dict)


def joined(frames: GalleryFrames) -> pl.DataFrame:
    """One row per feature: definition, plot, quality on the universe shown, importances."""
    plots = frames.plots.with_columns(
        first=pl.col("first_ts").dt.strftime("%Y-%m-%d"),
        last=pl.col("last_ts").dt.strftime("%Y-%m-%d"),
    ).drop("family", "first_ts", "last_ts")
    kept = ["universe", "freq", "feature", "missing_share", "psi", "ks_statistic", "cluster",
            "cluster_size", "nearest_feature", "nearest_correlation"]  # fmt: skip
    table = (
        frames.catalogue.join(plots, left_on="name", right_on="feature", how="inner")
        .join(
            frames.quality.select(kept),
            left_on=["universe", "freq", "name"],
            right_on=["universe", "freq", "feature"],
            how="left",
        )
        .sort("place")
    )
    for model in ("ridge", "lightgbm"):
        fits = frames.importances.get(model, models.IMPORTANCES_RIDGE.empty())
        mean = fits.group_by("universe", pl.col("feature").alias("name")).agg(
            pl.col("importance").mean().alias(model)
        )
        table = table.join(mean, on=["universe", "name"], how="left", maintain_order="left")
    return table


def render_gallery(
    frames: GalleryFrames, *, generated_at: datetime, profile: str, run_id: str
) -> str:
    """The page.

    Parameters
    ----------
    frames
        Tables.
    generated_at, profile, run_id
        Facts of the run, for the heading.
    """
    table = joined(frames)
    environment = page_environment()
    families = [
        {"name": name, "n": n} for name, n in table.group_by("family", maintain_order=True).len().rows()
    ]  # fmt: skip
    drawn = table.filter(pl.col("n_values") > 0).height
    page = environment.get_template("gallery.html.j2")
    return page.render(
        style=Markup(source_of(environment, "style.css.j2")),  # noqa: S704 - our own file
        own_style=Markup(source_of(environment, "gallery.css.j2")),  # noqa: S704 - our own file
        script=Markup(source_of(environment, "gallery.js.j2")),  # noqa: S704 - our own file
        data=Markup(_json(table)),  # noqa: S704 - JSON, "<" escaped
        families=families,
        requirements=[r for r in features.REQUIREMENTS if r in set(table["requires"])],
        n_features=table.height,
        n_drawn=drawn,
        generated=f"{generated_at:%Y-%m-%d %H:%M} UTC",
        profile=profile,
        run_id=run_id,
    )


def _json(table: pl.DataFrame) -> str:
    rows = [[_short(value) for value in row] for row in table.select(FIELDS).iter_rows()]
    payload = {
        "fields": FIELDS,
        "alphabet": ALPHABET,
        "shifted": SHIFTED_ABOVE,
        "stable": STABLE_BELOW,
        "rows": rows,
    }
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Within a script element only "</" and "<!" could end or change it.
    return text.replace("<", "\\u003c")


def _short(value: Any) -> Any:
    """Numbers at the digits a reader sees; missing ones null."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        short = float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
        return int(short) if short.is_integer() and abs(short) < 1e15 else short
    return value
