"""The gallery in the asset graph: a plot of every feature, as a table and a page."""

from __future__ import annotations

from typing import Any

import polars as pl

from btq_assets.contracts import core, features, models, report
from btq_assets.features.custom import all_families
from btq_assets.features.families import FAMILIES
from btq_assets.reports.gallery.checks import CHECKS
from btq_assets.warehouse import DataPaths, Step, TableAsset, TableOutput

PAGE_NAME = "features"

#: Days of the curves of the calendar, which repeats itself.
_CALENDAR_DAYS = 139

_IMPORTANCES = {
    "importances_ridge": models.IMPORTANCES_RIDGE,
    "importances_lightgbm": models.IMPORTANCES_LIGHTGBM,
}


def _is_written(paths: DataPaths) -> bool:
    """Whether the page is still where the last run wrote it."""
    return (paths.reports / f"{PAGE_NAME}.html").is_file()


def _feature_plots(step: Step, **tables: Any) -> TableOutput:
    """Draw every feature of the catalogue; named sets that are off are computed for their plots."""
    from btq_assets.reports.gallery.checks import examine_gallery
    from btq_assets.reports.gallery.page import GalleryFrames, render_gallery
    from btq_assets.reports.gallery.summaries import rows_of

    catalogue = tables["catalogue"].whole()
    plotted, computed_here = _plotted(step, tables)
    ordered = _in_catalogue_order(catalogue)
    plots = rows_of(ordered, plotted, computed_here)
    frames = GalleryFrames(
        plots,
        ordered,
        tables["quality"].whole(),
        {name.removeprefix("importances_"): tables[name].whole() for name in _IMPORTANCES},
    )
    html = render_gallery(
        frames, generated_at=step.now, profile=step.config.profile, run_id=step.run_id
    )
    answers = examine_gallery(html, frames)
    refused = "" if all(answer.passed for answer in answers) else ".refused"
    path = step.artifacts.write_report(f"{PAGE_NAME}{refused}.html", html)
    return TableOutput(
        plots,
        metadata={
            "page_path": path,
            "size_kib": round(len(html.encode()) / 1024),
            "n_plots": plots.filter(pl.col("n_values") > 0).height,
            "without_values": plots.filter(n_values=0).group_by("family").len().sort("family"),
            "computed_for_the_page": sorted(computed_here),
        },
        answers=answers,
    )


def _plotted(step: Step, tables: dict[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Feature → its row, and the families whose values are of no table; one family at a time."""
    from btq_assets.reports.gallery.summaries import plots_of

    found: dict[str, Any] = {}
    computed_here = set()
    bars = tables["bars"].whole()
    ohlcv = bars.filter(pl.col("universe") == step.config.universe.ohlcv)
    for family in all_families(step.config):
        stored = tables.get(family.name)
        frame = family.contract.empty() if stored is None else stored.whole()
        if frame.is_empty() and family.name in features.NAMED_SETS:
            frame = family.compute({"bars": ohlcv}, step.config)
            computed_here.add(family.name)
        elif stored is None:  # one's own features: their table is in no contract of the house
            frame = family.compute({"bars": bars}, step.config)
        newest = _CALENDAR_DAYS if family.requires == "calendar" else None
        names = [feature.name for feature in family.features(step.config)]
        found |= {row["feature"]: row for row in plots_of(frame, names, step.config, newest)}
    return found, frozenset(computed_here)


def _in_catalogue_order(catalogue: pl.DataFrame) -> pl.DataFrame:
    """Families as the house lists them, features as their tables do."""
    order = {
        name: place
        for place, name in enumerate(
            name for family in FAMILIES for name in features.feature_names(family.name)
        )
    }
    place = pl.col("name").replace_strict(order, default=len(order), return_dtype=pl.Int64)
    return catalogue.sort(place, "name")


feature_plots = TableAsset(
    compute=_feature_plots,
    outputs=(report.FEATURE_PLOTS,),
    inputs={
        **{family.name: family.contract for family in FAMILIES},
        "bars": core.BARS_1D,
        "catalogue": features.CATALOGUE,
        "quality": features.QUALITY,
        **_IMPORTANCES,
    },
    config=("profile", "features", "universe"),
    # The formulas too: what is off in this run is computed here.
    code=("btq_assets.reports", "btq_assets.plots.small", "btq_assets.features", __name__),
    checks=CHECKS,
    group="report",
    reuse=_is_written,
    absent_as_empty=True,
    sliced=True,
)
