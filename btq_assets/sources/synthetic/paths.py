"""Log prices and volatility, minute by minute, for all symbols at once.

Belongs here: the stochastic model. Does not belong here: bars, rounding, faults.

Log variance is an intraday shape plus two autoregressive components, one slow (days) and one fast
(minutes), each driven by the last standardised return and its size: the exponential GARCH of Nelson
(1991, eq. 2.2) with the two components of Engle and Lee (1999). Given the innovations the recursion
is linear, so it is a filter over the whole array and no loop. Innovations are Student t, sharing one
market factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from btq_assets.sources.synthetic.spec import (
    MINUTES_PER_SESSION,
    SESSIONS_PER_YEAR,
    MarketSpec,
)

#: Innovations are cut here: beyond, one minute would halve or double a price.
LARGEST_INNOVATION = 8.0

#: The night is worth so many minutes of variance.
NIGHT_MINUTES = 60

_BURN_IN_MINUTES = 6_000


@dataclass(frozen=True)
class Paths:
    """The true state of a market; all arrays are ``[n_minutes, n_symbols]``.

    Parameters
    ----------
    log_open, log_close
        Natural logarithms of the prices at the start and the end of each minute.
    sigma
        Standard deviation of the minute's log return, known before it starts.
    innovation
        The minute's return in units of `sigma`.
    log_variance
        The autoregressive part of log variance.
    signal
        Published at the end of the minute; standard normal, autocorrelated, and worth nothing
        unless an edge is planted.
    """

    log_open: np.ndarray
    log_close: np.ndarray
    sigma: np.ndarray
    innovation: np.ndarray
    log_variance: np.ndarray
    signal: np.ndarray


def simulate(spec: MarketSpec, news_drift: np.ndarray | None = None) -> Paths:
    """Simulate the market of `spec`.

    Parameters
    ----------
    spec
        What is asked for.
    news_drift
        Log return that news add, ``[n_minutes, n_symbols]``.
    """
    n, total = spec.n_symbols, spec.n_minutes + _BURN_IN_MINUTES
    signal = _signal(spec, total)
    innovation = _innovations(spec, total, signal)
    log_variance = _log_variance(spec, innovation)[_BURN_IN_MINUTES:]
    innovation, signal = innovation[_BURN_IN_MINUTES:], signal[_BURN_IN_MINUTES:]
    base = spec.annual_volatility / np.sqrt(SESSIONS_PER_YEAR * MINUTES_PER_SESSION)
    shape = np.tile(np.sqrt(intraday_shape(0.7)), spec.n_sessions)[:, None]
    level = np.exp(0.5 * log_variance - 0.25 * _stationary_variance(spec))
    sigma = base * shape * level * _regime_factor(spec)[:, None]
    steps = sigma * innovation
    if news_drift is not None:
        steps = steps + news_drift
    night = np.zeros_like(steps)
    starts = np.arange(0, spec.n_minutes, MINUTES_PER_SESSION)
    quiet = spec.random("night").standard_normal((starts.size, n))
    night[starts[1:]] = sigma[starts[1:]] * np.sqrt(NIGHT_MINUTES) * quiet[1:]
    first = np.log(spec.random("first price").uniform(60.0, 300.0, n))
    log_close = first + np.cumsum(steps + night, axis=0)
    return Paths(log_close - steps, log_close, sigma, innovation, log_variance, signal)


def intraday_shape(depth: float) -> np.ndarray:
    """A U over the minutes of a session, mean one: ``1 - depth + 3·depth·(2x - 1)²``, x in [0, 1].

    Parameters
    ----------
    depth
        Zero is flat; the middle of the session lies at ``1 - depth``.
    """
    x = (np.arange(MINUTES_PER_SESSION) + 0.5) / MINUTES_PER_SESSION
    shape = (1 - depth) + depth * 3 * (2 * x - 1) ** 2
    return shape / shape.mean()


def _signal(spec: MarketSpec, total: int) -> np.ndarray:
    from scipy.signal import lfilter

    memory = 0.9
    noise = spec.random("signal").standard_normal((total, spec.n_symbols))
    noise[1:] *= np.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], noise, axis=0)


def _innovations(spec: MarketSpec, total: int, signal: np.ndarray) -> np.ndarray:
    """Unit variance, fat tails, one common factor; an edge takes its share of the variance."""
    common = _student(spec, "factor", (total, 1))
    own = _student(spec, "own", (total, spec.n_symbols))
    edge = spec.plants.edge
    share = edge.correlation if edge is not None else 0.0
    factor = np.sqrt(_correlations(spec, total))[:, None]
    if edge is None or edge.via == "signal":
        noise = factor * common + np.sqrt(1 - factor**2) * own
        out = noise
        if edge is not None:
            out = np.sqrt(1 - share**2) * noise
            out[1:] += share * signal[:-1]
    else:
        rest = np.sqrt(1 - factor**2 - share**2)
        out = factor * common + rest * own
        leader = factor[:, 0] * common[:, 0] + np.sqrt(1 - factor[:, 0] ** 2) * own[:, 0]
        out[1:] += share * leader[:-1, None]
        out[:, 0] = leader
    return np.clip(out, -LARGEST_INNOVATION, LARGEST_INNOVATION)


def _student(spec: MarketSpec, purpose: str, shape: tuple[int, int]) -> np.ndarray:
    degrees = spec.tail_degrees
    draws = spec.random(purpose).standard_t(degrees, shape)
    return draws * np.sqrt((degrees - 2) / degrees)


def _log_variance(spec: MarketSpec, innovation: np.ndarray) -> np.ndarray:
    from scipy.signal import lfilter

    size = np.abs(innovation)
    size = size - size.mean()
    out = np.zeros_like(innovation)
    for memory, leverage, effect in _components(spec):
        news = leverage * innovation + effect * size
        # [0, 1] delays by one minute: a return moves the variance of the minutes after it only.
        out += lfilter([0.0, 1.0], [1.0, -memory], news, axis=0)
    return out


def _stationary_variance(spec: MarketSpec) -> float:
    """Variance of the autoregressive part, to scale the level; E exp(x) = exp(var / 2) if normal."""
    size_variance = 1 - 0.73**2  # E|z| = 0.73 for Student t with five degrees
    parts = [
        (leverage**2 + effect**2 * size_variance) / (1 - memory**2)
        for memory, leverage, effect in _components(spec)
    ]
    return float(sum(parts))


def _components(spec: MarketSpec) -> list[tuple[float, float, float]]:
    memories = (spec.slow_persistence, spec.fast_persistence)
    return list(zip(memories, spec.leverage, spec.size_effect, strict=True))


def regimes(spec: MarketSpec) -> np.ndarray:
    """Regime of each session, ``[n_sessions]``: 0, and 1 from the planted change on."""
    change = spec.plants.regime
    first = spec.n_sessions if change is None else change.session
    return (np.arange(spec.n_sessions) >= first).astype(np.int64)


def _regime_factor(spec: MarketSpec) -> np.ndarray:
    change = spec.plants.regime
    factor = 1.0 if change is None else change.volatility_factor
    return np.repeat(np.where(regimes(spec) == 1, factor, 1.0), MINUTES_PER_SESSION)


def _correlations(spec: MarketSpec, total: int) -> np.ndarray:
    change = spec.plants.regime
    wild = spec.correlation if change is None else change.correlation
    late = np.where(regimes(spec) == 1, wild, spec.correlation)
    burn_in = np.full(total - spec.n_minutes, spec.correlation)
    return np.concatenate([burn_in, np.repeat(late, MINUTES_PER_SESSION)])
