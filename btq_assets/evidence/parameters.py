"""How many numbers were fitted for a strategy, and on how many observations.

Belongs here: reading the registry of models. Does not belong here: what is too many (`diagnosis`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from btq_assets.contracts.portfolio import models_behind


@dataclass(frozen=True)
class FittedNumbers:
    """The fit of a strategy with the fewest observations per parameter.

    Attributes
    ----------
    n_parameters
        Numbers fitted: effective degrees of freedom of ridge (hence not whole), leaves of trees,
        weights of networks.
    n_observations
        Rows of the training segment with a target.
    """

    n_parameters: float
    n_observations: int


def fitted_numbers(strategies: Iterable[str], registry: pl.DataFrame) -> dict[str, FittedNumbers]:
    """Fitted numbers of each strategy that stands on models, the worst of its newest fits.

    A walk-forward run has a fit for each fold and seed, and each decides its own test segment: so
    fits are judged one by one and not added up.

    Parameters
    ----------
    strategies
        Names of runs.
    registry
        Ledger ``models.registry``. Fits recorded before the numbers were kept are passed over.

    Returns
    -------
    dict
        By strategy; one without models, or without numbers, is absent.
    """
    newest = registry.sort("registered_at").unique(
        ["model", "variant", "fold", "seed"], keep="last", maintain_order=True
    )
    fits: dict[tuple[str, str], list[FittedNumbers]] = {}
    for model, variant, text in newest.select("model", "variant", "metrics_json").iter_rows():
        told = json.loads(text)
        if told.get("n_parameters") and told.get("n_observations"):
            one = FittedNumbers(float(told["n_parameters"]), int(told["n_observations"]))
            fits.setdefault((model, variant), []).append(one)
    models = set(newest["model"])
    found = {}
    for strategy in strategies:
        own = [fit for key in models_behind(strategy, models) for fit in fits.get(key, [])]
        if own:
            found[strategy] = min(own, key=lambda fit: fit.n_observations / fit.n_parameters)
    return found
