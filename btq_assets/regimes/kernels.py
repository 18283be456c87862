"""Compiled loops over sessions: correlations of windows, run lengths.

Belongs here: loops that numpy cannot express. Does not belong here: those of hidden states
(`state_kernels`), argument checks, and what is fitted when (the modules that import this one,
lazily: it loads numba).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def average_correlations(returns, window):
    """Mean correlation of all pairs over the last ``window`` sessions; ``(T,)``, NaN where undefined.

    With columns ``z`` of mean 0 and length 1 it is ``(|sum z|^2 - N) / (N (N - 1))``. A symbol with a
    missing return in the window, or none but equal ones, is left out.
    """
    n_times, n_symbols = returns.shape
    columns = returns.T.copy()
    out = np.full(n_times, np.nan)
    total = np.empty(window)
    for t in range(window - 1, n_times):
        first = t + 1 - window
        total[:] = 0.0
        n_kept = 0
        for k in range(n_symbols):
            mean = 0.0
            for i in range(window):
                mean += columns[k, first + i]
            mean /= window
            square = 0.0
            for i in range(window):
                square += (columns[k, first + i] - mean) ** 2
            length = math.sqrt(square)
            # False for NaN, too.
            if not length > 1e-12:
                continue
            n_kept += 1
            for i in range(window):
                total[i] += (columns[k, first + i] - mean) / length
        if n_kept < 2:
            continue
        squares = 0.0
        for i in range(window):
            squares += total[i] * total[i]
        mean = (squares - n_kept) / (n_kept * (n_kept - 1))
        out[t] = min(max(mean, -1.0), 1.0)
    return out


@njit(cache=True, nogil=True)
def run_lengths(observations, hazard, prior, recent, declare, negligible):
    """Adams and MacKay (2007), algorithm 1, for a normal of unknown mean and variance.

    Parameters
    ----------
    observations
        ``(T,)``.
    hazard
        Constant probability of a change before each observation.
    prior
        ``(mean, kappa, alpha, beta)`` of the normal-inverse-gamma prior, Murphy (2007), section 6.
    recent
        The probability of a run of at most so many observations is returned.
    declare
        A change is declared where runs that began after the last declared one was declared have
        this probability together.
    negligible
        Run lengths less probable than that are dropped (their section 2.4).

    Returns
    -------
    numpy.ndarray
        ``(T, 5)``: probability of a run of at most ``recent``; expected and most probable length of
        the run, the observation itself included; probability of a change since the last declared
        one; length of the most probable run since then where a change is declared here, else 0.
    """
    n_times = observations.size
    out = np.zeros((n_times, 5))
    declared = 0
    mean0, kappa0, alpha0, beta0 = prior
    starts = np.zeros(n_times + 1, np.int64)
    mean = np.empty(n_times + 1)
    beta = np.empty(n_times + 1)
    mass = np.empty(n_times + 1)
    # lgamma(alpha0 + r / 2 + 1/2) - lgamma(alpha0 + r / 2), by length of the run.
    gammas = np.empty(n_times + 1)
    for r in range(n_times + 1):
        a = alpha0 + 0.5 * r
        gammas[r] = math.lgamma(a + 0.5) - math.lgamma(a)
    n_runs = 0
    for t in range(n_times):
        x = observations[t]
        # A run that starts here: at the first observation for sure.
        grown = 1.0 if t == 0 else hazard
        for i in range(n_runs):
            mass[i] *= 1.0 - hazard
        starts[n_runs] = t
        mean[n_runs] = mean0
        beta[n_runs] = beta0
        mass[n_runs] = grown
        n_runs += 1
        total = 0.0
        for i in range(n_runs):
            r = t - starts[i]
            kappa = kappa0 + r
            alpha = alpha0 + 0.5 * r
            scale = 2.0 * beta[i] * (kappa + 1.0) / kappa
            deviation = x - mean[i]
            density = math.exp(
                gammas[r]
                - 0.5 * math.log(math.pi * scale)
                - (alpha + 0.5) * math.log1p(deviation * deviation / scale)
            )
            mass[i] *= density
            total += mass[i]
            beta[i] += kappa * deviation * deviation / (2.0 * (kappa + 1.0))
            mean[i] += deviation / (kappa + 1.0)
        kept = 0
        short = 0.0
        since = 0.0
        best_since = -1.0
        longest_since = 0.0
        expected = 0.0
        best = -1.0
        longest = 0.0
        sum_kept = 0.0
        for i in range(n_runs):
            share = mass[i] / total
            if share >= negligible or i == n_runs - 1:
                starts[kept] = starts[i]
                mean[kept] = mean[i]
                beta[kept] = beta[i]
                mass[kept] = share
                sum_kept += share
                kept += 1
        n_runs = kept
        for i in range(n_runs):
            mass[i] /= sum_kept
            length = t - starts[i] + 1
            expected += mass[i] * length
            if length <= recent:
                short += mass[i]
            if mass[i] > best:
                best = mass[i]
                longest = length
            if starts[i] > declared:
                since += mass[i]
                if mass[i] > best_since:
                    best_since = mass[i]
                    longest_since = length
        out[t, 0] = min(short, 1.0)
        out[t, 1] = expected
        out[t, 2] = longest
        out[t, 3] = min(since, 1.0)
        if since >= declare:
            out[t, 4] = longest_since
            declared = t
    return out
