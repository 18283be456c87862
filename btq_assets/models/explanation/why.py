"""Why this forecast: frames with names for one date of any network or of LightGBM, and over many.

Belongs here: putting names to what the methods give. Does not belong here: the methods. torch is
imported inside functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from btq_assets.models.deep.windowed import WindowedForecaster
from btq_assets.models.explanation.trees import BASELINE, tree_contributions
from btq_assets.models.forecaster import Forecaster, ModelError
from btq_assets.models.gradient_boosting import LightGBMForecaster


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
    """

    contributions: pl.DataFrame
    sources: pl.DataFrame | None = None
    edges: pl.DataFrame | None = None
    attention: pl.DataFrame | None = None


def explain(forecaster: Forecaster, panel: pl.DataFrame) -> Explanation:
    """Explain the forecasts of the last decision of `panel`.

    Parameters
    ----------
    forecaster
        A network or LightGBM, fitted, on the CPU.
    panel
        As for `Forecaster.predict`.

    Raises
    ------
    ModelError
        Another kind of model, no decision, or a network that also reads something that is no window
        of features, which this frame has no names for.
    """
    if isinstance(forecaster, LightGBMForecaster):
        decisions = panel.filter(pl.col("is_decision")) if "is_decision" in panel.columns else panel
        if decisions.is_empty():
            raise ModelError("the panel has no decision to explain")
        last = decisions["ts"].max()
        return Explanation(tree_contributions(forecaster, panel.filter(pl.col("ts") == last)))
    if isinstance(forecaster, WindowedForecaster):
        return _network(forecaster, panel)
    raise ModelError(
        f"{forecaster.provenance.model} is explained by importances(); networks and lightgbm here"
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


def _network(forecaster: WindowedForecaster[Any], panel: pl.DataFrame) -> Explanation:
    from btq_assets.models.explanation.edges import edge_importance
    from btq_assets.models.explanation.integrated_gradients import integrated_gradients
    from btq_assets.models.explanation.rollout import attention_rollout
    from btq_assets.models.networks.attention import CausalSelfAttention
    from btq_assets.models.serving.export import fields_read
    from btq_assets.models.training.reproducible import reproducible

    network, _ = forecaster._fitted()
    names, unit = forecaster.provenance.feature_names, forecaster._unit
    with reproducible(forecaster.spec.seed):
        arrays, source, samples = forecaster.dates_of(panel)
        if not samples:
            raise ModelError("the panel has no decision to explain")
        inputs = source.collate(samples[-1:]).inputs
        reads = fields_read(network, inputs)
        if "modalities" in reads or inputs.windows.shape[2] != len(names):
            raise ModelError(
                f"{forecaster.family} reads more than windows of its features; ask for "
                "integrated_gradients() of its network"
            )
        found = integrated_gradients(network, inputs)
        assets = [arrays.symbols[asset] for asset in samples[-1].assets]
        ts = arrays.ts[samples[-1].session]

        def frame(index: tuple[np.ndarray, ...], **columns: Any) -> pl.DataFrame:
            symbols = [assets[node] for node in index[0]]
            keys = {"universe": arrays.universe, "symbol": symbols}
            return pl.DataFrame({**keys, "ts": pl.Series([ts] * len(symbols)), **columns})

        by_feature = found.values.sum(axis=(1, 2)) * unit
        table = np.concatenate([by_feature, found.baseline[:, None] * unit], axis=1)
        index = _places(table)
        contributions = frame(
            index,
            feature=[(*names, BASELINE)[column] for column in index[1]],
            contribution=table[index],
        )
        by_session = found.values.sum(axis=3) * unit
        index = _places(by_session)
        length = by_session.shape[2]
        sources = frame(
            index,
            source=[assets[node] for node in index[1]],
            sessions_back=length - 1 - index[2],
            contribution=by_session[index],
        ).filter(pl.col("contribution") != 0)
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
    return Explanation(contributions, sources, edges, attention)


def _places(values: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(place.ravel() for place in np.indices(values.shape))
