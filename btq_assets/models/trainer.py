"""Training the Transformer-GNN from plain frames, as a notebook does it.

Belongs here: from train and validation frames to a fitted forecaster. Does not belong here: the
public class of that name (`btq_assets.api`), walk-forward folds, Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster, TransformerGNNSpec
from btq_assets.models.folds import TrainingSet, null_columns
from btq_assets.models.forecaster import ModelError, Progress, require_columns
from btq_assets.models.frames import price_column, require_numeric, tidy_panel
from btq_assets.models.plans import deep_spec
from btq_assets.models.text.documents import COLUMN
from btq_assets.timeline import forward_returns

_KEY = ["universe", "symbol", "ts"]


def train_transformer_model(
    config: TradingConfig,
    train_data: Any,
    val_data: Any,
    feature_columns: Sequence[str],
    epochs: int | None = None,
    *,
    device: str = "cpu",
    seed: int | None = None,
    progress: Progress | None = None,
) -> TransformerGNNForecaster:
    """Fit the Transformer-GNN on one frame, stopped early on a later one.

    Every session is a sample. Labels are the column ``label`` where there is one, else
    fill-to-fill returns over ``config.models.horizon_sessions`` computed from ``adj_close`` or
    ``close`` within each frame: a training label never reads a validation price, and the last
    ``1 + horizon`` sessions of each frame stay unlabelled. A label of your own comes with
    ``label_end_ts``, or must be filled within its own session. With several assets the model learns
    who does better than whom; with one asset, its return, without a graph.

    Parameters
    ----------
    config
        Gives ``models.transformer``, the horizon and the seed (the first of ``models.seeds``).
    train_data, val_data
        polars or pandas frames with ``symbol``, a time, the features and a close or a label; see
        `frames.tidy_panel`. With the modality ``text`` polars frames with the column ``documents`` of
        `text.documents.attach`. All times of `val_data` are later than those of `train_data`.
    feature_columns
        Features to read. Those without a value in `train_data` are left out.
    epochs
        Overrides ``config.models.transformer.epochs``.
    device
        ``cpu``, ``cuda`` or ``mps``.
    seed
        Overrides the configured seed.
    progress
        Called after each epoch.

    Returns
    -------
    TransformerGNNForecaster
        Fitted; `predict` takes a panel of the same features.

    Raises
    ------
    ModelError
        Frames overlap in time, a feature is missing or not numeric, or there is nothing to learn
        labels from.
    """
    names = list(feature_columns)
    if len(set(names)) != len(names):
        raise ModelError(
            f"feature_columns repeats {sorted({n for n in names if names.count(n) > 1})}"
        )
    parts = {}
    for which, data in (("train_data", train_data), ("val_data", val_data)):
        panel = tidy_panel(data)
        if panel.is_empty():
            raise ModelError(f"{which} has no row")
        require_columns(panel, names, which)
        require_numeric(panel, names)
        texts = [COLUMN] if COLUMN in panel.columns else []
        parts[which] = labelled_panel(panel, config.models.horizon_sessions, which).select(
            *_KEY, "session_return", "label", "label_end_ts", *names, *texts
        )
    train, validation = parts["train_data"], parts["val_data"]
    train_end, validation_start = train["ts"].max(), validation["ts"].min()
    if train_end >= validation_start:  # type: ignore[operator]
        raise ModelError(
            f"train_data ends {train_end!s}, val_data starts {validation_start!s}: the validation "
            "frame must be later, or early stopping sees what was learnt"
        )
    nulls = null_columns(train, names)
    panel = pl.concat([train, validation], how="vertical_relaxed").with_columns(
        is_decision=pl.lit(True)
    )
    relative = panel["symbol"].n_unique() > 1
    chosen = config.models.seeds[0] if seed is None else seed
    spec = deep_spec("transformer_gnn", config, seed=chosen, relative=relative, documents=True)
    assert isinstance(spec, TransformerGNNSpec)
    spec = replace(
        spec,
        use_graph=spec.use_graph and relative,
        epochs=spec.epochs if epochs is None else epochs,
    )
    data = TrainingSet(
        panel=panel,
        asset_features=tuple(name for name in names if name not in nulls),
        market_features=(),
        train=(train["ts"].min(), train_end),  # type: ignore[arg-type]
        validation=(validation_start, validation["ts"].max()),  # type: ignore[arg-type]
        cutoff=validation["label_end_ts"].max(),  # type: ignore[arg-type]
    )
    return TransformerGNNForecaster(spec, device=device).fit(data, progress)


def labelled_panel(panel: pl.DataFrame, horizon_sessions: int, which: str) -> pl.DataFrame:
    """`panel` with ``label`` and ``label_end_ts``; see `train_transformer_model` for whence.

    Raises
    ------
    ModelError
        Neither a label nor a close, or too few sessions for one label; names the frame as `which`.
    """
    price = price_column(panel)
    if "label" in panel.columns:
        end = pl.col("label_end_ts") if "label_end_ts" in panel.columns else pl.col("ts")
        labelled = panel.with_columns(label_end_ts=end, label=pl.col("label").cast(pl.Float64))
    elif price is not None:
        returns = forward_returns(panel, horizon_sessions, price=price)
        labelled = panel.join(returns, on=_KEY, how="left")
    else:
        raise ModelError(f"{which} needs a column label, or adj_close or close to compute it from")
    if labelled["label"].count() == 0:
        raise ModelError(
            f"{which} has {panel['ts'].n_unique()} sessions, too few for labels over "
            f"{horizon_sessions} sessions"
        )
    return labelled
