"""Features by family: how many, what is missing, what drifted, what repeats, what models lean on."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts import features as contracts
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.gallery.page import SHIFTED_ABOVE
from btq_assets.reports.view import Block, Cell, Head, Link, Row, Section, Table

GALLERY = "features.html"

_MODELS = {"ridge": "ridge", "lightgbm": "LightGBM"}
_MOST_SHIFTED = 12


def section(frames: ReportFrames, context: ReportContext) -> Section | None:
    """What the columns of the features room are worth; ``None`` without a catalogue."""
    catalogue = frames["catalogue"]
    if catalogue.is_empty():
        return None
    universe = context.config.universe.main
    judged = _judged(frames, universe)
    blocks: list[Block | None] = [
        _link(frames),
        _families(frames, judged, context),
        _shifted(judged, context),
    ]
    on = catalogue.filter("enabled").height
    return Section(
        "features",
        "Features",
        tuple(block for block in blocks if block is not None),
        f"{fmt.whole(catalogue.height)} features in {catalogue['family'].n_unique()} families are "
        f"defined, {fmt.whole(on)} are switched on. Figures are those of {universe}; a feature that "
        "has no value there is judged on another universe, where it has most.",
    )


def _judged(frames: ReportFrames, universe: str) -> pl.DataFrame:
    """One row per feature, on the traded universe or, without a value there, where it has most."""
    first = pl.when(pl.col("missing_share") < 1).then(pl.col("universe") != universe).otherwise(2)
    return (
        frames["feature_quality"]
        .with_columns(turn=first.cast(pl.Int8))
        .sort("feature", "turn", "missing_share", "universe")
        .unique("feature", keep="first", maintain_order=True)
        .drop("turn")
    )


def _link(frames: ReportFrames) -> Block | None:
    plots = frames["feature_plots"]
    if plots.is_empty():
        return None
    drawn = plots.filter(pl.col("n_values") > 0).height
    return Link(
        GALLERY,
        "Gallery of all features",
        f"a plot, the formula and the quality of each; {fmt.whole(drawn)} of "
        f"{fmt.whole(plots.height)} have values",
    )


def _families(frames: ReportFrames, judged: pl.DataFrame, context: ReportContext) -> Table:
    heads = (
        Head("Family", numeric=False),
        Head("Features"),
        Head("On", "Switched on in the configuration"),
        Head("With values", "Of those judged in features.quality or plotted"),
        Head("Missing", "Median over the features with values of the share of bars without one"),
        Head("Shifted", f"PSI above {SHIFTED_ABOVE:g} in the last 252 sessions"),
        Head("Median KS", "Largest gap of the distribution functions, recent against training"),
        Head("Redundant", "Features in a cluster with mean rank correlation above 0.8"),
        Head("Clusters"),
        *(
            Head(f"Importance, {name}", "Share of a fit's total, mean over fits")
            for name in _MODELS.values()
        ),
    )
    importances = {model: _importances(frames, model, context) for model in _MODELS}
    catalogue = frames["catalogue"]
    plots = frames["feature_plots"]
    rows = []
    for family in _in_order(catalogue["family"].unique().to_list()):
        listed = catalogue.filter(pl.col("family") == family)
        mine = judged.filter((pl.col("family") == family) & (pl.col("missing_share") < 1))
        drawn = plots.filter((pl.col("family") == family) & (pl.col("n_values") > 0))
        n_values = mine.height or drawn.filter("in_a_table").height
        alike = mine.filter(pl.col("cluster_size") > 1)
        compared = mine.filter(pl.col("psi").is_not_null())
        shifted = compared.filter(pl.col("psi") > SHIFTED_ABOVE)
        rows.append(
            Row(
                (
                    Cell(
                        family,
                        detail="" if n_values else _why_empty(drawn),
                        link=f"{GALLERY}#family={family}" if plots.height else "",
                    ),
                    Cell(fmt.whole(listed.height)),
                    Cell(fmt.whole(listed.filter("enabled").height)),
                    Cell(fmt.whole(n_values)),
                    Cell(fmt.percent(mine["missing_share"].median())),  # type: ignore[arg-type]
                    Cell(fmt.whole(shifted.height) if compared.height else fmt.MISSING),
                    Cell(fmt.number(mine["ks_statistic"].median())),  # type: ignore[arg-type]
                    Cell(fmt.whole(alike.height) if mine.height else fmt.MISSING),
                    Cell(fmt.whole(alike["cluster"].n_unique()) if mine.height else fmt.MISSING),
                    *(Cell(fmt.percent(importances[model].get(family))) for model in _MODELS),
                )
            )
        )
    sources = ["catalogue"]
    sources += [n for n in ("feature_quality", "feature_plots") if frames[n].height]
    sources += [n for n in ("importances_ridge", "importances_lightgbm") if frames[n].height]
    return Table(
        heads,
        tuple(rows),
        "Features by family",
        notes=(
            "PSI: population stability index against the first training window; KS: "
            "Kolmogorov and Smirnov's statistic. What a model leans on is no evidence that it helps.",
        ),
        source=context.source(*sources),
    )


def _why_empty(drawn: pl.DataFrame) -> str:
    return "off in this run; plotted in the gallery" if drawn.height else "no values in this run"


def _in_order(families: list[str]) -> list[str]:
    known = [name for name in contracts.FAMILIES if name in families]
    return known + sorted(set(families) - set(known))


def _importances(frames: ReportFrames, model: str, context: ReportContext) -> dict[str, float]:
    """Family → mean over fits of the sum over its features."""
    fits = frames[f"importances_{model}"].filter(pl.col("universe") == context.config.universe.main)
    if fits.is_empty():
        return {}
    families = frames["catalogue"].select("family", feature="name")
    n_fits = fits.select("variant", "seed", "fold").n_unique()
    totals = fits.join(families, on="feature").group_by("family").agg(pl.col("importance").sum())
    return {family: total / n_fits for family, total in totals.iter_rows()}


def _shifted(judged: pl.DataFrame, context: ReportContext) -> Table | None:
    moved = judged.filter(pl.col("psi") > SHIFTED_ABOVE).sort(
        "psi", "feature", descending=[True, False]
    )
    if moved.is_empty():
        return None
    heads = (
        Head("Feature", numeric=False),
        Head("Family", numeric=False),
        Head("Universe", numeric=False),
        Head("PSI"),
        Head("KS"),
        Head("Missing"),
        Head("Nearest feature", numeric=False),
    )
    rows = tuple(
        Row(
            (
                Cell(row["feature"]),
                Cell(row["family"]),
                Cell(row["universe"]),
                Cell(fmt.number(row["psi"])),
                Cell(fmt.number(row["ks_statistic"])),
                Cell(fmt.percent(row["missing_share"])),
                Cell(
                    row["nearest_feature"] or fmt.MISSING,
                    detail=fmt.number(row["nearest_correlation"]),
                ),
            )
        )
        for row in moved.head(_MOST_SHIFTED).iter_rows(named=True)
    )
    caption = f"Most shifted since the training window, {len(rows)} of {moved.height}"
    return Table(heads, rows, caption, source=context.source("feature_quality"))
