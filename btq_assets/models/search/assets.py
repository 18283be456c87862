"""The job `search`: hyper-parameters of one family, tried, counted and shown; nothing is applied.

Belongs here: naming inputs, where trials are kept, metadata and plots. Does not belong here: any
computation. Heavy libraries are imported inside the step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts import evidence, models
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check, in_step_check
from btq_assets.contracts.search import SEARCH_TRIALS
from btq_assets.models.fingerprint import FAMILIES_CONFIG, FOLD_CONFIG, SHARED_CODE
from btq_assets.warehouse import Step, TableOutput, table_asset

if TYPE_CHECKING:
    from btq_assets.models.search.records import SearchTrial


def _before_test(context: CheckContext) -> CheckOutcome:
    name = "before_the_test"
    first = context.inputs["splits"]["test_start"].min()
    frame = context.frames[SEARCH_TRIALS.table]
    late = frame.filter(pl.col("judged_until") >= first)
    if late.height:
        row = late.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"{late.height} trial(s) were judged on the test segment, which starts {first!s}: number "
            f"{row['number']} until {row['judged_until']}",
        )
    return CheckOutcome(name, True, f"{frame.height} trials judged before {first!s}")


_before_the_test = frame_check(
    "before_the_test", "No trial was judged on a decision of a test segment.", _before_test
)
_counted = in_step_check(
    "counted", "Every trial, however it ended, is a candidate of the evidence ledger."
)


@table_asset(
    outputs=(SEARCH_TRIALS,),
    inputs={"training_set": models.TRAINING_SET, "splits": models.SPLITS},
    config=(
        *FOLD_CONFIG,
        *FAMILIES_CONFIG,
        "models",
        "backtest.commission_bps",
        "backtest.spread_eras",
        "features.correlation_window_sessions",
    ),
    code=(*SHARED_CODE, "btq_assets.models"),
    checks=(_before_the_test, _counted),
    group="search",
    pool="gpu",
)
def search_trials(step: Step, training_set: pl.DataFrame, splits: pl.DataFrame) -> TableOutput:
    """Try hyper-parameters of the configured family on folds nested before the first test segment."""
    from btq_assets.models.search.from_warehouse import question_of_family
    from btq_assets.models.search.records import study_rows
    from btq_assets.models.search.space import as_yaml, space_of
    from btq_assets.models.search.study import Search
    from btq_assets.models.workers import Alone, workers_of

    settings = step.config.models.search
    workers = workers_of(step.config.models.training, device=step.device)
    question = question_of_family(training_set, splits, step.config, device=step.device)
    search = Search(
        question,
        space=space_of(settings.family),
        storage=_storage(step),
        name=None,
        seed=settings.seed,
        code_version=step.code_version,
        recorder=_told(step, settings.n_trials),
        pruning=settings.pruning,
        workers=None if isinstance(workers, Alone) else workers,
        beside=settings.beside,
    )
    found = search.run(settings.n_trials, go_on=_in_time(settings.timeout_s))
    trials, returns, rows = study_rows(
        found.records, search.name, run_id=step.run_id, recorded_at=step.now
    )
    paste = as_yaml(settings.family, found.parameters)
    counted = (
        set(rows["trial_id"]) == set(trials["trial_id"])
        and (trials["purpose"] == "candidate").all()
    )
    return TableOutput(
        rows,
        metadata={
            "best_rank_ic": found.rank_ic,
            "best_parameters": paste,
            "note": "the best of many is too good; paste it yourself, nothing is applied",
            "n_trials": found.n_trials,
            "outcomes": rows["outcome"].value_counts().sort("outcome"),
            "study": search.name,
            "trials": found.table,
        },
        plots=_plots(search, found.records),
        ledgers={evidence.TRIALS: trials, evidence.TRIAL_RETURNS: returns},
        answers=(
            CheckOutcome(
                "counted",
                bool(counted),
                f"{rows.height} trials are candidates of the ledger"
                if counted
                else f"{rows.height} trials, {trials.height} candidates in the ledger",
            ),
        ),
    )


def _storage(step: Step) -> str | Path:
    """Where trials are kept: a file in the data folder, or a database."""
    where = step.config.models.search.storage
    return where if "://" in where else step.artifacts.paths.root / where


def _in_time(timeout_s: float | None) -> Callable[[], bool]:
    started = time.monotonic()
    return lambda: timeout_s is None or time.monotonic() - started < timeout_s


def _told(step: Step, n_trials: int) -> Callable[[SearchTrial], None]:
    started, done = time.monotonic(), 0

    def tell(one: SearchTrial) -> None:
        nonlocal done
        done += 1
        left = (time.monotonic() - started) / done * max(n_trials - done, 0)
        step.log(
            f"trial {one.number} {one.outcome}, rank IC {one.rank_ic:+.4f} {dict(one.parameters)}; "
            f"{done} of {n_trials}, about {left:.0f} s left"
        )

    return tell


def _plots(search: object, records: tuple[SearchTrial, ...]) -> dict[str, bytes]:
    from btq_assets import plots
    from btq_assets.models.search import pictures

    curves = pictures.history(records)
    drawn = {
        "Optimisation history": plots.lines(
            [one.number for one in records],
            curves,
            "Rank IC of each trial, and the best so far",
            "rank IC",
            xlabel="trial",
        )
    }
    shares = pictures.importances(search.study)  # type: ignore[attr-defined]
    if shares:
        drawn["Importance of parameters"] = plots.bars(
            list(shares), list(shares.values()), "Share of the variance explained", "share"
        )
    drawn["Parallel coordinates"] = plots.parallel_coordinates(
        pictures.coordinates(records), "Complete trials, coloured by rank IC"
    )
    return drawn
