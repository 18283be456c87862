"""Compiled loops of hidden states: densities, filter, backward pass, expectation-maximisation.

Belongs here: recursions over sessions that numpy cannot express. Does not belong here: argument
checks, start values, which fit is usable (`gaussian_states`, which imports this lazily: it loads
numba). All of them in one file, for numba does not notice a change of a function elsewhere.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_LOG_2_PI = math.log(2 * math.pi)


@njit(cache=True, nogil=True)
def log_densities(observations, means, covariances, out):
    """Normal log density of each observation in each state, written to ``out`` ``(T, K)``.

    Returns whether all covariances ``(K, D, D)`` were positive definite.
    """
    n_times, n_inputs = observations.shape
    lower = np.empty((n_inputs, n_inputs))
    scaled = np.empty(n_inputs)
    for k in range(len(means)):
        log_determinant = 0.0
        for i in range(n_inputs):
            for j in range(i + 1):
                rest = covariances[k, i, j]
                for m in range(j):
                    rest -= lower[i, m] * lower[j, m]
                if i == j:
                    if not rest > 0:
                        return False
                    lower[i, i] = math.sqrt(rest)
                    log_determinant += math.log(rest)
                else:
                    lower[i, j] = rest / lower[j, j]
        constant = -0.5 * (n_inputs * _LOG_2_PI + log_determinant)
        for t in range(n_times):
            distance = 0.0
            for i in range(n_inputs):
                rest = observations[t, i] - means[k, i]
                for m in range(i):
                    rest -= lower[i, m] * scaled[m]
                scaled[i] = rest / lower[i, i]
                distance += scaled[i] * scaled[i]
            out[t, k] = constant - 0.5 * distance
    return True


@njit(cache=True, nogil=True)
def forward(log_densities, transition, initial):
    """Filtered probabilities and log likelihood; Hamilton (1994), eq. 22.4.5 and 22.4.6.

    ``log_densities`` ``(T, K)``, ``transition`` ``(K, K)`` from row to column, ``initial`` ``(K,)``.
    Returns ``(T, K)`` filtered, ``(T,)`` log predictive density of each observation.
    """
    n_times, n_states = log_densities.shape
    filtered = np.empty((n_times, n_states))
    predictive = np.empty(n_times)
    predicted = initial.copy()
    for t in range(n_times):
        largest = log_densities[t, 0]
        for k in range(1, n_states):
            largest = max(largest, log_densities[t, k])
        total = 0.0
        for k in range(n_states):
            filtered[t, k] = predicted[k] * math.exp(log_densities[t, k] - largest)
            total += filtered[t, k]
        for k in range(n_states):
            filtered[t, k] /= total
        predictive[t] = math.log(total) + largest
        for k in range(n_states):
            ahead = 0.0
            for j in range(n_states):
                ahead += filtered[t, j] * transition[j, k]
            predicted[k] = ahead
    return filtered, predictive


@njit(cache=True, nogil=True)
def expectations(log_densities, transition, initial):
    """Smoothed probabilities and expected transition counts: the E step of Baum et al. (1970).

    Inside a fit window only: what is smoothed never leaves the fit.
    Returns ``(T, K)`` smoothed, ``(K, K)`` expected counts, log likelihood.
    """
    n_times, n_states = log_densities.shape
    filtered, predictive = forward(log_densities, transition, initial)
    smoothed = np.empty((n_times, n_states))
    counts = np.zeros((n_states, n_states))
    ratio = np.empty(n_states)
    smoothed[n_times - 1] = filtered[n_times - 1]
    for t in range(n_times - 2, -1, -1):
        for k in range(n_states):
            predicted = 0.0
            for j in range(n_states):
                predicted += filtered[t, j] * transition[j, k]
            ratio[k] = smoothed[t + 1, k] / predicted if predicted > 0 else 0.0
        for j in range(n_states):
            total = 0.0
            for k in range(n_states):
                both = filtered[t, j] * transition[j, k] * ratio[k]
                counts[j, k] += both
                total += both
            smoothed[t, j] = total
    return smoothed, counts, predictive.sum()


@njit(cache=True, nogil=True)
def moments(observations, smoothed, floor, means, covariances):
    """M step: weighted means ``(K, D)`` and covariances ``(K, D, D)``, overwritten.

    ``floor`` is added to each variance.
    """
    n_times, n_inputs = observations.shape
    deviation = np.empty(n_inputs)
    for k in range(smoothed.shape[1]):
        weight = 0.0
        means[k] = 0.0
        covariances[k] = 0.0
        for t in range(n_times):
            weight += smoothed[t, k]
            for i in range(n_inputs):
                means[k, i] += smoothed[t, k] * observations[t, i]
        weight = max(weight, 1e-12)
        means[k] /= weight
        for t in range(n_times):
            for i in range(n_inputs):
                deviation[i] = observations[t, i] - means[k, i]
                for j in range(i + 1):
                    covariances[k, i, j] += smoothed[t, k] * deviation[i] * deviation[j]
        for i in range(n_inputs):
            for j in range(i + 1):
                covariances[k, i, j] /= weight
                covariances[k, j, i] = covariances[k, i, j]
            covariances[k, i, i] += floor


@njit(cache=True, nogil=True)
def step_probabilities(counts, stickiness):
    """Transition ``(K, K)`` of expected counts, with pseudo-counts of staying.

    A staying probability of exactly 1 would never let the filter leave, hence the 1e-9.
    """
    n_states = len(counts)
    transition = np.empty((n_states, n_states))
    for j in range(n_states):
        total = stickiness
        for k in range(n_states):
            total += counts[j, k]
        for k in range(n_states):
            count = counts[j, k] + (stickiness if j == k else 0.0)
            share = count / total if total > 0 else 1 / n_states
            transition[j, k] = (share + 1e-9) / (1 + n_states * 1e-9)
    return transition


@njit(cache=True, nogil=True)
def maximise(observations, smoothed, stay, stickiness, floor, tolerance, max_iterations):
    """Baum-Welch from given state probabilities of the sessions.

    Parameters
    ----------
    observations, smoothed
        ``(T, D)`` and ``(T, K)``, where it starts.
    stay
        Staying probability where it starts.
    stickiness, floor
        Of `step_probabilities` and `moments`.
    tolerance, max_iterations
        It ends where an iteration gains less, or after so many.

    Returns
    -------
    tuple
        Objective reached (NaN where a covariance was singular or the likelihood not finite), means,
        covariances, transition, log likelihood, whether the gain fell below `tolerance`, iterations
        made, and ``(K,)`` shares of the states.
    """
    n_times, n_inputs = observations.shape
    n_states = smoothed.shape[1]
    means = np.empty((n_states, n_inputs))
    covariances = np.empty((n_states, n_inputs, n_inputs))
    densities = np.empty((n_times, n_states))
    moments(observations, smoothed, floor, means, covariances)
    transition = np.full((n_states, n_states), (1 - stay) / (n_states - 1))
    for k in range(n_states):
        transition[k, k] = stay
    initial = np.full(n_states, 1 / n_states)
    before = -np.inf
    objective = np.nan
    log_likelihood = np.nan
    converged = False
    number = 0
    for number in range(1, max_iterations + 1):
        if not log_densities(observations, means, covariances, densities):
            objective = np.nan
            break
        smoothed, counts, log_likelihood = expectations(densities, transition, initial)
        objective = log_likelihood
        for k in range(n_states):
            objective += stickiness * math.log(transition[k, k])
        if not math.isfinite(objective):
            objective = np.nan
            break
        converged = objective - before < tolerance
        if converged or number == max_iterations:
            break
        before = objective
        moments(observations, smoothed, floor, means, covariances)
        transition = step_probabilities(counts, stickiness)
        initial = smoothed[0].copy()
    shares = np.zeros(n_states)
    for k in range(n_states):
        shares[k] = smoothed[:, k].mean()
    return (
        objective,
        means,
        covariances,
        transition,
        log_likelihood,
        converged,
        number,
        shares,
    )
