"""What a notebook's backtest may claim: intervals, the difference to 1/N, and counted trials.

Belongs here: from finished runs and counted trials to a verdict. Does not belong here: formulas
(`evidence`, `engine.metrics`), and the verdict of the assets (`evidence.verdict`), which also
compares jointly and with every baseline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from btq_assets.backtest.figures import mean_intervals
from btq_assets.backtest.intervals import Daily, Interval, intervals
from btq_assets.backtest.recording import Trial, counted_against
from btq_assets.config import BacktestSection
from btq_assets.evidence.bootstrap import PairedDifference, paired_block_bootstrap
from btq_assets.evidence.gates import DEFLATED_SHARPE_THRESHOLD
from btq_assets.evidence.sharpe import (
    MINIMUM_TRIALS,
    SharpeMoments,
    deflated_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe,
    sharpe_moments,
)

if TYPE_CHECKING:
    from btq_assets.backtest.result import BacktestResult

#: Last words of every verdict of a notebook.
LEFT_OUT = (
    "Counted are the backtests of this process on the same days, and the trials handed over; what "
    "else was tried is not. Baselines and the joint tests (White, Hansen, Romano and Wolf) are "
    "judged by the assets of the evidence room."
)


@dataclass(frozen=True)
class Judged:
    """What may be said of one run.

    Attributes
    ----------
    headline, positive
        One sentence, and whether nothing computed here speaks against the strategy.
    statements
        What is claimed, and what is left of it, one sentence each.
    n_trials
        Counted trials, this one included: at least so many were made.
    intervals
        95 % interval by figure, stationary block bootstrap.
    reference
        Figures of 1/N at the same decisions and costs.
    difference
        To 1/N, paired; ``None`` with fewer than two returns.
    probabilistic, deflated
        Probability that the Sharpe ratio exceeds zero, and what that many trials show by luck;
        ``None`` where undefined or below ten trials.
    """

    headline: str
    positive: bool
    statements: tuple[str, ...]
    n_trials: int
    intervals: Mapping[str, Interval]
    reference: Mapping[str, float]
    difference: PairedDifference | None
    probabilistic: float | None
    deflated: float | None


def judge(
    done: BacktestResult,
    reference: BacktestResult,
    own: Trial,
    trials: pl.DataFrame | None = None,
    settings: BacktestSection | None = None,
) -> Judged:
    """Judge a run against 1/N and what was tried besides.

    Parameters
    ----------
    done, reference
        The run, and 1/N on the same bars at the same decisions and costs.
    own
        The run as a trial.
    trials
        Rows of ``evidence.trials`` that led to this strategy, such as those of a walk-forward.
    settings
        Resamples, mean block and seed; the configuration's own by default.
    """
    settings = settings or BacktestSection()
    mine, theirs = (_returns(result) for result in (done, reference))
    bands: dict[str, Interval] = {}
    if mine.size > 1:
        bands = intervals([_daily(done, theirs)], settings)[0] | mean_intervals(mine, settings)
    difference = None
    if mine.size > 1 and np.isfinite(mine).all() and np.isfinite(theirs).all():
        difference = paired_block_bootstrap(
            mine,
            theirs,
            mean_block=settings.bootstrap_mean_block_sessions,
            n_samples=settings.bootstrap_samples,
            seed=settings.seed,
        )
    counted = counted_against(own, trials)
    moments = sharpe_moments(mine) if mine.size > 1 else None
    probabilistic, deflated, said = _with_trials(moments, counted)
    above = difference is not None and difference.significant and difference.sharpe_difference > 0
    positive = above and deflated is not None and deflated > DEFLATED_SHARPE_THRESHOLD
    n = counted.height
    return Judged(
        headline=_headline(n, above, positive, deflated),
        positive=positive,
        statements=(
            _claimed(done, bands, mine.size),
            *_against(difference),
            *said,
            LEFT_OUT,
        ),
        n_trials=n,
        intervals=bands,
        reference=reference.metrics,
        difference=difference,
        probabilistic=probabilistic,
        deflated=deflated,
    )


def _returns(result: BacktestResult) -> np.ndarray:
    return result.equity["net_return"][1:].fill_null(math.nan).to_numpy()


def _daily(done: BacktestResult, theirs: np.ndarray) -> Daily:
    equity = done.equity["equity"].to_numpy()
    n = equity.size - 1
    return Daily(
        returns=_returns(done),
        traded=done.equity["turnover"].to_numpy()[1:],
        cost=done.equity["cost"].to_numpy()[1:] / equity[:-1],
        impact=np.zeros(n),
        reference=theirs if np.isfinite(theirs).all() and theirs.std() > 0 else None,
    )


def _with_trials(
    moments: SharpeMoments | None, counted: pl.DataFrame
) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Probabilistic and deflated Sharpe ratio, and what to say of them."""
    if moments is None or math.isnan(moments.sharpe):
        return None, None, ("Constant returns have no Sharpe ratio: there is nothing to judge.",)
    shape = (moments.sharpe, moments.n, moments.skewness, moments.kurtosis)
    probability = probabilistic_sharpe(*shape)
    said = [
        "Were this the only trial, its true Sharpe ratio would be above zero with a probability of "
        f"{probability:.3f}."
    ]
    needed = (
        minimum_track_record_length(moments.sharpe, moments.skewness, moments.kurtosis)
        if moments.sharpe > 0
        else math.inf
    )
    if math.isfinite(needed):
        said.append(
            f"A Sharpe ratio like this takes {math.ceil(needed):,} returns to be above zero with 95 % "
            f"confidence; there are {moments.n:,}."
        )
    sharpes = counted["sharpe_per_period"].drop_nulls()
    if sharpes.len() < MINIMUM_TRIALS:
        said.append(
            f"{counted.height} trial{' is' if counted.height == 1 else 's are'} counted: deflation "
            f"for the search needs at least {MINIMUM_TRIALS}, so nothing is claimed after the search."
        )
        return probability, None, tuple(said)
    variance = float(sharpes.var())  # type: ignore[arg-type]
    deflated = deflated_sharpe(*shape, counted.height, variance)
    said.append(
        f"With {counted.height} counted trials, the probability that it exceeds the best that luck "
        f"shows is {deflated:.3f} (deflated Sharpe ratio, above {DEFLATED_SHARPE_THRESHOLD} is "
        "demanded)."
    )
    return probability, deflated, tuple(said)


def _headline(n: int, above: bool, positive: bool, deflated: float | None) -> str:
    tried = f"At least {n} trial{' was' if n == 1 else 's were'} made"
    if positive:
        return f"{tried}: above 1/N after costs, deflation for the search included."
    if above and deflated is None:
        return f"{tried}: above 1/N after costs, but too few are counted to deflate for the search."
    if above:
        return f"{tried}: above 1/N after costs, but no longer once the search is counted."
    return f"{tried}: nothing beats 1/N."


def _claimed(done: BacktestResult, bands: Mapping[str, Interval], n: int) -> str:
    value = done.metrics["sharpe"]
    if not math.isfinite(value):
        return f"The Sharpe ratio over {n:,} returns is undefined."
    text = f"Claimed: a Sharpe ratio of {value:.2f}"
    if "sharpe" in bands:
        text += " (95 % interval {:.2f} to {:.2f})".format(*bands["sharpe"])
    return f"{text} over {n:,} returns, after costs."


def _against(difference: PairedDifference | None) -> tuple[str, ...]:
    if difference is None:
        return ()
    return (
        f"Against 1/N at the same decisions and costs: {_percent(difference.mean_difference_annual)} "
        f"a year, 95 % interval {_percent(difference.ci_low_annual)} to "
        f"{_percent(difference.ci_high_annual)}, which is "
        f"{'above' if difference.significant else 'not above'} zero.",
    )


def _percent(value: float) -> str:
    return f"{100 * value:+.2f} %".replace("-", "\u2212")
