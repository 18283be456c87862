"""Whether the best of many trials is better than a benchmark, the search for it counted.

Belongs here: White's reality check, Hansen's test of superior predictive ability, the step-wise
set of superior trials and control of false discoveries, through libraries. Does not belong here:
Sharpe ratios and their deflation (`sharpe`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


class SuperiorityError(ValueError):
    """Series of unequal length, too short, with missing values, or all equal to the benchmark."""


@dataclass(frozen=True)
class Superiority:
    """Tests of "no trial has a higher mean return than the benchmark".

    Attributes
    ----------
    reality_check
        p-value of White (2000): the largest mean difference, all trials taken as good as the
        benchmark.
    spa_lower, spa_consistent, spa_upper
        p-values of Hansen (2005): studentised, poor trials recentred fully, where clearly poor, or
        never. The consistent one is the one to quote.
    superior
        Positions of the trials that are superior with a family-wise error of ``1 - confidence``
        (Romano & Wolf 2005, step-wise).
    n_trials, n_returns
        What was tested.
    """

    reality_check: float
    spa_lower: float
    spa_consistent: float
    spa_upper: float
    superior: tuple[int, ...]
    n_trials: int
    n_returns: int


def superior_ability(
    returns: ArrayLike,
    benchmark: ArrayLike,
    *,
    mean_block: float,
    n_samples: int,
    seed: int,
    confidence: float = 0.95,
) -> Superiority:
    """Test whether the best of several trials beats a benchmark by more than search explains.

    White (2000), "A reality check for data snooping", Econometrica 68; Hansen (2005), "A test for
    superior predictive ability", JBES 23; Romano & Wolf (2005), "Stepwise multiple testing as
    formalized data snooping", Econometrica 73; all with the stationary bootstrap, by `arch`.

    Parameters
    ----------
    returns
        Simple returns per period, shape ``(n_returns, n_trials)``, no missing value.
    benchmark
        Those of the benchmark on the same days, shape ``(n_returns,)``.
    mean_block
        Mean block length of the bootstrap, periods.
    n_samples, seed
        Resamples and their seed.
    confidence
        One minus the family-wise error of `Superiority.superior`.

    Raises
    ------
    SuperiorityError
        Shapes that do not fit, fewer than 20 returns, values that are not finite, or a trial equal
        to the benchmark throughout (its difference has no variance).
    """
    from arch.bootstrap import SPA

    matrix, reference = _checked(returns, benchmark)
    # The tests compare losses, so returns change their sign.
    losses, benchmark_losses = -matrix, -reference
    block = max(1, round(mean_block))
    studentised = SPA(
        benchmark_losses, losses, block_size=block, reps=n_samples, studentize=True, seed=seed
    )
    studentised.compute()
    plain = SPA(
        benchmark_losses, losses, block_size=block, reps=n_samples, studentize=False, seed=seed
    )
    plain.compute()
    return Superiority(
        reality_check=float(plain.pvalues["upper"]),
        spa_lower=float(studentised.pvalues["lower"]),
        spa_consistent=float(studentised.pvalues["consistent"]),
        spa_upper=float(studentised.pvalues["upper"]),
        superior=superior_trials(
            matrix,
            reference,
            mean_block=mean_block,
            n_samples=n_samples,
            seed=seed,
            confidence=confidence,
        ),
        n_trials=matrix.shape[1],
        n_returns=len(matrix),
    )


def superior_trials(
    returns: ArrayLike,
    benchmark: ArrayLike,
    *,
    mean_block: float,
    n_samples: int,
    seed: int,
    confidence: float = 0.95,
) -> tuple[int, ...]:
    """Positions of the trials that are superior with a family-wise error of ``1 - confidence``.

    Romano & Wolf (2005), step-wise and studentised, by `arch`; parameters as in `superior_ability`.
    """
    from arch.bootstrap import SPA

    matrix, reference = _checked(returns, benchmark)
    n_trials = matrix.shape[1]
    test = SPA(
        -reference,
        -matrix,
        block_size=max(1, round(mean_block)),
        reps=n_samples,
        studentize=True,
        seed=seed,
    )
    found: list[int] = []
    # The steps of arch's StepM, which breaks where the last trial left turns out superior too.
    while len(found) < n_trials:
        test.subset(np.isin(np.arange(n_trials), found, invert=True))
        test.compute()
        better = [int(position) for position in test.better_models(1 - confidence)]
        if not better:
            break
        found += better
    return tuple(sorted(found))


def false_discovery_q(p_values: Sequence[float], *, dependent: bool = True) -> list[float]:
    """Smallest false-discovery rate at which each hypothesis would be called a discovery.

    Benjamini & Yekutieli (2001) where tests depend on each other, as strategies on one market do;
    Benjamini & Hochberg (1995) where they do not. By `scipy.stats.false_discovery_control`.

    Parameters
    ----------
    p_values
        One per trial, in ``[0, 1]``; nan stays nan and is no test.

    Returns
    -------
    list of float
        Adjusted p-values in the order given.
    """
    from scipy.stats import false_discovery_control

    values = np.asarray(p_values, dtype=np.float64)
    tested = ~np.isnan(values)
    if ((values[tested] < 0) | (values[tested] > 1)).any():
        raise SuperiorityError("a p-value lies outside [0, 1]")
    adjusted = np.full(len(values), np.nan)
    if tested.any():
        method = "by" if dependent else "bh"
        adjusted[tested] = false_discovery_control(values[tested], method=method)
    return adjusted.tolist()


def _checked(
    returns: ArrayLike, benchmark: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    matrix = np.asarray(returns, dtype=np.float64)
    reference = np.asarray(benchmark, dtype=np.float64)
    if matrix.ndim != 2 or reference.shape != matrix.shape[:1]:
        raise SuperiorityError(
            f"returns {matrix.shape} and benchmark {reference.shape}: one benchmark return a row"
        )
    if len(matrix) < 20:
        raise SuperiorityError(f"{len(matrix)} returns: a bootstrap needs at least 20")
    if not (np.isfinite(matrix).all() and np.isfinite(reference).all()):
        raise SuperiorityError("a return is missing; compare on the days all series have")
    spread = (matrix - reference[:, None]).std(axis=0)
    if (spread <= 1e-15).any():
        raise SuperiorityError(
            f"trial {int(np.argmin(spread))} differs from the benchmark by a constant; leave it out"
        )
    return matrix, reference
