"""From a frame to a search of the Transformer-GNN.

Belongs here: what a notebook's frame needs before `study.Search` can ask it. Does not belong here: the
public class (`btq_assets.api`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster
from btq_assets.models.folds import null_columns
from btq_assets.models.forecaster import ModelError, require_columns
from btq_assets.models.frames import require_numeric, tidy_panel
from btq_assets.models.plans import deep_spec
from btq_assets.models.search.candidates import Question
from btq_assets.models.search.nested import before_test, nested_folds
from btq_assets.models.trainer import labelled_panel


def question_of(
    config: TradingConfig,
    data: Any,
    feature_columns: Sequence[str],
    *,
    test_start: datetime | None = None,
    n_folds: int = 2,
    epochs: int | None = None,
    device: str = "cpu",
) -> Question:
    """What every trial of a search is asked.

    Parameters
    ----------
    config
        Gives what is not searched, horizon, seed and costs.
    data
        polars or pandas frame of several assets; labels as in `trainer.train_transformer_model`.
        Every session is a decision, unless the frame marks them (``is_decision``).
    feature_columns
        Features to read; those without a value in the first training segment are left out.
    test_start
        First time of the test segment, kept out with every label filled later.
    n_folds, epochs, device
        Nested folds, epochs at most, and where to train.

    Raises
    ------
    ModelError
        One asset only, missing or textual features, or too few sessions for the folds.
    """
    names = list(dict.fromkeys(feature_columns))
    panel = tidy_panel(data)
    require_columns(panel, names, "searching")
    require_numeric(panel, names)
    labelled = labelled_panel(panel, config.models.horizon_sessions, "the frame of a search")
    made = {
        "is_decision": pl.lit(True),
        "label_raw": pl.col("label"),
        "label_start_ts": pl.col("ts"),
    }
    rows = labelled.with_columns(
        value.alias(name) for name, value in made.items() if name not in labelled.columns
    )
    known = before_test(rows, None if test_start is None else _as_utc(test_start)).select(
        "universe", "symbol", "ts", "is_decision", "session_return", "label", "label_raw",
        "label_start_ts", "label_end_ts", *names,
    )  # fmt: skip
    if known["symbol"].n_unique() < 2:
        raise ModelError("a search ranks assets against each other: it needs at least two")
    folds = nested_folds(known, n_folds)
    first = known.filter(pl.col("ts").is_between(folds[0]["train_start"], folds[0]["train_end"]))
    empty = null_columns(first, names)
    if "text" in config.models.transformer.modalities:
        raise ModelError(
            "a search reads no documents; leave text out of models.transformer.modalities"
        )
    spec: Any = deep_spec("transformer_gnn", config, seed=config.models.seeds[0])
    return Question(
        known=known,
        folds=folds,
        feature_columns=tuple(name for name in names if name not in empty),
        spec=spec if epochs is None else replace(spec, epochs=epochs),
        forecaster=TransformerGNNForecaster,
        config=config,
        device=device,
    )


def _as_utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
