"""How good the forecasts were: rank correlations with what followed, by model and fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.evidence.bootstrap import resampled_means
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import Block, Cell, Head, Row, Section, Table

#: Mean block of the bootstrap, in decision dates.
_MEAN_BLOCK = 8
_TAIL = (0.025, 0.975)


@dataclass(frozen=True)
class MeanIC:
    """Mean rank IC over decision dates, with its 95 % interval (NaN below 20 dates)."""

    value: float
    low: float
    high: float
    n: int


def rank_ics(forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Rank IC of the mean forecast over seeds at each decision date.

    Parameters
    ----------
    forecasts
        Rows of ``models.forecasts_<model>``.
    labels
        ``universe``, ``symbol``, ``ts``, ``label``.

    Returns
    -------
    polars.DataFrame
        ``variant``, ``fold``, ``ts``, ``rank_ic``; dates without a rank IC are left out.
    """
    from btq_assets.models.scores import rank_ic_by_date

    key = ["universe", "symbol", "ts", "variant", "fold"]
    mean = forecasts.group_by(key).agg(pl.col("forecast").mean())
    parts = []
    for (variant,), rows in mean.group_by("variant", maintain_order=True):
        folds = rows.select("ts", "fold").unique("ts")
        parts.append(
            rank_ic_by_date(rows, labels)
            .join(folds, on="ts")
            .select(pl.lit(variant).alias("variant"), "fold", "ts", "rank_ic")
            .drop_nulls("rank_ic")
        )
    if not parts:
        return pl.DataFrame(
            schema={"variant": pl.String, "fold": pl.Int64, "ts": pl.Datetime("us", "UTC"),
                    "rank_ic": pl.Float64}
        )  # fmt: skip
    return pl.concat(parts).sort("variant", "ts")


def mean_with_interval(values: np.ndarray, *, n_samples: int, seed: int) -> MeanIC:
    """Mean and 95 % percentile interval of the stationary block bootstrap."""
    values = np.asarray(values, dtype=float)
    if values.size < 20:
        mean = float(values.mean()) if values.size else float("nan")
        return MeanIC(mean, float("nan"), float("nan"), values.size)
    drawn = resampled_means(values, mean_block=_MEAN_BLOCK, n_samples=n_samples, seed=seed)
    low, high = np.quantile(drawn, _TAIL)
    return MeanIC(float(values.mean()), float(low), float(high), values.size)


def section(frames: ReportFrames, context: ReportContext) -> Section | None:
    """Mean rank IC per model, variant and fold, and the effect of macro inputs."""
    labels = frames["training_set"].select("universe", "symbol", "ts", "label")
    settings = context.config.backtest
    found: dict[tuple[str, str], pl.DataFrame] = {}
    for model, forecasts in frames.forecasts.items():
        ics = rank_ics(forecasts, labels)
        for (variant,), rows in ics.group_by("variant", maintain_order=True):
            found[model, str(variant)] = rows
    if not found:
        return None

    def mean(values: pl.Series) -> MeanIC:
        return mean_with_interval(
            values.to_numpy(), n_samples=settings.bootstrap_samples, seed=settings.seed
        )

    folds = sorted({fold for rows in found.values() for fold in rows["fold"].unique()})
    heads = (
        Head("Model", numeric=False),
        Head("Inputs", "base, or macro where macro and regime inputs are added", numeric=False),
        Head("Decisions"),
        Head("Mean rank IC", "Spearman correlation across assets, mean over decision dates"),
        *(Head(_fold_name(frames, fold), f"Fold {fold}") for fold in folds),
    )
    lines: list[Row] = []
    for (model, variant), ics in sorted(found.items()):
        whole = mean(ics["rank_ic"])
        cells = [Cell(model), Cell(variant), Cell(fmt.whole(whole.n)), _cell(whole, whisker=True)]
        for fold in folds:
            part = ics.filter(pl.col("fold") == fold)["rank_ic"]
            cells.append(_cell(mean(part)) if part.len() else Cell(fmt.MISSING))
        lines.append(Row(tuple(cells)))
    sources = ["training_set", *(f"models.forecasts_{model}" for model in sorted(frames.forecasts))]
    blocks: list[Block] = [
        Table(
            heads,
            tuple(lines),
            "Rank IC, out of sample",
            ("Forecasts of several seeds are averaged before ranking. Intervals: stationary block "
             f"bootstrap over decision dates, mean block {_MEAN_BLOCK}.",),
            context.source(*sources),
        )
    ]  # fmt: skip
    blocks += _macro_effect(found, mean, context)
    return Section(
        "forecasts",
        "Forecast quality",
        tuple(blocks),
        "An honest weekly forecast has a rank IC of 0.02 to 0.05; an interval across zero says that "
        "nothing was shown.",
    )


def _macro_effect(found: dict, mean: object, context: ReportContext) -> list[Table]:
    rows = []
    for model in sorted({model for model, _ in found}):
        if (model, "base") not in found or (model, "macro") not in found:
            continue
        paired = found[model, "macro"].join(found[model, "base"], on="ts", suffix="_base")
        difference = mean(paired["rank_ic"] - paired["rank_ic_base"])  # type: ignore[operator]
        says = "no difference shown"
        if difference.low > 0 or difference.high < 0:
            says = "macro helps" if difference.low > 0 else "macro hurts"
        rows.append(
            Row((Cell(model), Cell(fmt.whole(difference.n)), _cell(difference, whisker=True),
                 Cell(says)))
        )  # fmt: skip
    if not rows:
        return []
    heads = (
        Head("Model", numeric=False),
        Head("Decisions"),
        Head("Rank IC with macro minus without", "Paired by decision date"),
        Head("Reading", numeric=False),
    )
    return [Table(heads, tuple(rows), "Base against macro inputs")]


def _fold_name(frames: ReportFrames, fold: int) -> str:
    split = frames["splits"].filter(pl.col("fold") == fold)
    if split.is_empty():
        return f"Fold {fold}"
    return f"{split['test_start'][0]:%b %Y} to {split['test_end'][0]:%b %Y}"


def _cell(mean: MeanIC, *, whisker: bool = False) -> Cell:
    return fmt.estimate(mean.value, mean.low, mean.high, digits=3, whisker=whisker)
