"""Every trial of a notebook's search, told to a recorder and kept in memory.

Belongs here: the trial as a notebook knows it, its rows in the ledger's shape, and the ledger of the
process, in which every backtest and walk-forward counts unless ``record=False``. Does not belong
here: what names a trial (`evidence.trials`), and writing the ledger (the warehouse).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from btq_assets.backtest import frames
from btq_assets.contracts import evidence
from btq_assets.evidence.trials import trial_rows

#: Columns only the writer of a ledger can fill: who recorded the trial, and when.
_OF_THE_WRITER = ("run_id", "recorded_at")

#: Returns up to so many times further apart count as of the same frequency.
SAME_RHYTHM = 2.0

#: When a notebook's trial was recorded: it has no clock, and the time is no part of its name.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Note of a result that ``record=False`` kept out of the count.
NOT_RECORDED = "not counted as a trial: record=False"


@dataclass(frozen=True)
class Trial:
    """One thing tried that yielded returns: arguments of `evidence.trials.trial_rows`.

    Attributes
    ----------
    strategy
        Name.
    returns
        ``ts`` and ``net_return``.
    config
        Everything that was set.
    data_hash
        Version of the data.
    purpose, universe, code_version, seed
        As in the ledger.
    """

    strategy: str
    returns: pl.DataFrame
    config: Mapping[str, Any]
    data_hash: str
    purpose: str = "candidate"
    universe: str = frames.UNIVERSE
    code_version: str = "notebook"
    seed: int = 0

    def rows(self, *, run_id: str, recorded_at: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of `evidence.trials` and `evidence.trial_returns`."""
        return trial_rows(
            self.returns,
            strategy=self.strategy,
            universe=self.universe,
            purpose=self.purpose,
            config=self.config,
            data_hash=self.data_hash,
            code_version=self.code_version,
            seed=self.seed,
            run_id=run_id,
            recorded_at=recorded_at,
        )


#: Told of every trial as soon as its returns exist.
Recorder = Callable[[Trial], None]


@dataclass
class MemoryLedger:
    """Trials in memory, each passed on to a recorder where there is one.

    With `in_session` each is also a trial of this process.
    """

    recorder: Recorder | None = None
    in_session: bool = False
    _trials: list[pl.DataFrame] = field(default_factory=list)
    _returns: list[pl.DataFrame] = field(default_factory=list)

    def record(self, trial: Trial) -> None:
        """Keep a trial and pass it on; fewer than two returns are no trial."""
        if trial.returns.height < 2:
            return
        row, series = trial.rows(run_id="notebook", recorded_at=EPOCH)
        self._trials.append(row)
        self._returns.append(series)
        if self.in_session:
            SESSION.record(trial)
        if self.recorder is not None:
            self.recorder(trial)

    def trials(self) -> pl.DataFrame:
        """Rows as in `evidence.trials`, without who recorded them and when; each trial once."""
        rows = pl.concat([evidence.TRIALS.empty(), *self._trials])
        return rows.drop(_OF_THE_WRITER).unique("trial_id", keep="first", maintain_order=True)

    def returns(self) -> pl.DataFrame:
        """Rows as in `evidence.trial_returns`."""
        rows = pl.concat([evidence.TRIAL_RETURNS.empty(), *self._returns])
        return rows.unique(["trial_id", "ts"], keep="first", maintain_order=True)


#: Trials of this process; `AdvancedBacktester` and `WalkForwardOptimizer` write here.
SESSION = MemoryLedger()


def counted_against(own: Trial, trials: pl.DataFrame | None = None) -> pl.DataFrame:
    """Trials to count against one: those of its question in this process, and those handed over.

    Parameters
    ----------
    own
        The trial judged; counted too.
    trials
        Rows of `evidence.trials` that led to it, of whatever question.

    Returns
    -------
    polars.DataFrame
        ``trial_id`` and ``sharpe_per_period``, each trial once. The Sharpe ratio is null where the
        returns are further apart or closer: per-period ratios of weeks and days do not mix.
    """
    mine = own.rows(run_id="notebook", recorded_at=EPOCH)[0].drop(_OF_THE_WRITER)
    session = SESSION.trials().filter(
        (pl.col("question") == mine["question"][0]) & (pl.col("purpose") == "candidate")
    )
    parts = [mine, session]
    if trials is not None:
        given = trials.filter(pl.col("purpose") == "candidate")
        parts.append(given.select(mine.columns).cast(mine.schema))
    apart = (pl.col("last_ts") - pl.col("first_ts")).dt.total_seconds() / pl.col("n_returns")
    alike = (apart / mine.select(apart).item()).is_between(1 / SAME_RHYTHM, SAME_RHYTHM)
    return (
        pl.concat(parts)
        .unique("trial_id", keep="first", maintain_order=True)
        .select(
            "trial_id",
            pl.when(alike).then("sharpe_per_period").alias("sharpe_per_period"),
        )
    )
