"""What is kept of every trial of a search, and its rows for the evidence ledger.

Belongs here: the record. Does not belong here: making trials, and writing ledgers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import polars as pl

from btq_assets.contracts.search import SEARCH_TRIALS
from btq_assets.evidence.trials import trial_rows

Outcome = Literal["complete", "pruned", "failed"]

#: What strategies of trials are called before the name of their family.
PREFIX = "search_"


@dataclass(frozen=True)
class SearchTrial:
    """One set of parameters that was tried, however it ended.

    Parameters
    ----------
    number
        As in the study.
    parameters
        Names of the space and their values.
    outcome
        ``complete``, ``pruned`` (stopped early) or ``failed`` (diverged, or could not be fitted).
    rank_ic
        Mean rank IC over the nested folds; NaN unless complete.
    rank_ics
        Of each nested fold that was finished.
    returns
        ``ts`` and ``net_return`` of its paper portfolio; the same dates for every trial of a study,
        0 throughout where it failed.
    detail
        Why it failed, else empty.
    strategy, universe, config, data_hash, seed, code_version
        As in the ledger; `config` holds the parameters and all that was the same for every trial.
    """

    number: int
    parameters: Mapping[str, Any]
    outcome: Outcome
    rank_ic: float
    rank_ics: tuple[float, ...]
    returns: pl.DataFrame
    detail: str
    strategy: str
    universe: str
    config: Mapping[str, Any]
    data_hash: str
    seed: int
    code_version: str

    def rows(self, *, run_id: str, recorded_at: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of ``evidence.trials`` and ``evidence.trial_returns``."""
        return trial_rows(
            self.returns,
            strategy=self.strategy,
            universe=self.universe,
            purpose="candidate",
            config=self.config,
            data_hash=self.data_hash,
            code_version=self.code_version,
            seed=self.seed,
            run_id=run_id,
            recorded_at=recorded_at,
        )


def returns_as_lists(returns: pl.DataFrame) -> dict[str, list[Any]]:
    """Returns in a form that JSON can hold."""
    stamps = returns["ts"].dt.convert_time_zone("UTC").dt.epoch("us").to_list()
    return {"ts_us": stamps, "net_return": returns["net_return"].to_list()}


def returns_from_lists(kept: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    """The opposite of `returns_as_lists`."""
    stamps = pl.Series("ts", kept["ts_us"], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        {"ts": stamps, "net_return": pl.Series(kept["net_return"], dtype=pl.Float64)}
    )


def trials_table(records: Sequence[SearchTrial], names: Sequence[str]) -> pl.DataFrame:
    """One row per trial: ``number``, ``outcome``, ``rank_ic``, a column per parameter, ``detail``."""
    return pl.DataFrame(
        [
            {
                "number": one.number,
                "outcome": one.outcome,
                "rank_ic": None if math.isnan(one.rank_ic) else one.rank_ic,
                **{name: one.parameters[name] for name in names},
                "detail": one.detail,
            }
            for one in records
        ],
        schema_overrides={"rank_ic": pl.Float64},
        infer_schema_length=None,
    )


def study_rows(
    records: Sequence[SearchTrial], study: str, *, run_id: str, recorded_at: datetime
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows of both trial ledgers and of ``models.search_trials``.

    Trials with the same parameters are one candidate: they have one row in the ledger, and a row each
    in the table.
    """
    rows = [one.rows(run_id=run_id, recorded_at=recorded_at) for one in records]
    table = [
        {
            "universe": one.universe,
            "study": study,
            "number": one.number,
            "family": one.strategy.removeprefix(PREFIX),
            "outcome": one.outcome,
            "rank_ic": None if math.isnan(one.rank_ic) else one.rank_ic,
            "parameters_json": json.dumps(dict(one.parameters), sort_keys=True),
            "detail": one.detail,
            "judged_from": one.returns["ts"].min(),
            "judged_until": one.returns["ts"].max(),
            "n_decisions": one.returns.height,
            "trial_id": trial["trial_id"][0],
        }
        for one, (trial, _) in zip(records, rows, strict=True)
    ]
    return (
        pl.concat([trial for trial, _ in rows]).unique("trial_id", maintain_order=True),
        pl.concat([returns for _, returns in rows]).unique(["trial_id", "ts"], maintain_order=True),
        pl.DataFrame(table, schema=SEARCH_TRIALS.schema).sort(SEARCH_TRIALS.key),
    )


def digest_of(panel: pl.DataFrame, names: Sequence[str]) -> str:
    """Hash of keys, labels, returns and features of a panel, the same in every process."""
    found = hashlib.sha256()
    for name in ("universe", "symbol"):
        found.update("\x1f".join(panel[name].to_list()).encode())
    for name in ("ts", "label_end_ts"):
        found.update(panel[name].dt.epoch("us").fill_null(-1).to_numpy().tobytes())
    for name in ("label", "label_raw", "session_return", *names):
        found.update(panel[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().tobytes())
    return found.hexdigest()[:20]
