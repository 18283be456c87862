"""Sharpe ratios as estimates: their moments, their probability, and what luck alone would give.

All ratios are per period (never annualised) and all kurtoses plain (normal = 3), as the formulas
of Bailey & Lopez de Prado demand. Belongs here: closed forms of a few numbers. Does not belong
here: the ledger and tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from btq_assets.engine.metrics import central_moments

EULER_MASCHERONI = 0.577_215_664_901_532_9
#: Fewer candidates than this give no usable variance of Sharpe ratios: deflation is refused.
MINIMUM_TRIALS = 10
_NORMAL = NormalDist()


class SharpeError(ValueError):
    """A parameter outside the range where the formula means something."""


@dataclass(frozen=True)
class SharpeMoments:
    """Per-period Sharpe ratio of a return series and the moments its error depends on.

    Attributes
    ----------
    sharpe
        Mean over sample standard deviation (ddof 1), per period, no risk-free rate; nan for
        constant returns.
    skewness, kurtosis
        Population moments (g1 and b2 = m4 / m2 squared, normal = 3); nan for constant returns.
    n
        Number of returns.
    """

    sharpe: float
    skewness: float
    kurtosis: float
    n: int


def sharpe_moments(returns: ArrayLike) -> SharpeMoments:
    """Per-period Sharpe ratio with skewness and plain kurtosis.

    Parameters
    ----------
    returns
        Simple returns per period, shape ``(n,)``; missing values are left out.
    """
    values = np.asarray(returns, dtype=np.float64)
    values = values[~np.isnan(values)]
    n = len(values)
    if n < 2:
        return SharpeMoments(math.nan, math.nan, math.nan, n)
    mean = values.mean()
    second, skewness, kurtosis = central_moments(values)
    # Constant up to rounding: the ratio would be noise over noise.
    if second <= (1e-14 * max(1.0, abs(float(mean)))) ** 2:
        return SharpeMoments(math.nan, math.nan, math.nan, n)
    return SharpeMoments(
        sharpe=float(mean / math.sqrt(second * n / (n - 1))),
        skewness=skewness,
        kurtosis=kurtosis,
        n=n,
    )


def probabilistic_sharpe(
    sharpe: float, n: int, skewness: float, kurtosis: float, benchmark_sharpe: float = 0.0
) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark_sharpe`.

    Bailey & Lopez de Prado (2012), "The Sharpe ratio efficient frontier", equation 11:
    ``Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2))``.

    Parameters
    ----------
    sharpe, benchmark_sharpe
        Per period.
    n
        Number of returns, at least two.
    skewness, kurtosis
        Of the returns; plain kurtosis.

    Returns
    -------
    float
        nan where an argument is nan.

    Raises
    ------
    SharpeError
        ``n < 2``, or moments no distribution has (kurtosis < 1 + skewness squared).
    """
    if n < 2:
        raise SharpeError(f"n = {n}: a Sharpe ratio needs at least two returns")
    if any(math.isnan(x) for x in (sharpe, skewness, kurtosis, benchmark_sharpe)):
        return math.nan
    error = math.sqrt(_error_variance(sharpe, skewness, kurtosis))
    gap = (sharpe - benchmark_sharpe) * math.sqrt(n - 1)
    if error == 0.0:
        return 0.5 if gap == 0 else float(gap > 0)
    return _NORMAL.cdf(gap / error)


def expected_maximum_sharpe(n_trials: int, variance: float) -> float:
    """Sharpe ratio the best of `n_trials` skill-less trials is expected to show.

    Bailey & Lopez de Prado (2014), "The deflated Sharpe ratio", equation 1, with zero mean:
    ``sqrt(V) ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)))``, g the Euler-Mascheroni constant.

    Parameters
    ----------
    n_trials
        N, at least two.
    variance
        Variance across trials of the per-period Sharpe ratio.
    """
    if n_trials < 2:
        raise SharpeError(f"n_trials = {n_trials}: a maximum needs at least two")
    if math.isnan(variance):
        return math.nan
    if variance < 0:
        raise SharpeError(f"variance = {variance}: a variance is not negative")
    expected = (1 - EULER_MASCHERONI) * _NORMAL.inv_cdf(1 - 1 / n_trials)
    expected += EULER_MASCHERONI * _NORMAL.inv_cdf(1 - 1 / (n_trials * math.e))
    return math.sqrt(variance) * expected


def deflated_sharpe(
    sharpe: float, n: int, skewness: float, kurtosis: float, n_trials: int, variance: float
) -> float:
    """Probability that the true Sharpe exceeds what selection among `n_trials` gives by luck.

    Bailey & Lopez de Prado (2014), equation 2: the probabilistic Sharpe ratio against
    `expected_maximum_sharpe`. Fewer than ``MINIMUM_TRIALS`` trials are refused.

    Parameters
    ----------
    sharpe, n, skewness, kurtosis
        As in `probabilistic_sharpe`.
    n_trials, variance
        Counted candidates of the same question and the variance of their per-period Sharpe.

    Raises
    ------
    SharpeError
        Fewer than ``MINIMUM_TRIALS`` trials.
    """
    if n_trials < MINIMUM_TRIALS:
        raise SharpeError(
            f"n_trials = {n_trials}: deflation needs at least {MINIMUM_TRIALS} counted candidates"
        )
    threshold = expected_maximum_sharpe(n_trials, variance)
    return probabilistic_sharpe(sharpe, n, skewness, kurtosis, threshold)


def minimum_track_record_length(
    sharpe: float,
    skewness: float,
    kurtosis: float,
    benchmark_sharpe: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Number of returns needed before the Sharpe ratio exceeds the benchmark with confidence.

    Bailey & Lopez de Prado (2012), equation 13:
    ``1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (Phi^-1(confidence) / (SR - SR*))^2``.

    Returns
    -------
    float
        Periods; infinite where `sharpe` does not exceed `benchmark_sharpe`.
    """
    if not 0.5 < confidence < 1:
        raise SharpeError(f"confidence = {confidence}: must lie between 0.5 and 1")
    if math.isnan(sharpe) or math.isnan(benchmark_sharpe):
        return math.nan
    if sharpe <= benchmark_sharpe:
        return math.inf
    quantile = _NORMAL.inv_cdf(confidence) / (sharpe - benchmark_sharpe)
    return 1 + _error_variance(sharpe, skewness, kurtosis) * quantile**2


def minimum_backtest_length_years(n_trials: int, target_sharpe_annual: float = 1.0) -> float:
    """Years of data below which the best of skill-less trials is expected to reach a Sharpe ratio.

    Bailey, Borwein, Lopez de Prado & Zhu (2014), "Pseudo-mathematics and financial charlatanism",
    Notices of the AMS 61, equation 6: ``(E[max of N standard normals] / target)^2``.

    Parameters
    ----------
    n_trials
        Independent trials, at least two.
    target_sharpe_annual
        Annualised Sharpe ratio that was found in sample.

    Raises
    ------
    SharpeError
        Fewer than two trials, or a target that is not positive.
    """
    if not target_sharpe_annual > 0:
        raise SharpeError(f"target_sharpe_annual = {target_sharpe_annual}: must be positive")
    return (expected_maximum_sharpe(n_trials, 1.0) / target_sharpe_annual) ** 2


def _error_variance(sharpe: float, skewness: float, kurtosis: float) -> float:
    # Every distribution has kurtosis >= 1 + skewness^2, which keeps the expression non-negative.
    if kurtosis < 1 + skewness**2 - 1e-9:
        raise SharpeError(
            f"skewness {skewness}, kurtosis {kurtosis}: no distribution has these; is the kurtosis "
            "excess (normal = 0) instead of plain (normal = 3)?"
        )
    return max(1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2, 0.0)
