"""Monte Carlo paths of wealth.

Belongs here: drawing paths from one history of returns and summing them up. Does not belong here:
whose history it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from btq_assets.engine.metrics import fall_path
from btq_assets.evidence.bootstrap import stationary_bootstrap_indices
from btq_assets.risk.measures import RiskError

Method = Literal["block_bootstrap", "gaussian"]
METHODS: tuple[Method, ...] = ("block_bootstrap", "gaussian")
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Simulated:
    """Simulated paths.

    Attributes
    ----------
    method
        How they were drawn.
    terminal_returns
        Simple return over the horizon, shape ``(n_paths,)``.
    max_drawdowns
        Deepest fall of each path, start included, a positive fraction, shape ``(n_paths,)``.
    fan
        Wealth quantiles (5, 25, 50, 75 and 95 %) at each session, start at 1, shape
        ``(5, horizon + 1)``; ``None`` unless asked for.
    horizon_sessions, seed
        As asked.
    """

    method: Method
    terminal_returns: NDArray[np.float64]
    max_drawdowns: NDArray[np.float64]
    fan: NDArray[np.float64] | None
    horizon_sessions: int
    seed: int

    @property
    def n_paths(self) -> int:
        """Number of paths."""
        return len(self.terminal_returns)

    @property
    def probability_of_loss(self) -> float:
        """Share of paths that end below their start."""
        return float(np.mean(self.terminal_returns < 0))

    def statistics(self) -> dict[str, float]:
        """Mean and quantiles (linear interpolation) of the outcome, and probability of loss."""
        found = {"terminal_return_mean": float(self.terminal_returns.mean())}
        for q, value in zip(
            _QUANTILES, np.quantile(self.terminal_returns, _QUANTILES), strict=True
        ):
            found[f"terminal_return_p{100 * q:02.0f}"] = float(value)
        for q, value in zip(
            _QUANTILES[3:], np.quantile(self.max_drawdowns, _QUANTILES[3:]), strict=True
        ):
            found[f"max_drawdown_p{100 * q:02.0f}"] = float(value)
        found["probability_of_loss"] = self.probability_of_loss
        return found


def simulate_paths(
    returns: ArrayLike,
    *,
    n_paths: int,
    horizon_sessions: int,
    seed: int,
    method: Method = "block_bootstrap",
    mean_block: float = 21.0,
    with_fan: bool = False,
    draws: NDArray | None = None,
) -> Simulated:
    """Simulate wealth over a horizon.

    Parameters
    ----------
    returns
        History of simple returns per session, shape ``(n,)``, no missing value.
    n_paths, horizon_sessions
        Size of the simulation.
    seed
        Seed.
    method
        ``block_bootstrap``: stationary bootstrap of the history (Politis & Romano 1994), which
        keeps volatility clusters about as long as the blocks. ``gaussian``: independent normal
        returns with the history's mean and standard deviation.
    mean_block
        Mean block length of the bootstrap, in sessions.
    with_fan
        Whether to keep quantiles of wealth at each session.
    draws
        What `draw` returned for the same parameters, to share it between histories of one length.

    Raises
    ------
    RiskError
        Fewer than two returns, a missing one, or one of -100 % or worse.
    """
    history = np.asarray(returns, dtype=np.float64)
    if history.ndim != 1 or len(history) < 2 or not np.isfinite(history).all():
        raise RiskError("a simulation needs one history of at least two returns, none missing")
    if (history <= -1).any():
        raise RiskError(f"a return of {history.min():.1%} leaves nothing to simulate")
    if draws is None:
        draws = draw(method, len(history), n_paths, horizon_sessions, seed, mean_block)
    if method == "block_bootstrap":
        growth = 1.0 + history[draws]
    else:
        # A normal step below -100 % is ruin: wealth stays at zero.
        growth = np.maximum(1.0 + history.mean() + history.std(ddof=1) * draws, 0.0)
    wealth = np.ones((n_paths, horizon_sessions + 1))
    np.cumprod(growth, axis=1, out=wealth[:, 1:])
    return Simulated(
        method,
        terminal_returns=wealth[:, -1] - 1.0,
        max_drawdowns=fall_path(wealth).max(axis=1),
        fan=np.quantile(wealth, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0) if with_fan else None,
        horizon_sessions=horizon_sessions,
        seed=seed,
    )


def draw(
    method: Method, n: int, n_paths: int, horizon_sessions: int, seed: int, mean_block: float
) -> NDArray:
    """Random part of `simulate_paths`: indices, or standard normals; ``(n_paths, horizon)``."""
    if method == "block_bootstrap":
        return stationary_bootstrap_indices(n, mean_block, n_paths, seed, length=horizon_sessions)
    if method == "gaussian":
        return np.random.default_rng(seed).standard_normal((n_paths, horizon_sessions))
    raise RiskError(f"method {method!r} is none of {METHODS}")
