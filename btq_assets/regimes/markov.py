"""Markov-switching model of returns: its filter, and fitting it.

Belongs here: the Hamilton filter and a two-state model of one return series. Does not belong here:
when it is fitted and on what (`states`).

Model: ``y[t] = mean[s] + e[t]``, ``e[t] ~ N(0, variance[s])``, ``s`` a Markov chain. Hamilton (1989)
without autoregression and with switching variance.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

#: Returns are fitted in per cent: likelihood optimisers stop too early on numbers like 1e-4.
_PERCENT = 100.0
#: The turbulent variance must exceed the calm one by this factor, or there is only one state.
_MIN_VARIANCE_RATIO = 1.1
_EM_ITERATIONS = 8
_MAX_ITERATIONS = 60


class RegimeError(ValueError):
    """The filter or the fit was given something it cannot work on."""


@dataclass(frozen=True)
class Parameters:
    """A fitted model; state 0 is calm (low variance), state 1 turbulent.

    Parameters
    ----------
    means, variances
        ``(2,)``, per session, of returns as fractions.
    transition
        ``(2, 2)``; row ``i`` holds the probabilities of going from ``i`` to each state.
    log_likelihood
        Of the returns in per cent the model was fitted on.
    """

    means: np.ndarray
    variances: np.ndarray
    transition: np.ndarray
    log_likelihood: float


def hamilton_filter(
    log_densities: np.ndarray, transition: np.ndarray, initial: np.ndarray
) -> tuple[np.ndarray, float]:
    """Filtered state probabilities, Hamilton (1994), eq. 22.4.5 and 22.4.6.

    Parameters
    ----------
    log_densities
        ``(T, K)``: log density of each observation in each state.
    transition
        ``(K, K)``, rows sum to 1: from state (row) to state (column).
    initial
        ``(K,)``: probabilities of the state at the first observation, before seeing it.

    Returns
    -------
    numpy.ndarray, float
        ``(T, K)`` probabilities given the observations up to each time, and the log likelihood.

    Raises
    ------
    RegimeError
        Shapes do not fit, probabilities do not sum to 1, or a density is NaN.
    """
    n_times, n_states = log_densities.shape
    if transition.shape != (n_states, n_states) or initial.shape != (n_states,):
        raise RegimeError(
            f"{n_states} states, but transition {transition.shape} and initial {initial.shape}"
        )
    if not (
        np.allclose(transition.sum(axis=1), 1) and math.isclose(initial.sum(), 1, abs_tol=1e-8)
    ):
        raise RegimeError("rows of transition and initial must sum to 1")
    if np.isnan(log_densities).any():
        raise RegimeError("a log density is NaN; leave missing observations out")
    # Scaling each row by its largest density keeps far outliers from underflowing to 0 / 0.
    largest = log_densities.max(axis=1)
    densities = np.exp(log_densities - largest[:, None])
    filtered = np.empty((n_times, n_states))
    predicted = initial
    log_likelihood = 0.0
    for t in range(n_times):
        joint = predicted * densities[t]
        total = joint.sum()
        filtered[t] = joint / total
        log_likelihood += math.log(total) + largest[t]
        predicted = filtered[t] @ transition
    return filtered, float(log_likelihood)


def ergodic(transition: np.ndarray) -> np.ndarray:
    """Stationary probabilities of a chain, Hamilton (1994), eq. 22.2.26.

    Parameters
    ----------
    transition
        ``(K, K)``, rows sum to 1.
    """
    n_states = transition.shape[0]
    system = np.vstack([np.eye(n_states) - transition.T, np.ones(n_states)])
    target = np.append(np.zeros(n_states), 1.0)
    return np.linalg.lstsq(system, target, rcond=None)[0]


def normal_log_densities(returns: np.ndarray, parameters: Parameters) -> np.ndarray:
    """``(T, 2)`` log densities of `returns` in each state."""
    deviation = returns[:, None] - parameters.means
    return -0.5 * (np.log(2 * np.pi * parameters.variances) + deviation**2 / parameters.variances)


def filtered_probabilities(returns: np.ndarray, parameters: Parameters) -> np.ndarray:
    """``(T, 2)`` filtered probabilities of calm and turbulent, from the stationary start."""
    return hamilton_filter(
        normal_log_densities(returns, parameters),
        parameters.transition,
        ergodic(parameters.transition),
    )[0]


def fit(returns: np.ndarray) -> Parameters | None:
    """Fit the model by maximum likelihood with statsmodels.

    Start values depend on the window alone (not on an earlier fit), so that a fit can be repeated
    without repeating those before it.

    Parameters
    ----------
    returns
        ``(T,)`` log returns, no NaN.

    Returns
    -------
    Parameters or None
        ``None`` where the optimiser did not converge, or found one state instead of two.
    """
    if not np.isfinite(returns).all():
        raise RegimeError("returns to fit contain NaN or infinities; leave those sessions out")
    if returns.std() < 1e-8:
        return None
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    observed = returns * _PERCENT
    model = MarkovRegression(observed, k_regimes=2, trend="c", switching_variance=True)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            result = model.fit(
                start_params=_start(observed),
                em_iter=_EM_ITERATIONS,
                maxiter=_MAX_ITERATIONS,
                cov_type="none",
                disp=False,
            )
        except np.linalg.LinAlgError:
            return None
    if not result.mle_retvals["converged"]:
        return None
    return _parameters(np.asarray(result.params), float(result.llf))


def _start(observed: np.ndarray) -> np.ndarray:
    """Start values: half and twice the variance, states that last 100 and 33 sessions."""
    variance = observed.var()
    mean = observed.mean()
    return np.array([0.99, 0.03, mean, mean, variance / 2, 2 * variance])


def _parameters(values: np.ndarray, log_likelihood: float) -> Parameters | None:
    """From statsmodels' order (p00, p10, means, variances) to states ordered by variance."""
    if not np.isfinite(values).all():
        return None
    stay, back = values[:2]
    means, variances = values[2:4] / _PERCENT, values[4:6] / _PERCENT**2
    transition = np.array([[stay, 1 - stay], [back, 1 - back]])
    order = np.argsort(variances, kind="stable")
    if variances[order[1]] < _MIN_VARIANCE_RATIO * variances[order[0]] or variances.min() <= 0:
        return None
    return Parameters(
        means[order], variances[order], transition[np.ix_(order, order)], log_likelihood
    )
