"""Explanations as tables: of the last decisions of the newest fits, and over many decisions.

Belongs here: which fits, decisions and dates are explained, and rows of ``models.explanations`` and
``models.importance``. Does not belong here: the methods (`why`, `permutation`), reading weights, Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from btq_assets.contracts import models as tables
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckOutcome
from btq_assets.models.explanation import why
from btq_assets.models.explanation.permutation import permutation_importance
from btq_assets.models.explanation.trees import BASELINE
from btq_assets.models.forecaster import Forecaster, ModelError

#: Largest gap between contributions and forecast, as a share of the largest ``|forecast - baseline|`` of
#: a date: rounding where contributions are exact, twice the tolerance of the integral for networks.
EXACT, INTEGRATED = 1e-6, 2e-2

_KEY = ("model", "variant", "seed", "fold", "model_id")
_ROW = ("universe", "symbol", "ts")


@dataclass(frozen=True)
class NewestFit:
    """A fit of the last fold, and what it forecast.

    Parameters
    ----------
    model, variant, seed, fold, model_id
        Which fit.
    forecaster
        As read back from its artefact.
    forecasts
        Its rows of ``models.forecasts_<model>``.
    """

    model: str
    variant: str
    seed: int
    fold: int
    model_id: str
    forecaster: Forecaster
    forecasts: pl.DataFrame

    @property
    def label(self) -> str:
        """How a person calls it."""
        return f"{self.model} {self.variant}, seed {self.seed}"


def newest_fits(
    forecasts: Mapping[str, pl.DataFrame], load: Callable[[str], Forecaster]
) -> list[NewestFit]:
    """Every variant and seed of the last fold of every model.

    Parameters
    ----------
    forecasts
        Model → rows of its table.
    load
        Reads a model back by its id.
    """
    found = []
    for model, frame in forecasts.items():
        last = frame.filter(pl.col("fold") == pl.col("fold").max())
        keys = last.select("variant", "seed", "fold", "model_id").unique()
        for row in keys.sort("variant", "seed").iter_rows(named=True):
            own = last.filter(pl.col("model_id") == row["model_id"])
            found.append(
                NewestFit(model=model, forecaster=load(row["model_id"]), forecasts=own, **row)
            )
    return found


def decisions_of(
    training_set: pl.DataFrame, fit: NewestFit, n_decisions: int, *, labelled: bool = False
) -> pl.DataFrame:
    """The panel of the last decisions a fit forecast: they alone decide, with the history they need.

    Parameters
    ----------
    training_set
        ``models.training_set``.
    fit
        Whose decisions.
    n_decisions
        How many.
    labelled
        Whether only decisions count whose labels are filled.
    """
    own = training_set.filter(
        pl.col("universe").is_in(fit.forecasts["universe"].unique().to_list())
    )
    stamps = fit.forecasts["ts"].unique()
    if labelled:
        stamps = own.filter(pl.col("ts").is_in(stamps) & pl.col("label").is_not_null())[
            "ts"
        ].unique()
    stamps = stamps.sort().tail(n_decisions)
    if stamps.is_empty():
        raise ModelError(f"{fit.label} has no decision with labels to be judged on")
    sessions = own["ts"].unique().sort()
    first = max(int(sessions.search_sorted(stamps[0])) - fit.forecaster.history_sessions, 0)
    return own.filter(pl.col("ts").is_between(sessions[first], stamps[-1])).with_columns(
        is_decision=pl.col("is_decision") & pl.col("ts").is_in(stamps.implode())
    )


def explanation_rows(training_set: pl.DataFrame, fit: NewestFit, n_decisions: int) -> pl.DataFrame:
    """Rows of ``models.explanations``: why a fit forecast what it did at its last decisions.

    Raises
    ------
    NotExplainedError
        The model cannot be explained by names (`why.explain_each`).
    """
    panel = decisions_of(training_set, fit, n_decisions)
    parts = []
    for found in why.explain_each(fit.forecaster, panel):
        stamps = found.contributions["ts"].unique()
        stored = fit.forecasts.filter(pl.col("ts").is_in(stamps.implode()))
        base = pl.col("feature") == BASELINE
        parts += [
            _part("total", stored.with_columns(name=pl.lit("forecast")), "forecast"),
            _part("total", found.contributions.filter(base).rename({"feature": "name"})),
            _part("feature", found.contributions.filter(~base).rename({"feature": "name"})),
        ]
        if found.sources is not None:
            back = pl.col("sessions_back").cast(pl.String)
            by_source = found.sources.group_by(*_ROW, name="source", maintain_order=True).agg(
                pl.col("contribution").sum()
            )
            by_session = found.sources.group_by(*_ROW, name=back, maintain_order=True).agg(
                pl.col("contribution").sum()
            )
            parts += [_part("source", by_source), _part("session", by_session)]
        if found.edges is not None:
            # Several relations may say the same edge: what they are worth together.
            edges = found.edges.group_by(*_ROW, name="source", maintain_order=True).agg(
                pl.col("change").sum()
            )
            parts.append(_part("edge", edges, "change"))
        if found.attention is not None:
            back = pl.col("sessions_back").cast(pl.String)
            parts.append(_part("attention", found.attention.with_columns(name=back), "share"))
    return _named(pl.concat(parts), fit, tables.EXPLANATIONS)


def importance_rows(
    training_set: pl.DataFrame,
    fit: NewestFit,
    families: Mapping[str, Sequence[str]],
    *,
    n_decisions: int,
    n_gradient_decisions: int,
    repeats: int,
    seed: int,
) -> pl.DataFrame:
    """Rows of ``models.importance``: what a fit leans on over its last decisions with labels.

    Parameters
    ----------
    training_set, fit
        Whose decisions.
    families
        Family → columns, for the permutation.
    n_decisions
        Decisions of the permutation, and of the contributions of models that are no networks.
    n_gradient_decisions
        Decisions whose forecasts of a network are explained.
    repeats, seed
        Of the permutation.
    """
    deep = is_network(fit.forecaster)
    panel = decisions_of(
        training_set, fit, n_gradient_decisions if deep else n_decisions, labelled=True
    )
    rows = contribution_rows(why.explain_each(fit.forecaster, panel))
    judged = decisions_of(training_set, fit, n_decisions, labelled=True)
    lost = permutation_importance(fit.forecaster, judged, families, repeats=repeats, seed=seed)
    n_judged = judged.filter("is_decision")["ts"].n_unique()
    rows += [
        {
            "subject": "family",
            "name": row["family"],
            "beside": "",
            "value": row["importance"],
            "standard_error": row["standard_error"],
            "n_decisions": n_judged,
        }
        for row in lost.iter_rows(named=True)
    ]
    universe = str(fit.forecasts["universe"][0])
    frame = pl.DataFrame(rows, schema=_IMPORTANCE_SCHEMA).with_columns(universe=pl.lit(universe))
    return _named(frame, fit, tables.IMPORTANCE)


_IMPORTANCE_SCHEMA = {
    name: tables.IMPORTANCE.schema[name]
    for name in ("subject", "name", "beside", "value", "standard_error", "n_decisions")
}


def contribution_rows(explained: Iterator[why.Explanation]) -> list[dict[str, Any]]:
    """Mean absolute contributions by feature, session and both, and mean absolute worth of edges."""
    found: dict[tuple[str, str, str], list[float]] = {}
    n_rows, n_dates = 0, 0
    for one in explained:
        n_dates += one.contributions["ts"].n_unique()
        n_rows += one.contributions.select(_ROW).n_unique()
        features = one.contributions.filter(pl.col("feature") != BASELINE)
        _add(found, features, "feature", "feature", None, "contribution")
        if one.cells is not None:
            session = one.cells.group_by(*_ROW, "sessions_back", maintain_order=True).agg(
                pl.col("contribution").sum()
            )
            _add(found, session, "session", "sessions_back", None, "contribution")
            _add(found, one.cells, "feature by session", "feature", "sessions_back", "contribution")
        if one.edges is not None:
            _add(found, one.edges, "edge", "source", "symbol", "change")
    # Means are over forecasts; an edge leads to one of them only and is absent on some dates.
    return [
        {
            "subject": subject,
            "name": name,
            "beside": beside,
            "value": float(np.sum(sizes)) / (n_dates if subject == "edge" else n_rows),
            "standard_error": None,
            "n_decisions": n_dates,
        }
        for (subject, name, beside), sizes in sorted(found.items())
    ]


def _add(
    found: dict[tuple[str, str, str], list[float]],
    frame: pl.DataFrame,
    subject: str,
    name: str,
    beside: str | None,
    value: str,
) -> None:
    sums = frame.group_by(
        _name=pl.col(name).cast(pl.String),
        _beside=pl.lit("") if beside is None else pl.col(beside).cast(pl.String),
        # Sums of floats depend on the order they are taken in.
        maintain_order=True,
    ).agg(pl.col(value).abs().sum())
    for one, other, size in sums.iter_rows():
        found.setdefault((subject, one, other), []).append(float(size))


def is_network(forecaster: Forecaster) -> bool:
    """Whether contributions are integrals rather than exact."""
    from btq_assets.models.deep.windowed import WindowedForecaster

    return isinstance(forecaster, WindowedForecaster)


def sums_outcome(explanations: pl.DataFrame, networks: Sequence[str]) -> CheckOutcome:
    """Answer whether contributions and baseline sum to the stored forecast, each way they are cut.

    Parameters
    ----------
    explanations
        Rows of ``models.explanations``.
    networks
        Models whose contributions are integrals.
    """
    name = "sums_to_forecast"
    if explanations.is_empty():
        return CheckOutcome(name, False, "no forecast is explained")
    key = ["model", "variant", "seed", *_ROW]
    totals = explanations.filter(pl.col("part") == "total").pivot(
        on="name", index=key, values="value"
    )
    missing = [column for column in ("forecast", BASELINE) if column not in totals.columns]
    if missing:
        return CheckOutcome(name, False, f"no row of part total is called {missing}")
    explained = totals.with_columns(explained=pl.col("forecast") - pl.col(BASELINE))
    date = ["model", "variant", "seed", "universe", "ts"]
    allowed = pl.when(pl.col("model").is_in(list(networks))).then(INTEGRATED).otherwise(EXACT)
    summed = (
        explanations.filter(pl.col("part").is_in(["feature", "source", "session"]))
        .group_by(*key, "part")
        .agg(pl.col("value").sum())
    )
    # The stored forecast may have been computed in another batch: 1e-9 of a return is rounding.
    gaps = (
        explained.join(summed, on=key, how="left")
        .with_columns(
            gap=(pl.col("value") - pl.col("explained")).abs(),
            allowed=allowed * pl.col("explained").abs().max().over(date) + 1e-9,
        )
        .with_columns(share=pl.col("gap") / pl.col("allowed"))
        .sort("share", descending=True, nulls_last=False)
    )
    worst = gaps.row(0, named=True)
    where = f"{worst['model']} {worst['variant']} seed {worst['seed']}, {worst['symbol']} at {worst['ts']}"
    if worst["gap"] is None or not worst["gap"] <= worst["allowed"]:
        said = "nothing" if worst["gap"] is None else f"{worst['gap']:.3g} away from it"
        bound = "nan" if worst["allowed"] is None else f"{worst['allowed']:.3g}"
        return CheckOutcome(
            name,
            False,
            f"by {worst['part'] or 'no part'} the contributions to {where} sum to {said}, {bound} is "
            "allowed; the weights are not those that made the forecast, or the table was altered",
        )
    return CheckOutcome(
        name,
        True,
        f"{explained.height} forecasts, largest gap {worst['share']:.1%} of what is allowed",
        {"n_forecasts": explained.height, "largest_gap": float(worst["gap"])},
    )


def _part(part: str, frame: pl.DataFrame, value: str = "contribution") -> pl.DataFrame:
    return frame.select(*_ROW, pl.lit(part).alias("part"), "name", pl.col(value).alias("value"))


def _named(frame: pl.DataFrame, fit: NewestFit, contract: TableContract) -> pl.DataFrame:
    keyed = frame.with_columns(**{name: pl.lit(getattr(fit, name)) for name in _KEY})
    return keyed.select(contract.column_names).cast(dict(contract.schema))  # type: ignore[arg-type]
