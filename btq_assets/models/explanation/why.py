"""Why this forecast: frames with names for one date of ridge, LightGBM or any network, and over many.

Belongs here: putting names to what the methods give. Does not belong here: the methods. torch is
imported inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.models.deep.windowed import WindowedForecaster
from btq_assets.models.explanation.linear import linear_contributions
from btq_assets.models.explanation.trees import BASELINE, tree_contributions
from btq_assets.models.forecaster import Forecaster, ModelError
from btq_assets.models.gradient_boosting import LightGBMForecaster
from btq_assets.models.ridge import RidgeForecaster

if TYPE_CHECKING:
    from btq_assets.models.arrays import PanelArrays
    from btq_assets.models.explanation.integrated_gradients import Attribution
    from btq_assets.models.windows.batches import WindowSource
    from btq_assets.models.windows.samples import DateSamples


class NotExplainedError(ModelError):
    """A model has no explanation in names of features, sources and sessions."""


@dataclass(frozen=True)
class Explanation:
    """Why the forecasts of one date are what they are; in label units.

    Parameters
    ----------
    contributions
        ``universe``, ``symbol``, ``ts``, ``feature`` (or ``baseline``), ``contribution``: with the
        baseline they sum to the forecast.
    sources
        ``universe``, ``symbol``, ``ts``, ``source``, ``sessions_back``, ``contribution``: the same
        total by whose window and which session of it; ``None`` for a model without windows.
    edges
        ``universe``, ``symbol``, ``ts``, ``source``, ``change``: the forecast less the forecast without
        the edge from `source`; ``None`` for a model that reads no graph.
    attention
        ``universe``, ``symbol``, ``ts``, ``sessions_back``, ``share``: attention roll-out; ``None`` for
        a model that attends to nothing over time.
    cells
        ``universe``, ``symbol``, ``ts``, ``feature``, ``sessions_back``, ``contribution``: the same total
        by feature and session; ``None`` for a model without windows.
    """

    contributions: pl.DataFrame
    sources: pl.DataFrame | None = None
    edges: pl.DataFrame | None = None
    attention: pl.DataFrame | None = None
    cells: pl.DataFrame | None = None


def explain(forecaster: Forecaster, panel: pl.DataFrame) -> Explanation:
    """Explain the forecasts of the last decision of `panel`.

    Parameters
    ----------
    forecaster
        Ridge, LightGBM or a network, fitted, on the CPU.
    panel
        As for `Forecaster.predict`.

    Raises
    ------
    ModelError
        No decision.
    NotExplainedError
        Another kind of model, or a network whose inputs are not the features it names.
    """
    decisions = panel.filter(pl.col("is_decision")) if "is_decision" in panel.columns else panel
    if decisions.is_empty():
        raise ModelError("the panel has no decision to explain")
    last = pl.col("ts") == decisions["ts"].max()
    if isinstance(forecaster, WindowedForecaster):
        marked = pl.col("is_decision") if "is_decision" in panel.columns else pl.lit(True)
        return next(explain_each(forecaster, panel.with_columns(is_decision=marked & last)))
    return next(explain_each(forecaster, panel.filter(last)))


def explain_each(forecaster: Forecaster, panel: pl.DataFrame) -> Iterator[Explanation]:
    """Explain the forecasts of every decision of `panel`: a network's date by date, others' at once.

    Parameters and errors are those of `explain`.
    """
    if isinstance(forecaster, RidgeForecaster):
        yield Explanation(linear_contributions(forecaster, panel))
    elif isinstance(forecaster, LightGBMForecaster):
        yield Explanation(tree_contributions(forecaster, panel))
    elif isinstance(forecaster, WindowedForecaster):
        if forecaster.reads_documents:
            raise NotExplainedError(
                f"{forecaster.family} also reads documents, and no feature is the name of a word"
            )
        from btq_assets.models.training.reproducible import reproducible

        with reproducible(forecaster.spec.seed):
            arrays, source, samples = forecaster.dates_of(panel)
            for sample in samples:
                yield _date_of_network(forecaster, arrays, source, sample)
    else:
        raise NotExplainedError(
            f"{forecaster.provenance.model} has no explanation here; ridge, lightgbm and networks do"
        )


def global_importance(contributions: pl.DataFrame) -> pl.DataFrame:
    """Mean absolute contribution of each feature over many forecasts, and its share of all.

    Parameters
    ----------
    contributions
        Rows of `Explanation.contributions` of any number of dates.

    Returns
    -------
    polars.DataFrame
        ``feature``, ``mean_absolute``, ``mean``, ``share``, largest first.
    """
    size = pl.col("contribution").abs().mean()
    found = (
        contributions.filter(pl.col("feature") != BASELINE)
        .group_by("feature")
        .agg(mean_absolute=size, mean=pl.col("contribution").mean())
    )
    total = pl.col("mean_absolute").sum()
    share = pl.when(total > 0).then(pl.col("mean_absolute") / total).otherwise(0.0)
    return found.with_columns(share=share).sort(
        "mean_absolute", "feature", descending=[True, False]
    )


def _date_of_network(
    forecaster: WindowedForecaster[Any],
    arrays: PanelArrays,
    source: WindowSource,
    sample: DateSamples,
) -> Explanation:
    from btq_assets.models.explanation.edges import edge_importance
    from btq_assets.models.explanation.integrated_gradients import integrated_gradients
    from btq_assets.models.explanation.rollout import attention_rollout
    from btq_assets.models.networks.attention import CausalSelfAttention
    from btq_assets.models.serving.export import fields_read

    network, _ = forecaster._fitted()
    read, unit = forecaster.provenance.feature_names, forecaster._unit
    inputs = source.collate([sample]).inputs
    reads = fields_read(network, inputs)
    fused = [place for places in forecaster._groups().values() for place in places]
    names = [*(name for place, name in enumerate(read) if place not in fused)]
    names += [read[place] for place in fused]
    if inputs.windows.shape[2] + inputs.modalities.shape[1] != len(names):
        raise NotExplainedError(
            f"{forecaster.family} reads {inputs.windows.shape[2]} columns of windows and "
            f"{inputs.modalities.shape[1]} besides, and names {len(names)} features"
        )
    attribution = integrated_gradients(network, inputs)
    values = _joined(attribution)
    assets = [arrays.symbols[asset] for asset in sample.assets]
    ts = arrays.ts[sample.session]

    def frame(index: tuple[np.ndarray, ...], **columns: Any) -> pl.DataFrame:
        symbols = [assets[node] for node in index[0]]
        keys = {"universe": arrays.universe, "symbol": symbols}
        return pl.DataFrame({**keys, "ts": pl.Series([ts] * len(symbols)), **columns})

    by_feature = values.sum(axis=(1, 2)) * unit
    table = np.concatenate([by_feature, attribution.baseline[:, None] * unit], axis=1)
    index = _places(table)
    contributions = frame(
        index,
        feature=[(*names, BASELINE)[column] for column in index[1]],
        contribution=table[index],
    )
    by_session = values.sum(axis=3) * unit
    index = _places(by_session)
    length = by_session.shape[2]
    sources = frame(
        index,
        source=[assets[node] for node in index[1]],
        sessions_back=length - 1 - index[2],
        contribution=by_session[index],
    ).filter(pl.col("contribution") != 0)
    by_cell = values.sum(axis=1) * unit
    index = _places(by_cell)
    cells = frame(
        index,
        feature=[names[column] for column in index[2]],
        sessions_back=length - 1 - index[1],
        contribution=by_cell[index],
    )
    edges = attention = None
    if "edges" in reads:
        change = edge_importance(network, inputs) * unit
        kept = np.flatnonzero(np.isfinite(change))
        origin, target = inputs.edges.numpy()[:, kept]
        edges = frame((target,), source=[assets[node] for node in origin], change=change[kept])
    if any(isinstance(part, CausalSelfAttention) for part in network.modules()):
        share = attention_rollout(network, inputs)
        index = _places(share)
        attention = frame(index, sessions_back=length - 1 - index[1], share=share[index])
    return Explanation(contributions, sources, edges, attention, cells)


def _joined(attribution: Attribution) -> np.ndarray:
    """Shares of window features, then of what is fused: that is read at the last session alone."""
    explained, nodes, length, _ = attribution.values.shape
    fused = np.zeros((explained, nodes, length, attribution.modalities.shape[2]))
    fused[:, :, -1] = attribution.modalities
    return np.concatenate([attribution.values, fused], axis=3)


def _places(values: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(place.ravel() for place in np.indices(values.shape))
