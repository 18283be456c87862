"""Gaussian observations with hidden Markov states: fitting, choosing the number, filtering.

Belongs here: one fit on one window, of one input (Markov switching in mean and variance, Hamilton
1989 without autoregression) or several (hidden Markov model). Does not belong here: names of states
(`labels`), when it is fitted (`switching`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from btq_assets.config.regimes import StateModelSection
from btq_assets.regimes.markov import RegimeError, ergodic

#: Smallest variance of a state, of inputs scaled to a variance of 1; keeps a state from settling on
#: a few equal observations, where the likelihood is unbounded.
_VARIANCE_FLOOR = 1e-4
_START_STAY = 0.97
#: Sessions over which start values are smoothed.
_START_WINDOW = 21


@dataclass(frozen=True)
class StateModel:
    """A fitted model.

    Parameters
    ----------
    means
        ``(K, D)``, in the inputs' own units.
    covariances
        ``(K, D, D)``.
    transition
        ``(K, K)``, from row to column.
    log_likelihood
        Of the window, without the pseudo-counts.
    converged
        Whether the gain fell below the tolerance within the iterations allowed.
    n_iterations
        Iterations of the start that won.
    state_shares
        ``(K,)``: expected share of the window in each state.
    """

    means: np.ndarray
    covariances: np.ndarray
    transition: np.ndarray
    log_likelihood: float
    converged: bool
    n_iterations: int
    state_shares: np.ndarray

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.means.shape[0]

    @property
    def n_parameters(self) -> int:
        """Free parameters: means, covariances, transitions and the first state's probabilities."""
        k, d = self.means.shape
        return k * d + k * d * (d + 1) // 2 + k * (k - 1) + k - 1

    def bic(self, n_times: int) -> float:
        """Bayesian information criterion, Schwarz (1978); smaller is better."""
        return -2 * self.log_likelihood + self.n_parameters * math.log(n_times)


def log_densities(
    observations: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> np.ndarray:
    """``(T, K)`` log density of each observation in each state.

    Raises
    ------
    RegimeError
        A covariance is not positive definite.
    """
    from btq_assets.regimes import state_kernels

    out = np.empty((len(observations), len(means)))
    if not state_kernels.log_densities(observations, means, covariances, out):
        raise RegimeError("a state's covariance is not positive definite")
    return out


def filtered_probabilities(observations: np.ndarray, model: StateModel) -> np.ndarray:
    """``(T, K)`` probabilities of the states given the observations up to each, never later ones.

    Starts from the stationary probabilities of the chain.
    """
    from btq_assets.regimes.state_kernels import forward

    densities = log_densities(observations, model.means, model.covariances)
    return forward(densities, model.transition, ergodic(model.transition))[0]


def fit(
    observations: np.ndarray, settings: StateModelSection, n_before: int | None = None
) -> StateModel | None:
    """Fit with the configured number of states, or the number with the smallest BIC.

    Start values depend on the window alone, so that a fit can be repeated by itself.

    Parameters
    ----------
    observations
        ``(T, D)``, no NaN; the first column is the return.
    settings
        Number of states, iterations, tolerance and what makes a fit unusable.
    n_before
        States of the fit before: another number must beat its BIC by ``bic_margin`` (differences
        above 10 are very strong evidence, Kass and Raftery 1995).

    Returns
    -------
    StateModel or None
        ``None`` where no number of states gave a fit that converged without a state rarer than
        ``min_state_share``, or an input is constant.
    """
    if observations.ndim != 2 or not np.isfinite(observations).all():
        raise RegimeError("observations to fit must be (T, D) without NaN; leave such sessions out")
    numbers = (2, 3, 4) if settings.n_states == "bic" else (settings.n_states,)
    # A start with nearly no rows for a state is no start.
    if len(observations) < 20 * max(numbers):
        return None
    found = [fit_states(observations, number, settings) for number in numbers]
    usable = [
        model
        for model in found
        if model is not None
        and model.converged
        and model.state_shares.min() >= settings.min_state_share
    ]
    return min(
        usable,
        key=lambda model: (
            model.bic(len(observations))
            + (settings.bic_margin if n_before not in (None, model.n_states) else 0.0)
        ),
        default=None,
    )


def fit_states(
    observations: np.ndarray, n_states: int, settings: StateModelSection
) -> StateModel | None:
    """Best of two starts by expectation-maximisation; ``None`` where an input is constant."""
    centre, scale = observations.mean(axis=0), observations.std(axis=0)
    if (scale <= 1e-12 * np.maximum(np.abs(centre), 1e-12)).any():
        return None
    scaled = (observations - centre) / scale
    runs = [_iterate(scaled, groups, n_states, settings) for groups in _starts(scaled, n_states)]
    best = max((run for run in runs if run is not None), key=lambda run: run[0], default=None)
    if best is None:
        return None
    _, model = best
    return StateModel(
        model.means * scale + centre,
        model.covariances * np.outer(scale, scale),
        model.transition,
        model.log_likelihood - len(scaled) * float(np.log(scale).sum()),
        model.converged,
        model.n_iterations,
        model.state_shares,
    )


def _starts(scaled: np.ndarray, n_states: int) -> list[np.ndarray]:
    """Two groupings of the sessions of the window to start from.

    By volatility around each session in equal parts; and the most volatile part aside, the rest by
    the return around it. Both look ahead within the window, as any fit to it does.
    """
    kernel = np.ones(_START_WINDOW) / _START_WINDOW
    level = np.convolve(scaled[:, 0], kernel, "same")
    volatility = np.convolve(scaled[:, 0] ** 2, kernel, "same")
    by_volatility = _parts(volatility, n_states)
    wild = _parts(volatility, n_states) == n_states - 1
    by_level = np.full(len(scaled), n_states - 1)
    by_level[~wild] = _parts(level[~wild], n_states - 1)
    return [by_volatility, by_level]


def _parts(values: np.ndarray, n_parts: int) -> np.ndarray:
    """Number of the equal part (by rank) that each value is in."""
    ranks = np.empty(values.size, np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(values.size)
    return ranks * n_parts // values.size


def _iterate(
    scaled: np.ndarray, groups: np.ndarray, n_states: int, settings: StateModelSection
) -> tuple[float, StateModel] | None:
    """Baum-Welch from one grouping; the objective reached and the model."""
    from btq_assets.regimes.state_kernels import maximise

    objective, means, covariances, transition, log_likelihood, converged, number, shares = maximise(
        scaled,
        np.eye(n_states)[groups],
        _START_STAY,
        settings.stickiness,
        _VARIANCE_FLOOR,
        settings.tolerance,
        settings.max_iterations,
    )
    if math.isnan(objective):
        return None
    model = StateModel(
        means, covariances, transition, float(log_likelihood), bool(converged), int(number), shares
    )
    return float(objective), model
