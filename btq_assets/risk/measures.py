"""Value at risk and conditional value at risk of return samples.

Belongs here: the measures as functions of arrays; losses are positive. Does not belong here:
portfolios, windows and tables (`rolling`).

Quantile rule of the historical measures: VaR is the smallest loss ``x`` whose empirical
distribution function reaches the level, ``inf{x: F_n(x) >= level}`` (numpy's ``inverted_cdf``),
so at most ``n (1 - level)`` losses of the sample lie beyond it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from btq_assets.engine.metrics import tail_losses, tail_size

QUANTILE_RULE = "historical VaR is inf{x: F_n(x) >= level}, numpy inverted_cdf"

_NORMAL = NormalDist()
Floats = NDArray[np.float64]


class RiskError(ValueError):
    """A level, sample or scenario for which a measure does not exist."""


def confidence_level(confidence: float) -> float:
    """Confidence level from a level or a tail probability.

    Below 0.5 the argument is a tail probability, above it a level: 0.05 and 0.95 are the same.

    Raises
    ------
    RiskError
        The argument is 0.5 (it could mean either), or not inside (0, 1).
    """
    if not 0 < confidence < 1 or confidence == 0.5:
        raise RiskError(
            f"confidence = {confidence}: give a level above 0.5 and below 1 (0.95), or a tail "
            "probability above 0 and below 0.5 (0.05)"
        )
    # Rounded so that 1 - 0.05 is the number written 0.95.
    return round(1 - confidence, 12) if confidence < 0.5 else float(confidence)


@dataclass(frozen=True)
class Moments:
    """Moments along the last axis.

    Attributes
    ----------
    mean, std
        Mean and sample standard deviation (ddof 1).
    skewness, excess_kurtosis
        Population moments g1 and g2 (normal = 0); 0 where the returns are constant.
    """

    mean: Floats
    std: Floats
    skewness: Floats
    excess_kurtosis: Floats


def moments(returns: ArrayLike) -> Moments:
    """Moments of `returns` along the last axis, which needs two or more values."""
    sample = np.asarray(returns, dtype=np.float64)
    n = sample.shape[-1]
    if n < 2:
        raise RiskError(f"{n} return(s): moments need at least two")
    mean = sample.mean(axis=-1)
    deviation = sample - mean[..., None]
    square = deviation * deviation
    second = np.einsum("...i->...", square) / n
    third = np.einsum("...i,...i->...", square, deviation) / n
    fourth = np.einsum("...i,...i->...", square, square) / n
    # Constant up to rounding has no shape; the measures are then minus the mean.
    flat = second <= (1e-14 * np.maximum(1.0, np.abs(mean))) ** 2
    safe = np.where(flat, 1.0, second)
    return Moments(
        mean=mean,
        std=np.where(flat, 0.0, np.sqrt(second * n / (n - 1))),
        skewness=np.where(flat, 0.0, third / safe**1.5),
        excess_kurtosis=np.where(flat, 0.0, fourth / safe**2 - 3.0),
    )


def historical(returns: ArrayLike, level: float) -> tuple[Floats, Floats]:
    """Historical VaR and CVaR along the last axis.

    As `engine.metrics.tail_losses` has them, which every figure of the house reads.

    Parameters
    ----------
    returns
        Simple returns, shape ``(..., n)``, no missing value.
    level
        Confidence level above 0.5.

    Returns
    -------
    (var, cvar)
        Losses, positive, each of shape ``(...)``.

    Raises
    ------
    RiskError
        Fewer than ``1 / (1 - level)`` returns: the tail holds not a single one.
    """
    sample = np.asarray(returns, dtype=np.float64)
    n = sample.shape[-1]
    if tail_size(n, level) < 1:
        raise RiskError(
            f"{n} returns have no tail at level {level}: at least {math.ceil(1 / (1 - level))} needed"
        )
    return tail_losses(sample, level)


def parametric(sample: Moments, level: float) -> tuple[Floats, Floats]:
    """VaR and CVaR of a normal distribution with the sample's mean and standard deviation.

    ``VaR = z s - m`` and ``CVaR = s phi(z) / (1 - level) - m`` with ``z = Phi^-1(level)``
    (McNeil, Frey & Embrechts 2005, examples 2.14 and 2.18).
    """
    z = _NORMAL.inv_cdf(level)
    return z * sample.std - sample.mean, _NORMAL.pdf(z) / (1 - level) * sample.std - sample.mean


def cornish_fisher(sample: Moments, level: float) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Cornish–Fisher VaR and CVaR, and whether the expansion is a quantile function at all.

    With ``x = Phi^-1(1 - level)``, skewness S and excess kurtosis K the standardised quantile is
    ``x + (x^2 - 1) S/6 + (x^3 - 3x) K/24 - (2x^3 - 5x) S^2/36`` (Favre & Galeano 2002; Maillard
    2012, equation 4), and its tail mean, integrated with Hermite polynomials, is
    ``-phi(x)/(1 - level) [1 + x S/6 + (x^2 - 1) K/24 - (2x^2 - 1) S^2/36]``. The sample's S and K
    are put in as parameters, without Maillard's correction for the moments that result.

    Returns
    -------
    (var, cvar, valid)
        Losses, and False outside `cornish_fisher_domain`, where the figures mean nothing.
    """
    x, tail = _NORMAL.inv_cdf(1 - level), 1 - level
    s, k = sample.skewness, sample.excess_kurtosis
    quantile = x + (x**2 - 1) * s / 6 + (x**3 - 3 * x) * k / 24 - (2 * x**3 - 5 * x) * s**2 / 36
    mean_beyond = (
        -_NORMAL.pdf(x) / tail * (1 + x * s / 6 + (x**2 - 1) * k / 24 - (2 * x**2 - 1) * s**2 / 36)
    )
    return (
        0.0 - (sample.mean + sample.std * quantile),
        0.0 - (sample.mean + sample.std * mean_beyond),
        cornish_fisher_domain(s, k),
    )


def cornish_fisher_domain(skewness: ArrayLike, excess_kurtosis: ArrayLike) -> NDArray[np.bool_]:
    """Whether the Cornish–Fisher quantile increases everywhere.

    Its derivative is the parabola ``a z^2 + b z + c`` with ``a = K/8 - S^2/6``, ``b = S/3``,
    ``c = 1 - K/8 + 5 S^2/36``; it is never negative when ``b^2 <= 4 a c`` and ``a >= 0``
    (Maillard 2012, section 3). Roughly: excess kurtosis below 8, absolute skewness below 2.49.
    """
    s, k = np.asarray(skewness, dtype=np.float64), np.asarray(excess_kurtosis, dtype=np.float64)
    a, b, c = k / 8 - s**2 / 6, s / 3, 1 - k / 8 + 5 * s**2 / 36
    return (a >= 0) & (c >= 0) & (b**2 <= 4 * a * c)
