"""The optimal liquidation of Almgren and Chriss (2000), in closed form.

R. Almgren and N. Chriss (2000), "Optimal execution of portfolio transactions", Journal of Risk 3,
5-39. Equation numbers are those of the paper. Linear permanent and temporary impact, arithmetic
random walk, no drift.

Belongs here: trajectory, expected cost, variance. Does not belong here: orders (`schedules`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class ScheduleError(ValueError):
    """A schedule that cannot be made; the message names the setting."""


@dataclass(frozen=True)
class ImpactModel:
    """Market and impact, in the paper's units.

    Attributes
    ----------
    volatility
        sigma, currency per share per square root of a day.
    temporary
        eta, currency per share, per share a day.
    permanent
        gamma, currency per share, per share.
    fixed
        epsilon, currency per share: half the spread and fees.
    """

    volatility: float
    temporary: float
    permanent: float = 0.0
    fixed: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not np.isfinite(value) or value < 0:
                raise ScheduleError(f"{name} = {value!r}: needs a number >= 0")
        if self.temporary == 0:
            raise ScheduleError("temporary = 0: trading at once costs nothing, there is no optimum")


@dataclass(frozen=True)
class Trajectory:
    """Holdings to liquidate at the ends of the intervals.

    Attributes
    ----------
    times
        Days, ``float64[N + 1]``, from 0.
    holdings
        Shares left, ``float64[N + 1]``, from X to 0.
    expected_cost, variance
        Currency, currency squared: eqs. 6 and 5 (implementation shortfall).
    kappa
        Per day; NaN for a trajectory that was not solved for.
    """

    times: np.ndarray
    holdings: np.ndarray
    expected_cost: float
    variance: float
    kappa: float = np.nan

    @property
    def trades(self) -> np.ndarray:
        """Shares traded in each interval, ``float64[N]``."""
        return -np.diff(self.holdings)

    @property
    def half_life(self) -> float:
        """1 / kappa, days: the time in which holdings fall by a factor e (sec. 2.3)."""
        return 1.0 / self.kappa if self.kappa > 0 else np.inf


def kappa_of(model: ImpactModel, risk_aversion: float, step: float) -> float:
    """Urgency kappa, per day: ``2 (cosh(kappa tau) - 1) / tau^2 = lambda sigma^2 / eta_tilde``.

    Eq. 16, with ``eta_tilde = eta - gamma tau / 2``.

    Raises
    ------
    ScheduleError
        Risk aversion is negative, or the interval so long that permanent impact makes
        ``eta_tilde`` not positive.
    """
    if not risk_aversion >= 0:
        raise ScheduleError(f"risk_aversion = {risk_aversion!r}: needs a number >= 0")
    eta = model.temporary - 0.5 * model.permanent * step
    if eta <= 0:
        raise ScheduleError(
            f"intervals of {step:g} days: temporary - permanent * interval / 2 = {eta:g} must be "
            "positive; use shorter intervals"
        )
    squared = risk_aversion * model.volatility**2 / eta
    return float(np.arccosh(0.5 * squared * step**2 + 1.0) / step)


def optimal_trajectory(
    shares: float, days: float, n_intervals: int, model: ImpactModel, risk_aversion: float
) -> Trajectory:
    """Holdings that minimise ``E + lambda V``.

    Parameters
    ----------
    shares
        X, signed: a purchase is the mirror image of a sale.
    days, n_intervals
        T and N.
    risk_aversion
        lambda, per currency; 0 gives equal slices.

    Returns
    -------
    Trajectory
        ``x_j = sinh(kappa (T - t_j)) / sinh(kappa T) X``, eq. 17.
    """
    if not (np.isfinite(days) and days > 0) or n_intervals < 1 or not np.isfinite(shares):
        raise ScheduleError(f"days = {days!r}, n_intervals = {n_intervals!r}, shares = {shares!r}")
    step = days / n_intervals
    kappa = kappa_of(model, risk_aversion, step)
    times = np.linspace(0.0, days, n_intervals + 1)
    holdings = shares * _sinh_ratio(kappa, days - times, days)
    holdings[0], holdings[-1] = shares, 0.0
    expected, variance = cost_of(holdings, step, model)
    return Trajectory(times, holdings, expected, variance, kappa)


def _sinh_ratio(kappa: float, left: np.ndarray, whole: float) -> np.ndarray:
    """``sinh(kappa left) / sinh(kappa whole)`` without overflow; its limit for small kappa."""
    if kappa * whole < 1e-6:
        return left / whole
    fall = np.exp(-kappa * (whole - left))
    return fall * np.expm1(-2.0 * kappa * left) / np.expm1(-2.0 * kappa * whole)


def cost_of(holdings: np.ndarray, step: float, model: ImpactModel) -> tuple[float, float]:
    """Expected shortfall and variance of any trajectory that ends flat.

    Parameters
    ----------
    holdings
        ``float64[N + 1]``, shares left at the ends of intervals of `step` days.

    Returns
    -------
    expected, variance : float
        ``gamma X^2 / 2 + epsilon sum |n| + eta_tilde / tau sum n^2`` and
        ``sigma^2 tau sum x^2`` (eqs. 8 and 5).
    """
    trades = -np.diff(holdings)
    eta = model.temporary - 0.5 * model.permanent * step
    expected = (
        0.5 * model.permanent * holdings[0] ** 2
        + model.fixed * np.abs(trades).sum()
        + eta / step * (trades**2).sum()
    )
    return float(expected), float(model.volatility**2 * step * (holdings[1:] ** 2).sum())
