"""Fitting a registered model again, and saying whether it came out the same.

Belongs here: from a row of ``models.registry`` to a fit, and the verdict over it. Does not belong
here: reading tables and artefacts, writing the ledger, Dagster (`automation.reproduction`).
"""

from __future__ import annotations

import difflib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import models as tables
from btq_assets.models.catalogue import FAMILIES
from btq_assets.models.forecaster import (
    Forecaster,
    ModelError,
    library_versions,
    model_id,
    spec_from,
)
from btq_assets.models.plans import plan_of
from btq_assets.models.walk_forward import FURTHER_HORIZON, Fit, fit_fold

#: Verdicts that let a run pass.
PASSED = ("identical", "within tolerance")


class UnknownModelError(ModelError):
    """No registered forecaster has that id."""


@dataclass(frozen=True)
class Reproduction:
    """What came of fitting a model again; see ``models.reproductions`` for the fields."""

    verdict: str
    same_versions: bool
    reason: str
    identical_bytes: bool | None = None
    largest_forecast_difference: float | None = None
    rank_ic_difference: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the model was reproduced."""
        return self.verdict in PASSED

    def row(self, registered: Mapping[str, Any], *, run_id: str, at: datetime) -> pl.DataFrame:
        """Its row of ``models.reproductions``."""
        content = {**vars(self), "model_id": registered["model_id"], "run_id": run_id, "at": at}
        return pl.DataFrame([content], schema=tables.REPRODUCTIONS.schema)


def registered(registry: pl.DataFrame, wanted: str) -> dict[str, Any]:
    """The row of a model.

    Raises
    ------
    UnknownModelError
        There is none of that id, with the nearest ids there are; or it is no forecaster.
    """
    found = registry.filter(pl.col("model_id") == wanted)
    if found.is_empty():
        known = registry["model_id"].unique().sort().to_list()
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.3)
        named = registry.filter(pl.col("model_id").is_in(near)).sort("model_id")
        shown = [
            f"{row['model_id']} ({row['model']} {row['variant']}, fold {row['fold']}, seed {row['seed']})"
            for row in named.iter_rows(named=True)
        ]
        raise UnknownModelError(
            f"models.registry has no model {wanted!r}; "
            + (f"nearest are {', '.join(shown)}" if shown else f"it holds {len(known)} models")
        )
    row = found.row(0, named=True)
    if row["model"] not in FAMILIES:
        raise UnknownModelError(
            f"{wanted} is of {row['model']!r}; forecasters are fitted again here: {', '.join(FAMILIES)}"
        )
    return row


def why_not(
    row: Mapping[str, Any],
    folds: pl.DataFrame,
    *,
    data_hash: str,
    code_version: str,
    fitted_on: str | None = None,
) -> Reproduction | None:
    """Why a model cannot be fitted again as it was; ``None`` where it can.

    The id of a model is a hash of everything it was fitted on, so that today's data can be told from
    the data of then without keeping either.

    Parameters
    ----------
    row
        Of ``models.registry``.
    folds
        ``models.splits``.
    data_hash
        Version of ``models.training_set`` as it is stored.
    code_version
        Of the code that would fit.
    fitted_on
        Version of the training set that the books give for the model's forecasts, where they do.
    """
    same_versions = current_versions(row) == json.loads(row["versions_json"])
    if row["code_version"] != code_version:
        return Reproduction(
            "code changed",
            same_versions,
            f"fitted by code {row['code_version']}, the code of {row['model']} is {code_version} now; "
            "check out the code of then, or fit the model again",
        )
    if "text" in json.loads(row["config_json"]).get("modalities", ()):
        return Reproduction(
            "data changed",
            same_versions,
            "it also read documents, which are not fitted on again here; materialize its forecasts, whose "
            "models have the same ids where nothing changed",
        )
    if _id_of(row, data_hash) != row["model_id"]:
        # The books may be newer than the model: they are believed where the id bears them out.
        known = fitted_on if fitted_on and _id_of(row, fitted_on) == row["model_id"] else None
        return Reproduction(
            "data changed",
            same_versions,
            f"models.training_set is {data_hash} now, the model was fitted on "
            f"{known or 'another version'}; put the data of then back, or fit the model again",
        )
    fold = folds.filter(pl.col("fold") == row["fold"])
    if fold.is_empty() or fold["train_start"][0] != row["fitted_from"]:
        is_now = "does not exist" if fold.is_empty() else f"starts {fold['train_start'][0]}"
        return Reproduction(
            "data changed",
            same_versions,
            f"fold {row['fold']} of models.splits {is_now}, the model was fitted from "
            f"{row['fitted_from']}; put models.walk_forward back to what it was",
        )
    return None


def fit_again(
    row: Mapping[str, Any],
    training_set: pl.DataFrame,
    folds: pl.DataFrame,
    config: TradingConfig,
    *,
    data_hash: str,
    device: str = "cpu",
) -> Fit:
    """Fit a registered model again: its own specification, fold, variant and seed.

    Parameters
    ----------
    row
        Of ``models.registry``, for which `why_not` has no objection.
    training_set, folds
        ``models.training_set`` and ``models.splits``.
    config
        Says which feature columns are on offer.
    data_hash
        Version of the training set.
    device
        For a network.
    """
    family = FAMILIES[row["model"]]
    forecaster = family.load()
    content = json.loads(row["config_json"])
    horizon = content.pop(FURTHER_HORIZON, None)
    spec = spec_from(forecaster.spec_type, content)
    options = {"device": device} if family.is_deep else {}

    def make(variant: str, seed: int) -> Forecaster:
        made: Forecaster = forecaster(spec, code_version=row["code_version"], **options)
        return made

    # What a network reads follows from its settings: those of then, not those of now.
    settings = getattr(config.models, family.section)
    then = {
        name: getattr(spec, name) for name in type(settings).model_fields if hasattr(spec, name)
    }
    models = config.models.model_copy(update={family.section: settings.model_copy(update=then)})
    plan = plan_of(
        row["model"],
        config.model_copy(update={"models": models}),
        code_version=row["code_version"],
        device=device,
    )
    fold = folds.filter(pl.col("fold") == row["fold"]).row(0, named=True)
    return fit_fold(
        training_set,
        fold,
        replace(plan, make=make),
        row["variant"],
        row["seed"],
        data_hash=data_hash,
        horizon=horizon,
    )


def judge(
    row: Mapping[str, Any],
    fit: Fit,
    stored_forecasts: pl.DataFrame,
    config: TradingConfig,
    *,
    hash_of_folder: Callable[[Path], str],
    objection: str = "",
) -> Reproduction:
    """Compare a fit with the one that is registered.

    Parameters
    ----------
    row
        Of ``models.registry``.
    fit
        Of `fit_again`.
    stored_forecasts
        Rows of ``models.forecasts_<model>`` with the model's id; empty where there are none.
    config
        ``models.reproduction`` has the tolerances.
    hash_of_folder
        Hashes a saved model the way the artefact store does.
    objection
        What is wrong with the stored artefact, in words; empty where it is what is registered.
    """
    with tempfile.TemporaryDirectory() as folder:
        fit.forecaster.save(Path(folder))
        identical = hash_of_folder(Path(folder)) == row["artifact_hash"]
    stored, now = json.loads(row["versions_json"]), dict(fit.forecaster.provenance.versions)
    difference = _forecast_difference(fit.forecasts, stored_forecasts)
    registered_ic = json.loads(row["metrics_json"]).get("test_rank_ic")
    change = None
    if registered_ic is not None and np.isfinite(fit.test_rank_ic):
        change = fit.test_rank_ic - registered_ic
    found = Reproduction(
        "differs",
        stored == now,
        "",
        identical_bytes=identical,
        largest_forecast_difference=difference,
        rank_ic_difference=change,
    )
    said = _figures(difference, change)
    if identical:
        if objection:
            return replace(
                found,
                verdict="altered",
                reason=f"fitted again it is the registered model, but the stored one is not: {objection}",
            )
        return replace(found, verdict="identical", reason=f"sha256 {row['artifact_hash']}")
    beside = f"; besides, {objection}" if objection else ""
    if found.same_versions:
        return replace(
            found,
            reason="other bytes with the same libraries, device, data, code and seed: the fit is not "
            f"deterministic, or the registry was altered ({said}){beside}",
        )
    limits = config.models.reproduction
    other = ", ".join(
        f"{name} {stored.get(name, 'unknown')} then, {now.get(name, 'unknown')} now"
        for name in sorted({*stored, *now})
        if stored.get(name) != now.get(name)
    )
    close = (difference is not None or change is not None) and (
        (difference is None or difference <= limits.forecast_tolerance)
        and (change is None or abs(change) <= limits.rank_ic_tolerance)
    )
    bounds = f"{limits.forecast_tolerance:g} and {limits.rank_ic_tolerance:g} are allowed"
    return replace(
        found,
        verdict="within tolerance" if close else "differs",
        reason=f"{other}: {said}; {bounds}{beside}",
    )


def current_versions(row: Mapping[str, Any]) -> dict[str, str]:
    """Versions now of what a registered model was fitted with; what cannot be asked is as it was."""
    stored = json.loads(row["versions_json"])
    named = [name for name in stored if name != "device"]
    return {**stored, **library_versions(*named)}


def _id_of(row: Mapping[str, Any], data_hash: str) -> str:
    return model_id(
        model=row["model"],
        variant=row["variant"],
        config=json.loads(row["config_json"]),
        data_hash=data_hash,
        seed=row["seed"],
        fold=row["fold"],
        code_version=row["code_version"],
    )


def _forecast_difference(now: pl.DataFrame, stored: pl.DataFrame) -> float | None:
    """Largest difference, as a share of the stored ones' standard deviation."""
    if stored.is_empty():
        return None
    key = ["universe", "symbol", "ts"]
    both = now.join(stored.select(*key, stored="forecast"), on=key, how="full", coalesce=True)
    gaps = (both["forecast"] - both["stored"]).abs()
    if gaps.null_count():
        return None
    spread = float(stored["forecast"].std() or 0.0)  # type: ignore[arg-type]
    largest = float(gaps.max() or 0.0)  # type: ignore[arg-type]
    return largest / spread if spread > 0 else largest


def _figures(difference: float | None, change: float | None) -> str:
    forecasts = (
        "no forecasts of it are stored to compare with"
        if difference is None
        else f"forecasts differ by up to {difference:.3g} of their standard deviation"
    )
    ranks = "no rank IC" if change is None else f"rank IC by {change:+.3g}"
    return f"{forecasts}, {ranks}"
