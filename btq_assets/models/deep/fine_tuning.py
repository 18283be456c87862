"""A fitted network trained further: on another universe, or for one regime of the market.

Belongs here: a copy of a fit and what it learns besides. Does not belong here: learning from windows
without labels (`pretrained`), the loop (`training`), which regime rules (`regimes`). torch is imported
inside functions.
"""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl

from btq_assets.models import design, scores
from btq_assets.models.arrays import PanelArrays
from btq_assets.models.deep.windowed import WindowedForecaster
from btq_assets.models.ensembles.rules import RegimeGated
from btq_assets.models.folds import TrainingSet
from btq_assets.models.forecaster import ModelError, Progress, require_columns

if TYPE_CHECKING:
    from torch import Tensor, nn

Fitted = TypeVar("Fitted", bound=WindowedForecaster[Any])


def fine_tuned(
    fitted: Fitted,
    training_set: TrainingSet,
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    frozen: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """A copy of a fitted network, trained further on other labels.

    It keeps features and scaler of the fit, which its weights are used to, and takes its unit from the
    new labels. Weights of the epoch with the smallest validation loss are kept, or those of the fit
    where no epoch is better. It is saved, loaded and combined as any other.

    Parameters
    ----------
    fitted
        A network that reads no documents; it stays as it is.
    training_set
        Of another universe, or of one regime (`of_regime`). What `fitted` has learnt from must be
        known by the first decision that is forecast, as what it learns here.
    epochs, learning_rate
        In place of those of the fit; all else of its recipe stays.
    frozen
        Whether the encoder stays as it is, and only what reads it learns.
    progress
        Called after each epoch.

    Returns
    -------
    WindowedForecaster
        Of the same family. Its scores have ``validation_loss_before``, and ``fine_tuned``: whether
        its weights differ from those of the fit.

    Raises
    ------
    ModelError
        The network is not fitted, reads documents, is one asset's, or has no encoder to freeze.
    MissingFeatureError
        A feature of the fit is missing.
    """
    from btq_assets.models.training.evaluation import evaluate
    from btq_assets.models.training.losses import loss_named
    from btq_assets.models.training.pretraining import encoder_names, fine_tune
    from btq_assets.models.training.reproducible import reproducible

    network, scaler = fitted._fitted()
    _require_possible(fitted, network, frozen=frozen)
    require_columns(training_set.panel, fitted._features, f"fine-tuning {fitted.family}")
    rows = training_set.train_rows(), training_set.validation_rows()
    found = copy.copy(fitted)
    given = {"epochs": epochs, "learning_rate": learning_rate}
    changes = {name: value for name, value in given.items() if value is not None}
    found.spec = replace(fitted.spec, **changes)
    found._unit = design.dispersion(rows[0])
    found._network = copy.deepcopy(network)
    arrays = PanelArrays.from_panel(training_set.panel, found._features)
    notes: list[str] = []
    with reproducible(found.spec.seed), ExitStack() as stack:
        source = stack.enter_context(found._training_source(arrays, scaler))
        training, validation = (found._samples(arrays, part) for part in rows)
        loss_of = loss_named(found.spec.loss)
        before = evaluate(found._network, source, validation, loss_of, relative=True)
        weights: dict[str, Tensor] = found._network.state_dict()
        names = encoder_names(found._network, source.n_features) if frozen else tuple(weights)
        curves = fine_tune(
            found._network,
            {name: weights[name] for name in names},
            source,
            training,
            validation,
            found.spec.recipe(found.device),
            frozen=frozen,
            progress=progress,
            log=notes.append,
        )
    better = min(curves["validation_loss"]) < round(before, 6)
    if not better:
        found._network.load_state_dict(network.state_dict())
    last = pl.col("is_decision") & pl.col("ts").is_between(*training_set.validation)
    panel = training_set.panel.with_columns(is_decision=last)
    found.scores = {
        "validation_rank_ic": scores.mean_rank_ic(found.predict(panel), rows[1]),
        "n_train": rows[0].height,
        "n_validation": rows[1].height,
        "n_columns": len(found._features),
        "n_observations": int(np.isfinite(design.relative_target(rows[0])).sum()),
        **curves,
        "validation_loss_before": before,
        "fine_tuned": better,
        **({"notes": notes} if notes else {}),
    }
    return found


def of_regime(training_set: TrainingSet, regimes: pl.DataFrame, regime: str) -> TrainingSet:
    """The same panel, of whose decisions only those count that were made in a regime.

    Parameters
    ----------
    training_set
        All regimes.
    regimes
        ``known_at``, ``regime`` and, where several are possible at once, ``probability``, as
        `ensembles.rules.RegimeGated` takes them. A decision is of the regime likeliest by what was
        known at it.
    regime
        Its name.

    Raises
    ------
    ModelError
        No decision was made in it.
    """
    panel = training_set.panel
    at = RegimeGated({}, regimes).shares_at(panel["ts"], 1)
    inside = at.filter(pl.col("regime") == regime)["ts"]
    decides = pl.col("is_decision") & pl.col("ts").is_in(inside.implode())
    chosen = panel.with_columns(is_decision=decides)
    if not chosen["is_decision"].any():
        known = sorted(at["regime"].drop_nulls().unique())
        raise ModelError(f"no decision was made in the regime {regime!r}; there are {known}")
    return replace(training_set, panel=chosen)


def _require_possible(fitted: WindowedForecaster[Any], network: nn.Module, *, frozen: bool) -> None:
    if fitted.reads_documents:
        raise ModelError(
            f"{fitted.family} reads documents, and its encoder belongs to the fit; fit it again, or "
            "leave 'text' out of its modalities"
        )
    if not fitted.spec.relative:
        raise ModelError(f"{fitted.family} was fitted on a single asset; fit it again instead")
    if frozen and not hasattr(network, "encode"):
        raise ModelError(
            f"{fitted.family} has no encoder of single sessions that could stay as it is; leave "
            "frozen out"
        )
