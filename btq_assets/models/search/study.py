"""All trials of a search: proposed, pruned, kept, counted, and gone on with after a kill.

Belongs here: the loop around Optuna. Does not belong here: what a trial does (`candidates`), where
files lie, the command line.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.models.catalogue import nearest
from btq_assets.models.forecaster import ModelError
from btq_assets.models.search.beside import Proposal, answered, medians_of
from btq_assets.models.search.candidates import Judged, Question
from btq_assets.models.search.records import (
    PREFIX,
    SearchTrial,
    digest_of,
    returns_as_lists,
    returns_from_lists,
    trials_table,
)
from btq_assets.models.search.space import TRANSFORMER_SPACE, Space, fields_of, suggest
from btq_assets.models.search.storage import open_storage, require_optuna
from btq_assets.models.workers import Alone, Workers

if TYPE_CHECKING:
    import optuna
    from optuna import Study

#: Trials before the pruner compares, and before the sampler stops drawing at random.
STARTUP_TRIALS = 5

Recorder = Callable[[SearchTrial], None]


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    parameters
        Of the best complete trial; they can be given to `TradingConfig` by name.
    rank_ic
        Its mean rank IC over the nested folds. The best of many is too good: `records` count them.
    records
        Every trial, by number.
    table
        The same as a frame; see `records.trials_table`.
    """

    parameters: dict[str, Any]
    rank_ic: float
    records: tuple[SearchTrial, ...]
    table: pl.DataFrame

    @property
    def n_trials(self) -> int:
        """How many sets of parameters were tried."""
        return len(self.records)


class Search:
    """A search that can be interrupted and gone on with.

    Trials are proposed by TPE (Bergstra et al. 2011), seeded for each by `seed` and the number of
    trials finished before it: a search that was killed proposes again what it was trying, and goes on
    to the same parameters as one that never was. Training is stopped after an epoch whose validation
    loss is worse than the median of earlier trials at that epoch. One search of a study at a time.

    Parameters
    ----------
    question
        What every trial is asked.
    space
        What is searched.
    storage
        See `storage.open_storage`.
    name
        Of the study within the storage; ``None`` names it by its family and a hash of what it asks,
        so that another question is another study.
    seed
        Of the proposals.
    code_version
        Kept with every trial.
    pruning
        Whether hopeless trials are stopped early.
    workers
        Who judges trials; ``None`` for this process.
    beside
        Trials that are proposed together, none knowing of the others, and judged beside one another.
        They are the same whoever judges them; with more than one, a search that was killed within
        such a round proposes others afterwards.
    recorder
        Told of every trial as soon as its returns exist, however it ended, and first of those that
        the storage holds already.

    Raises
    ------
    ModelError
        A space naming what the specification has not, or a study of that name that asked another
        question.
    """

    def __init__(
        self,
        question: Question,
        *,
        space: Space = TRANSFORMER_SPACE,
        storage: str | Path | None = None,
        name: str | None = "transformer_gnn",
        seed: int = 0,
        code_version: str = "notebook",
        recorder: Recorder | None = None,
        pruning: bool = True,
        workers: Workers | None = None,
        beside: int = 1,
    ) -> None:
        optuna = require_optuna()
        known = sorted(asdict(question.spec))
        unknown = [field for field in fields_of(space) if field not in known]
        if unknown or not space:
            hint = nearest(unknown[0], known) if unknown else ""
            raise ModelError(
                f"the space names {unknown or 'nothing'}{hint}; {type(question.spec).__name__} has "
                f"{known}"
            )
        self.question, self.space, self.seed = question, dict(space), seed
        self.code_version, self.recorder = code_version, recorder
        self.workers, self.beside, self.pruning = workers, beside, pruning
        self.data_hash = digest_of(question.known, question.feature_columns)
        family = getattr(question.forecaster, "family", "unnamed")
        self.name = f"{family}_{self._identity()[:12]}" if name is None else name
        self.study: Study = optuna.create_study(
            storage=open_storage(storage),
            study_name=self.name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)
            if pruning
            else optuna.pruners.NopPruner(),
        )
        self._own(self.name)
        self._close_interrupted()
        if recorder is not None:
            for record in self.records():
                recorder(record)

    def run(self, n_trials: int, *, go_on: Callable[[], bool] = lambda: True) -> SearchResult:
        """Go on until the study has `n_trials` trials, those of earlier runs included.

        Before each trial `go_on` is asked, whose answer may end the run earlier.

        Raises
        ------
        ModelError
            No trial was completed.
        """
        while (left := n_trials - len(self._finished())) > 0 and go_on():
            if self.workers is None and self.beside == 1:
                self._one()
            else:
                self._round(min(self.beside, left))
        return self.result()

    def result(self) -> SearchResult:
        """The best so far; raises `ModelError` where no trial was completed."""
        records = self.records()
        complete = [one for one in records if one.outcome == "complete"]
        if not complete:
            why = sorted({one.detail for one in records if one.detail})
            raise ModelError(f"none of {len(records)} trial(s) was completed: {why}")
        best = max(complete, key=lambda one: (one.rank_ic, -one.number))
        return SearchResult(
            dict(best.parameters), best.rank_ic, records, trials_table(records, list(self.space))
        )

    def records(self) -> tuple[SearchTrial, ...]:
        """Every finished trial that the storage holds."""
        return tuple(self._record(trial) for trial in self._finished())

    def _asked(self, before: int) -> tuple[optuna.Trial, dict[str, Any]]:
        """The next set of parameters, where as many trials come before it."""
        self.study.sampler = require_optuna().samplers.TPESampler(
            seed=_mixed(self.seed, before), n_startup_trials=STARTUP_TRIALS
        )
        trial = self.study.ask()
        return trial, suggest(trial, self.space)

    def _one(self) -> None:
        """Propose, judge, keep and count one set of parameters."""
        trial, parameters = self._asked(len(self._finished()))

        def go_on(step: int, loss: float) -> bool:
            # Larger is better throughout the study, a loss the other way round.
            trial.report(-loss, step)
            return not trial.should_prune()

        try:
            judged = self.question.judge(parameters, go_on)
        except ModelError as error:
            self._close(trial, None, f"{type(error).__name__}: {error}")
        else:
            self._close(trial, judged, "")

    def _round(self, n: int) -> None:
        """Propose `n` sets of parameters, have them judged, keep and count them in their order."""
        complete = (require_optuna().trial.TrialState.COMPLETE,)
        known = self.study.get_trials(deepcopy=False, states=complete)
        medians = medians_of(known, STARTUP_TRIALS) if self.pruning else {}
        before = len(self._finished())
        asked = [self._asked(before + place) for place in range(n)]
        proposals = [Proposal(parameters, medians) for _, parameters in asked]
        found = (self.workers or Alone()).map(answered, self.question, proposals)
        for (trial, _), answer in zip(asked, found, strict=True):
            for step, value in answer.reported:
                trial.report(value, step)
            self._close(trial, answer.judged, answer.detail)

    def _close(self, trial: optuna.Trial, judged: Judged | None, detail: str) -> None:
        """Keep what a trial came to, count it, and tell the study."""
        states = require_optuna().trial.TrialState
        if judged is None:
            self._keep(trial, "failed", (), self.question.flat(), detail)
            self._tell_recorder(trial.number)
            self.study.tell(trial, state=states.FAIL)
            return
        outcome = "pruned" if judged.pruned else "complete"
        self._keep(trial, outcome, judged.rank_ics, judged.returns, "")
        self._tell_recorder(trial.number)
        if judged.pruned:
            self.study.tell(trial, state=states.PRUNED)
        else:
            self.study.tell(trial, judged.rank_ic)

    def _keep(
        self,
        trial: optuna.Trial,
        outcome: str,
        rank_ics: tuple[float, ...],
        returns: pl.DataFrame,
        detail: str,
    ) -> None:
        trial.set_user_attr("rank_ics", list(rank_ics))
        trial.set_user_attr("returns", returns_as_lists(returns))
        trial.set_user_attr("detail", detail)
        trial.set_user_attr("code_version", self.code_version)
        trial.set_user_attr("outcome", outcome)

    def _tell_recorder(self, number: int) -> None:
        if self.recorder is not None:
            kept = next(t for t in self.study.get_trials(deepcopy=False) if t.number == number)
            self.recorder(self._record(kept))

    def _finished(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that came to an outcome; not those that a kill interrupted."""
        trials = self.study.get_trials(deepcopy=False)
        return [t for t in trials if t.state.is_finished() and "outcome" in t.user_attrs]

    def _close_interrupted(self) -> None:
        """Close trials that a kill left open: by their outcome where one was kept.

        The parameters of the others are proposed again, since as many trials precede them.
        """
        states = require_optuna().trial.TrialState
        for trial in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            outcome = trial.user_attrs.get("outcome")
            if outcome == "complete":
                ics = trial.user_attrs["rank_ics"]
                self.study.tell(trial.number, sum(ics) / len(ics))
            else:
                pruned = outcome == "pruned"
                self.study.tell(trial.number, state=states.PRUNED if pruned else states.FAIL)

    def _own(self, name: str) -> None:
        asked = self._identity()
        found = self.study.user_attrs.get("question")
        if found is None:
            self.study.set_user_attr("question", asked)
        elif found != asked:
            raise ModelError(
                f"the storage holds a study {name!r} of another question (other data, folds, "
                "features, settings, space or seed): give this search another name"
            )

    def _identity(self) -> str:
        asked = {
            "data": self.data_hash,
            "folds": [dict(fold) for fold in self.question.folds],
            "fixed": self._fixed(),
            "space": {name: repr(range_) for name, range_ in self.space.items()},
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()

    def _fixed(self) -> dict[str, Any]:
        searched = fields_of(self.space)
        settings = {k: v for k, v in asdict(self.question.spec).items() if k not in searched}
        return {
            "kind": "search",
            "model": getattr(self.question.forecaster, "family", "unnamed"),
            "settings": settings,
            "features": list(self.question.feature_columns),
            "n_nested_folds": len(self.question.folds),
            "costs": {
                "commission_bps": self.question.config.backtest.commission_bps,
                "spread_eras": self.question.config.backtest.spread_eras,
            },
        }

    def _record(self, trial: optuna.trial.FrozenTrial) -> SearchTrial:
        kept: Mapping[str, Any] = trial.user_attrs
        fixed = self._fixed()
        ics = tuple(kept["rank_ics"])
        complete = kept["outcome"] == "complete"
        return SearchTrial(
            number=trial.number,
            parameters=dict(trial.params),
            outcome=kept["outcome"],
            rank_ic=sum(ics) / len(ics) if complete else math.nan,
            rank_ics=ics,
            returns=returns_from_lists(kept["returns"]),
            detail=kept["detail"],
            strategy=f"{PREFIX}{fixed['model']}",
            universe=str(self.question.folds[0]["universe"]),
            config=fixed | {"parameters": dict(trial.params)},
            data_hash=self.data_hash,
            seed=int(self.question.spec.seed),
            # What ran then; the code may have changed since.
            code_version=str(kept.get("code_version", self.code_version)),
        )


def _mixed(seed: int, number: int) -> int:
    """A seed of its own for each trial."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")
